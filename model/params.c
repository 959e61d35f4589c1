// SPDX-License-Identifier: MIT
/* params.c - the table of tensors and the walks over it. */
#include "model/params.h"

#include "model/random.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Which models have the tensor. */
enum presence {
    ALWAYS,
    CONV_BIAS,
    CONV_NORM,  // every layer, or only the first with GroupNorm
    ATTENTION,
    REL_EMBED,  // layer 0 with attention
    FEED_FORWARD,
    POS_CONV,
    READOUT,
    POSI,
    EMBEDDING,
};

enum group { MODEL, CONV, LAYER, CONFORMER };

struct row {
    const char *name; // %d is the group's index
    size_t offset;    // within the group's struct
    enum group group;
    enum presence presence;
    enum param_kind kind;
    enum axis axis[PARAM_MAX_AXES];
    int n_axes;
};

/* One row: name, group, where in the group's struct, when, the axes. */
#define M(field) MODEL, offsetof(struct model_params, field)
#define C(field) CONV, offsetof(struct conv_params, field)
#define L(field) LAYER, offsetof(struct layer_params, field)
#define F(field) CONFORMER, offsetof(struct conformer_params, field)
#define ROW(name, group, offset, presence, kind, n, ...)                                           \
    {name, offset, group, presence, kind, {__VA_ARGS__}, n}
#define WEIGHT(name, where, presence, n, ...) WEIGHT_(name, where, presence, n, __VA_ARGS__)
#define WEIGHT_(name, group, offset, presence, n, ...)                                             \
    ROW(name, group, offset, presence, PARAM_WEIGHT, n, __VA_ARGS__)
#define BUFFER(name, where, presence, n, ...) BUFFER_(name, where, presence, n, __VA_ARGS__)
#define BUFFER_(name, group, offset, presence, n, ...)                                             \
    ROW(name, group, offset, presence, PARAM_BUFFER, n, __VA_ARGS__)

