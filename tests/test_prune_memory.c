// SPDX-License-Identifier: MIT
/* test_prune_memory.c - memory may end wherever training data, a simulation, a
 * trainer or a teacher is opened, and where a run is saved and taken up again:
 * one clear line, nothing lost, nothing left behind. */
#include "check.h"
#include "starve.h"

#include "model/op.h"
#include "prune/data.h"
#include "prune/reader.h"
#include "prune/simulate.h"
#include "prune/sound_bank.h"
#include "prune/speech_bank.h"
#include "prune/trainer.h"
#include "tiny_training.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[] = "/tmp/antiphon-starve-XXXXXX";

static const char *inside(const char *name)
{
    static char path[4][200];
    static int next;
    char *at = path[next++ % 4];

    snprintf(at, sizeof(path[0]), "%s/%s", folder, name);
    return at;
}

static void write_bytes(const char *name, const void *bytes, size_t n)
{
    FILE *f = fopen(inside(name), "wb");

    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    fclose(f);
}

/* Three seconds of a voice that comes and goes: bursts of noise and silence. */
static void write_wav(const char *name, uint64_t seed)
{
    enum { N = 48000 };
    static unsigned char bytes[44 + 2 * N];
    static const unsigned char header[44] = {
        'R', 'I', 'F', 'F', 0x24, 0x77, 1, 0, 'W', 'A', 'V', 'E', 'f', 'm', 't', ' ', 16, 0, 0, 0,
        1, 0, 1, 0, 0x80, 0x3e, 0, 0, 0, 0x7d, 0, 0, 2, 0, 16, 0, 'd', 'a', 't', 'a', 0, 0x77, 1,
        0,
    };
    struct random rng;

    random_init(&rng, seed);
    memcpy(bytes, header, sizeof(header));
    for (int i = 0; i < N; i++) {
        int loud = i / 12000 % 2 ? 20 : 8000;
        int x = (int)((2.0f * random_uniform(&rng) - 1.0f) * (float)loud);
        bytes[44 + 2 * i] = (unsigned char)(x & 255);
        bytes[45 + 2 * i] = (unsigned char)(x >> 8 & 255);
    }
    write_bytes(name, bytes, sizeof(bytes));
}

static int open_noise(void *nothing, struct error *err)
{
    struct sound_bank bank;

    if (sound_bank_open_noise(&bank, inside("speech"), 2, err))
        return -1;
    sound_bank_close(&bank);
    return 0;
}

static int open_rooms(void *nothing, struct error *err)
{
    struct sound_bank bank;

    if (sound_bank_open_responses(&bank, inside("speech"), 1, err))
        return -1;
    sound_bank_close(&bank);
    return 0;
}

static int get_one(const struct clip_source *source, struct error *err)
{
    struct clip clip;
    int status;

    if (clip_init(&clip, source->n_samples, err))
        return -1;
    status = source->get(&clip, source, 3, err);
    clip_release(&clip);
    return status;
}

static int open_simulation(void *nothing, struct error *err)
{
    struct simulate_settings settings = simulate_defaults;
    struct speech_bank speech;
    struct simulation s;
    int status;

    settings.max_speakers = 2;
    if (speech_bank_open(&speech, inside("speech"), 2, err))
        return -1;
    status = simulation_open(&s, &speech, NULL, NULL, &settings, 2.0, 7, err);
    if (status == 0)
        status = get_one(&s.source, err);
    simulation_close(&s);
    speech_bank_close(&speech);
    return status;
}

static int open_data(void *nothing, struct error *err)
{
    struct data_settings settings = data_defaults;
    struct data_folder d;
    int status;

    settings.chunk = 0.5;
    settings.shift = 0.5;
    settings.augment = 1.0f;
    settings.p_room = 1.0f;
    if (data_open(&d, folder, &settings, NULL, NULL, 7, err))
        return -1;
    status = get_one(&d.source, err);
    data_close(&d);
    return status;
}

static int open_reader(void *nothing, struct error *err)
{
    const struct clip_source source = tiny_source();
    const struct clip_order order = {.stride = 1, .n = 4};
    struct clip_reader *r;
    struct clip clip;
    int status;

    if (clip_init(&clip, source.n_samples, err))
        return -1;
    status = clip_reader_open(&r, &source, &order, 2, 2, err);
    if (status == 0)
        status = clip_reader_next(r, &clip, err) == 1 ? 0 : -1;
    clip_reader_close(&r);
    clip_release(&clip);
    return status;
}

