// SPDX-License-Identifier: MIT
/* shape_json.h - a shape written back into the config that it was read from. */
#ifndef SHAPE_JSON_H
#define SHAPE_JSON_H

#include "model/config.h"

#include <cjson/cJSON.h>

/* In its place, so that the keys stand in upstream's order. Takes the value. */
void shape_json_replace(cJSON *object, const char *key, cJSON *value);

/* What each layer has: modules, heads, inner units. */
void shape_json_layers(cJSON *wavlm, const struct layer_shape *layer, int n_layers);

#endif
