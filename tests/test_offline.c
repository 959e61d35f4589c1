// SPDX-License-Identifier: MIT
/* test_offline.c - whole recordings, from decisions and vectors to RTTM, against
 * upstream's: every scene and variant in golden/offline, or in the folder that
 * ANTIPHON_OFFLINE names. Integers and texts must be the same, always. */
#include "check.h"

#include "stream/aggregate.h"
#include "stream/ahc.h"
#include "stream/linkage.h"
#include "stream/offline.h"
#include "stream/reconstruct.h"
#include "stream/rttm_write.h"

#include <cjson/cJSON.h>
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct variant {
    char scene[64], name[64], folder[1024];
    struct checkpoint inputs, golden;
    struct offline_settings settings;
    int median; // 1: the decisions are filtered
    struct plda plda;
    struct windows windows;
    struct heard heard;
    uint8_t *count;
    int64_t n_frames;
    struct clustering clustering;
};

static const char *scenes_folder(void)
{
    const char *given = getenv("ANTIPHON_OFFLINE");

    return given ? given : check_path("golden/offline");
}

static const struct tensor *find(const struct checkpoint *c, const char *prefix, const char *name)
{
    char key[200];

    snprintf(key, sizeof(key), "%s%s", prefix, name);
    return checkpoint_find(c, key);
}

/* Of an edge scene every variant has inputs of its own, or x_vbx and x_ahc have x's. */
static const struct tensor *input(const struct variant *v, const char *name)
{
    char own[200], shared[200];

    snprintf(own, sizeof(own), "in.%s.", v->name);
    snprintf(shared, sizeof(shared), "in.%.*s.", (int)(strlen(v->name) - 4), v->name);
    const struct tensor *t = find(&v->inputs, "in.", name);
    t = t ? t : find(&v->inputs, own, name);
    t = t ? t : find(&v->inputs, strlen(v->name) > 4 ? shared : own, name);
    if (!t)
        check_fail("%s/%s: no input %s", v->scene, v->name, name);
    return t;
}

/* A result that must agree; NULL: the variant has none of that name. */
static const struct tensor *result(const struct variant *v, const char *name, size_t n)
{
    const struct tensor *t = find(&v->golden, "out.", name);

    if (t && tensor_count(t) != n)
        check_fail("%s/%s: %s has %zu elements, not %zu", v->scene, v->name, name,
                   tensor_count(t), n);
    return t;
}

static void same_integers(const struct variant *v, const char *name, const int *got, size_t n)
{
    const struct tensor *t = result(v, name, n);

    for (size_t i = 0; t && i < n; i++) {
        int64_t want = t->dtype == DTYPE_I64   ? ((const int64_t *)t->data)[i]
                       : t->dtype == DTYPE_I16 ? ((const int16_t *)t->data)[i]
                                               : ((const uint8_t *)t->data)[i];
        if (want != got[i])
            check_fail("%s/%s: %s[%zu] is %d, not %lld", v->scene, v->name, name, i, got[i],
                       (long long)want);
    }
}

static void near_doubles(const struct variant *v, const char *name, const double *got, size_t n,
                         double tolerance)
{
    const struct tensor *t = result(v, name, n);

    for (size_t i = 0; t && i < n; i++) {
        double want = ((const double *)t->data)[i];
        if (!(fabs(want - got[i]) <= tolerance))
            check_fail("%s/%s: %s[%zu] is %.12g, not %.12g", v->scene, v->name, name, i, got[i],
                       want);
    }
}

/* --- a variant --------------------------------------------------------- */

