// SPDX-License-Identifier: MIT
/* latency_measure.c - measures the shapes of a latency table.
 *
 * Convolutions and the projection by their own loops over one block's rows. Layers
 * by whole models of several equal layers behind a small front end, live with
 * full left context: their weights come from memory as they do in a real model,
 * where the layers between two uses of one have taken the caches. The best of
 * several runs counts; with one thread by the thread's own time, which a busy
 * machine disturbs least. */
#include "prune/latency.h"

#include "model/clock.h"
#include "model/json.h"
#include "model/kernels.h"
#include "model/op.h"
#include "model/random.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { TRIALS = 12, BLOCKS = 20, N_SHARES = 7, MOST_LAYERS = 12 };

/* Layers' weights that no cache holds, in floats. */
enum { COLD = 24 << 20 };

static const double shares[N_SHARES] = {0.0625, 0.125, 0.25, 0.375, 0.5, 0.75, 1.0};

struct measuring {
    struct latency *l;
    const struct model_config *c;
    const struct reach *reach;
    void (*tell)(void *user, double share);
    void *user;
    int done, all; // models of layers
};

static double now(const struct latency *l)
{
    return l->threads == 1 ? clock_thread() : clock_monotonic();
}

static void fill(float *x, size_t n)
{
    struct random rng;

    random_init(&rng, 7);
    for (size_t i = 0; i < n; i++)
        x[i] = random_uniform(&rng) - 0.5f;
}

/* More never takes less, whatever the clock said. */
static void make_rise(double *ms, int n, int stride)
{
    for (int i = 1; i < n; i++)
        ms[i * stride] = fmax(ms[i * stride], ms[(i - 1) * stride]);
}

/* Sizes up to `most`, ascending, each at least one more than the last. */
static int sizes(double *to, double most)
{
    int n = 0;

    for (int i = 0; i < N_SHARES; i++) {
        double size = fmax(1.0, floor(most * shares[i] + 0.5));
        if (n == 0 || size > to[n - 1])
            to[n++] = size;
    }
    return n;
}

struct scratch {
    float *x, *w, *y, *mean, *rstd;
    double *sums;
};

/* One layer of the extractor over T rows, norm and GELU too. */
static double time_conv(const struct latency *l, const struct scratch *s,
                        const struct wavlm_config *w, int layer, int T, int in, int out)
{
    const struct conv_shape *conv = &w->conv[layer];
    const struct kernels *k = kernels_get();
    double best = 1e9;

    for (int i = 0; i < TRIALS; i++) {
        double began = now(l);
        conv_forward(s->y, s->x, s->w, NULL, T, in, out, conv->kernel, conv->stride);
        if (!w->group_norm)
            k->layer_norm(s->y, s->mean, s->rstd, s->y, s->w, s->w, T, out);
        if (w->group_norm && layer == 0) {
            k->moments(s->sums, s->sums + out, s->y, T, out);
            k->scale_shift(s->y, s->y, s->w, s->w, T, out);
        }
        k->gelu(s->y, s->y, (size_t)T * (size_t)out);
        best = fmin(best, now(l) - began);
    }
    return 1e3 * best;
}

static void measure_conv(struct latency *l, const struct scratch *s, const struct wavlm_config *w,
                         int layer, int T)
{
    struct latency_grid *g = &l->conv[layer];

    g->n_out = sizes(g->out, w->conv[layer].channels);
    if (g->n_out < 2)
        g->out[g->n_out++] = 2.0;
    g->n_in = 1;
    g->in[0] = 1.0;
    if (layer > 0)
        g->n_in = sizes(g->in, w->conv[layer - 1].channels);
    for (int i = 0; i < g->n_in; i++) {
        for (int k = 0; k < g->n_out; k++)
            g->ms[i][k] = time_conv(l, s, w, layer, T, (int)g->in[i], (int)g->out[k]);
        make_rise(g->ms[i], g->n_out, 1);
    }
    for (int k = 0; k < g->n_out; k++)
        make_rise(&g->ms[0][k], g->n_in, LATENCY_GRID);
}

static void measure_projection(struct latency *l, const struct scratch *s, int rows, int in,
                               int embed)
{
    struct latency_curve *c = &l->projection;

    c->n = 1 + sizes(c->x + 1, in);
    for (int i = 1; i < c->n; i++) {
        c->ms[i] = 1e9;
        for (int k = 0; k < TRIALS; k++) {
            double began = now(l);
            kernels_get()->layer_norm(s->y, s->mean, s->rstd, s->x, s->w, s->w, rows, (int)c->x[i]);
            linear_forward(s->y, s->x, s->w, s->w, rows, (int)c->x[i], embed);
            c->ms[i] = fmin(c->ms[i], 1e3 * (now(l) - began));
        }
    }
    make_rise(c->ms, c->n, 1);
}

