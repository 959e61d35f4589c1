// SPDX-License-Identifier: MIT
#include "prune/shrink.h"

#include "model/json.h"
#include "prune/shape_json.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

static int is_open(const struct gate *g, int i)
{
    return !g || g->value[i] != 0.0f;
}

static int count_open(const struct gate *g, int n)
{
    int open = 0;

    for (int i = 0; i < n; i++)
        open += is_open(g, i);
    return open;
}

/* What is left of a layer. */
static struct layer_shape left_of(const struct wavlm_config *w, const struct gates *g, int i)
{
    const struct layer_shape *l = &w->layer[i];
    const struct gate *heads = gates_find(g, GATE_HEADS, i);
    const struct gate *attlayer = gates_find(g, GATE_ATTLAYER, i);
    const struct gate *ffnlayer = gates_find(g, GATE_FFNLAYER, i);
    struct layer_shape left = {.total_heads = l->total_heads,
                               .ff = count_open(gates_find(g, GATE_INTERM, i), l->ff)};

    for (int h = 0; h < l->n_heads; h++) {
        if (is_open(heads, h))
            left.heads[left.n_heads++] = l->heads[h];
    }
    left.has_attention = l->has_attention && left.n_heads && (!attlayer || is_open(attlayer, 0));
    left.has_feed_forward = l->has_feed_forward && left.ff && (!ffnlayer || is_open(ffnlayer, 0));
    if (!left.has_feed_forward)
        left.ff = 0;
    return left;
}

static int cut_convs(cJSON *wavlm, const struct wavlm_config *w, const struct gates *g,
                     struct error *err)
{
    cJSON *convs = cJSON_CreateArray();

    for (int i = 0; i < w->n_convs; i++) {
        const struct gate *gate = gates_find(g, GATE_CONV, i);
        int conv[3] = {count_open(gate, w->conv[i].channels), w->conv[i].kernel,
                       w->conv[i].stride};
        if (conv[0] == 0) {
            cJSON_Delete(convs);
            return fail(err, "convolution %d would lose its last channel: prune less, or leave "
                             "conv out of --units", i);
        }
        json_add(convs, cJSON_CreateIntArray(conv, 3));
    }
    shape_json_replace(wavlm, "extractor_conv_layer_config", convs);
    return 0;
}

static void cut_layers(cJSON *wavlm, const struct wavlm_config *w, const struct gates *g)
{
    struct layer_shape left[MAX_LAYERS];

    for (int i = 0; i < w->n_layers; i++)
        left[i] = left_of(w, g, i);
    shape_json_layers(wavlm, left, w->n_layers);
}

static char *cut_config_json(const struct model *m, const char *config, const struct gates *g,
                             struct error *err)
{
    static const char *const flags[] = {
        "extractor_prune_conv_channels", "encoder_prune_attention_heads",
        "encoder_prune_attention_layer", "encoder_prune_feed_forward_intermediate",
        "encoder_prune_feed_forward_layer", "use_layerwise_prune",
    };
    cJSON *root = cJSON_Parse(config);
    cJSON *wavlm = cJSON_GetObjectItemCaseSensitive(root, "wavlm");
    char *json = NULL;

    if (wavlm && (m->config.wavlm.fbank || cut_convs(wavlm, &m->config.wavlm, g, err) == 0)) {
        cut_layers(wavlm, &m->config.wavlm, g);
        for (size_t i = 0; i < sizeof(flags) / sizeof(*flags); i++) {
            if (cJSON_GetObjectItemCaseSensitive(wavlm, flags[i]))
                shape_json_replace(wavlm, flags[i], cJSON_CreateFalse());
        }
        json = cJSON_PrintUnformatted(root);
        if (!json)
            fail(err, "out of memory");
    }
    cJSON_Delete(root);
    return json;
}

/* Along one axis of one tensor: which of the old indices stay, and their factor. */
struct line {
    int n;
    int *from;
    float *factor;
};

const struct gate *shrink_gate(const struct model_config *c, const struct gates *g,
                               const struct param *p, int axis, int *each)
{
    int index = p->group_index;

    *each = 1;
    switch (p->axis[axis]) {
    case AXIS_CONV: return gates_find(g, GATE_CONV, index);
    case AXIS_CONV_IN: return index ? gates_find(g, GATE_CONV, index - 1) : NULL;
    case AXIS_FEATURES:
        return c->wavlm.n_convs ? gates_find(g, GATE_CONV, c->wavlm.n_convs - 1) : NULL;
    case AXIS_A: *each = config_head_width(&c->wavlm, index); return gates_find(g, GATE_HEADS, index);
    case AXIS_F: return gates_find(g, GATE_INTERM, index);
    default: return NULL;
    }
}