static const struct row encoder_table[] = {
    BUFFER("feature_extractor.dummy_weight", M(dummy_weight), ALWAYS, 1, AXIS_FEATURES),
    WEIGHT("feature_extractor.conv_layers.%d.layer_norm.weight", C(norm.weight), CONV_NORM, 1,
           AXIS_CONV),
    WEIGHT("feature_extractor.conv_layers.%d.layer_norm.bias", C(norm.bias), CONV_NORM, 1,
           AXIS_CONV),
    WEIGHT("feature_extractor.conv_layers.%d.conv.weight", C(weight), ALWAYS, 3, AXIS_CONV,
           AXIS_CONV_IN, AXIS_CONV_KERNEL),
    WEIGHT("feature_extractor.conv_layers.%d.conv.bias", C(bias), CONV_BIAS, 1, AXIS_CONV),
    WEIGHT("encoder.feature_projection.layer_norm.weight", M(features_norm.weight), ALWAYS, 1,
           AXIS_FEATURES),
    WEIGHT("encoder.feature_projection.layer_norm.bias", M(features_norm.bias), ALWAYS, 1,
           AXIS_FEATURES),
    WEIGHT("encoder.feature_projection.projection.weight", M(projection.weight), ALWAYS, 2, AXIS_C,
           AXIS_FEATURES),
    WEIGHT("encoder.feature_projection.projection.bias", M(projection.bias), ALWAYS, 1, AXIS_C),
    WEIGHT("encoder.transformer.pos_conv_embed.conv.bias", M(pos_bias), POS_CONV, 1, AXIS_C),
    WEIGHT("encoder.transformer.pos_conv_embed.conv.parametrizations.weight.original0", M(pos_g),
           POS_CONV, 3, AXIS_ONE, AXIS_ONE, AXIS_POS_KERNEL),
    WEIGHT("encoder.transformer.pos_conv_embed.conv.parametrizations.weight.original1", M(pos_v),
           POS_CONV, 3, AXIS_C, AXIS_POS_IN, AXIS_POS_KERNEL),
    WEIGHT("encoder.transformer.layer_norm.weight", M(encoder_norm.weight), ALWAYS, 1, AXIS_C),
    WEIGHT("encoder.transformer.layer_norm.bias", M(encoder_norm.bias), ALWAYS, 1, AXIS_C),
    WEIGHT("encoder.transformer.layers.%d.attention.gru_rel_pos_const", L(attention.gate_const),
           ATTENTION, 4, AXIS_ONE, AXIS_HEADS, AXIS_ONE, AXIS_ONE),
    WEIGHT("encoder.transformer.layers.%d.attention.k_proj.weight", L(attention.k.weight),
           ATTENTION, 2, AXIS_A, AXIS_C),
    WEIGHT("encoder.transformer.layers.%d.attention.k_proj.bias", L(attention.k.bias), ATTENTION, 1,
           AXIS_A),
    WEIGHT("encoder.transformer.layers.%d.attention.v_proj.weight", L(attention.v.weight),
           ATTENTION, 2, AXIS_A, AXIS_C),
    WEIGHT("encoder.transformer.layers.%d.attention.v_proj.bias", L(attention.v.bias), ATTENTION, 1,
           AXIS_A),
    WEIGHT("encoder.transformer.layers.%d.attention.q_proj.weight", L(attention.q.weight),
           ATTENTION, 2, AXIS_A, AXIS_C),
    WEIGHT("encoder.transformer.layers.%d.attention.q_proj.bias", L(attention.q.bias), ATTENTION, 1,
           AXIS_A),
    WEIGHT("encoder.transformer.layers.%d.attention.out_proj.weight", L(attention.out.weight),
           ATTENTION, 2, AXIS_C, AXIS_A),
    WEIGHT("encoder.transformer.layers.%d.attention.out_proj.bias", L(attention.out.bias),
           ATTENTION, 1, AXIS_C),
    WEIGHT("encoder.transformer.layers.%d.attention.rel_attn_embed.weight", L(attention.rel_embed),
           REL_EMBED, 2, AXIS_BUCKETS, AXIS_HEADS),
    WEIGHT("encoder.transformer.layers.%d.attention.gru_rel_pos_linear.weight",
           L(attention.gate.weight), ATTENTION, 2, AXIS_GATE, AXIS_HEAD_WIDTH),
    WEIGHT("encoder.transformer.layers.%d.attention.gru_rel_pos_linear.bias",
           L(attention.gate.bias), ATTENTION, 1, AXIS_GATE),
    WEIGHT("encoder.transformer.layers.%d.layer_norm.weight", L(norm.weight), ALWAYS, 1, AXIS_C),
    WEIGHT("encoder.transformer.layers.%d.layer_norm.bias", L(norm.bias), ALWAYS, 1, AXIS_C),
    WEIGHT("encoder.transformer.layers.%d.feed_forward.intermediate_dense.weight", L(up.weight),
           FEED_FORWARD, 2, AXIS_F, AXIS_C),
    WEIGHT("encoder.transformer.layers.%d.feed_forward.intermediate_dense.bias", L(up.bias),
           FEED_FORWARD, 1, AXIS_F),
    WEIGHT("encoder.transformer.layers.%d.feed_forward.output_dense.weight", L(down.weight),
           FEED_FORWARD, 2, AXIS_C, AXIS_F),
    WEIGHT("encoder.transformer.layers.%d.feed_forward.output_dense.bias", L(down.bias),
           FEED_FORWARD, 1, AXIS_C),
    WEIGHT("encoder.transformer.layers.%d.final_layer_norm.weight", L(final_norm.weight), ALWAYS, 1,
           AXIS_C),
    WEIGHT("encoder.transformer.layers.%d.final_layer_norm.bias", L(final_norm.bias), ALWAYS, 1,
           AXIS_C),
};

#define BLOCK "conformer.conformer_layer.%d."