static void read_settings(struct variant *v, const cJSON *json)
{
    const cJSON *params = cJSON_GetObjectItem(json, "params");
    const char *method = cJSON_GetStringValue(cJSON_GetObjectItem(json, "method"));
    int is_vbx = !strcmp(method, "VBxClustering");
    struct clustering_settings *s = &v->settings.clustering;

    v->settings = offline_defaults(is_vbx ? CLUSTERING_VBX : CLUSTERING_AHC, 1);
    v->median = cJSON_IsTrue(cJSON_GetObjectItem(json, "median"));
    s->min_speakers = cJSON_GetObjectItem(json, "min_speakers")->valueint;
    s->max_speakers = cJSON_GetObjectItem(json, "max_speakers")->valueint;
    s->unconstrained = !cJSON_IsTrue(cJSON_GetObjectItem(json, "constrained"));
    if (is_vbx) {
        s->threshold = cJSON_GetObjectItem(params, "ahc_threshold")->valuedouble;
        if (!strcmp(cJSON_GetObjectItem(params, "ahc_criterion")->valuestring, "maxclust"))
            s->most = (int)s->threshold;
        s->vbx.Fa = cJSON_GetObjectItem(params, "Fa")->valuedouble;
        s->vbx.Fb = cJSON_GetObjectItem(params, "Fb")->valuedouble;
        s->vbx.max_iterations = cJSON_GetObjectItem(json, "max_iters")->valueint;
        s->dims = cJSON_GetObjectItem(json, "lda_dim")->valueint;
        s->plda = &v->plda;
    } else {
        s->threshold = cJSON_GetObjectItem(params, "threshold")->valuedouble;
        s->min_size = cJSON_GetObjectItem(params, "min_cluster_size")->valueint;
    }
}

static void read_heard(struct variant *v)
{
    const struct tensor *sets = input(v, "segmentations"), *vectors = input(v, "embeddings");
    const uint8_t *active = sets->data;
    struct heard *h = &v->heard;

    *h = (struct heard){.n_windows = (int)sets->size[0], .n_frames = (int)sets->size[1],
                        .n_slots = (int)vectors->size[1], .width = (int)vectors->size[2]};
    size_t n = (size_t)h->n_windows * (size_t)h->n_frames, slots = (size_t)h->n_slots;
    h->sets = calloc(n, 1);
    assert_non_null(h->sets);
    for (size_t i = 0; i < n; i++) {
        h->sets[i] = sets->n_axes == 2 ? active[i] : 0; // else each slot has a byte
        for (size_t s = 0; s < slots && sets->n_axes == 3; s++)
            h->sets[i] = (uint8_t)(h->sets[i] | active[i * slots + s] << s);
    }
    h->vectors = malloc(tensor_count(vectors) * sizeof(float));
    assert_non_null(h->vectors);
    memcpy(h->vectors, vectors->data, tensor_count(vectors) * sizeof(float));
}

static void variant_open(struct variant *v, const char *scene, const char *file)
{
    struct error err;
    char path[1200];

    memset(v, 0, sizeof(*v));
    snprintf(v->scene, sizeof(v->scene), "%s", scene);
    snprintf(v->name, sizeof(v->name), "%.*s", (int)(strlen(file) - 5), file);
    snprintf(v->folder, sizeof(v->folder), "%s/%s", scenes_folder(), scene);
    snprintf(path, sizeof(path), "%s/%s", v->folder, file);
    char *text = check_read(path);
    cJSON *json = cJSON_Parse(text);
    assert_non_null(json);
    read_settings(v, json);
    snprintf(path, sizeof(path), "%s/inputs.safetensors", v->folder);
    check_open(&v->inputs, path);
    snprintf(path, sizeof(path), "%s/%s.safetensors", v->folder, v->name);
    check_open(&v->golden, path);
    snprintf(path, sizeof(path), "%s/plda", v->folder);
    if (plda_read(&v->plda, path, &err) || windows_init(&v->windows, 16.0, 1.6, &err))
        check_fail("%s", err.text);
    read_heard(v);
    cJSON_Delete(json);
    free(text);
}

static void variant_close(struct variant *v)
{
    clustering_release(&v->clustering);
    plda_release(&v->plda);
    checkpoint_close(&v->inputs);
    checkpoint_close(&v->golden);
    free(v->count);
    free(v->heard.sets);
    free(v->heard.vectors);
}

/* --- its intermediates -------------------------------------------------- */

