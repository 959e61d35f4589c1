// SPDX-License-Identifier: MIT
/* test_folder.c - models that are folders: what upstream's own import makes of the
 * same files, however the weights are kept, and what is said of bad ones. */
#include "synthetic.h"

#include "model/checkpoint_read.h"
#include "model/model.h"
#include "model/op.h"

#include <cjson/cJSON.h>

static char folder[64];

static int setup(void **state)
{
    (void)state;
    synthetic_folder(folder);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    synthetic_remove(folder);
    return 0;
}

static const char *inside(const char *name)
{
    static char paths[4][256];
    static int turn;
    char *path = paths[turn++ % 4];

    snprintf(path, 256, "%s/%s", folder, name);
    return path;
}

static void copy_text(const char *name, const char *from)
{
    char *text = check_read(from);

    synthetic_text(folder, name, text);
    free(text);
}

static void link_file(const char *name, const char *to)
{
    char absolute[4096];

    assert_non_null(realpath(to, absolute));
    assert_int_equal(symlink(absolute, inside(name)), 0);
}

/* Every tensor of want is in got, bit for bit, and no other. */
static void compare_tensors(const struct checkpoint *got, const struct checkpoint *want)
{
    assert_int_equal(got->n_tensors, want->n_tensors);
    for (int i = 0; i < want->n_tensors; i++) {
        const struct tensor *w = &want->tensors[i], *g = checkpoint_find(got, w->name);
        if (!g)
            check_fail("%s is missing", w->name);
        assert_int_equal(g->dtype, w->dtype);
        assert_int_equal(g->n_axes, w->n_axes);
        assert_memory_equal(g->size, w->size, (size_t)w->n_axes * sizeof(*w->size));
        if (memcmp(g->data, w->data, tensor_count(w) * 4))
            check_fail("%s differs", w->name);
    }
}

static void compare_config(const struct checkpoint *c, const char *section, const char *path)
{
    char *text = check_read(path);
    cJSON *got = cJSON_Parse(c->config), *want = cJSON_Parse(text);

    assert_true(cJSON_Compare(cJSON_GetObjectItemCaseSensitive(got, section), want, 1));
    assert_string_equal(cJSON_GetObjectItemCaseSensitive(got, "live")->valuestring, "window");
    cJSON_Delete(got);
    cJSON_Delete(want);
    free(text);
}

/* The representations that upstream's code computes from upstream's import. */
static void compare_outputs(const struct checkpoint *c, const char *io_path)
{
    struct checkpoint io;
    struct model m;
    struct model_state s;
    struct model_acts a;
    struct error err;
    struct block b;

    check_open(&io, io_path);
    const struct tensor *wave = checkpoint_find(&io, "in.wave");
    int64_t n = wave->size[wave->n_axes - 1];
    struct reach reach = reach_offline(n);
    if (model_open(&m, c, &reach, &err) || model_state_open(&s, &m, &err) ||
        model_acts_open(&a, &m, &err))
        check_fail("%s", err.text);
    assert_int_equal(block_next(&b, &s.at, n, 1, reach.block_frames, 0), 1);
    model_forward(&a, &s, &m, wave->data, &b, 1);
    for (int i = 0; i <= m.config.wavlm.n_layers; i++) {
        char name[32];
        snprintf(name, sizeof(name), "out.rep.%d", i);
        const struct tensor *want = checkpoint_find(&io, name);
        assert_non_null(want);
        check_close(name, a.encoder.rep[i], want->data, tensor_count(want), 1e-5);
    }
    model_acts_close(&a);
    model_state_close(&s);
    model_close(&m);
    checkpoint_close(&io);
}

#define BASE "golden/hf-wavlm-base-tiny/"
#define LARGE "golden/hf-wavlm-large-tiny/"

static void check_base(const char *path)
{
    struct checkpoint c, want;

    check_open(&c, path);
    check_open(&want, check_path(BASE "converted.safetensors"));
    compare_tensors(&c, &want);
    compare_config(&c, "wavlm", check_path(BASE "converted.config.json"));
    checkpoint_close(&want);
    checkpoint_close(&c);
}