static const struct row readout_table[] = {
    WEIGHT("weight_sum.weight", M(layer_weights), READOUT, 2, AXIS_ONE, AXIS_REPS),
    WEIGHT("proj.weight", M(readout_projection.weight), READOUT, 2, AXIS_R, AXIS_C),
    WEIGHT("proj.bias", M(readout_projection.bias), READOUT, 1, AXIS_R),
    WEIGHT("lnorm.weight", M(readout_norm.weight), READOUT, 1, AXIS_R),
    WEIGHT("lnorm.bias", M(readout_norm.bias), READOUT, 1, AXIS_R),
    WEIGHT("conformer.pos_emb.pe_k.weight", M(posi), POSI, 2, AXIS_POSI, AXIS_R_HEAD),
    WEIGHT(BLOCK "ffn1.ln_norm.weight", F(ffn1.norm.weight), READOUT, 1, AXIS_R),
    WEIGHT(BLOCK "ffn1.ln_norm.bias", F(ffn1.norm.bias), READOUT, 1, AXIS_R),
    WEIGHT(BLOCK "ffn1.w_1.weight", F(ffn1.up.weight), READOUT, 2, AXIS_RF, AXIS_R),
    WEIGHT(BLOCK "ffn1.w_1.bias", F(ffn1.up.bias), READOUT, 1, AXIS_RF),
    WEIGHT(BLOCK "ffn1.w_2.weight", F(ffn1.down.weight), READOUT, 2, AXIS_R, AXIS_RF),
    WEIGHT(BLOCK "ffn1.w_2.bias", F(ffn1.down.bias), READOUT, 1, AXIS_R),
    WEIGHT(BLOCK "mha.ln_norm.weight", F(mha.norm.weight), READOUT, 1, AXIS_R),
    WEIGHT(BLOCK "mha.ln_norm.bias", F(mha.norm.bias), READOUT, 1, AXIS_R),
    WEIGHT(BLOCK "mha.mha.linearQ.weight", F(mha.q.weight), READOUT, 2, AXIS_R, AXIS_R),
    WEIGHT(BLOCK "mha.mha.linearQ.bias", F(mha.q.bias), READOUT, 1, AXIS_R),
    WEIGHT(BLOCK "mha.mha.linearK.weight", F(mha.k.weight), READOUT, 2, AXIS_R, AXIS_R),
    WEIGHT(BLOCK "mha.mha.linearK.bias", F(mha.k.bias), READOUT, 1, AXIS_R),
    WEIGHT(BLOCK "mha.mha.linearV.weight", F(mha.v.weight), READOUT, 2, AXIS_R, AXIS_R),
    WEIGHT(BLOCK "mha.mha.linearV.bias", F(mha.v.bias), READOUT, 1, AXIS_R),
    WEIGHT(BLOCK "mha.mha.linearO.weight", F(mha.out.weight), READOUT, 2, AXIS_R, AXIS_R),
    WEIGHT(BLOCK "mha.mha.linearO.bias", F(mha.out.bias), READOUT, 1, AXIS_R),
    WEIGHT(BLOCK "conv.ln_norm.weight", F(conv.norm.weight), READOUT, 1, AXIS_R),
    WEIGHT(BLOCK "conv.ln_norm.bias", F(conv.norm.bias), READOUT, 1, AXIS_R),
    WEIGHT(BLOCK "conv.pointwise_conv1.weight", F(conv.pointwise1.weight), READOUT, 3, AXIS_R2,
           AXIS_R, AXIS_ONE),
    WEIGHT(BLOCK "conv.pointwise_conv1.bias", F(conv.pointwise1.bias), READOUT, 1, AXIS_R2),
    WEIGHT(BLOCK "conv.depthwise_conv.weight", F(conv.depthwise.weight), READOUT, 3, AXIS_R,
           AXIS_ONE, AXIS_R_KERNEL),
    WEIGHT(BLOCK "conv.depthwise_conv.bias", F(conv.depthwise.bias), READOUT, 1, AXIS_R),
    WEIGHT(BLOCK "conv.bn_norm.weight", F(conv.batch_norm.weight), READOUT, 1, AXIS_R),
    WEIGHT(BLOCK "conv.bn_norm.bias", F(conv.batch_norm.bias), READOUT, 1, AXIS_R),
    BUFFER(BLOCK "conv.bn_norm.running_mean", F(conv.running_mean), READOUT, 1, AXIS_R),
    BUFFER(BLOCK "conv.bn_norm.running_var", F(conv.running_var), READOUT, 1, AXIS_R),
    {BLOCK "conv.bn_norm.num_batches_tracked", offsetof(struct conformer_params, conv.batches),
     CONFORMER, READOUT, PARAM_COUNTER, {AXIS_ONE}, 0},
    WEIGHT(BLOCK "conv.pointwise_conv2.weight", F(conv.pointwise2.weight), READOUT, 3, AXIS_R,
           AXIS_R, AXIS_ONE),
    WEIGHT(BLOCK "conv.pointwise_conv2.bias", F(conv.pointwise2.bias), READOUT, 1, AXIS_R),
    WEIGHT(BLOCK "ffn2.ln_norm.weight", F(ffn2.norm.weight), READOUT, 1, AXIS_R),
    WEIGHT(BLOCK "ffn2.ln_norm.bias", F(ffn2.norm.bias), READOUT, 1, AXIS_R),
    WEIGHT(BLOCK "ffn2.w_1.weight", F(ffn2.up.weight), READOUT, 2, AXIS_RF, AXIS_R),
    WEIGHT(BLOCK "ffn2.w_1.bias", F(ffn2.up.bias), READOUT, 1, AXIS_RF),
    WEIGHT(BLOCK "ffn2.w_2.weight", F(ffn2.down.weight), READOUT, 2, AXIS_R, AXIS_RF),
    WEIGHT(BLOCK "ffn2.w_2.bias", F(ffn2.down.bias), READOUT, 1, AXIS_R),
    WEIGHT(BLOCK "ln_norm.weight", F(norm.weight), READOUT, 1, AXIS_R),
    WEIGHT(BLOCK "ln_norm.bias", F(norm.bias), READOUT, 1, AXIS_R),
    WEIGHT("classifier.weight", M(classifier.weight), READOUT, 2, AXIS_CLASSES, AXIS_R),
    WEIGHT("classifier.bias", M(classifier.bias), READOUT, 1, AXIS_CLASSES),
    WEIGHT("embedding.weight", M(embedding.weight), EMBEDDING, 2, AXIS_EMBEDDING, AXIS_TRAITS),
    WEIGHT("embedding.bias", M(embedding.bias), EMBEDDING, 1, AXIS_EMBEDDING),
};

