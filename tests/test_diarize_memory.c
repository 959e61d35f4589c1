// SPDX-License-Identifier: MIT
/* test_diarize_memory.c - memory may end wherever a PLDA, a file of speakers or the live
 * view is opened, where windows are heard, and where what was heard is clustered: one clear
 * line, nothing lost. */
#include "check.h"
#include "starve.h"

#include "model/builtin.h"
#include "model/model.h"
#include "model/op.h"
#include "model/resnet.h"
#include "stream/hear.h"
#include "stream/offline.h"
#include "stream/plda.h"
#include "stream/rttm_write.h"
#include "stream/speakers_file.h"
#include "stream/view.h"

#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { WINDOWS = 12, SLOTS = 4, WIDTH = 256, PEOPLE = 3 };

static int open_plda(void *path, struct error *err)
{
    struct plda p;

    if (plda_read(&p, path, err))
        return -1;
    plda_release(&p);
    return 0;
}

static void test_plda(void **state)
{
    char path[512];

    (void)state;
    snprintf(path, sizeof(path), "%s", check_path("golden/offline/scene_a/plda"));
    assert_true(starve("PLDA", open_plda, path) > 10);
}

/* --- clustering ---------------------------------------------------------- */

struct scene {
    struct heard heard;
    struct windows windows;
    struct plda plda;
    struct offline_settings settings;
};

/* Three people in turns of twelve windows, the third only in half of them. */
static void scene_open(struct scene *s)
{
    static float person[PEOPLE * WIDTH];
    struct heard *h = &s->heard;
    struct random rng;
    struct error err;

    *s = (struct scene){0};
    if (windows_init(&s->windows, 4.0, 2.0, &err) ||
        plda_read(&s->plda, check_path("golden/offline/scene_a/plda"), &err))
        check_fail("%s", err.text);
    assert_int_equal(s->plda.width, WIDTH);
    *h = (struct heard){.n_windows = WINDOWS, .n_frames = s->windows.n_frames, .n_slots = SLOTS,
                        .width = WIDTH};
    h->sets = calloc(WINDOWS, (size_t)h->n_frames);
    h->vectors = malloc(WINDOWS * SLOTS * WIDTH * sizeof(float));
    assert_true(h->sets && h->vectors);
    random_init(&rng, 3);
    check_fill(person, PEOPLE * WIDTH, &rng);
    check_fill(h->vectors, WINDOWS * SLOTS * WIDTH, &rng);
    for (int c = 0; c < WINDOWS; c++) {
        for (int t = 0; t < h->n_frames; t++)
            heard_window(h, c)[t] = (uint8_t)(1u << (c % 2 ? t / 40 % PEOPLE : t / 60 % 2));
        for (int i = 0; i < SLOTS * WIDTH; i++) {
            float *x = &h->vectors[c * SLOTS * WIDTH + i];
            *x = i / WIDTH < PEOPLE ? person[i] + 0.2f * *x : NAN;
        }
    }
}

static void scene_close(struct scene *s)
{
    heard_release(&s->heard);
    plda_release(&s->plda);
}

static int cluster(void *context, struct error *err)
{
    static const char *const names[] = {"a", "b", "c", "d", "e", "f", "g", "h"};
    const struct scene *s = context;
    struct regions r;
    int n;

    if (offline_run(&r, &n, NULL, &s->heard, &s->windows, &s->settings, 24.0, err))
        return -1;
    assert_true(n >= 1 && n <= 8 && r.n > 1);
    char *text = rttm_text(&r, "talk", names, err);
    free(text);
    regions_release(&r);
    return text ? 0 : -1;
}

static void test_clustering(void **state)
{
    static const struct {
        const char *name;
        enum clustering_method method;
        int compat, speakers;
    } ways[] = {
        {"AHC", CLUSTERING_AHC, 0, 0},      {"AHC, two asked for", CLUSTERING_AHC, 0, 2},
        {"VBx", CLUSTERING_VBX, 0, 0},      {"VBx, two asked for", CLUSTERING_VBX, 0, 2},
        {"VBx as upstream", CLUSTERING_VBX, 1, 0}, {"AHC as upstream", CLUSTERING_AHC, 1, 0},
    };
    struct scene s;

    (void)state;
    scene_open(&s);
    for (size_t i = 0; i < sizeof(ways) / sizeof(*ways); i++) {
        struct clustering_settings *c = &s.settings.clustering;
        s.settings = offline_defaults(ways[i].method, ways[i].compat);
        c->plda = &s.plda;
        c->min_size = 3;
        if (ways[i].speakers)
            c->min_speakers = c->max_speakers = ways[i].speakers;
        assert_true(starve(ways[i].name, cluster, &s) > 20);
    }
    scene_close(&s);
}