static void check_median(struct variant *v)
{
    const struct tensor *want = checkpoint_find(&v->inputs, "out.median");
    struct heard *h = &v->heard;
    uint8_t *filtered = malloc((size_t)h->n_frames);

    assert_non_null(filtered);
    for (int c = 0; v->median && c < h->n_windows; c++) {
        heard_median(filtered, heard_window(h, c), h->n_frames);
        memcpy(heard_window(h, c), filtered, (size_t)h->n_frames);
        for (int t = 0; want && t < h->n_frames; t++) {
            const uint8_t *row = (const uint8_t *)want->data + (c * h->n_frames + t) *
                                 (want->n_axes == 2 ? 1 : h->n_slots);
            unsigned set = want->n_axes == 2 ? row[0] : 0;
            for (int k = 0; k < h->n_slots && want->n_axes == 3; k++)
                set |= (unsigned)row[k] << k;
            assert_int_equal(filtered[t], set);
        }
    }
    free(filtered);
}

static void check_train(struct variant *v)
{
    struct heard *h = &v->heard;
    const struct tensor *clean = checkpoint_find(&v->inputs, "out.clean_frames");
    int *train = malloc((size_t)(h->n_windows * h->n_slots) * sizeof(int)), active, alone;

    assert_non_null(train);
    int n = clustering_choose(train, h), *window = malloc((size_t)(2 * n + 1) * sizeof(int));
    assert_non_null(window);
    for (int i = 0; i < n; i++) {
        window[i] = train[i] / h->n_slots;
        window[n + i] = train[i] % h->n_slots;
    }
    same_integers(v, "train_chunk_idx", window, (size_t)n);
    same_integers(v, "train_speaker_idx", window + n, (size_t)n);
    for (int i = 0; clean && v->median && i < h->n_windows * h->n_slots; i++) {
        heard_frames(&active, &alone, heard_window(h, i / h->n_slots), h->n_frames,
                     i % h->n_slots);
        assert_int_equal(alone, ((const int64_t *)clean->data)[i]);
    }
    free(train);
    free(window);
}

static double *unit_vectors(const struct variant *v)
{
    const struct clustering *c = &v->clustering;
    double *x = malloc((size_t)c->n_train * (size_t)c->width * sizeof(double));

    assert_non_null(x);
    for (int i = 0; i < c->n_train; i++) {
        const float *from = v->heard.vectors + (size_t)c->train[i] * (size_t)c->width;
        double squares = 0.0;
        for (int k = 0; k < c->width; k++)
            squares += (double)from[k] * (double)from[k];
        for (int k = 0; k < c->width; k++)
            x[i * c->width + k] = (double)from[k] / sqrt(squares);
    }
    return x;
}

static void check_vbx(const struct variant *v, const int *label, int n_clusters)
{
    const struct clustering *c = &v->clustering;
    const struct clustering_settings *s = &v->settings.clustering;
    size_t T = (size_t)c->n_train, D = (size_t)s->dims;
    double *fea = malloc(T * D * sizeof(double)), *gram = malloc(T * T * sizeof(double));
    double *x = malloc(T * (size_t)c->width * sizeof(double));
    const int is_float = !strcmp(v->scene, "scene_edge"); // PLDA in float32, NOTES' tolerances
    struct error err;
    struct vbx b;

    assert_non_null(fea);
    assert_non_null(gram);
    assert_non_null(x);
    for (size_t i = 0; i < T; i++) {
        for (size_t k = 0; k < (size_t)c->width; k++)
            x[i * (size_t)c->width + k] =
                (double)v->heard.vectors[(size_t)c->train[i] * (size_t)c->width + k];
    }
    assert_int_equal(plda_transform(fea, &v->plda, x, c->n_train, s->dims, &err), 0);
    for (size_t i = 0; i < T * T; i++) {
        gram[i] = 0.0;
        for (size_t d = 0; d < D; d++)
            gram[i] += fea[i / T * D + d] * fea[i % T * D + d];
    }
    near_doubles(v, "fea_gram", gram, T * T, is_float ? 5e-2 : 1e-8);
    near_doubles(v, "Phi", v->plda.psi, D, is_float ? 1e-4 : 1e-9);
    assert_int_equal(vbx_run(&b, &s->vbx, fea, v->plda.psi, label, c->n_train, n_clusters,
                             s->dims, &err), 0);
    near_doubles(v, "gamma", b.gamma, T * (size_t)n_clusters, is_float ? 1e-4 : 1e-9);
    near_doubles(v, "pi", b.pi, (size_t)n_clusters, is_float ? 1e-4 : 1e-9);
    near_doubles(v, "invL", b.invL, (size_t)n_clusters * D, is_float ? 1e-4 : 1e-9);
    near_doubles(v, "elbo", b.elbo, (size_t)b.n_iterations, is_float ? 1e-2 : 1e-7);
    vbx_release(&b);
    free(fea);
    free(gram);
    free(x);
}

