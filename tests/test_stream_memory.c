// SPDX-License-Identifier: MIT
/* test_stream_memory.c - memory may end wherever a model, a source, a sink, the
 * control port, the engine, a file of turns or a picture is opened: one clear
 * line, nothing lost, nothing left behind. */
#include "check.h"
#include "starve.h"

#include "model/builtin.h"
#include "model/model.h"
#include "model/op.h"
#include "stream/audio_file.h"
#include "stream/engine.h"
#include "stream/plot.h"
#include "stream/plot_curves.h"
#include "stream/rttm.h"
#include "stream/score.h"

#include <dirent.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static char folder[] = "/tmp/antiphon-starve-XXXXXX";

static const char *inside(const char *name)
{
    static char path[300];

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    return path;
}

static int is_file(const struct dirent *e)
{
    return strspn(e->d_name, ".") != strlen(e->d_name);
}

/* Files in the folder; they are removed. (scandir's memory is the C library's affair.) */
static int clear_folder(void)
{
    struct dirent **list;
    int n = scandir(folder, &list, is_file, NULL);

    assert_true(n >= 0);
    for (int i = 0; i < n; i++) {
        unlink(inside(list[i]->d_name));
        free(list[i]);
    }
    free(list);
    return n;
}

static int open_model_from(const struct checkpoint *c, struct error *err)
{
    const struct reach reach = {.block_frames = 8, .left_frames = 20, .n_blocks = 1};
    struct model m;
    struct model_state state = {0};
    struct model_acts acts = {0};
    int status;

    if (model_open(&m, c, &reach, err))
        return -1;
    status = model_state_open(&state, &m, err) || model_acts_open(&acts, &m, err) ? -1 : 0;
    model_acts_close(&acts);
    model_state_close(&state);
    model_close(&m);
    return status;
}

static int open_model(void *path, struct error *err)
{
    struct checkpoint c;
    int status;

    if (checkpoint_open(&c, path, err))
        return -1;
    status = open_model_from(&c, err);
    checkpoint_close(&c);
    return status;
}

static int open_builtin(void *nothing, struct error *err)
{
    struct checkpoint c;
    int status;

    if (checkpoint_open_memory(&c, builtin_model, builtin_model_bytes(), "built-in", err))
        return -1;
    status = open_model_from(&c, err);
    checkpoint_close(&c);
    return status;
}

static int open_arch(void *name, struct error *err)
{
    const struct reach reach = reach_defaults();
    struct model m;

    if (model_open_arch(&m, name, 1, &reach, err))
        return -1;
    model_close(&m);
    return 0;
}

/* The same tensors in our own format, half of them in half precision. */
static void write_antiphon(const char *path, const char *torch)
{
    static const uint16_t zeros[1 << 16];
    struct checkpoint c;
    struct error err;

    check_open(&c, torch);
    for (int i = 0; i < c.n_tensors; i += 2) {
        if (tensor_count(&c.tensors[i]) <= 1 << 16 && c.tensors[i].n_axes == 2) {
            c.tensors[i].dtype = DTYPE_F16;
            c.tensors[i].data = zeros;
        }
    }
    if (checkpoint_write(path, c.tensors, c.n_tensors, c.config, "a test", &err))
        check_fail("%s", err.text);
    checkpoint_close(&c);
}

static void test_models(void **state)
{
    char path[512], own[300];

    (void)state;
    starve_json(1);
    snprintf(path, sizeof(path), "%s", check_path("golden/wavlm_pruned_tiny/model.pt"));
    assert_true(starve("torch model", open_model, path) > 5);
    snprintf(own, sizeof(own), "%s", inside("model.safetensors"));
    write_antiphon(own, path);
    assert_true(starve("antiphon model", open_model, own) > 5);
    clear_folder();
    assert_true(starve("built-in", open_builtin, NULL) > 5);
    assert_true(starve("architecture", open_arch, "nano") > 5);
    starve_json(0);
}

static int read_audio(void *path, struct error *err)
{
    float *samples;
    size_t n;

    if (audio_file_read(&samples, &n, path, 0, err))
        return -1;
    free(samples);
    return 0;
}

