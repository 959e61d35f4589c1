// SPDX-License-Identifier: MIT
/* test_export.c - models written in every layout: as upstream's programs write them, and
 * the same model when read again. */
#include "exporting.h"
#include "gated.h"

#include "model/op.h"
#include "model/pickle.h"
#include "prune/shrink.h"

#include <zip.h>

static void compare_subjects(const struct subject *got, const struct subject *want)
{
    size_t n, n_want;

    assert_int_equal(got->m.n_params, want->m.n_params);
    for (int i = 0; i < want->m.n_params; i++) {
        const struct tensor *g = &got->e.tensors[i], *w = &want->e.tensors[i];
        assert_string_equal(g->name, w->name);
        if (memcmp(g->data, w->data, tensor_count(w) * dtype_bytes(w->dtype)))
            check_fail("%s differs", w->name);
    }
    float *a = answer(&got->m, &n), *b = answer(&want->m, &n_want);
    assert_int_equal(n, n_want);
    assert_memory_equal(a, b, n * sizeof(*a));
    free(a);
    free(b);
}

/* The model at path must be this one again. */
static void compare_file(const char *path, const struct subject *want)
{
    struct subject got;

    subject_open(&got, path, DTYPE_F32);
    compare_subjects(&got, want);
    assert_memory_equal(&got.m.config.wavlm, &want->m.config.wavlm, sizeof(got.m.config.wavlm));
    assert_int_equal(got.m.config.readout.n_classes, want->m.config.readout.n_classes);
    subject_close(&got);
}

/* --- torch's layout ------------------------------------------------------ */

struct member {
    char name[100];
    unsigned char *bytes;
    size_t n;
};

static void read_members(struct member *list, int *n, const char *path)
{
    zip_t *zip = zip_open(path, ZIP_RDONLY, NULL);
    zip_stat_t st;

    assert_non_null(zip);
    *n = (int)zip_get_num_entries(zip, 0);
    assert_true(*n < 400);
    for (int i = 0; i < *n; i++) {
        assert_int_equal(zip_stat_index(zip, (zip_uint64_t)i, 0, &st), 0);
        assert_int_equal(st.comp_method, ZIP_CM_STORE);
        snprintf(list[i].name, sizeof(list[i].name), "%s", st.name);
        list[i].n = (size_t)st.size;
        list[i].bytes = malloc(list[i].n + 1);
        zip_file_t *f = zip_fopen_index(zip, (zip_uint64_t)i, 0);
        assert_int_equal(zip_fread(f, list[i].bytes, list[i].n), (long)list[i].n);
        zip_fclose(f);
    }
    zip_discard(zip);
}

static void free_members(struct member *list, int n)
{
    for (int i = 0; i < n; i++)
        free(list[i].bytes);
}

/* Where torch's pickle goes on with versions of modules, which we do not write: an empty
 * dictionary, to be remembered (BINPUT or LONG_BINPUT), with "_metadata" in it. */
static size_t metadata_at(const struct member *m)
{
    static const char word[] = "X\x09\0\0\0_metadata";
    const unsigned char *at = memmem(m->bytes, m->n, word, sizeof(word) - 1);

    assert_non_null(at);
    at -= at[-5] == 'r' ? 6 : 3;
    assert_int_equal(*at, '}');
    return (size_t)(at - m->bytes);
}

/* Members, their order and their bytes, and the pickle of the tensors are torch's own. */
static void compare_zip(const char *got_path, const char *want_path)
{
    static struct member got[400], want[400];
    int n, n_want;

    read_members(got, &n, got_path);
    read_members(want, &n_want, want_path);
    assert_int_equal(n, n_want);
    for (int i = 0; i < n; i++) {
        assert_string_equal(got[i].name, want[i].name);
        size_t bytes = i ? want[i].n : metadata_at(&want[0]);
        assert_true(i ? got[i].n == bytes : got[i].n > bytes);
        assert_memory_equal(got[i].bytes, want[i].bytes, bytes);
    }
    free_members(got, n);
    free_members(want, n_want);
}