static void most(size_t *a, size_t b)
{
    *a = b > *a ? b : *a;
}

static int measure_extractor(struct measuring *m, struct error *err)
{
    const struct wavlm_config *w = &m->c->wavlm;
    int rows[MAX_CONVS + 1] = {(int)block_max_samples(m->reach->block_frames, 0) + EXTRACTOR_TRAIL};
    size_t x = 0, weights = 0, y = 0, in = 1;
    struct scratch s;

    for (int i = 0; i < w->n_convs; i++) {
        size_t out = (size_t)w->conv[i].channels;
        rows[i + 1] = (rows[i] - w->conv[i].kernel) / w->conv[i].stride + 1;
        most(&x, (size_t)rows[i] * in);
        most(&y, (size_t)rows[i + 1] * (out + 2));
        most(&weights, out * in * (size_t)w->conv[i].kernel);
        in = out;
    }
    most(&weights, in * (size_t)w->embed + (size_t)w->embed);
    most(&y, (size_t)rows[w->n_convs] * (size_t)w->embed);
    float *memory = malloc((x + weights + y + 2 * (size_t)rows[0]) * sizeof(float));
    s.sums = calloc(2 * MAX_WIDTH, sizeof(double));
    if (!memory || !s.sums) {
        free(memory);
        free(s.sums);
        return fail(err, "out of memory");
    }
    s.x = memory;
    s.w = s.x + x;
    s.y = s.w + weights;
    s.mean = s.y + y;
    s.rstd = s.mean + rows[0];
    fill(memory, x + weights + y);
    for (int i = 0; i < w->n_convs; i++)
        measure_conv(m->l, &s, w, i, rows[i + 1]);
    if (w->n_convs)
        measure_projection(m->l, &s, m->reach->block_frames, (int)in, w->embed);
    free(memory);
    free(s.sums);
    return 0;
}

/* A model of n equal layers behind filter banks. */
static char *layers_json(const struct wavlm_config *w, int n, int heads, int units, int pos_conv)
{
    cJSON *root = cJSON_CreateObject(), *o = cJSON_AddObjectToObject(root, "wavlm");
    cJSON *attention = cJSON_CreateArray(), *feed_forward = cJSON_CreateArray();
    cJSON *total = cJSON_CreateArray(), *remaining = cJSON_CreateArray(), *ff = cJSON_CreateArray();

    for (int i = 0; i < n; i++) {
        cJSON *kept = cJSON_CreateArray();
        for (int h = 0; h < heads; h++)
            json_add(kept, cJSON_CreateNumber(h));
        json_add(attention, cJSON_CreateBool(heads > 0));
        json_add(feed_forward, cJSON_CreateBool(units > 0));
        json_add(total, cJSON_CreateNumber(w->layer[0].total_heads));
        json_add(remaining, kept);
        json_add(ff, cJSON_CreateNumber(units));
    }
    cJSON_AddStringToObject(o, "extractor_mode", "fbank");
    cJSON_AddNumberToObject(o, "fbank_bins", 8);
    cJSON_AddNumberToObject(o, "fbank_half_bins", 0);
    cJSON_AddNumberToObject(o, "encoder_embed_dim", w->embed);
    cJSON_AddNumberToObject(o, "encoder_pos_conv_kernel", pos_conv ? w->pos_kernel : 0);
    cJSON_AddNumberToObject(o, "encoder_pos_conv_groups", w->pos_groups);
    cJSON_AddNumberToObject(o, "encoder_num_layers", n);
    cJSON_AddItemToObject(o, "encoder_use_attention", attention);
    cJSON_AddItemToObject(o, "encoder_use_feed_forward", feed_forward);
    cJSON_AddItemToObject(o, "encoder_total_num_heads", total);
    cJSON_AddItemToObject(o, "encoder_remaining_heads", remaining);
    cJSON_AddItemToObject(o, "encoder_ff_interm_features", ff);
    cJSON_AddNumberToObject(o, "encoder_num_buckets", w->n_buckets);
    cJSON_AddNumberToObject(o, "encoder_max_distance", w->max_distance);
    cJSON_AddBoolToObject(o, "encoder_layer_norm_first", w->norm_first);
    char *json = cJSON_PrintUnformatted(root);
    cJSON_Delete(root);
    return json;
}

