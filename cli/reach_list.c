// SPDX-License-Identifier: MIT
#include "cli/reach_list.h"

#include <stdlib.h>
#include <string.h>

int reach_list_parse(int *frames, int *n, int most, const char *option, const char *text,
                     struct error *err)
{
    *n = 0;
    for (const char *at = text; *at;) {
        size_t length = strcspn(at, ",");
        char *end = NULL;
        long ms = strtol(at, &end, 10);
        int whole = length == 5 && !strncmp(at, "whole", 5);

        if (!whole && (end != at + length || ms < 20 || ms > 3600000 || ms % 20))
            return fail(err, "%s: \"%.*s\" should be a multiple of 20 ms, or whole", option,
                        (int)(length < 40 ? length : 40), at);
        if (*n == most)
            return fail(err, "%s: at most %d entries", option, most);
        frames[(*n)++] = whole ? 0 : (int)(ms / 20);
        at += length + (at[length] == ',');
    }
    return *n ? 0 : fail(err, "%s: nothing in the list", option);
}
