// SPDX-License-Identifier: MIT
#include "model/resnet_params.h"

#include "model/json.h"
#include "model/params.h"
#include "model/text.h"

#include <cjson/cJSON.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Wider ones are not published; the real network has 32, 80, 256. */
enum { MAX_RESNET_WIDTH = 256, MAX_BANDS = 512, MAX_EMBEDDING = 4096 };

const int resnet_blocks[RESNET_STAGES] = {3, 4, 6, 3};

static const char prefix[] = "resnet.";

#define EXPECTED "expected WeSpeaker's ResNet34, as pyannote ships it"

/* --- the list --------------------------------------------------------- */

struct lister {
    struct resnet_param *list;
    int n;
};

/* A tensor of n axes, at most 4, whose sizes follow. */
static void add(struct lister *l, enum resnet_kind kind, const char *module, const char *name, int n,
                ...)
{
    struct resnet_param *p = &l->list[l->n++];
    va_list sizes;

    *p = (struct resnet_param){.kind = kind, .n_axes = n};
    snprintf(p->name, sizeof(p->name), "%s%s%s", prefix, module, name);
    va_start(sizes, n);
    for (int a = 0; a < n; a++)
        p->size[a] = va_arg(sizes, int);
    va_end(sizes);
}

static void add_norm(struct lister *l, const char *module, const char *name, int channels)
{
    char norm[48];

    snprintf(norm, sizeof(norm), "%s%s", module, name);
    add(l, RESNET_WEIGHT, norm, ".weight", 1, channels);
    add(l, RESNET_WEIGHT, norm, ".bias", 1, channels);
    add(l, RESNET_BUFFER, norm, ".running_mean", 1, channels);
    add(l, RESNET_BUFFER, norm, ".running_var", 1, channels);
    add(l, RESNET_COUNTER, norm, ".num_batches_tracked", 0);
}

static void add_block(struct lister *l, const char *module, int in, int out)
{
    add(l, RESNET_WEIGHT, module, "conv1.weight", 4, out, in, 3, 3);
    add_norm(l, module, "bn1", out);
    add(l, RESNET_WEIGHT, module, "conv2.weight", 4, out, out, 3, 3);
    add_norm(l, module, "bn2", out);
    if (in != out) {
        add(l, RESNET_WEIGHT, module, "shortcut.0.weight", 4, out, in, 1, 1);
        add_norm(l, module, "shortcut.1", out);
    }
}

int resnet_params_list(struct resnet_param list[RESNET_MAX_PARAMS],
                       const struct resnet_shape *shape)
{
    struct lister l = {list, 0};
    int width = shape->width, in = width;

    add(&l, RESNET_WEIGHT, "", "conv1.weight", 4, width, 1, 3, 3);
    add_norm(&l, "", "bn1", width);
    for (int stage = 0; stage < RESNET_STAGES; stage++) {
        for (int b = 0; b < resnet_blocks[stage]; b++) {
            char module[32];
            snprintf(module, sizeof(module), "layer%d.%d.", stage + 1, b);
            add_block(&l, module, in, width << stage);
            in = width << stage;
        }
    }
    add(&l, RESNET_WEIGHT, "seg_1", ".weight", 2, shape->embedding, 2 * width * shape->bands);
    add(&l, RESNET_WEIGHT, "seg_1", ".bias", 1, shape->embedding);
    return l.n;
}

/* --- checks ----------------------------------------------------------- */

const struct tensor *resnet_find(const struct checkpoint *c, const char *name)
{
    const struct tensor *t = checkpoint_find(c, name);

    return t ? t : checkpoint_find(c, name + strlen(prefix));
}

int resnet_recognize(const struct checkpoint *c)
{
    return resnet_find(c, "resnet.conv1.weight") && resnet_find(c, "resnet.seg_1.weight");
}

int resnet_refuse(const struct checkpoint *c, struct error *err)
{
    if (!resnet_recognize(c))
        return 0;
    return fail(err, "is a speaker network (ResNet34), not a diarization model; give it as "
                "--embedding, beside a model");
}

static int in_range(int64_t n, int most)
{
    return n >= 1 && n <= most;
}

