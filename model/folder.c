// SPDX-License-Identifier: MIT
/* folder.c - models that are folders: what kind, and their weights.
 *
 * Weights are looked for as transformers does: safetensors before torch, one
 * file before shards. An index names a file for each tensor; it is read for
 * the files' names, and all that it says must then be true of them. */
#include "model/folder.h"

#include "model/text.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* WavLM Large has one to three shards of 500 tensors. */
enum { TEXT_MAX_BYTES = 4 << 20, MAX_SHARDS = 64 };

static const struct json_limits index_limits = {
    "index", "; fetch it again", TEXT_MAX_BYTES, 1 << 17, 8, 1,
};

char *folder_path(const char *folder, const char *name, struct error *err)
{
    size_t n = strlen(folder) + strlen(name) + 2;
    char *path = malloc(n);

    if (path)
        snprintf(path, n, "%s/%s", folder, name);
    else
        fail(err, "%.300s: out of memory; close other programs", folder);
    return path;
}

int folder_has(const char *folder, const char *name)
{
    char path[4096];
    struct stat st;
    int n = snprintf(path, sizeof(path), "%s/%s", folder, name);

    return n > 0 && (size_t)n < sizeof(path) && !stat(path, &st);
}

/* All of an open file, which should be shorter than a model. */
static char *read_text(size_t *n, FILE *f, struct error *err)
{
    char *text = malloc(TEXT_MAX_BYTES + 1);

    if (!text) {
        fail(err, "out of memory; close other programs");
        return NULL;
    }
    *n = fread(text, 1, TEXT_MAX_BYTES + 1, f);
    if (ferror(f))
        fail(err, "cannot be read: %s", strerror(errno));
    else if (*n > TEXT_MAX_BYTES)
        fail(err, "has more than %d bytes; a model's config has a few thousand", TEXT_MAX_BYTES);
    else if (memchr(text, 0, *n))
        fail(err, "has a zero byte; it is no text");
    else {
        text[*n] = 0;
        return text;
    }
    free(text);
    return NULL;
}

char *folder_text(size_t *n, const char *folder, const char *name, struct error *err)
{
    char *path = folder_path(folder, name, err), *text = NULL;
    struct stat st;
    FILE *f = NULL;

    if (!path)
        return NULL;
    if (stat(path, &st) || !S_ISREG(st.st_mode)) // a pipe would be waited for
        fail(err, "cannot be read: expected a regular file");
    else if (!(f = fopen(path, "re")))
        fail(err, "cannot be opened: %s", strerror(errno));
    else
        text = read_text(n, f, err);
    if (!text)
        fail_prefix(err, "%.300s: ", path);
    if (f)
        fclose(f);
    free(path);
    return text;
}

int folder_part(struct checkpoint *c, const char *path, struct error *err)
{
    struct checkpoint_storage *s = c->storage;
    size_t n_parts = (size_t)s->n_parts + 1;
    struct checkpoint *parts = realloc(s->parts, n_parts * sizeof(*parts)), whole = *c;

    if (!parts)
        return fail(err, "%.300s: out of memory; close other programs", path);
    s->parts = parts;
    if (checkpoint_open_file(&parts[s->n_parts], path, err))
        return -1;
    const struct checkpoint *part = &parts[s->n_parts++];
    if (checkpoint_reserve(c, (size_t)whole.n_tensors + (size_t)part->n_tensors, err))
        return fail_prefix(err, "%.300s: ", path);
    if (whole.n_tensors)
        memcpy(c->tensors, whole.tensors, (size_t)whole.n_tensors * sizeof(*c->tensors));
    if (part->n_tensors)
        memcpy(c->tensors + whole.n_tensors, part->tensors,
               (size_t)part->n_tensors * sizeof(*c->tensors));
    c->n_tensors += part->n_tensors;
    return 0;
}

/* --- shards ----------------------------------------------------------- */

/* A file of the folder itself, nothing else. */
static int is_plain_name(const char *name)
{
    return *name && *name != '.' && !strchr(name, '/') && strlen(name) < 256;
}

/* The distinct names in the map, n of them. */
static int list_shards(const char *shards[MAX_SHARDS], int *n, const cJSON *map, struct error *err)
{
    const cJSON *item;

    *n = 0;
    cJSON_ArrayForEach(item, map)
    {
        int k = 0;
        if (!cJSON_IsString(item) || !is_plain_name(item->valuestring))
            return fail(err, "tensor '%.100s' is said to be in what is no file of this folder",
                        item->string);
        while (k < *n && strcmp(shards[k], item->valuestring))
            k++;
        if (k == MAX_SHARDS)
            return fail(err, "names more than %d files; no WavLM has that many", MAX_SHARDS);
        if (k == *n)
            shards[(*n)++] = item->valuestring;
    }
    return *n ? 0 : fail(err, "names no tensor; fetch it again");
}

