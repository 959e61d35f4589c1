// SPDX-License-Identifier: MIT
/* json_out.h - the one JSON object that --json prints. */
#ifndef JSON_OUT_H
#define JSON_OUT_H

#include "model/error.h"

#include <cjson/cJSON.h>

/* Prints the object on stdout and deletes it. */
int json_print(cJSON *json, struct error *err);

#endif