/* From the two tensors that say it. */
static int find_shape(struct resnet_shape *shape, const struct checkpoint *c, struct error *err)
{
    const struct tensor *first = resnet_find(c, "resnet.conv1.weight");
    const struct tensor *last = resnet_find(c, "resnet.seg_1.weight");

    if (!first || !last)
        return fail(err, "no speaker network: tensor resnet.%s.weight is missing; " EXPECTED,
                    first ? "seg_1" : "conv1");
    if (first->n_axes != 4 || first->size[1] != 1 || first->size[2] != 3 || first->size[3] != 3 ||
        !in_range(first->size[0], MAX_RESNET_WIDTH))
        return fail(err, "tensor %s: expected shape [1 to %d,1,3,3]; " EXPECTED, first->name,
                    MAX_RESNET_WIDTH);
    shape->width = (int)first->size[0];
    if (last->n_axes != 2 || !in_range(last->size[0], MAX_EMBEDDING) ||
        !in_range(last->size[1], 2 * shape->width * MAX_BANDS) ||
        last->size[1] % (16 * shape->width))
        return fail(err, "tensor %s: expected shape [1 to %d,%d times a number of bands that is a "
                    "multiple of 8]; " EXPECTED, last->name, MAX_EMBEDDING, 2 * shape->width);
    shape->embedding = (int)last->size[0];
    shape->bands = (int)last->size[1] / (2 * shape->width);
    return 0;
}

/* The other networks of the family have the same first and last tensors. */
static int check_depth(const struct checkpoint *c, struct error *err)
{
    char name[64];

    if (resnet_find(c, "resnet.layer1.0.conv3.weight"))
        return fail(err, "is a deeper ResNet, of bottleneck blocks; " EXPECTED);
    for (int stage = 0; stage < RESNET_STAGES; stage++) {
        snprintf(name, sizeof(name), "%slayer%d.%d.conv1.weight", prefix, stage + 1,
                 resnet_blocks[stage]);
        if (resnet_find(c, name))
            return fail(err, "has more than %d blocks in layer%d; " EXPECTED, resnet_blocks[stage],
                        stage + 1);
    }
    return 0;
}

static int check_number(const cJSON *section, const char *key, int expected, struct error *err)
{
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(section, key);

    if (!v || (cJSON_IsNumber(v) && v->valuedouble == (double)expected))
        return 0;
    return fail(err, "config: \"%s\" should be %d, as the tensors have it", key, expected);
}

static int check_section(const struct resnet_shape *shape, const cJSON *root, struct error *err)
{
    const cJSON *section = cJSON_GetObjectItemCaseSensitive(root, "resnet");
    const cJSON *blocks = cJSON_GetObjectItemCaseSensitive(section, "blocks");

    if (!cJSON_IsObject(section))
        return fail(err, "config: \"resnet\" is missing: is a diarization model or WavLM, not a "
                    "speaker network; " EXPECTED);
    if (check_number(section, "width", shape->width, err) ||
        check_number(section, "bands", shape->bands, err) ||
        check_number(section, "embedding", shape->embedding, err) ||
        check_number(section, "sample_rate", 16000, err))
        return -1;
    for (int i = 0; blocks && i < RESNET_STAGES; i++) {
        const cJSON *v = cJSON_GetArrayItem(blocks, i);
        if (!cJSON_IsNumber(v) || v->valuedouble != (double)resnet_blocks[i] ||
            cJSON_GetArraySize(blocks) != RESNET_STAGES)
            return fail(err, "config: \"blocks\" should be [3,4,6,3]; " EXPECTED);
    }
    return 0;
}

static int check_config(const struct resnet_shape *shape, const struct checkpoint *c,
                        struct error *err)
{
    static const struct json_limits limits = {
        .what = "config", .advice = "; the file is damaged, convert it again", .n_bytes = 65536,
        .n_values = 1024, .depth = 8, .unique = 1,
    };

    if (!c->config)
        return 0;
    cJSON *root = json_read(c->config, strlen(c->config), &limits, err);
    int status = root ? check_section(shape, root, err) : -1;
    cJSON_Delete(root);
    return status;
}

static int check_tensor(const struct resnet_param *p, const struct checkpoint *c,
                        struct error *err)
{
    const struct tensor *t = resnet_find(c, p->name);
    char expected[64] = "", *at = expected;
    int same = t && t->n_axes == p->n_axes;

    if (p->kind == RESNET_COUNTER)
        return 0;
    if (!t)
        return fail(err, "tensor %s is missing; " EXPECTED, p->name);
    for (int a = 0; a < p->n_axes; a++) {
        same = same && t->size[a] == p->size[a];
        at += snprintf(at, 16, "%s%d", a ? "," : "", (int)p->size[a]);
    }
    return same ? 0 : fail(err, "tensor %s: its shape should be [%s]; " EXPECTED, t->name,
                           expected);
}

