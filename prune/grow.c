// SPDX-License-Identifier: MIT
#include "prune/grow.h"

#include "prune/shape_json.h"

#include <stdlib.h>
#include <string.h>

/* Where a layer's head of that number stands among those it has, or -1. */
static int head_at(const struct layer_shape *l, int head)
{
    for (int k = 0; k < l->n_heads; k++) {
        if (l->heads[k] == head)
            return k;
    }
    return -1;
}

static int at_least(int n, int wanted)
{
    return n < wanted ? wanted : n;
}

/* The lowest numbers that are missing come back first. */
static struct layer_shape grown_layer(const struct layer_shape *l, const struct growth *by)
{
    struct layer_shape grown = *l;
    int missing = at_least(l->n_heads, by->heads) - l->n_heads;

    grown.n_heads = 0;
    for (int head = 0; head < l->total_heads; head++) {
        int is_old = head_at(l, head) >= 0;
        if (is_old || missing > 0)
            grown.heads[grown.n_heads++] = head;
        missing -= !is_old;
    }
    grown.ff = at_least(l->ff, by->feed_forward);
    grown.has_attention = grown.n_heads > 0;
    grown.has_feed_forward = grown.ff > 0;
    return grown;
}

static char *grown_config_json(const struct model *m, const char *config, const struct growth *by,
                               struct error *err)
{
    const struct wavlm_config *w = &m->config.wavlm;
    const struct readout_config *r = &m->config.readout;
    struct layer_shape layer[MAX_LAYERS];
    cJSON *root = cJSON_Parse(config);
    cJSON *wavlm = cJSON_GetObjectItemCaseSensitive(root, "wavlm");
    cJSON *readout = cJSON_GetObjectItemCaseSensitive(root, "readout");
    char *json = NULL;

    for (int i = 0; i < w->n_layers; i++)
        layer[i] = grown_layer(&w->layer[i], by);
    if (wavlm) {
        shape_json_layers(wavlm, layer, w->n_layers);
        if (readout) {
            shape_json_replace(readout, "num_layer",
                               cJSON_CreateNumber(at_least(r->n_layers, by->conformer_layers)));
            shape_json_replace(readout, "ffn_hidden",
                               cJSON_CreateNumber(at_least(r->ff, by->conformer_feed_forward)));
        }
        if (readout && by->embedding_projection > r->embedding_projection) {
            int of_sum = r->embedding - r->embedding_projection;
            shape_json_replace(readout, "embedding_dim", cJSON_CreateNumber(of_sum + by->embedding_projection));
            shape_json_replace(readout, "embedding_projection", cJSON_CreateNumber(by->embedding_projection));
            cJSON_DeleteItemFromObjectCaseSensitive(readout, "embedding_threshold");
        }
        json = cJSON_PrintUnformatted(root);
    }
    cJSON_Delete(root);
    if (!json)
        fail(err, "out of memory");
    return json;
}

/* Where entry i of an axis of a grown tensor was, or -1. */
static int64_t was_at(const struct model *grown, const struct model *m, const struct param *p,
                      const struct param *old, int axis, int64_t i)
{
    if (p->axis[axis] != AXIS_A)
        return i < old->size[axis] ? i : -1;
    const struct layer_shape *l = &m->config.wavlm.layer[p->group_index];
    int width = config_head_width(&m->config.wavlm, p->group_index);
    int head = grown->config.wavlm.layer[p->group_index].heads[i / width];
    int k = head_at(l, head);
    return k < 0 ? -1 : (int64_t)k * width + i % width;
}

static int same_shape(const struct param *p, const struct param *old)
{
    for (int a = 0; a < p->n_axes; a++) {
        if (p->size[a] != old->size[a])
            return 0;
    }
    return 1;
}

/* The random weights stay where a row was added; a column that was is summed and says nothing. */
static void grow_tensor(float *to, const float *from, const struct model *grown,
                        const struct model *m, const struct param *p, const struct param *old)
{
    int64_t at[PARAM_MAX_AXES] = {0};
    size_t count = param_count(p);

    if (same_shape(p, old)) { // most are
        memcpy(to, from, count * sizeof(float));
        return;
    }
    for (size_t i = 0; i < count; i++) {
        size_t where = 0;
        int row_is_new = 0, column_is_new = 0;
        for (int a = 0; a < p->n_axes; a++) {
            int64_t was = was_at(grown, m, p, old, a, at[a]);
            row_is_new |= was < 0 && a == 0;
            column_is_new |= was < 0 && a > 0;
            where = where * (size_t)old->size[a] + (size_t)(was < 0 ? 0 : was);
        }
        if (column_is_new)
            to[i] = 0.0f;
        else if (!row_is_new)
            to[i] = from[where];
        for (int a = p->n_axes - 1; a >= 0 && ++at[a] == p->size[a]; a--)
            at[a] = 0;
    }
}

