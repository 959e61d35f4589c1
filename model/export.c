// SPDX-License-Identifier: MIT
#include "model/export.h"

#include "model/checkpoint_read.h"
#include "model/folder.h"
#include "model/outfile.h"
#include "model/text.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const struct json_limits config_limits = {"config", "", 4 << 20, 1 << 16, 16, 1};

/* A counter is kept as the source has it, or 0. */
static const int64_t no_batches = 0;

int param_may_be_reduced(const struct param *p)
{
    return p->kind == PARAM_WEIGHT && p->n_axes >= 2 && p->axis[0] != AXIS_ONE &&
           p->axis[0] != AXIS_EMBEDDING;
}

/* --- tensors ---------------------------------------------------------- */

static int reduce(struct tensor *t, const struct param *p, enum dtype dtype, struct pool *pool,
                  struct error *err)
{
    size_t n = param_count(p);
    void *reduced = pool_alloc(pool, n * dtype_bytes(dtype), 64, err);

    if (!reduced)
        return -1;
    if (tensor_from_floats(reduced, dtype, t->data, n))
        return fail(err, "tensor %s: holds numbers beyond float16's 65504; take bf16", p->name);
    t->dtype = dtype;
    t->data = reduced;
    return 0;
}

static int fill(struct tensor *t, struct export *e, const struct checkpoint *c,
                const struct param *p, enum dtype dtype, struct error *err)
{
    const struct tensor *source = checkpoint_find(c, p->name);

    *t = (struct tensor){.name = p->name, .dtype = DTYPE_F32, .n_axes = p->n_axes,
                         .data = param_values(&e->model->params, p)};
    for (int a = 0; a < p->n_axes; a++)
        t->size[a] = p->size[a];
    if (p->kind == PARAM_COUNTER) {
        t->dtype = DTYPE_I64;
        t->data = source && source->dtype == DTYPE_I64 && tensor_count(source) == 1 ?
            source->data : &no_batches;
    }
    if (dtype == DTYPE_F32 || !param_may_be_reduced(p))
        return 0;
    return reduce(t, p, dtype, &e->pool, err);
}

int export_open(struct export *e, const struct model *m, const struct checkpoint *c,
                enum dtype dtype, struct error *err)
{
    *e = (struct export){.model = m, .config = c->config, .n_tensors = m->n_params};
    e->pool.limit = SIZE_MAX / 4;
    e->tensors = calloc((size_t)m->n_params, sizeof(*e->tensors));
    if (!e->tensors)
        return fail(err, "out of memory; close other programs");
    for (int i = 0; i < m->n_params; i++) {
        if (fill(&e->tensors[i], e, c, &m->list[i], dtype, err)) {
            export_close(e);
            return -1;
        }
    }
    return 0;
}

void export_close(struct export *e)
{
    free(e->tensors);
    pool_release(&e->pool);
    *e = (struct export){0};
}

int export_antiphon(const struct export *e, const char *path, const char *config,
                    const char *provenance, struct error *err)
{
    return checkpoint_write(path, e->tensors, e->n_tensors, config, provenance, err);
}

/* --- folders ---------------------------------------------------------- */

char *export_folder(const char *path, struct error *err)
{
    size_t n = strlen(path);
    char *folder = strdup(path);

    if (!folder) {
        fail(err, "%.300s: out of memory; close other programs", path);
        return NULL;
    }
    while (n > 1 && folder[n - 1] == '/')
        folder[--n] = 0;
    struct stat st;
    if (mkdir(folder, 0777) && (errno != EEXIST || stat(folder, &st) || !S_ISDIR(st.st_mode))) {
        fail(err, "%.300s: cannot be made a folder: %s", folder,
             errno == EEXIST ? "it is a file" : strerror(errno));
        free(folder);
        return NULL;
    }
    return folder;
}

static int is_folder(const char *path)
{
    struct stat st;
    size_t n = strlen(path);

    return (n && path[n - 1] == '/') || (!stat(path, &st) && S_ISDIR(st.st_mode));
}

/* --- torch ------------------------------------------------------------- */

/* A section of the config as text, to be freed. */
static char *section(const struct export *e, const char *name, struct error *err)
{
    cJSON *json = json_read(e->config, strlen(e->config), &config_limits, err);
    const cJSON *part = cJSON_GetObjectItemCaseSensitive(json, name);
    char *text = part ? cJSON_PrintUnformatted(part) : NULL;

    if (json && !text)
        fail(err, "out of memory; close other programs");
    cJSON_Delete(json);
    return text;
}

/* The tensors of the encoder or, with readout, all that upstream's model has. */
static int select_tensors(struct tensor *list, const struct export *e, int readout)
{
    const char *prefix = "wavlm_model.";
    int n = 0;

    for (int i = 0; i < e->n_tensors; i++) {
        const struct param *p = &e->model->list[i];
        if ((!readout && !p->encoder) || p->axis[0] == AXIS_EMBEDDING)
            continue;
        list[n] = e->tensors[i];
        if (!readout && !strncmp(list[n].name, prefix, strlen(prefix)))
            list[n].name += strlen(prefix);
        n++;
    }
    return n;
}

