// SPDX-License-Identifier: MIT
/* json.h - JSON that may come from anybody.
 *
 * The text is looked over as plain bytes (length, characters, depth, number of
 * values) before cJSON sees it, so that what cJSON builds is bounded; nothing
 * may follow the JSON, and no string holds a zero. Thread: any. */
#ifndef JSON_H
#define JSON_H

#include "model/error.h"

#include <stddef.h>

struct cJSON;

struct json_limits {
    const char *what;   // what the text is, for errors: "header"
    const char *advice; // behind an error that tells of damage, from its semicolon on, or ""
    size_t n_bytes;
    int n_values, depth;
    int unique;         // 1: no object may have a key twice
};

/* The parsed text [n], for cJSON_Delete, or NULL. */
struct cJSON *json_read(const char *text, size_t n, const struct json_limits *limits,
                        struct error *err);

/* Puts an item into an array, or deletes it if there is no array: one of the two was
 * refused memory. */
void json_add(struct cJSON *array, struct cJSON *item);

#endif