static void test_hf_base(void **state)
{
    (void)state;
    struct checkpoint c;

    check_base(check_path(BASE "hf-wavlm-base-tiny"));
    check_open(&c, check_path(BASE "hf-wavlm-base-tiny"));
    compare_outputs(&c, check_path(BASE "io.safetensors"));
    checkpoint_close(&c);
}

static void test_hf_large(void **state)
{
    (void)state;
    struct checkpoint c, from;
    char *text = check_read(check_path(LARGE "name_mapping.json"));
    cJSON *map = cJSON_Parse(text), *item;
    int n = 0;

    check_open(&c, check_path(LARGE "hf-wavlm-large-tiny"));
    check_open(&from, check_path(LARGE "hf-wavlm-large-tiny/model.safetensors"));
    cJSON_ArrayForEach(item, map)
    {
        const struct tensor *f = checkpoint_find(&from, item->string);
        if (!f || !cJSON_IsString(item))
            continue; // the mask embedding
        const struct tensor *g = checkpoint_find(&c, item->valuestring);
        if (!g || memcmp(g->data, f->data, 4 * tensor_count(f)))
            check_fail("%s", item->valuestring);
        n++;
    }
    assert_int_equal(n + 1, c.n_tensors); // and dummy_weight
    compare_config(&c, "wavlm", check_path(LARGE "converted.config.json"));
    compare_outputs(&c, check_path(LARGE "io.safetensors"));
    cJSON_Delete(map);
    free(text);
    checkpoint_close(&from);
    checkpoint_close(&c);
}

/* What WavLMForX adds, and newer torch's spelling of the weight norm. */
static void respell(struct tensor *t, char names[][200], int n)
{
    for (int i = 0; i < n; i++) {
        const char *g = strstr(t[i].name, "weight_g"), *v = strstr(t[i].name, "weight_v");
        const char *at = g ? g : v;
        if (!strcmp(t[i].name, "masked_spec_embed") || !at)
            snprintf(names[i], 200, "wavlm.%s", t[i].name);
        else
            snprintf(names[i], 200, "wavlm.%.*sparametrizations.weight.original%d",
                     (int)(at - t[i].name), t[i].name, v != NULL);
        t[i].name = names[i];
    }
}

static void write_index(const struct tensor *t, int n, int n_first)
{
    cJSON *root = cJSON_CreateObject(), *map = cJSON_AddObjectToObject(root, "weight_map");
    char *text;

    for (int i = 0; i < n; i++)
        cJSON_AddStringToObject(map, t[i].name, i < n_first ? "a.safetensors" : "b.safetensors");
    text = cJSON_Print(root);
    synthetic_text(folder, "model.safetensors.index.json", text);
    free(text);
    cJSON_Delete(root);
}

/* The base model in two shards, with the prefix, the other spelling and a head. */
static void make_shards(void)
{
    static char names[100][200];
    static const float head[4] = {1, 2, 3, 4};
    struct checkpoint c;
    struct error err;
    struct tensor t[101];
    int n;

    check_open(&c, check_path(BASE "hf-wavlm-base-tiny/pytorch_model.bin"));
    n = c.n_tensors;
    assert_true(n < 100);
    memcpy(t, c.tensors, (size_t)n * sizeof(*t));
    respell(t, names, n);
    t[n] = (struct tensor){"classifier.weight", DTYPE_F32, 2, {2, 2}, head};
    write_index(t, n + 1, n / 3);
    copy_text("config.json", check_path(BASE "hf-wavlm-base-tiny/config.json"));
    if (safetensors_write(inside("a.safetensors"), t, n / 3, &err) ||
        safetensors_write(inside("b.safetensors"), t + n / 3, n + 1 - n / 3, &err))
        check_fail("%s", err.text);
    checkpoint_close(&c);
}