/* Upstream's name for this very shape, or NULL. */
static const char *shape_name(const char *wavlm)
{
    cJSON *mine = cJSON_Parse(wavlm);
    const char *name = NULL;

    for (int i = 0; i < DIARIZEN_SHAPES && !name; i++) {
        char *json = config_arch_json(diarizen_shapes[i][1], NULL);
        cJSON *root = json ? cJSON_Parse(json) : NULL, *item;
        int same = root != NULL && mine != NULL;
        cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(root, "wavlm"))
            same = same && cJSON_Compare(
                item, cJSON_GetObjectItemCaseSensitive(mine, item->string), 1);
        name = same ? diarizen_shapes[i][0] : NULL;
        cJSON_Delete(root);
        free(json);
    }
    cJSON_Delete(mine);
    return name;
}

/* Upstream's arguments of the model, of those the config has. */
static void add_arguments(struct text *t, const cJSON *readout)
{
    static const char *const names[] = {
        "wavlm_layer_num", "wavlm_feat_dim", "attention_in", "ffn_hidden", "num_head",
        "num_layer", "kernel_size", "dropout", "use_posi", "output_activate_function",
        "max_speakers_per_chunk", "max_speakers_per_frame", "chunk_size", "num_channels",
        "selected_channel",
    };

    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        const cJSON *v = cJSON_GetObjectItemCaseSensitive(readout, names[i]);
        if (!v || cJSON_IsNull(v))
            continue;
        text_printf(t, "%s = ", names[i]);
        if (cJSON_IsString(v))
            text_json_string(t, v->valuestring, strlen(v->valuestring));
        else if (cJSON_IsBool(v))
            text_puts(t, cJSON_IsTrue(v) ? "true" : "false");
        else if (v->valuedouble == (double)v->valueint)
            text_printf(t, "%d", v->valueint);
        else
            text_json_double(t, v->valuedouble);
        text_puts(t, "\n");
    }
}

static int write_toml(const struct export *e, const char *path, const char *source,
                      struct error *err)
{
    struct text t = {.limit = 1 << 20};
    cJSON *json = json_read(e->config, strlen(e->config), &config_limits, err);
    struct outfile f;
    int failed = !json;

    if (json) {
        text_puts(&t, "[model]\npath = \"diarizen.models.eend.model_wavlm_conformer.Model\"\n"
                      "[model.args]\n");
        text_printf(&t, "wavlm_src = \"%s\"\n", source);
        add_arguments(&t, cJSON_GetObjectItemCaseSensitive(json, "readout"));
        text_printf(&t, "\n[antiphon]\nlive = \"%s\"\n",
                    e->model->config.live == LIVE_WINDOW ? "window" : "block-causal");
        text_printf(&t, "left_ms = %d\nhorizon_seconds = %d\n",
                    20 * e->model->config.left_frames, e->model->config.horizon_seconds);
        failed = text_check(&t, "config.toml", err) || outfile_open(&f, path, err);
    }
    if (!failed && outfile_write(&f, t.bytes, t.n, err)) {
        outfile_discard(&f);
        failed = 1;
    } else if (!failed) {
        failed = outfile_commit(&f, err);
    }
    text_release(&t);
    cJSON_Delete(json);
    return failed ? -1 : 0;
}

/* The config comes last: a folder without one is no model. */
static int write_diarizen(const struct export *e, const char *folder, struct tensor *list,
                          const char *wavlm, struct error *err)
{
    const char *source = shape_name(wavlm);
    char *weights = folder_path(folder, "pytorch_model.bin", err);
    char *shape = folder_path(folder, "wavlm.pt", err);
    char *toml = folder_path(folder, "config.toml", err);
    int failed = !weights || !shape || !toml ||
                 torch_write(weights, list, select_tensors(list, e, 1), NULL, err);

    if (!failed && !source)
        failed = torch_write(shape, list, select_tensors(list, e, 0), wavlm, err);
    if (!failed)
        failed = write_toml(e, toml, source ? source : "wavlm.pt", err);
    free(toml);
    free(shape);
    free(weights);
    return failed ? -1 : 0;
}

static int write_torch(const struct export *e, const char *path, struct tensor *list,
                       const char *wavlm, struct error *err)
{
    int readout = e->model->config.readout.present;

    if (!readout || !is_folder(path))
        return torch_write(path, list, select_tensors(list, e, readout), readout ? NULL : wavlm,
                           err);
    char *folder = export_folder(path, err);
    int failed = !folder || write_diarizen(e, folder, list, wavlm, err);
    free(folder);
    return failed ? -1 : 0;
}

int export_torch(const struct export *e, const char *path, const char **left_out,
                 struct error *err)
{
    struct tensor *list = calloc((size_t)e->n_tensors, sizeof(*list));
    char *wavlm = section(e, "wavlm", err);
    int status = -1;

    *left_out = e->model->config.readout.present && e->model->config.readout.embedding ?
        "the embedding readout, which upstream's model has not" : NULL;
    if (e->model->config.wavlm.fbank)
        fail(err, "%.300s: a model of filter banks cannot be written as torch; upstream's WavLM "
                  "has convolutions", path);
    else if (!list)
        fail(err, "%.300s: out of memory; close other programs", path);
    else if (wavlm)
        status = write_torch(e, path, list, wavlm, err);
    free(wavlm);
    free(list);
    return status;
}
