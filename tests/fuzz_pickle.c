// SPDX-License-Identifier: MIT
/* fuzz_pickle.c - any bytes as a pickle; what is accepted is written as JSON,
 * and the JSON is read. */
#include "fuzz.h"
#include "model/pickle.h"

#include <cjson/cJSON.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pool pool = {.limit = 64 << 20};
    struct text text = {.limit = 1 << 16};
    struct error err = {{0}};
    struct pickle p;
    int result = pickle_read(&p, &pool, data, size, &err);

    if (!result && (p.n_bytes > size || !p.root))
        abort();
    if (!result && !pickle_to_json(&text, p.root, &err)) {
        cJSON *json = cJSON_Parse(text.bytes);
        if (!json)
            abort();
        cJSON_Delete(json);
    } else if (!err.text[0]) {
        abort(); // refused without a word
    }
    text_release(&text);
    pool_release(&pool);
    return 0;
}
