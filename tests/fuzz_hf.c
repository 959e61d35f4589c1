// SPDX-License-Identifier: MIT
/* fuzz_hf.c - any bytes as a Hugging Face config.json: what is accepted becomes an
 * upstream config, which our own reader takes or refuses in one line. */
#include "fuzz.h"

#include "model/config.h"
#include "model/folder.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

static void check_text(const struct text *t)
{
    static struct model_config c;
    struct error err = {{0}};
    char *whole = malloc(t->n + 16);

    if (!whole)
        return;
    memcpy(whole, "{\"wavlm\":", 9);
    memcpy(whole + 9, t->bytes, t->n);
    memcpy(whole + 9 + t->n, "}", 2);
    if (config_parse(&c, whole, &err) && (!*err.text || strstr(err.text, "not JSON")))
        abort();
    free(whole);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct json_limits limits = {"config", "", 4 << 20, 1 << 16, 16, 1};
    struct error err = {{0}};
    struct text text = {.limit = 4 << 20};
    cJSON *json = json_read((const char *)data, size, &limits, &err);

    if (json && hf_config_text(&text, json, &err) == 0)
        check_text(&text);
    else if (!*err.text || strchr(err.text, '\n'))
        abort();
    text_release(&text);
    cJSON_Delete(json);
    return 0;
}
