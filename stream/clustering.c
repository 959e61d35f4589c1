// SPDX-License-Identifier: MIT
#include "stream/clustering.h"

#include "stream/ahc.h"
#include "stream/assign.h"
#include "stream/heard_voices.h"
#include "stream/linkage.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct clustering_settings clustering_defaults(enum clustering_method method, int compat)
{
    return (struct clustering_settings){
        .method = method,
        .threshold = 0.6,
        .min_size = 13,
        .vbx = vbx_defaults(),
        .dims = 128,
        .min_speakers = 1,
        .max_speakers = compat ? 20 : 0,
        .unconstrained = method == CLUSTERING_VOICES,
        .compat = compat,
    };
}

int clustering_choose(int *train, const struct heard *h)
{
    int least = (int)rint(0.1 * h->n_frames), n = 0, n_slots = h->n_windows * h->n_slots;

    for (int strict = 1; strict >= 0 && n < 2; strict--) {
        n = 0;
        for (int i = 0; i < n_slots; i++) {
            int active, alone, c = i / h->n_slots, s = i % h->n_slots;
            heard_frames(&active, &alone, heard_window(h, c), h->n_frames, s);
            if (active && (!strict || alone >= least) &&
                heard_is_vector(heard_vector(h, c, s), h->width))
                train[n++] = i;
        }
    }
    return n;
}

/* x [n_train,width], as they are, and of unit length. */
struct vectors {
    double *raw, *unit;
};

static int vectors_open(struct vectors *v, const struct clustering *c, const struct heard *h,
                        struct error *err)
{
    size_t W = (size_t)h->width, n = (size_t)c->n_train * W;

    *v = (struct vectors){malloc(n * sizeof(double)), malloc(n * sizeof(double))};
    if (!v->raw || !v->unit)
        return fail(err, "out of memory: %d vectors", c->n_train);
    for (size_t i = 0; i < (size_t)c->n_train; i++) {
        const float *x = h->vectors + (size_t)c->train[i] * W;
        double squares = 0.0;
        for (size_t k = 0; k < W; k++) {
            v->raw[i * W + k] = (double)x[k];
            squares += (double)x[k] * (double)x[k];
        }
        for (size_t k = 0; k < W; k++)
            v->unit[i * W + k] = squares > 0.0 ? (double)x[k] / sqrt(squares) : 0.0;
    }
    return 0;
}

static void vectors_close(struct vectors *v)
{
    free(v->raw);
    free(v->unit);
}

static int reserve_centroids(struct clustering *c, int n_clusters, struct error *err)
{
    c->n_clusters = n_clusters;
    c->centroids = calloc((size_t)n_clusters * (size_t)c->width, sizeof(double));
    return c->centroids ? 0 : fail(err, "out of memory: %d clusters", n_clusters);
}

static void add_to_centroid(struct clustering *c, int cluster, const double *x, double weight)
{
    double *centroid = c->centroids + (size_t)cluster * (size_t)c->width;

    for (int k = 0; k < c->width; k++)
        centroid[k] += weight * x[k];
}

static int by_ahc(struct clustering *c, const struct vectors *v, const struct ahc_settings *s,
                  struct error *err)
{
    c->train_label = malloc((size_t)c->n_train * sizeof(int));
    int *size = calloc((size_t)c->n_train, sizeof(int));
    int n = c->train_label && size ? ahc(c->train_label, v->unit, c->n_train, c->width, s, err)
                                   : fail(err, "out of memory");
    int status = n < 0 ? -1 : reserve_centroids(c, n, err);

    for (int i = 0; status == 0 && i < c->n_train; i++)
        size[c->train_label[i]]++;
    for (int i = 0; status == 0 && i < c->n_train; i++)
        add_to_centroid(c, c->train_label[i], v->raw + (size_t)i * (size_t)c->width,
                        1.0 / size[c->train_label[i]]);
    free(size);
    return status;
}

/* Centroids of the speakers that are left: sums of the raw vectors, since only
 * their direction matters. */
static int take_speakers(struct clustering *c, const struct vbx *b, const struct vectors *v,
                         struct error *err)
{
    const double least = 1e-7; // upstream's
    int n = 0, to = 0;

    for (int s = 0; s < b->n_speakers; s++)
        n += b->pi[s] > least;
    if (reserve_centroids(c, n, err))
        return -1;
    for (int s = 0; s < b->n_speakers; s++) {
        if (!(b->pi[s] > least))
            continue;
        for (size_t t = 0; t < (size_t)c->n_train; t++)
            add_to_centroid(c, to, v->raw + t * (size_t)c->width,
                            b->gamma[t * (size_t)b->n_speakers + (size_t)s]);
        to++;
    }
    return 0;
}

static int begin_vbx(int *label, const struct vectors *v, const struct clustering *c,
                     const struct clustering_settings *s, struct error *err)
{
    struct merge *merges = calloc((size_t)c->n_train, sizeof(*merges));
    int n = -1;

    if (!merges)
        fail(err, "out of memory: %d vectors", c->n_train);
    else if (linkage_centroid(merges, v->unit, c->n_train, c->width, err) == 0)
        n = s->most ? linkage_cut_most(label, merges, c->n_train, s->most, err)
                    : linkage_cut(label, merges, NULL, c->n_train, s->threshold, err);
    free(merges);
    return n;
}

