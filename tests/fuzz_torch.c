// SPDX-License-Identifier: MIT
/* fuzz_torch.c - any bytes as a model file of any format. */
#include "fuzz.h"
#include "fuzz_checkpoint.h"

#include <cjson/cJSON.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct checkpoint c;
    struct error err = {{0}};
    int result = checkpoint_open_bytes(&c, data, size, "fuzz", &err);

    // the configuration of a torch file is our text; an antiphon file's is not
    if (!result && c.config && size && (data[0] == 'P' || data[0] == 0x80)) {
        cJSON *json = cJSON_Parse(c.config);
        if (!json)
            abort();
        cJSON_Delete(json);
    }
    use_checkpoint(&c, result, &err);
    return 0;
}