static int open_source(void *path, struct error *err)
{
    struct source_settings settings = source_defaults();
    struct source *s;
    int status;

    settings.input = path;
    settings.fast = 1;
    if (source_open(&s, &settings, err))
        return -1;
    status = source_start(s, err);
    source_close(&s);
    return status;
}

static void test_audio(void **state)
{
    char path[512];

    (void)state;
    snprintf(path, sizeof(path), "%s", check_path("audio/ami_EN2004a_first30s.flac"));
    assert_true(starve("audio file", read_audio, path) > 2);
    assert_true(starve("source", open_source, path) > 2);
}

/* All kinds; a file that could not be opened is not there, and nothing else is. */
static int open_sinks(void *nothing, struct error *err)
{
    static const struct {
        const struct sink_kind *kind;
        const char *name;
    } files[] = {{&sink_rttm, "a.rttm"}, {&sink_jsonl, "a.jsonl"}, {&sink_labels, "a.txt"},
                 {&sink_labels, "a.vtt"}, {&sink_labels, "a.TextGrid"}};
    struct sinks sinks = {0};
    struct error trouble;
    int status = sinks_add(&sinks, NULL, NULL, err);

    for (size_t i = 0; status == 0 && i < sizeof(files) / sizeof(*files); i++)
        status = sinks_add(&sinks, files[i].kind, inside(files[i].name), err);
    if (status == 0)
        status = sinks_add(&sinks, &sink_osc, "127.0.0.1:9", err);
    if (status == 0)
        status = sinks_start(&sinks, err);
    if (sinks_close(&sinks, &trouble) && status == 0)
        status = fail(err, "%s", trouble.text);
    clear_folder();
    return status;
}

static void test_sinks(void **state)
{
    (void)state;
    assert_true(starve("sinks", open_sinks, NULL) > 10);
}

static int free_port(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(at);
    int fd = socket(AF_INET, SOCK_DGRAM, 0);

    assert_true(fd >= 0 && bind(fd, (struct sockaddr *)&at, sizeof(at)) == 0);
    getsockname(fd, (struct sockaddr *)&at, &size);
    close(fd);
    return ntohs(at.sin_port);
}

static int open_control(void *port, struct error *err)
{
    struct control *c;

    if (control_open(&c, *(int *)port, err))
        return -1;
    control_close(&c);
    return 0;
}

static void test_control(void **state)
{
    int port = free_port();

    (void)state;
    assert_true(starve("control", open_control, &port) > 3);
}

struct ready {
    struct checkpoint checkpoint;
    struct model model;
    char input[512];
};

static int open_engine(void *context, struct error *err)
{
    struct ready *r = context;
    struct source_settings source = source_defaults();
    struct engine_settings settings = {.model = &r->model, .decode = decode_defaults(),
                                       .model_name = "built-in"};
    struct sinks sinks = {0};
    struct engine *e = NULL;
    struct error trouble;
    int status;

    source.input = r->input;
    source.fast = 1;
    settings.sinks = &sinks;
    status = source_open(&settings.source, &source, err) ||
             sinks_add(&sinks, &sink_jsonl, "/dev/null", err) ||
             engine_open(&e, &settings, err) || sinks_start(&sinks, err) ||
             engine_start(e, err) ? -1 : 0;
    if (status == 0)
        engine_stop(e);
    engine_close(&e);
    sinks_close(&sinks, &trouble);
    source_close(&settings.source);
    return status;
}

static void test_engine(void **state)
{
    const struct reach reach = reach_defaults();
    struct ready r = {0};
    struct error err;

    (void)state;
    snprintf(r.input, sizeof(r.input), "%s", check_path("audio/ami_EN2004a_first30s.flac"));
    assert_int_equal(checkpoint_open_memory(&r.checkpoint, builtin_model, builtin_model_bytes(),
                                            "built-in", &err), 0);
    assert_int_equal(model_open(&r.model, &r.checkpoint, &reach, &err), 0);
    assert_true(starve("engine", open_engine, &r) > 5);
    model_close(&r.model);
    checkpoint_close(&r.checkpoint);
}