/* Tuples are tuples and reals are reals, as only the pickle says. */
static void check_pickled_config(const char *path)
{
    static struct member members[400];
    struct pool pool = {.limit = 64 << 20};
    struct pickle p;
    struct error err;
    int n;

    read_members(members, &n, path);
    if (pickle_read(&p, &pool, members[0].bytes, members[0].n, &err))
        check_fail("%s", err.text);
    const struct pickle_value *config = pickle_get(p.root, "config");
    assert_non_null(config);
    const struct pickle_value *convs = pickle_get(config, "extractor_conv_layer_config");
    assert_int_equal(convs->kind, PICKLE_LIST);
    for (size_t i = 0; i < convs->items.n; i++) {
        assert_int_equal(convs->items.at[i]->kind, PICKLE_TUPLE);
        assert_int_equal(convs->items.at[i]->items.n, 3);
    }
    assert_int_equal(pickle_get(config, "encoder_remaining_heads")->items.at[0]->kind, PICKLE_LIST);
    assert_int_equal(pickle_get(config, "encoder_ff_interm_dropout")->kind, PICKLE_FLOAT);
    assert_int_equal(pickle_get(config, "encoder_layer_drop")->kind, PICKLE_FLOAT);
    assert_int_equal(pickle_get(config, "encoder_embed_dim")->kind, PICKLE_INT);
    assert_int_equal(pickle_get(config, "encoder_layer_norm_first")->kind, PICKLE_BOOL);
    assert_int_equal(pickle_get(config, "aux_num_out")->kind, PICKLE_NONE);
    pool_release(&pool);
    free_members(members, n);
}

/* The config, as upstream has it: keys, order, values. */
static void compare_config(const struct checkpoint *c, const char *path)
{
    char *text = check_read(path);
    cJSON *got = cJSON_Parse(c->config), *want = cJSON_Parse(text);
    const cJSON *g = cJSON_GetObjectItemCaseSensitive(got, "wavlm")->child, *w;

    cJSON_ArrayForEach(w, want)
    {
        assert_non_null(g);
        assert_string_equal(g->string, w->string);
        assert_true(cJSON_Compare(g, w, 1));
        g = g->next;
    }
    assert_null(g);
    cJSON_Delete(got);
    cJSON_Delete(want);
    free(text);
}

static void test_torch(void **state)
{
    const char *name = *state, *left_out;
    struct subject s;
    struct checkpoint c;
    struct error err;

    subject_open(&s, check_path("golden/%s/model.pt", name), DTYPE_F32);
    if (export_torch(&s.e, inside("model.pt"), &left_out, &err))
        check_fail("%s", err.text);
    assert_null(left_out);
    compare_zip(inside("model.pt"), check_path("golden/%s/model.pt", name));
    check_pickled_config(inside("model.pt"));
    compare_file(inside("model.pt"), &s);
    check_open(&c, inside("model.pt"));
    compare_config(&c, check_path("golden/%s/model.config.json", name));
    for (int i = 0; i < c.n_tensors; i++) // used in place, as torch aligns them
        assert_true(!tensor_count(&c.tensors[i]) || (uintptr_t)c.tensors[i].data % 64 == 0);
    checkpoint_close(&c);
    subject_close(&s);
}

/* A DiariZen folder from a DiariZen folder: weights as upstream saves them. */
static void test_torch_diarizen(void **state)
{
    (void)state;
    const char *left_out;
    struct subject s;
    struct error err;
    char *wavlm = check_read(check_path("golden/diarizen_tiny/wavlm.config.json")), config[8192];
    char *readout = check_read(check_path("golden/diarizen_tiny/model.args.json"));

    check_open(&s.c, check_path("golden/diarizen_tiny/pytorch_model.bin"));
    snprintf(config, sizeof(config), "{\"wavlm\":%s,\"readout\":%s}", wavlm, readout);
    s.c.config = config;
    struct reach reach = reach_offline(N_SAMPLES);
    if (model_open(&s.m, &s.c, &reach, &err) || export_open(&s.e, &s.m, &s.c, DTYPE_F32, &err) ||
        export_torch(&s.e, inside("new/"), &left_out, &err) ||
        export_torch(&s.e, inside("new"), &left_out, &err) || // over itself
        export_torch(&s.e, inside("pytorch_model.bin"), &left_out, &err))
        check_fail("%s", err.text);
    for (int i = 0; i < 2; i++)
        compare_zip(inside(i ? "pytorch_model.bin" : "new/pytorch_model.bin"),
                    check_path("golden/diarizen_tiny/pytorch_model.bin"));
    check_pickled_config(inside("new/wavlm.pt"));
    compare_file(inside("new"), &s);
    char *toml = check_read(inside("new/config.toml"));
    assert_non_null(strstr(toml, "wavlm_src = \"wavlm.pt\"\n"));
    assert_non_null(strstr(toml, "live = \"block-causal\""));
    free(toml);
    free(wavlm);
    free(readout);
    subject_close(&s);
}

/* --- every layout from every other -------------------------------------- */