static int by_vbx(struct clustering *c, const struct vectors *v,
                  const struct clustering_settings *s, struct error *err)
{
    int dims = s->dims < s->plda->dims ? s->dims : s->plda->dims, status = -1;
    struct vbx b = {0};
    double *fea = malloc((size_t)c->n_train * (size_t)dims * sizeof(double));
    int *label = malloc((size_t)c->n_train * sizeof(int));

    if (!fea || !label) {
        fail(err, "out of memory: %d vectors", c->n_train);
    } else if (plda_transform(fea, s->plda, v->raw, c->n_train, dims, err) == 0) {
        int n = begin_vbx(label, v, c, s, err);
        if (n > 0 && vbx_run(&b, &s->vbx, fea, s->plda->psi, label, c->n_train, n, dims, err) == 0)
            status = take_speakers(c, &b, v, err);
    }
    vbx_release(&b);
    free(label);
    free(fea);
    return status;
}

/* Centroids of the voices: means over the frames in which their slots speak alone. */
static int by_voices(struct clustering *c, const struct heard *h, const struct vectors *v,
                     const struct clustering_settings *s, struct error *err)
{
    int *voice = malloc((size_t)c->n_train * sizeof(int));
    double *weight = malloc((size_t)c->n_train * sizeof(double));
    int n = voice && weight ? heard_voices(voice, weight, c->train, c->n_train, h, s->apart,
                                           s->max_speakers, err)
                            : fail(err, "out of memory");
    int status = n < 0 ? -1 : reserve_centroids(c, n, err);

    for (int i = 0; status == 0 && i < c->n_train; i++) {
        if (voice[i] >= 0)
            add_to_centroid(c, voice[i], v->raw + (size_t)i * (size_t)c->width, weight[i]);
    }
    free(voice);
    free(weight);
    return status;
}

static int clamp(int x, int low, int high)
{
    x = x > high ? high : x;
    return x < low ? low : x;
}

/* Finds the centroids, or none if there is to be one cluster. */
static int find_clusters(struct clustering *c, const struct heard *h,
                         const struct clustering_settings *s, struct error *err)
{
    int n = c->n_train, most = s->max_speakers ? s->max_speakers : n;
    struct ahc_settings ahc_set = {s->threshold, s->min_size, clamp(s->min_speakers, 1, n),
                                   clamp(most, 1, n)};
    int is_ahc = s->method == CLUSTERING_AHC, is_vbx = s->method == CLUSTERING_VBX;
    struct vectors v = {0};
    int status;

    if (n < 2 || (ahc_set.max_clusters < 2 && !(is_vbx && s->compat))) {
        c->n_clusters = 1;
        return 0;
    }
    status = vectors_open(&v, c, h, err);
    if (status == 0 && !is_ahc)
        status = is_vbx ? by_vbx(c, &v, s, err) : by_voices(c, h, &v, s, err);
    int as_asked = c->n_clusters >= ahc_set.min_clusters && c->n_clusters <= ahc_set.max_clusters;
    if (status == 0 && (is_ahc || (!s->compat && !as_asked))) { // as many as asked for by this way
        free(c->centroids);
        c->centroids = NULL;
        status = by_ahc(c, &v, &ahc_set, err);
    }
    vectors_close(&v);
    return status;
}

void clustering_compare(double *soft, const struct heard *h, const double *centroids,
                        int n_clusters)
{
    int n_slots = h->n_windows * h->n_slots, W = h->width;

    for (int i = 0; i < n_slots; i++) {
        const float *x = h->vectors + (size_t)i * (size_t)W;
        for (int k = 0; k < n_clusters; k++) {
            const double *y = centroids + (size_t)k * (size_t)W;
            double xy = 0.0, xx = 0.0, yy = 0.0;
            for (int j = 0; j < W; j++) {
                xy += (double)x[j] * y[j];
                xx += (double)x[j] * (double)x[j];
                yy += y[j] * y[j];
            }
            soft[(size_t)i * (size_t)n_clusters + (size_t)k] = 1.0 + xy / (sqrt(xx) * sqrt(yy));
        }
    }
}

static int label_slots(struct clustering *c, const struct heard *h,
                       const struct clustering_settings *s, struct error *err)
{
    size_t n = (size_t)h->n_windows * (size_t)h->n_slots;
    double *soft;
    int status;

    if (!c->centroids) {
        memset(c->label, 0, n * sizeof(int));
        return 0;
    }
    soft = malloc(n * (size_t)c->n_clusters * sizeof(double));
    if (!soft)
        return fail(err, "out of memory: %d windows of %d speakers", h->n_windows, c->n_clusters);
    clustering_compare(soft, h, c->centroids, c->n_clusters);
    status = s->unconstrained ? assign_free(c->label, soft, h, c->n_clusters)
                              : assign_apart(c->label, soft, h, c->n_clusters, s->compat, err);
    if (status == 0 && s->compat && s->method == CLUSTERING_VBX)
        status = assign_renumber(c->label, n, err);
    free(soft);
    return status;
}

int clustering_run(struct clustering *c, const struct heard *h,
                   const struct clustering_settings *s, struct error *err)
{
    size_t n = (size_t)h->n_windows * (size_t)h->n_slots;
    int status = -1;

    *c = (struct clustering){.width = h->width};
    c->train = malloc(n * sizeof(int));
    c->label = malloc(n * sizeof(int));
    if (!c->train || !c->label) {
        fail(err, "out of memory: %d windows", h->n_windows);
    } else {
        c->n_train = clustering_choose(c->train, h);
        if (find_clusters(c, h, s, err) == 0)
            status = label_slots(c, h, s, err);
    }
    if (status) {
        clustering_release(c);
        return -1;
    }
    assign_silence(c->label, h);
    return 0;
}

void clustering_release(struct clustering *c)
{
    free(c->train);
    free(c->train_label);
    free(c->centroids);
    free(c->label);
    *c = (struct clustering){0};
}