#define COUNT(table) ((int)(sizeof(table) / sizeof(*(table))))

int64_t axis_size(const struct model_config *c, enum axis a, int index)
{
    const struct wavlm_config *w = &c->wavlm;
    const struct readout_config *r = &c->readout;

    switch (a) {
    case AXIS_ONE: return 1;
    case AXIS_CONV: return w->conv[index].channels;
    case AXIS_CONV_IN: return index ? w->conv[index - 1].channels : 1;
    case AXIS_CONV_KERNEL: return w->conv[index].kernel;
    case AXIS_FEATURES:
        return w->fbank ? w->fbank_bins + 2 * w->fbank_half_bins : w->conv[w->n_convs - 1].channels;
    case AXIS_C: return w->embed;
    case AXIS_POS_IN: return w->embed / w->pos_groups;
    case AXIS_POS_KERNEL: return w->pos_kernel;
    case AXIS_HEADS: return w->layer[index].total_heads;
    case AXIS_A: return (int64_t)w->layer[index].n_heads * config_head_width(w, index);
    case AXIS_HEAD_WIDTH: return config_head_width(w, index);
    case AXIS_GATE: return GATE_WIDTH;
    case AXIS_BUCKETS: return w->n_buckets;
    case AXIS_F: return w->layer[index].ff;
    case AXIS_REPS: return r->n_reps;
    case AXIS_R: return r->width;
    case AXIS_R2: return 2 * r->width;
    case AXIS_RF: return r->ff;
    case AXIS_R_KERNEL: return r->kernel;
    case AXIS_R_HEAD: return r->width / r->n_heads;
    case AXIS_POSI: return 2 * POSI_RANGE;
    case AXIS_CLASSES: return r->n_classes;
    case AXIS_EMBEDDING: return r->embedding;
    case AXIS_TRAITS: return config_traits(c);
    case N_AXES: break;
    }
    assert(!"axis");
    return 0;
}

static int row_present(const struct row *row, const struct model_config *c, int index)
{
    const struct wavlm_config *w = &c->wavlm;

    switch (row->presence) {
    case ALWAYS: return 1;
    case CONV_BIAS: return w->conv_bias;
    case CONV_NORM: return !w->group_norm || index == 0;
    case ATTENTION: return w->layer[index].has_attention;
    case REL_EMBED: return index == 0 && w->layer[0].has_attention;
    case POS_CONV: return w->pos_kernel > 0;
    case FEED_FORWARD: return w->layer[index].has_feed_forward;
    case READOUT: return c->readout.present;
    case POSI: return c->readout.present && c->readout.use_posi;
    case EMBEDDING: return c->readout.present && c->readout.embedding > 0;
    }
    return 0;
}