static void test_hf_shards(void **state)
{
    (void)state;
    make_shards();
    check_base(folder);
}

/* do_normalize of the preprocessor's config counts. */
static void test_hf_preprocessor(void **state)
{
    (void)state;
    struct checkpoint c;

    make_shards();
    synthetic_text(folder, "preprocessor_config.json", "{\"do_normalize\": true}");
    check_open(&c, folder);
    assert_non_null(strstr(c.config, "\"normalize_waveform\":true"));
    checkpoint_close(&c);
}

/* --- DiariZen ---------------------------------------------------------- */

static const char arguments[] =
    "[model]\npath = \"diarizen.models.eend.model_wavlm_conformer.Model\"\n[model.args]\n";

static void write_toml(const char *lines)
{
    char text[8192];

    snprintf(text, sizeof(text), "%s%s", arguments, lines);
    synthetic_text(folder, "config.toml", text);
}

static void test_diarizen(void **state)
{
    (void)state;
    struct checkpoint c, want;
    struct error err;
    char *wavlm = check_read(check_path("golden/diarizen_tiny/wavlm.config.json")), config[4096];
    const float one = 1;
    struct tensor t = {"unused", DTYPE_F32, 0, {0}, &one};

    copy_text("config.toml", check_path("golden/diarizen_tiny/config.toml"));
    link_file("pytorch_model.bin", check_path("golden/diarizen_tiny/pytorch_model.bin"));
    snprintf(config, sizeof(config), "{\"wavlm\":%s}", wavlm);
    if (checkpoint_write(inside("wavlm.pt"), &t, 1, config, NULL, &err)) // only its config counts
        check_fail("%s", err.text);
    check_open(&c, folder);
    check_open(&want, check_path("golden/diarizen_tiny/pytorch_model.bin"));
    compare_config(&c, "wavlm", check_path("golden/diarizen_tiny/wavlm.config.json"));
    compare_config(&c, "readout", check_path("golden/diarizen_tiny/model.args.json"));
    assert_int_equal(c.n_tensors, want.n_tensors);
    for (int i = 0; i < c.n_tensors; i++) {
        assert_string_equal(c.tensors[i].name, want.tensors[i].name);
        assert_memory_equal(c.tensors[i].data, want.tensors[i].data,
                            tensor_count(&want.tensors[i]) * dtype_bytes(want.tensors[i].dtype));
    }
    checkpoint_close(&want);
    checkpoint_close(&c);
    free(wavlm);
}

/* Upstream's names of shapes; upstream's defaults; comments and literal texts. */
static void test_diarizen_shapes(void **state)
{
    (void)state;
    static const char *const shapes[][2] = {{"wavlm_base", "base"}, {"wavlm_large", "large"},
                                            {"wavlm_base_s80_md", "base-s80"},
                                            {"wavlm_large_s80_md", "large-s80"}};
    const float one = 1;
    struct tensor t[] = {{"weight_sum.weight", DTYPE_F32, 0, {0}, &one},
                         {"loss_func.weight", DTYPE_F32, 0, {0}, &one}};
    struct error err;

    for (size_t i = 0; i < 4; i++) {
        struct checkpoint c;
        char lines[256], *json = config_arch_json(shapes[i][1], &err);
        cJSON *want = cJSON_Parse(json), *got;
        snprintf(lines, sizeof(lines), "wavlm_src = '%s' # theirs\n chunk_size=16\n"
                 "[other]\n what = [1,\n2]\n%0130d\n", shapes[i][0], 1);
        write_toml(lines);
        assert_int_equal(safetensors_write(inside("pytorch_model.bin"), t, 2, &err), 0);
        check_open(&c, folder);
        assert_int_equal(c.n_tensors, 1); // what the trainer left is dropped
        got = cJSON_Parse(c.config);
        assert_true(cJSON_Compare(cJSON_GetObjectItemCaseSensitive(got, "wavlm"),
                                  cJSON_GetObjectItemCaseSensitive(want, "wavlm"), 1));
        const cJSON *readout = cJSON_GetObjectItemCaseSensitive(got, "readout");
        assert_int_equal(cJSON_GetObjectItemCaseSensitive(readout, "chunk_size")->valueint, 16);
        assert_int_equal(cJSON_GetObjectItemCaseSensitive(readout, "kernel_size")->valueint, 31);
        cJSON_Delete(got);
        cJSON_Delete(want);
        free(json);
        checkpoint_close(&c);
    }
}