static void test_data(void **state)
{
    static const char scp[] = "r1 speech/a/1.wav\nr2 speech/b/1.wav\n";
    static const char rttm[] = "SPEAKER r1 1 0.10 1.50 <NA> <NA> A <NA> <NA>\n"
                               "SPEAKER r2 1 0.20 1.30 <NA> <NA> B <NA> <NA>\n";
    static const char uem[] = "r1 1 0.0 3.0\nr2 1 0 3.0\n";

    (void)state;
    mkdir(inside("speech"), 0700);
    mkdir(inside("speech/a"), 0700);
    mkdir(inside("speech/b"), 0700);
    write_wav("speech/a/1.wav", 1);
    write_wav("speech/b/1.wav", 2);
    write_bytes("wav.scp", scp, sizeof(scp) - 1);
    write_bytes("rttm", rttm, sizeof(rttm) - 1);
    assert_true(starve("noises", open_noise, NULL) > 5);
    assert_true(starve("rooms", open_rooms, NULL) > 5);
    assert_true(starve("simulation", open_simulation, NULL) > 10);
    assert_true(starve("data folder without UEM", open_data, NULL) > 10);
    write_bytes("all.uem", uem, sizeof(uem) - 1);
    assert_true(starve("data folder", open_data, NULL) > 10);
    assert_true(starve("reader", open_reader, NULL) > 3);
}

static struct trainer_settings settings(void)
{
    struct trainer_settings s = trainer_defaults();

    s.batch = 2;
    s.threads = 2;
    s.steps = 10;
    s.lr_encoder = -1.0;
    s.ema = 0.9;
    return s;
}

static int open_trainer(void *nothing, struct error *err)
{
    static struct trainer t;
    const struct trainer_settings s = settings();
    const struct clip_source source = tiny_source();
    int status;

    if (trainer_open(&t, tiny_config, NULL, &source, &s, NULL, err))
        return -1;
    status = access(inside("state"), F_OK) == 0 ? trainer_resume(&t, inside("state"), err) : 0;
    if (status == 0)
        status = trainer_save(&t, inside("state"), err);
    if (status == 0)
        status = trainer_write_model(&t, inside("model"), "a test", err);
    if (status == 0) {
        const char *models[] = {inside("model"), inside("model")};
        status = trainer_average(&t, models, 2, inside("mean"), "a test", err);
    }
    trainer_close(&t);
    return status;
}

static int open_distiller(void *nothing, struct error *err)
{
    static struct trainer t;
    struct trainer_settings s = settings();
    const struct clip_source source = tiny_source();
    struct distiller_settings how = distiller_defaults();
    struct distiller d = {0};
    struct model_config student;
    int status;

    s.ema = 0.0;
    how.sparsity = 0.2;
    how.units = 1u << GATE_INTERM;
    status = config_parse(&student, tiny_config, err);
    if (status == 0)
        status = distiller_open(&d, inside("model"), &student, &how, TINY_FRAMES, err);
    if (status == 0) {
        status = trainer_open_distilling(&t, tiny_config, NULL, &source, &s, &d, NULL, err);
        if (status == 0)
            trainer_close(&t);
    }
    distiller_close(&d);
    return status;
}

static void test_trainer(void **state)
{
    (void)state;
    assert_true(starve("trainer", open_trainer, NULL) > 20);
    assert_true(starve("distiller", open_distiller, NULL) > 20);
}

static void clear_folder(void)
{
    static const char *const names[] = {"speech/a/1.wav", "speech/b/1.wav", "wav.scp", "rttm",
                                        "all.uem", "state", "model", "mean"};

    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        unlink(inside(names[i]));
    rmdir(inside("speech/a"));
    rmdir(inside("speech/b"));
    rmdir(inside("speech"));
    if (rmdir(folder)) // nothing else was left there
        check_fail("%s is not empty", folder);
}

static int leave(void **state)
{
    (void)state;
    clear_folder();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_data),
        cmocka_unit_test(test_trainer),
    };

    op_set_threads(1);
    op_warm_up();
    if (!mkdtemp(folder))
        return 1;
    return cmocka_run_group_tests(tests, NULL, leave);
}