static int group_size(enum group group, const struct model_config *c)
{
    switch (group) {
    case MODEL: return 1;
    case CONV: return c->wavlm.n_convs;
    case LAYER: return c->wavlm.n_layers;
    case CONFORMER: return c->readout.n_layers;
    }
    return 0;
}

static size_t group_offset(enum group group, int index)
{
    size_t i = (size_t)index;

    switch (group) {
    case MODEL: return 0;
    case CONV: return offsetof(struct model_params, conv) + i * sizeof(struct conv_params);
    case LAYER: return offsetof(struct model_params, layer) + i * sizeof(struct layer_params);
    case CONFORMER:
        return offsetof(struct model_params, conformer) + i * sizeof(struct conformer_params);
    }
    return 0;
}

static void param_fill(struct param *p, const struct row *row, const struct model_config *c,
                       int encoder, int index)
{
    const char *prefix = encoder && c->readout.present ? "wavlm_model." : "";
    const char *number = strstr(row->name, "%d");

    if (number)
        snprintf(p->name, sizeof(p->name), "%s%.*s%d%s", prefix, (int)(number - row->name),
                 row->name, index, number + 2);
    else
        snprintf(p->name, sizeof(p->name), "%s%s", prefix, row->name);
    p->offset = group_offset(row->group, index) + row->offset;
    p->kind = row->kind;
    p->encoder = encoder;
    p->n_axes = row->n_axes;
    p->group_index = index;
    for (int a = 0; a < row->n_axes; a++) {
        p->axis[a] = row->axis[a];
        p->size[a] = axis_size(c, row->axis[a], index);
    }
}

/* Rows of one group that follow each other stand together for every index. */
static int list_table(struct param *list, const struct row *table, int n_rows, int encoder,
                      const struct model_config *c)
{
    int n = 0;

    for (int first = 0, last; first < n_rows; first = last) {
        for (last = first; last < n_rows && table[last].group == table[first].group; last++)
            ;
        for (int index = 0; index < group_size(table[first].group, c); index++) {
            for (int i = first; i < last; i++) {
                if (!row_present(&table[i], c, index))
                    continue;
                if (list)
                    param_fill(&list[n], &table[i], c, encoder, index);
                n++;
            }
        }
    }
    return n;
}

struct param *params_list(const struct model_config *c, int *n)
{
    int n_encoder = list_table(NULL, encoder_table, COUNT(encoder_table), 1, c);
    int n_readout = list_table(NULL, readout_table, COUNT(readout_table), 0, c);
    struct param *list = calloc((size_t)(n_encoder + n_readout), sizeof(*list));

    if (!list)
        return NULL;
    list_table(list, encoder_table, COUNT(encoder_table), 1, c);
    list_table(list + n_encoder, readout_table, COUNT(readout_table), 0, c);
    *n = n_encoder + n_readout;
    return list;
}

size_t param_count(const struct param *p)
{
    size_t count = 1;

    for (int a = 0; a < p->n_axes; a++)
        count *= (size_t)p->size[a];
    return count;
}

float **param_slot(struct model_params *params, const struct param *p)
{
    return (float **)(void *)((char *)params + p->offset);
}

const float *param_values(const struct model_params *params, const struct param *p)
{
    return *(float *const *)(const void *)((const char *)params + p->offset);
}

void params_place(struct model_params *params, const struct param *list, int n,
                  struct arena *arena)
{
    for (int i = 0; i < n; i++)
        *param_slot(params, &list[i]) = arena_floats(arena, param_count(&list[i]));
}

/* Weight norm has an older spelling; both mean the same tensor. */
static const struct tensor *find_tensor(const struct checkpoint *c, const char *name)
{
    static const char *const spelling[][2] = {
        {"parametrizations.weight.original0", "weight_g"},
        {"parametrizations.weight.original1", "weight_v"},
    };
    const struct tensor *t = checkpoint_find(c, name);

    for (size_t i = 0; !t && i < sizeof(spelling) / sizeof(*spelling); i++) {
        const char *at = strstr(name, spelling[i][0]);
        char older[200];
        if (!at)
            continue;
        snprintf(older, sizeof(older), "%.*s%s", (int)(at - name), name, spelling[i][1]);
        t = checkpoint_find(c, older);
    }
    return t;
}

