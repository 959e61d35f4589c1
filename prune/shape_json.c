// SPDX-License-Identifier: MIT
#include "prune/shape_json.h"

#include "model/json.h"

void shape_json_replace(cJSON *object, const char *key, cJSON *value)
{
    if (!cJSON_ReplaceItemInObjectCaseSensitive(object, key, value))
        cJSON_AddItemToObject(object, key, value);
}

void shape_json_layers(cJSON *wavlm, const struct layer_shape *layer, int n_layers)
{
    cJSON *attention = cJSON_CreateArray(), *feed_forward = cJSON_CreateArray();
    cJSON *remaining = cJSON_CreateArray(), *ff = cJSON_CreateArray();

    for (int i = 0; i < n_layers; i++) {
        const struct layer_shape *l = &layer[i];
        json_add(attention, cJSON_CreateBool(l->has_attention));
        json_add(feed_forward, cJSON_CreateBool(l->has_feed_forward));
        json_add(remaining, cJSON_CreateIntArray(l->heads, l->n_heads));
        json_add(ff, cJSON_CreateNumber(l->ff));
    }
    shape_json_replace(wavlm, "encoder_use_attention", attention);
    shape_json_replace(wavlm, "encoder_use_feed_forward", feed_forward);
    shape_json_replace(wavlm, "encoder_remaining_heads", remaining);
    shape_json_replace(wavlm, "encoder_ff_interm_features", ff);
}