static const char turns_text[] = "SPEAKER r 1 0.0 1.5 <NA> <NA> a <NA> <NA>\n"
                                 "SPEAKER r 1 1.0 1.5 <NA> <NA> b <NA> <NA>\n"
                                 "SPEAKER s 1 0.0 1.0 <NA> <NA> c <NA> <NA>\n";

static int read_turns(void *path, struct error *err)
{
    struct turns t = {0};
    int status = turns_read(&t, path, err);

    turns_release(&t);
    return status;
}

static int parse_and_score(void *nothing, struct error *err)
{
    const struct score_settings settings = {0.0, 0};
    struct turns ref = {0}, sys = {0}, uem = {0};
    const struct field text = {turns_text, sizeof(turns_text) - 1}, area = {"r 1 0.0 3.0\n", 12};
    struct score score;
    int status = rttm_parse(&ref, text, err) || rttm_parse(&sys, text, err) ||
                 uem_parse(&uem, area, err) || turns_append(&ref, &sys, err) ||
                 score_recording(&score, NULL, &ref.list[0], &sys.list[0], &uem.list[0],
                                 &settings, err) ? -1 : 0;

    turns_release(&ref);
    turns_release(&sys);
    turns_release(&uem);
    return status;
}

static void write_file(const char *name, const char *text)
{
    FILE *f = fopen(inside(name), "w");

    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void test_turns(void **state)
{
    static const char *const names[] = {"t.rttm", "t.txt", "t.vtt", "t.TextGrid"};
    static const char *const texts[] = {
        turns_text, "0.0\t1.0\tAda\n0.5\t2.0\tBo\n",
        "WEBVTT\n\n00:00:01.000 --> 00:00:02.000\n<v Ada &amp; Bo>hello\n",
        "\"ooTextFile\"\n\"TextGrid\"\n0 2 <exists> 1\n\"IntervalTier\" \"Ada\" 0 2 1\n0 2 \"x\"\n",
    };
    char path[300];

    (void)state;
    for (int i = 0; i < 4; i++) {
        write_file(names[i], texts[i]);
        snprintf(path, sizeof(path), "%s", inside(names[i]));
        assert_true(starve(names[i], read_turns, path) > 4);
    }
    assert_true(starve("score", parse_and_score, NULL) > 10);
    clear_folder();
}

static int draw_turns(void *turns, struct error *err)
{
    const struct recording *r = &((struct turns *)turns)->list[0];
    const struct plot_settings settings = plot_defaults();
    int status = plot_turns(inside("t.svg"), r, r, &settings, err);

    assert_int_equal(clear_folder(), status ? 0 : 1);
    return status;
}

static int draw_curves(void *nothing, struct error *err)
{
    static const double x[] = {1, 2, 3}, y[] = {3, 1, 2};
    const struct panel panel = {.title = "loss", .curves = {{"a", x, y, 3, 0}}, .n_curves = 1};
    int status = plot_curves(inside("c.svg"), "run", "step", &panel, 1, err);

    assert_int_equal(clear_folder(), status ? 0 : 1);
    return status;
}

static void test_plots(void **state)
{
    struct turns t = {0};
    struct error err;

    (void)state;
    assert_int_equal(rttm_parse(&t, (struct field){turns_text, sizeof(turns_text) - 1}, &err), 0);
    assert_true(starve("timeline", draw_turns, &t) > 2);
    assert_true(starve("curves", draw_curves, NULL) > 2);
    turns_release(&t);
    plot_forget_fonts();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_models),  cmocka_unit_test(test_audio),
        cmocka_unit_test(test_sinks),   cmocka_unit_test(test_control),
        cmocka_unit_test(test_engine),  cmocka_unit_test(test_turns),
        cmocka_unit_test(test_plots),
    };

    op_set_threads(1);
    op_warm_up();
    if (!mkdtemp(folder))
        return 1;
    int status = cmocka_run_group_tests(tests, NULL, NULL);
    rmdir(folder);
    return status;
}