/* The least time of several live blocks, in ms. */
static int run_layers(double *ms, const struct latency *l, const struct model *model,
                      struct error *err)
{
    int64_t samples = block_max_samples(model->reach.block_frames, 0);
    int fill_blocks = model->reach.left_frames / model->reach.block_frames + 1;
    float *audio = calloc((size_t)samples, sizeof(float));
    struct model_state state = {0};
    struct model_acts acts = {0};
    struct block b;
    int status = -1;

    *ms = 1e9;
    if (!audio) {
        fail(err, "out of memory");
    } else if (model_state_open(&state, model, err) == 0 &&
               model_acts_open(&acts, model, err) == 0) {
        fill(audio, (size_t)samples);
        for (int i = 0; i < fill_blocks + BLOCKS; i++) {
            double began = now(l);
            block_next(&b, &state.at, samples, 0, model->reach.block_frames, 0);
            model_forward(&acts, &state, model, audio, &b, 1);
            if (i >= fill_blocks)
                *ms = fmin(*ms, 1e3 * (now(l) - began));
        }
        status = 0;
    }
    model_acts_close(&acts);
    model_state_close(&state);
    free(audio);
    return status;
}

/* ms of a model of n such layers. */
static int time_layers(double *ms, struct measuring *m, int n, int heads, int units, int pos_conv,
                       struct error *err)
{
    char *json = layers_json(&m->c->wavlm, n, heads, units, pos_conv);
    struct model model;
    int status = -1;

    if (!json)
        return fail(err, "out of memory");
    if (model_open_config(&model, json, m->reach, err) == 0) {
        params_randomize(&model.params, model.list, model.n_params, 1);
        model_derive(&model);
        status = run_layers(ms, m->l, &model, err);
        model_close(&model);
    }
    free(json);
    if (m->tell)
        m->tell(m->user, (double)++m->done / m->all);
    return status;
}

/* As many layers as keep their weights out of the caches. */
static int layers_for(const struct measuring *m, double floats_each)
{
    double n = ceil(COLD / floats_each);

    return n < 2.0 ? 2 : n > MOST_LAYERS ? MOST_LAYERS : (int)n;
}

static int measure_layers(struct measuring *m, struct error *err)
{
    const struct wavlm_config *w = &m->c->wavlm;
    struct latency_curve *a = &m->l->attention, *f = &m->l->feed_forward;
    double E = w->embed, D = config_head_width(w, 0), one, many, position;
    int heads = w->layer[0].total_heads, ff = 2;

    for (int i = 0; i < w->n_layers; i++)
        ff = w->layer[i].ff > ff ? w->layer[i].ff : ff;
    for (a->n = 1; a->n < LATENCY_POINTS && a->x[a->n - 1] < heads; a->n++)
        a->x[a->n] = heads < LATENCY_POINTS ? a->n : ceil((double)heads * a->n / (LATENCY_POINTS - 1));
    f->n = 1 + sizes(f->x + 1, ff);
    m->all = a->n + f->n + 1;
    if (time_layers(&one, m, 1, 0, 0, 0, err) || time_layers(&many, m, MOST_LAYERS, 0, 0, 0, err) ||
        time_layers(&position, m, 1, 0, 0, 1, err))
        return -1;
    double bare = fmax(0.0, (many - one) / (MOST_LAYERS - 1)), front = fmax(0.0, one - bare);
    for (int i = 1; i < a->n; i++) {
        int n = layers_for(m, 4.0 * E * D * a->x[i]);
        if (time_layers(&a->ms[i], m, n, (int)a->x[i], 0, 0, err))
            return -1;
        a->ms[i] = fmax(0.0, (a->ms[i] - front) / n - bare);
    }
    for (int i = 1; i < f->n; i++) {
        int n = layers_for(m, 2.0 * E * f->x[i]);
        if (time_layers(&f->ms[i], m, n, 0, (int)f->x[i], 0, err))
            return -1;
        f->ms[i] = fmax(0.0, (f->ms[i] - front) / n - bare);
    }
    make_rise(a->ms, a->n, 1);
    make_rise(f->ms, f->n, 1);
    m->l->fixed_ms = fmax(0.0, position - one) + bare * config_layers_used(m->c);
    return 0;
}

int latency_measure(struct latency *l, const struct model_config *c, const struct reach *reach,
                    int threads, void (*tell)(void *user, double share), void *user,
                    struct error *err)
{
    struct measuring m = {.l = l, .c = c, .reach = reach, .tell = tell, .user = user, .all = 1};

    *l = (struct latency){.block_frames = reach->block_frames, .left_frames = reach->left_frames,
                          .threads = threads};
    op_set_threads(threads);
    return measure_extractor(&m, err) || measure_layers(&m, err) ? -1 : 0;
}