static void shape_text(char *text, size_t size, const int64_t *axes, int n)
{
    size_t at = 0;

    text[0] = 0;
    for (int i = 0; i < n && at < size - 24; i++)
        at += (size_t)snprintf(text + at, size - at, "%s%lld", i ? "," : "", (long long)axes[i]);
}

static int check_shape(const struct param *p, const struct tensor *t, struct error *err)
{
    char expected[120], found[200];
    int same = p->n_axes == t->n_axes;

    for (int a = 0; same && a < p->n_axes; a++)
        same = p->size[a] == t->size[a];
    if (same)
        return 0;
    shape_text(expected, sizeof(expected), p->size, p->n_axes);
    shape_text(found, sizeof(found), t->size, t->n_axes);
    return fail(err, "tensor %s: shape [%s], but its config asks for [%s]", p->name, found,
                expected);
}

int params_check_finite(const char *name, const float *x, size_t n, struct error *err)
{
    float poison = 0.0f; // x * 0 is NaN for NaN and infinity, else 0

    for (size_t i = 0; i < n; i++)
        poison += x[i] * 0.0f;
    if (poison == 0.0f)
        return 0;
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(x[i]))
            return fail(err, "tensor %s: element %zu is %s; the file is damaged or its training "
                             "diverged", name, i, isnan(x[i]) ? "NaN" : "infinite");
    }
    return 0;
}

static int bind_one(struct model_params *params, const struct param *p, const struct checkpoint *c,
                    struct arena *arena, struct error *err)
{
    const struct tensor *t = find_tensor(c, p->name);

    if (!t && p->kind == PARAM_COUNTER)
        return 0;
    if (!t)
        return fail(err, "tensor %s is missing; its config asks for it", p->name);
    if (check_shape(p, t, err))
        return -1;
    if (t->dtype == DTYPE_F32) {
        *param_slot(params, p) = (float *)(uintptr_t)t->data; // in place, read-only
        return arena->base ? params_check_finite(p->name, t->data, param_count(p), err) : 0;
    }
    float *values = arena_floats(arena, param_count(p));
    *param_slot(params, p) = values;
    if (!values)
        return 0;
    tensor_to_floats(values, t);
    checkpoint_let_go(c, t);
    return params_check_finite(p->name, values, param_count(p), err);
}

static int refuse_foreign(const struct param *list, int n, const struct checkpoint *c,
                          struct error *err)
{
    for (int i = 0; i < c->n_tensors; i++) {
        const char *name = c->tensors[i].name;
        int known = 0;
        for (int k = 0; k < n && !known; k++)
            known = !strcmp(list[k].name, name) || find_tensor(c, list[k].name) == &c->tensors[i];
        if (!known)
            return fail(err, "tensor %.150s has no place in a model with this config", name);
    }
    return 0;
}

int params_bind(struct model_params *params, const struct param *list, int n,
                const struct checkpoint *c, struct arena *arena, struct error *err)
{
    for (int i = 0; i < n; i++) {
        if (bind_one(params, &list[i], c, arena, err))
            return -1;
    }
    return arena->base ? 0 : refuse_foreign(list, n, c, err);
}

/* Matrices and kernels uniform with variance 1 / fan-in, so that activations
 * keep their scale; norms and their like 1, biases 0. */
void params_randomize(struct model_params *params, const struct param *list, int n, uint64_t seed)
{
    struct random rng;

    random_init(&rng, seed);
    for (int i = 0; i < n; i++) {
        const struct param *p = &list[i];
        float *x = *param_slot(params, p);
        size_t count = param_count(p), fan_in = p->n_axes > 1 ? count / (size_t)p->size[0] : 1;
        size_t length = strlen(p->name);
        int is_bias = length > 4 && !strcmp(p->name + length - 4, "bias");
        int is_mean = strstr(p->name, "running_mean") != NULL;
        float span = sqrtf(3.0f / (float)fan_in);

        for (size_t k = 0; k < count; k++) {
            if (p->n_axes >= 2 && fan_in > 1 && p->axis[0] != AXIS_ONE)
                x[k] = span * (2.0f * random_uniform(&rng) - 1.0f);
            else
                x[k] = is_bias || is_mean ? 0.0f : 1.0f;
        }
    }
}
