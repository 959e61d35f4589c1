// SPDX-License-Identifier: MIT
#include "cli/json_out.h"

#include <stdio.h>

int json_print(cJSON *json, struct error *err)
{
    char *text = cJSON_Print(json);

    cJSON_Delete(json);
    if (!text)
        return fail(err, "out of memory");
    puts(text);
    cJSON_free(text);
    return 0;
}