/* --- windows -------------------------------------------------------------- */

struct listener {
    struct checkpoint file;
    struct model model;
    struct resnet network;
    struct hear_settings settings;
    char audio[512];
};

static int listen_to(void *context, struct error *err)
{
    struct listener *l = context;
    struct heard h = {0};
    double seconds;
    int status = hear(&h, &seconds, l->audio, &l->settings, err);

    heard_release(&h);
    return status;
}

static void test_hearing(void **state)
{
    const struct resnet_shape shape = {4, 16, 8};
    struct listener l = {.settings.n_threads = 3};
    struct error err;

    (void)state;
    snprintf(l.audio, sizeof(l.audio), "%s", check_path("audio/ami_EN2004a_first30s.flac"));
    assert_int_equal(windows_init(&l.settings.windows, 10.0, 10.0, &err), 0);
    struct reach reach = reach_offline(l.settings.windows.n_samples);
    if (checkpoint_open_memory(&l.file, builtin_model, builtin_model_bytes(), "built-in", &err) ||
        model_open(&l.model, &l.file, &reach, &err) ||
        resnet_open_random(&l.network, &shape, 1, &err))
        check_fail("%s", err.text);
    l.settings.model = &l.model;
    assert_true(starve("own vectors", listen_to, &l) > 10);
    l.settings.network = &l.network;
    l.settings.n_threads = 1;
    assert_true(starve("a network's vectors", listen_to, &l) > 10);
    resnet_close(&l.network);
    model_close(&l.model);
    checkpoint_close(&l.file);
}

/* --- people and the terminal ---------------------------------------------- */

static int read_people(void *path, struct error *err)
{
    struct speakers s;

    speakers_init(&s, 7, 3);
    int status = speakers_read(&s, path, err);
    assert_true(status || s.n == 2);
    speakers_release(&s);
    return status;
}

static int write_people(void *path, struct error *err)
{
    const float vector[3] = {1, 2, 3};
    struct speakers s;
    struct known_speaker *who;
    int status = -1;

    speakers_init(&s, 7, 3);
    if ((who = speakers_get(&s, "Ada", err)) != NULL) {
        speakers_add(&s, who, vector, 10.0f);
        if ((who = speakers_get(&s, "Bo", err)) != NULL) {
            speakers_add(&s, who, vector, 10.0f);
            status = speakers_write(&s, path, err);
        }
    }
    speakers_release(&s);
    return status;
}

static void test_people(void **state)
{
    char path[] = "/tmp/antiphon-people-XXXXXX";
    int fd = mkstemp(path);

    (void)state;
    assert_true(fd >= 0);
    close(fd);
    assert_true(starve("writing speakers", write_people, path) > 5);
    starve_json(1);
    assert_true(starve("reading speakers", read_people, path) > 20);
    starve_json(0);
    unlink(path);
}

static int open_view(void *nothing, struct error *err)
{
    struct view *v;

    (void)nothing;
    if (view_open(&v, err)) {
        assert_null(v);
        return -1;
    }
    view_close(&v);
    return 0;
}

/* ncurses draws on stdout, which goes nowhere meanwhile. */
static void test_view(void **state)
{
    int out = dup(1), nowhere = open("/dev/null", O_WRONLY);

    (void)state;
    setenv("TERM", "xterm", 1);
    fflush(stdout);
    assert_true(out >= 0 && dup2(nowhere, 1) == 1);
    close(nowhere);
    long n_errors = starve("view", open_view, NULL);
    fflush(stdout);
    dup2(out, 1);
    close(out);
    assert_true(n_errors >= 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plda),    cmocka_unit_test(test_clustering),
        cmocka_unit_test(test_hearing), cmocka_unit_test(test_people),
        cmocka_unit_test(test_view),
    };

    op_set_threads(1);
    op_warm_up();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