/* What a module writes, where the module itself is new; the position bias, which a first layer
 * without attention had not, reaches all layers. */
static int must_be_silent(const char *name)
{
    static const char *const last[] = {
        ".attention.out_proj.", ".feed_forward.output_dense.", ".rel_attn_embed.", ".w_2.",
        ".linearO.", ".pointwise_conv2.",
    };

    for (size_t i = 0; i < sizeof(last) / sizeof(*last); i++) {
        if (strstr(name, last[i]))
            return 1;
    }
    return 0;
}

/* Of an added layer nothing sounds, so it only normalises what the last one normalised: that one
 * hands on numbers of mean 0 and variance 1, which it leaves as they are, scaled at the end. */
static void move_last_norm(struct model *grown, const struct model *m)
{
    int last = m->config.readout.n_layers - 1, end = grown->config.readout.n_layers - 1;
    int width = m->config.readout.width;

    for (int i = last; i < end; i++) {
        struct norm_params *norm = &grown->params.conformer[i].norm;
        struct norm_params *next = &grown->params.conformer[i + 1].norm;
        memcpy(next->weight, norm->weight, (size_t)width * sizeof(float));
        memcpy(next->bias, norm->bias, (size_t)width * sizeof(float));
        for (int c = 0; c < width; c++) {
            norm->weight[c] = 1.0f;
            norm->bias[c] = 0.0f;
        }
    }
}

static void grow_tensors(struct model *grown, const struct model *m, uint64_t seed)
{
    params_randomize(&grown->params, grown->list, grown->n_params, seed);
    for (int i = 0; i < grown->n_params; i++) {
        const struct param *p = &grown->list[i], *old = model_find_param(m, p->name);
        const float *values = old ? param_values(&m->params, old) : NULL;
        float *to = *param_slot(&grown->params, p);
        if (values)
            grow_tensor(to, values, grown, m, p, old);
        else if (must_be_silent(p->name))
            memset(to, 0, param_count(p) * sizeof(float));
    }
    if (m->config.readout.present)
        move_last_norm(grown, m);
    model_derive(grown);
}

static int check_growth(const struct model *m, const struct growth *by, struct error *err)
{
    const struct readout_config *r = &m->config.readout;
    int conformer = by->conformer_layers > 0 || by->conformer_feed_forward > 0;
    int adds = r->present && (by->conformer_layers > r->n_layers || by->conformer_feed_forward > r->ff);

    if (conformer && !r->present)
        return fail(err, "it has no readout whose conformer could grow");
    if (by->embedding_projection && !(r->present && r->embedding))
        return fail(err, "it has no speaker vectors that could grow");
    adds |= by->embedding_projection > r->embedding_projection;
    for (int i = 0; i < m->config.wavlm.n_layers; i++) {
        const struct layer_shape *l = &m->config.wavlm.layer[i];
        if (by->heads > l->total_heads)
            return fail(err, "--heads %d: layer %d had %d before pruning, and no more fit its width",
                        by->heads, i, l->total_heads);
        adds |= by->heads > l->n_heads || by->feed_forward > l->ff;
    }
    return adds ? 0 : fail(err, "it has all of that: nothing to add");
}

int grow(struct model *grown, char **grown_config, const struct model *m, const char *config,
         const struct growth *by, const struct reach *reach, struct error *err)
{
    *grown = (struct model){0};
    *grown_config = NULL;
    if (check_growth(m, by, err))
        return -1;
    *grown_config = grown_config_json(m, config, by, err);
    if (!*grown_config)
        return -1;
    if (model_open_config(grown, *grown_config, reach, err)) {
        free(*grown_config);
        *grown_config = NULL;
        return -1;
    }
    grow_tensors(grown, m, by->seed);
    return 0;
}