/* Where a gate's value is folded in: the axis it is summed over behind it. */
static int folds(const struct param *p, int axis)
{
    enum axis a = p->axis[axis];

    if (a == AXIS_FEATURES)
        return p->kind == PARAM_BUFFER; // dummy_weight
    return axis == 1 && (a == AXIS_CONV_IN || a == AXIS_A || a == AXIS_F);
}

static int line_open(struct line *l, const struct model_config *c, const struct gates *g,
                     const struct param *p, int axis)
{
    int n = (int)p->size[axis], each;
    const struct gate *gate = shrink_gate(c, g, p, axis, &each);

    *l = (struct line){.from = malloc((size_t)n * sizeof(int) + 1),
                       .factor = malloc((size_t)n * sizeof(float) + 1)};
    for (int i = 0; l->from && l->factor && i < n; i++) {
        if (!is_open(gate, i / each))
            continue;
        l->from[l->n] = i;
        l->factor[l->n++] = gate && folds(p, axis) ? gate->value[i / each] : 1.0f;
    }
    return l->from && l->factor ? 0 : -1;
}

static void line_close(struct line *l)
{
    free(l->from);
    free(l->factor);
}

/* A whole layer's gate scales what its module writes. */
static float module_factor(const struct gates *g, const struct param *p)
{
    const struct gate *gate = NULL;

    if (strstr(p->name, ".attention.out_proj."))
        gate = gates_find(g, GATE_ATTLAYER, p->group_index);
    if (strstr(p->name, ".feed_forward.output_dense."))
        gate = gates_find(g, GATE_FFNLAYER, p->group_index);
    return gate ? gate->value[0] : 1.0f;
}

static int cut_tensor(float *to, const float *from, const struct model_config *c,
                      const struct gates *g, const struct param *old, struct error *err)
{
    struct line lines[PARAM_MAX_AXES];
    int n = old->n_axes, at[PARAM_MAX_AXES] = {0}, status = 0;
    float module = module_factor(g, old);
    size_t count = 1;

    for (int a = 0; a < n; a++) {
        if (line_open(&lines[a], c, g, old, a))
            status = fail(err, "out of memory");
        count *= (size_t)lines[a].n;
    }
    for (size_t i = 0; status == 0 && i < count; i++) {
        size_t where = 0;
        float factor = 1.0f;
        for (int a = 0; a < n; a++) {
            where = where * (size_t)old->size[a] + (size_t)lines[a].from[at[a]];
            factor *= lines[a].factor[at[a]];
        }
        to[i] = from[where] * factor * module;
        for (int a = n - 1; a >= 0 && ++at[a] == lines[a].n; a--)
            at[a] = 0;
    }
    for (int a = 0; a < n; a++)
        line_close(&lines[a]);
    return status;
}

static int cut_tensors(struct model *cut, const struct model *m, const struct gates *g,
                       struct error *err)
{
    for (int i = 0; i < cut->n_params; i++) {
        const struct param *p = &cut->list[i], *old = model_find_param(m, p->name);
        const float *values = old ? param_values(&m->params, old) : NULL;
        if (!values)
            continue; // a counter that the file lacked
        if (cut_tensor(*param_slot(&cut->params, p), values, &m->config, g, old, err))
            return -1;
    }
    model_derive(cut);
    return 0;
}

int shrink(struct model *cut, char **cut_config, const struct model *m, const char *config,
           const struct gates *g, const struct reach *reach, struct error *err)
{
    *cut = (struct model){0};
    *cut_config = cut_config_json(m, config, g, err);
    if (!*cut_config)
        return -1;
    if (model_open_config(cut, *cut_config, reach, err) || cut_tensors(cut, m, g, err)) {
        model_close(cut);
        free(*cut_config);
        *cut_config = NULL;
        return -1;
    }
    return 0;
}

int shrink_write(const struct model *cut, const char *config, const char *path,
                 const char *provenance, struct error *err)
{
    struct tensor *tensors = calloc((size_t)cut->n_params, sizeof(*tensors));
    int status;

    if (!tensors)
        return fail(err, "out of memory");
    for (int i = 0; i < cut->n_params; i++) {
        const struct param *p = &cut->list[i];
        tensors[i] = (struct tensor){.name = p->name, .dtype = DTYPE_F32, .n_axes = p->n_axes,
                                     .data = param_values(&cut->params, p)};
        for (int a = 0; a < p->n_axes; a++)
            tensors[i].size[a] = p->size[a];
    }
    status = checkpoint_write(path, tensors, cut->n_params, config, provenance, err);
    free(tensors);
    return status;
}