/* antiphon -> torch -> antiphon, of upstream's pruned shape, whose name upstream knows. */
static void test_chain(void **state)
{
    (void)state;
    const char *left_out;
    struct subject s, t;
    struct error err;

    random_subject(&s, "base-s80", "block-causal");
    s.m.config.left_frames = 600;
    if (export_torch(&s.e, inside("d/"), &left_out, &err))
        check_fail("%s", err.text);
    compare_file(inside("d"), &s);
    assert_int_equal(access(inside("d/wavlm.pt"), F_OK), -1); // the name is enough
    char *toml = check_read(inside("d/config.toml"));
    assert_non_null(strstr(toml, "wavlm_src = \"wavlm_base_s80_md\"\n"));
    free(toml);
    subject_open(&t, inside("d"), DTYPE_F32);
    assert_int_equal(t.m.config.live, LIVE_BLOCK_CAUSAL);
    assert_int_equal(t.m.config.left_frames, 600);
    if (export_antiphon(&t.e, inside("m.safetensors"), t.c.config, "a test", &err))
        check_fail("%s", err.text);
    subject_close(&t);
    compare_file(inside("m.safetensors"), &s);
    random_close(&s);
}

/* The cut config of a gated student, whose keys were hidden (gated.h), as prune has it: its
 * model had no gates when it was opened. */
static char *without_gates(char *config)
{
    cJSON *root, *item;
    char *at;

    while ((at = strstr(config, "_xrune_")) != NULL)
        at[1] = 'p';
    root = cJSON_Parse(config);
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(root, "wavlm"))
    {
        if (strstr(item->string, "_prune"))
            item->type = cJSON_False;
    }
    free(config);
    config = cJSON_PrintUnformatted(root);
    cJSON_Delete(root);
    return config;
}

/* A model that was pruned here: upstream's config of its own cut, key by key, and the same
 * answers when it is read again. */
static void test_pruned_here(void **state)
{
    (void)state;
    static const char name[] = "prune_large_tiny";
    struct reach reach = whole(N_SAMPLES, 1);
    struct checkpoint student, c;
    struct model gated;
    struct subject s = {0};
    struct gates g;
    struct error err;
    const char *left_out;
    char *config = read_config(name), *cut_config;

    check_open(&student, check_path("golden/%s/student.pt", name));
    if (model_open_config(&gated, config, &reach, &err) ||
        gates_open(&g, &gated.config, 7, 1, &err))
        check_fail("%s", err.text);
    for (int i = 0; i < gated.n_params; i++)
        memcpy(*param_slot(&gated.params, &gated.list[i]),
               floats(&student, gated.list[i].name, ""),
               param_count(&gated.list[i]) * sizeof(float));
    take_log_alpha(&g, &student);
    gates_settle(&g);
    if (shrink(&s.m, &cut_config, &gated, config, &g, &reach, &err))
        check_fail("%s", err.text);
    s.c.config = cut_config = without_gates(cut_config);
    if (export_open(&s.e, &s.m, &s.c, DTYPE_F32, &err) ||
        export_torch(&s.e, inside("cut.pt"), &left_out, &err))
        check_fail("%s", err.text);
    check_pickled_config(inside("cut.pt"));
    compare_file(inside("cut.pt"), &s);
    check_open(&c, inside("cut.pt"));
    compare_config(&c, check_path("golden/%s/pruned.config.json", name));
    checkpoint_close(&c);
    export_close(&s.e);
    model_close(&s.m);
    model_close(&gated);
    gates_close(&g);
    checkpoint_close(&student);
    free(cut_config);
    free(config);
}

/* An encoder without waveform normalisation, unlike Large's, and with an embedding, which is
 * not upstream's. */
static void test_left_out(void **state)
{
    (void)state;
    const char *left_out;
    struct subject s, t;
    struct error err;

    random_subject(&s, "small", "window");
    if (export_torch(&s.e, inside("d/"), &left_out, &err))
        check_fail("%s", err.text);
    assert_non_null(strstr(left_out, "embedding"));
    if (export_hf(&s.e, inside("h"), &left_out, &err))
        check_fail("%s", err.text);
    assert_non_null(strstr(left_out, "readout"));
    subject_open(&t, inside("h"), DTYPE_F32);
    assert_memory_equal(&t.m.config.wavlm, &s.m.config.wavlm, sizeof(s.m.config.wavlm));
    for (int i = 0; i < t.e.n_tensors; i++)
        assert_memory_equal(t.e.tensors[i].data, s.e.tensors[i].data,
                            4 * tensor_count(&t.e.tensors[i]));
    subject_close(&t);
    check_open(&t.c, inside("d"));
    assert_null(checkpoint_find(&t.c, "embedding.weight"));
    assert_int_equal(t.c.n_tensors, s.m.n_params - 2);
    checkpoint_close(&t.c);
    random_close(&s);
}