/* --- bad ones ----------------------------------------------------------- */

static void refused(const char *words)
{
    struct checkpoint c;
    struct error err = {""};

    if (!checkpoint_open(&c, folder, &err))
        check_fail("accepted, but should say '%s'", words);
    if (strncmp(err.text, folder, strlen(folder)) || !strstr(err.text, words) ||
        strchr(err.text, '\n'))
        check_fail("says '%s', but should say '%s'", err.text, words);
    assert_null(c.storage);
}

static void test_bad_toml(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"wavlm_src = \"wavlm_base\"\n", "no weights"},
        {"num_head = 4\n", "names no wavlm_src"},
        {"wavlm_src = 4\n", "names no wavlm_src"},
        {"wavlm_src = \"\"\n", "names no wavlm_src"},
        {"wavlm_src = \"nowhere.pt\"\n", "wavlm_src, which is neither"},
        {"wavlm_src = \"config.toml\"\n", "wavlm_src"},
        {"wavlm_src = \"/dev/zero\"\n", "no regular file"},
        {"wavlm_src = \"wavlm_base\nnum_head = 4\n", "line 4: \"wavlm_src\": value"},
        {"wavlm_src = \"wavlm_base\" 7\n", "is not understood"},
        {"wavlm_src = \"a\"\nwavlm_src = \"b\"\n", "line 5: \"wavlm_src\": stands there twice"},
        {"num_head = [4]\n", "should be a number"},
        {"num_head = {}\n", "should be a number"},
        {"num_head = null\n", "should be a number"},
        {"num_head = 1_000\n", "is not understood"},
        {"num_head = \n", "is not understood"},
        {"a = 1\nnonsense\nb = 1\n", "line 5: is no \"name = value\""},
        {"a = \"\xff\"\n", "UTF-8"},
        {"a = 'open\n", "is not understood"},
        {"[model.args]\n", "more than one [model.args]"},
        {"[other]\nb = [1,\n2]\n[model.args]\na\n", "line 8: is no"},
    };
    char many[2048] = "";

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        write_toml(cases[i][0]);
        refused(cases[i][1]);
    }
    for (int i = 0; i < 65; i++)
        snprintf(many + strlen(many), sizeof(many) - strlen(many), "a%d = 1\n", i);
    write_toml(many);
    refused("one argument too many");
    synthetic_text(folder, "config.toml", "[model]\na = 1\n");
    refused("has no [model.args]");
    memset(many, 'x', 1000);
    memcpy(many, "a = \"", 5);
    strcpy(many + 1000, "\"\n");
    write_toml(many);
    refused("is not understood");
}