int resnet_params_check(struct resnet_shape *shape, const struct checkpoint *c, struct error *err)
{
    struct resnet_param list[RESNET_MAX_PARAMS];

    if (!resnet_recognize(c) && c->config)
        return fail(err, "is a diarization model or WavLM, not a speaker network; " EXPECTED);
    if (find_shape(shape, c, err) || check_config(shape, c, err) || check_depth(c, err))
        return -1;
    int n = resnet_params_list(list, shape);
    for (int i = 0; i < n; i++) {
        if (check_tensor(&list[i], c, err))
            return -1;
    }
    return 0;
}

/* --- writing and counting --------------------------------------------- */

static const int64_t no_batches = 0;

/* p as float32, in memory of the caller's arena unless it already is. */
static void fill_tensor(struct tensor *t, const struct resnet_param *p,
                        const struct checkpoint *c, struct arena *arena)
{
    const struct tensor *source = resnet_find(c, p->name);

    *t = (struct tensor){.name = p->name, .dtype = DTYPE_F32, .n_axes = p->n_axes};
    memcpy(t->size, p->size, sizeof(p->size));
    if (p->kind == RESNET_COUNTER) {
        int usable = source && source->dtype == DTYPE_I64 && source->n_axes == 0;
        t->dtype = DTYPE_I64;
        t->data = usable ? source->data : &no_batches;
    } else if (source->dtype == DTYPE_F32) {
        t->data = source->data;
    } else {
        float *values = arena_floats(arena, tensor_count(source));
        if (values)
            tensor_to_floats(values, source);
        t->data = values;
    }
}

int resnet_write(const char *path, const struct checkpoint *c, const char *provenance,
                 struct error *err)
{
    struct resnet_param list[RESNET_MAX_PARAMS];
    struct tensor tensors[RESNET_MAX_PARAMS];
    struct resnet_shape shape;
    struct arena arena = {0};
    char config[160];

    if (resnet_params_check(&shape, c, err))
        return -1;
    int n = resnet_params_list(list, &shape);
    for (int i = 0; i < n; i++)
        fill_tensor(&tensors[i], &list[i], c, &arena);
    if (arena_commit(&arena, err))
        return -1;
    for (int i = 0; i < n; i++)
        fill_tensor(&tensors[i], &list[i], c, &arena);
    snprintf(config, sizeof(config), "{\"resnet\":{\"width\":%d,\"bands\":%d,\"embedding\":%d,"
             "\"blocks\":[3,4,6,3],\"sample_rate\":16000}}", shape.width, shape.bands,
             shape.embedding);
    int status = checkpoint_write(path, tensors, n, config, provenance, err);
    arena_release(&arena);
    return status;
}

void resnet_count(struct resnet_cost *cost, const struct resnet_shape *shape)
{
    enum { SECONDS = 16 };
    struct resnet_param list[RESNET_MAX_PARAMS];
    int n = resnet_params_list(list, shape), T = resnet_frames(SECONDS * 16000), H = shape->bands;
    int in = shape->width;

    *cost = (struct resnet_cost){0};
    for (int i = 0; i < n; i++) {
        int64_t count = list[i].kind == RESNET_WEIGHT;
        for (int a = 0; a < list[i].n_axes; a++)
            count *= list[i].size[a];
        cost->parameters += count;
    }
    cost->stage_macs[0] = conv2d_macs(&(struct conv2d_shape){1, in, 3, 1}, T, H);
    for (int stage = 0; stage < RESNET_STAGES; stage++) {
        double *macs = &cost->stage_macs[stage + 1];
        int out = shape->width << stage;
        if (stage) {
            *macs += conv2d_macs(&(struct conv2d_shape){in, out, 3, 2}, T, H) +
                     conv2d_macs(&(struct conv2d_shape){in, out, 1, 2}, T, H);
            T = (T + 1) / 2;
            H = H / 2;
        }
        *macs += (2 * resnet_blocks[stage] - (stage > 0)) *
                 conv2d_macs(&(struct conv2d_shape){out, out, 3, 1}, T, H);
        in = out;
    }
    cost->macs = (double)shape->embedding * 2 * shape->width * shape->bands;
    for (int i = 0; i <= RESNET_STAGES; i++)
        cost->macs += cost->stage_macs[i];
    cost->macs /= SECONDS;
    for (int i = 0; i <= RESNET_STAGES; i++)
        cost->stage_macs[i] /= SECONDS;
}
