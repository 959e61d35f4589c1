// SPDX-License-Identifier: MIT
/* reach_list.h - "160,320,whole": block lengths or left contexts as commands take
 * them. */
#ifndef REACH_LIST_H
#define REACH_LIST_H

#include "model/error.h"

/* frames [most] of 20 ms, 0 for `whole`; option names it in errors. */
int reach_list_parse(int *frames, int *n, int most, const char *option, const char *text,
                     struct error *err);

#endif