static void test_bad_hf(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"", "config.json: config is not JSON"},
        {"{\"model_type\":\"wavlm\"}", "no weights"},
        {"{}", "no \"model_type\""},
        {"[]", "no \"model_type\""},
        {"{\"model_type\":\"hubert\"}", "only wavlm is supported"},
        {"{\"model_type\":\"wavlm\",\"hidden_size\":-1}", "\"hidden_size\" should be"},
        {"{\"model_type\":\"wavlm\",\"hidden_size\":1e300}", "\"hidden_size\" should be"},
        {"{\"model_type\":\"wavlm\",\"num_hidden_layers\":65}", "from 1 to 64"},
        {"{\"model_type\":\"wavlm\",\"num_attention_heads\":1.5}", "whole number"},
        {"{\"model_type\":\"wavlm\",\"conv_dim\":3}", "should be a list"},
        {"{\"model_type\":\"wavlm\",\"conv_dim\":[]}", "same number of entries"},
        {"{\"model_type\":\"wavlm\",\"conv_dim\":[1,2,3]}", "same number of entries"},
        {"{\"model_type\":\"wavlm\",\"conv_dim\":[1,2,3,4,5,6,7,8,9]}", "more than 8"},
        {"{\"model_type\":\"wavlm\",\"conv_dim\":[null]}", "\"conv_dim\" should be"},
        {"{\"model_type\":\"wavlm\",\"conv_bias\":0}", "true or false"},
        {"{\"model_type\":\"wavlm\",\"layerdrop\":1}", "from 0 to 1"},
        {"{\"model_type\":\"wavlm\",\"hidden_act\":\"relu\"}", "only gelu is known"},
        {"{\"model_type\":\"wavlm\",\"feat_extract_norm\":7}", "no text"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        synthetic_text(folder, "config.json", cases[i][0]);
        refused(cases[i][1]);
    }
}

/* Indexes over the files a.safetensors {x, y} and b.safetensors {x}. */
static void test_bad_index(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"{", "index is not JSON"},
        {"{}", "no \"weight_map\""},
        {"{\"weight_map\":[]}", "no \"weight_map\""},
        {"{\"weight_map\":{}}", "names no tensor"},
        {"{\"weight_map\":{\"x\":7}}", "no file of this folder"},
        {"{\"weight_map\":{\"x\":\"../a.safetensors\"}}", "no file of this folder"},
        {"{\"weight_map\":{\"x\":\".\"}}", "no file of this folder"},
        {"{\"weight_map\":{\"x\":\"\"}}", "no file of this folder"},
        {"{\"weight_map\":{\"x\":\"c\"}}", "cannot be opened"},
        {"{\"weight_map\":{\"x\":\"loop\"}}", "is a folder"},
        {"{\"weight_map\":{\"x\":\"a.safetensors\"}}", "names 1 tensors, its files hold 2"},
        {"{\"weight_map\":{\"z\":\"a.safetensors\"}}", "'z' is not in a.safetensors"},
        {"{\"weight_map\":{\"x\":\"a.safetensors\",\"x\":\"b.safetensors\"}}", "twice"},
        {"{\"weight_map\":{\"x\":\"a.safetensors\",\"y\":\"a.safetensors\"}}",
         "holds no tensor of a WavLM"},
    };
    const float one = 1;
    struct tensor t[] = {{"x", DTYPE_F32, 0, {0}, &one}, {"y", DTYPE_F32, 0, {0}, &one}};
    struct error err;

    assert_int_equal(safetensors_write(inside("a.safetensors"), t, 2, &err), 0);
    assert_int_equal(safetensors_write(inside("b.safetensors"), t, 1, &err), 0);
    assert_int_equal(symlink(".", inside("loop")), 0);
    synthetic_text(folder, "config.json", "{\"model_type\":\"wavlm\"}");
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        synthetic_text(folder, "model.safetensors.index.json", cases[i][0]);
        refused(cases[i][1]);
    }
}

static void test_no_model(void **state)
{
    (void)state;
    refused("is a folder without a model; expected config.json beside");
    assert_int_equal(symlink(".", inside("pytorch_model.bin")), 0);
    write_toml("wavlm_src = \"wavlm_base\"\n");
    refused("is a folder");
    unlink(inside("config.toml"));
    assert_int_equal(symlink("/dev/zero", inside("config.json")), 0);
    refused("expected a regular file");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hf_base),
        cmocka_unit_test(test_hf_large),
        cmocka_unit_test_setup_teardown(test_hf_shards, setup, teardown),
        cmocka_unit_test_setup_teardown(test_hf_preprocessor, setup, teardown),
        cmocka_unit_test_setup_teardown(test_diarizen, setup, teardown),
        cmocka_unit_test_setup_teardown(test_diarizen_shapes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bad_toml, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bad_hf, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bad_index, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_model, setup, teardown),
    };
    op_set_threads(1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