/* What the map says must be true of the files, and be all there is in them. */
static int check_map(const struct checkpoint *c, const cJSON *map, const char *const *shards,
                     struct error *err)
{
    const cJSON *item;
    int n_named = 0;

    cJSON_ArrayForEach(item, map)
    {
        int k = 0;
        while (strcmp(shards[k], item->valuestring))
            k++;
        if (!checkpoint_find(&c->storage->parts[k], item->string))
            return fail(err, "index: tensor '%.100s' is not in %.100s; fetch the folder again",
                        item->string, item->valuestring);
        n_named++;
    }
    if (n_named != c->n_tensors)
        return fail(err, "index: names %d tensors, its files hold %d; fetch the folder again",
                    n_named, c->n_tensors);
    return 0;
}

static int read_shards(struct checkpoint *c, const char *folder, const cJSON *map,
                       struct error *err)
{
    const char *shards[MAX_SHARDS];
    int n;

    if (list_shards(shards, &n, map, err))
        return fail_prefix(err, "%.300s: index: ", folder);
    for (int i = 0; i < n; i++) {
        char *path = folder_path(folder, shards[i], err);
        int failed = !path || folder_part(c, path, err);
        free(path);
        if (failed)
            return -1;
    }
    return check_map(c, map, shards, err) ? fail_prefix(err, "%.300s: ", folder) : 0;
}

static int read_index(struct checkpoint *c, const char *folder, const char *name,
                      struct error *err)
{
    size_t n;
    char *text = folder_text(&n, folder, name, err);
    cJSON *json = text ? json_read(text, n, &index_limits, err) : NULL;
    const cJSON *map = cJSON_GetObjectItemCaseSensitive(json, "weight_map");
    int status = -1;

    if (text && !json)
        fail_prefix(err, "%.300s/%s: ", folder, name);
    else if (json && !cJSON_IsObject(map))
        fail(err, "%.300s/%s: has no \"weight_map\"; fetch it again", folder, name);
    else if (json)
        status = read_shards(c, folder, map, err);
    cJSON_Delete(json);
    free(text);
    return status;
}

int folder_weights(struct checkpoint *c, const char *folder, struct error *err)
{
    static const char *const names[] = {"model.safetensors", "model.safetensors.index.json",
                                        "pytorch_model.bin", "pytorch_model.bin.index.json"};

    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        if (!folder_has(folder, names[i]))
            continue;
        if (strstr(names[i], "index"))
            return read_index(c, folder, names[i], err);
        char *path = folder_path(folder, names[i], err);
        int failed = !path || folder_part(c, path, err);
        free(path);
        return failed ? -1 : 0;
    }
    return fail(err, "%.300s: has a config but no weights; expected model.safetensors, "
                     "pytorch_model.bin, or either's .index.json and shards", folder);
}

/* --- the whole -------------------------------------------------------- */

int folder_config(struct checkpoint *c, const char *wavlm, const char *readout,
                  const char *live, const char *marks, struct error *err)
{
    struct text t = {.limit = TEXT_MAX_BYTES};

    text_puts(&t, "{\"wavlm\":");
    text_puts(&t, wavlm);
    if (readout) {
        text_puts(&t, ",\"readout\":");
        text_puts(&t, readout);
    }
    text_puts(&t, ",\"live\":");
    text_json_string(&t, live, strlen(live));
    if (marks) {
        text_puts(&t, ",");
        text_puts(&t, marks);
    }
    text_puts(&t, "}");
    if (!text_check(&t, "config", err))
        c->config = pool_string(&c->storage->pool, t.bytes, t.n, err);
    text_release(&t);
    return c->config ? 0 : -1;
}

int folder_read(struct checkpoint *c, const char *path, struct error *err)
{
    if (folder_has(path, "config.toml"))
        return diarizen_read(c, path, err);
    if (folder_has(path, "config.json"))
        return hf_read(c, path, err);
    return fail(err, "%.300s: is a folder without a model; expected config.json beside "
                     "model.safetensors or pytorch_model.bin (Hugging Face), or config.toml "
                     "beside pytorch_model.bin (DiariZen)", path);
}
