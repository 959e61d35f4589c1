// SPDX-License-Identifier: MIT
/* fuzz_toml.c - any bytes as a DiariZen model's config.toml: what is accepted is plain
 * values, of at most as many keys as the reader allows. */
#include "fuzz.h"

#include "model/folder.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    cJSON *arguments = cJSON_CreateObject(), *item;
    struct error err = {{0}};

    if (text && arguments && !memchr(data, 0, size)) { // the reader of files refuses zeros
        memcpy(text, data, size);
        text[size] = 0;
        int failed = diarizen_arguments(arguments, text, &err);
        if (failed && (!*err.text || strchr(err.text, '\n')))
            abort();
        if (cJSON_GetArraySize(arguments) > 64)
            abort();
        cJSON_ArrayForEach(item, arguments)
        {
            if (item->child || !item->string || cJSON_IsNull(item))
                abort();
        }
    }
    cJSON_Delete(arguments);
    free(text);
    return 0;
}