static void check_tree(const struct variant *v)
{
    const struct clustering *c = &v->clustering;
    const struct clustering_settings *s = &v->settings.clustering;
    int n = c->n_train, *label = malloc((size_t)(n + 1) * sizeof(int));
    struct merge *merges = calloc((size_t)(n + 1), sizeof(*merges));
    double *x = unit_vectors(v), *rows = malloc((size_t)(4 * n + 1) * sizeof(double));
    struct error err;

    assert_non_null(label);
    assert_non_null(merges);
    assert_non_null(rows);
    assert_int_equal(linkage_centroid(merges, x, n, c->width, &err), 0);
    for (int i = 0; i < n - 1; i++) {
        rows[4 * i] = merges[i].a;
        rows[4 * i + 1] = merges[i].b;
        rows[4 * i + 2] = merges[i].height;
        rows[4 * i + 3] = merges[i].size;
    }
    near_doubles(v, "linkage", rows, (size_t)(4 * (n - 1)), 1e-6);
    int found = s->most ? linkage_cut_most(label, merges, n, s->most, &err)
                        : linkage_cut(label, merges, NULL, n, s->threshold, &err);
    same_integers(v, "ahc_clusters", label, (size_t)n);
    if (s->method == CLUSTERING_VBX)
        check_vbx(v, label, found);
    for (int i = 0; i < n; i++)
        label[i]++;
    same_integers(v, "fcluster", label, (size_t)n);
    if (s->method == CLUSTERING_AHC)
        same_integers(v, "train_clusters", c->train_label, (size_t)n);
    free(label);
    free(merges);
    free(rows);
    free(x);
}

static void check_clusters(struct variant *v)
{
    const struct heard *h = &v->heard;
    struct clustering *c = &v->clustering;
    size_t n = (size_t)h->n_windows * (size_t)h->n_slots;
    struct error err;

    if (clustering_run(c, h, &v->settings.clustering, &err))
        check_fail("%s", err.text);
    if (c->centroids) {
        double *soft = malloc(n * (size_t)c->n_clusters * sizeof(double));
        assert_non_null(soft);
        check_tree(v);
        clustering_compare(soft, h, c->centroids, c->n_clusters);
        const struct tensor *want =
            result(v, "soft_clusters", n * (size_t)c->n_clusters);
        for (size_t i = 0; want && i < n * (size_t)c->n_clusters; i++) {
            double w = ((const double *)want->data)[i];
            if (isnan(w) ? !isnan(soft[i]) : !(fabs(w - soft[i]) < 1e-5))
                check_fail("%s/%s: soft_clusters[%zu]", v->scene, v->name, i);
        }
        free(soft);
    }
    same_integers(v, "hard_clusters_final", c->label, n);
}

/* --- its results -------------------------------------------------------- */

static void check_frames(struct variant *v)
{
    int *integers = calloc((size_t)v->n_frames * 64, sizeof(int));
    int most = v->settings.clustering.max_speakers;
    struct reconstruction r;
    struct error err;
    size_t n;

    assert_non_null(integers);
    for (int64_t t = 0; t < v->n_frames; t++)
        integers[t] = v->count[t];
    same_integers(v, "count", integers, (size_t)v->n_frames);
    for (int64_t t = 0; t < v->n_frames; t++)
        v->count[t] = v->count[t] < most ? v->count[t] : (uint8_t)most;
    if (reconstruct(&r, &v->heard, &v->windows, v->clustering.label, v->count, NULL, 1, &err))
        check_fail("%s", err.text);
    n = (size_t)r.n_frames * (size_t)r.n_columns;
    assert_true(r.n_columns <= 64);
    for (size_t i = 0; i < n; i++)
        integers[i] = r.speaks[i];
    same_integers(v, "binary", integers, n);
    const struct tensor *want = result(v, "activations", n);
    for (size_t i = 0; want && i < n; i++)
        assert_true(((const float *)want->data)[i] == r.activations[i]);
    reconstruction_release(&r);
    free(integers);
}