static void test_hf(void **state)
{
    const char *name = *state, *left_out;
    struct subject s;
    struct checkpoint got, want;
    struct error err;

    subject_open(&s, check_path("golden/%s/%s", name, name), DTYPE_F32);
    if (export_hf(&s.e, inside("out/"), &left_out, &err))
        check_fail("%s", err.text);
    assert_null(left_out);
    compare_file(inside("out"), &s);
    check_open(&got, inside("out/model.safetensors"));
    check_open(&want, check_path("golden/%s/%s/%s", name, name, strstr(name, "base") ?
                                 "pytorch_model.bin" : "model.safetensors"));
    for (int i = 0; i < want.n_tensors; i++) {
        const struct tensor *w = &want.tensors[i], *g = checkpoint_find(&got, w->name);
        if (!strcmp(w->name, "masked_spec_embed"))
            continue; // of pre-training; config.json says that there is no masking
        if (!g || memcmp(g->data, w->data, 4 * tensor_count(w)))
            check_fail("%s", w->name);
    }
    assert_int_equal(got.n_tensors + 1, want.n_tensors);
    checkpoint_close(&got);
    checkpoint_close(&want);
    subject_close(&s);
}

static void test_refused(void **state)
{
    (void)state;
    const char *left_out;
    struct subject s;
    struct error err;

    subject_open(&s, check_path("golden/wavlm_pruned_tiny/model.pt"), DTYPE_F32);
    assert_int_equal(export_hf(&s.e, inside("h"), &left_out, &err), -1);
    assert_non_null(strstr(err.text, "h: layer 0 is pruned"));
    assert_int_equal(access(inside("h"), F_OK), -1);
    assert_int_equal(export_torch(&s.e, inside("no/such"), &left_out, &err), -1);
    assert_non_null(strstr(err.text, "cannot be made"));
    assert_int_equal(export_torch(&s.e, "/dev/full", &left_out, &err), -1);
    assert_int_equal(export_torch(&s.e, folder, &left_out, &err), -1);
    assert_non_null(strstr(err.text, "is a folder"));
    subject_close(&s);

    subject_open(&s, check_path("golden/wavlm_group_norm_tiny/model.pt"), DTYPE_F32);
    assert_int_equal(export_hf(&s.e, inside("h"), &left_out, &err), -1);
    assert_non_null(strstr(err.text, "dummy_weight"));
    subject_close(&s);

    random_subject(&s, "fbank", "window");
    assert_int_equal(export_hf(&s.e, inside("h"), &left_out, &err), -1);
    assert_non_null(strstr(err.text, "filter banks"));
    assert_int_equal(export_torch(&s.e, inside("h"), &left_out, &err), -1);
    assert_non_null(strstr(err.text, "filter banks"));
    synthetic_text(folder, "file", "");
    random_close(&s);
    random_subject(&s, "small", "window");
    assert_int_equal(export_hf(&s.e, inside("file"), &left_out, &err), -1);
    assert_non_null(strstr(err.text, "it is a file"));
    random_close(&s);
}

int main(void)
{
    static char *torch[] = {"wavlm_group_norm_tiny", "wavlm_pruned_tiny", "wavlm_noattn0_tiny",
                            "wavlm_oddkernel_bias_tiny"};
    static char *hf[] = {"hf-wavlm-base-tiny", "hf-wavlm-large-tiny"};
    const struct CMUnitTest tests[] = {
        {"torch group_norm", test_torch, setup, teardown, torch[0]},
        {"torch pruned", test_torch, setup, teardown, torch[1]},
        {"torch noattn0", test_torch, setup, teardown, torch[2]},
        {"torch oddkernel_bias", test_torch, setup, teardown, torch[3]},
        cmocka_unit_test_setup_teardown(test_torch_diarizen, setup, teardown),
        cmocka_unit_test_setup_teardown(test_chain, setup, teardown),
        cmocka_unit_test_setup_teardown(test_pruned_here, setup, teardown),
        cmocka_unit_test_setup_teardown(test_left_out, setup, teardown),
        {"hf base", test_hf, setup, teardown, hf[0]},
        {"hf large", test_hf, setup, teardown, hf[1]},
        cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
    };
    op_set_threads(1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