static void label_names(char (*names)[12], const char **list, int n)
{
    assert_true(n <= 64);
    for (int i = 0; i < n; i++) {
        snprintf(names[i], sizeof(names[i]), "%d", i);
        list[i] = names[i];
    }
}

static void check_text(struct variant *v)
{
    char path[1200], names[64][12], recording[80];
    const char *list[64];
    struct regions r;
    struct error err;
    int n_speakers;

    snprintf(path, sizeof(path), "%s/%s.rttm", v->folder, v->name);
    char *want = check_read(path);
    snprintf(recording, sizeof(recording), "%.*s", (int)strcspn(want + 8, " "), want + 8);
    if (offline_run(&r, &n_speakers, NULL, &v->heard, &v->windows, &v->settings, 0.0, &err))
        check_fail("%s", err.text);
    label_names(names, list, n_speakers);
    char *got = rttm_text(&r, recording, list, &err);
    assert_non_null(got);
    if (strcmp(got, want))
        check_fail("%s/%s: RTTM is\n%s", v->scene, v->name, got);
    free(got);
    free(want);
    regions_release(&r);
}

static void check_variant(const char *scene, const char *file)
{
    struct variant v;
    struct error err;

    variant_open(&v, scene, file);
    check_median(&v);
    check_train(&v);
    check_clusters(&v);
    assert_int_equal(aggregate_count(&v.count, &v.n_frames, &v.heard, &v.windows, 0.0, NULL, &err), 0);
    check_frames(&v);
    check_text(&v);
    variant_close(&v);
}

static void test_scenes(void **state)
{
    char path[1200];
    int n = 0;

    (void)state;
    for (int scene = 0; scene < 4; scene++) {
        const char *name = (const char *[]){"scene_a", "scene_b", "scene_c", "scene_edge"}[scene];
        snprintf(path, sizeof(path), "%s/%s", scenes_folder(), name);
        DIR *d = opendir(path);
        for (struct dirent *e = d ? readdir(d) : NULL; e; e = readdir(d)) {
            size_t length = strlen(e->d_name);
            if (length > 5 && !strcmp(e->d_name + length - 5, ".json")) {
                check_variant(name, e->d_name);
                n++;
            }
        }
        if (d)
            closedir(d);
    }
    print_message("%d variants\n", n);
    assert_true(n >= 23); // scene_a's 14 and the nine of scene_edge
}

/* What is right where upstream is not, on upstream's own scene: VBx's numbers are not
 * moved up by slots without a cluster, and the number asked for is obeyed. */
static void test_vbx_without_its_faults(void **state)
{
    struct variant v;
    struct error err;
    int found[3][2];

    (void)state;
    for (int compat = 0; compat < 2; compat++) {
        for (int asked = 0; asked < 3; asked++) {
            struct regions r;
            variant_open(&v, "scene_a", "vbx.json");
            check_median(&v);
            v.settings = offline_defaults(CLUSTERING_VBX, compat);
            v.settings.clustering.plda = &v.plda;
            if (asked)
                v.settings.clustering.min_speakers = v.settings.clustering.max_speakers = asked;
            if (offline_run(&r, &found[asked][compat], NULL, &v.heard, &v.windows, &v.settings, 1e9,
                            &err))
                check_fail("%s", err.text);
            assert_true(r.n > 0);
            regions_release(&r);
            variant_close(&v);
        }
    }
    assert_int_equal(found[0][0], 3); // clusters, and one more for those that have none
    assert_int_equal(found[0][1], 4);
    assert_int_equal(found[1][0], 1);
    assert_int_equal(found[2][0], 2);
    assert_true(found[1][1] > 1 && found[2][1] > 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scenes),
        cmocka_unit_test(test_vbx_without_its_faults),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
