// SPDX-License-Identifier: MIT
/* test_capture.c - the callback that PortAudio calls, called by us: what does
 * not fit stands as silence at its place, and is counted; capture times; and
 * which device is meant. */
#include "check.h"

#include "stream/device.h"
#include "stream/source_kind.h"

#include <fcntl.h>
#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { CHANNELS = 2 };

static double stream_clock; // what the fake device's clock says now

static double fake_clock(struct source *s)
{
    (void)s;
    return stream_clock;
}

static void fake_stop(struct source *s)
{
    (void)s;
}

static const struct source_kind fake_device = {
    .name = "fake", .stop = fake_stop, .close = fake_stop, .clock_seconds = fake_clock,
};

/* A source as source_open leaves it, but that no device stands behind it. */
static struct source *fake_open(int rate_hz, int ring_ms)
{
    struct source *s = aligned_alloc(_Alignof(struct source), sizeof(*s));
    struct error err;

    assert_non_null(s);
    *s = (struct source){.kind = &fake_device, .rate_hz = rate_hz, .channels = CHANNELS};
    if (source_allocate(s, ring_ms, &err))
        check_fail("%s", err.text);
    return s;
}

/* Tick t of the fake device holds t + 1 and -(t + 1): never silence. */
static void capture(struct source *s, uint64_t first, size_t n, PaStreamCallbackFlags flags)
{
    float ticks[4096 * CHANNELS];
    PaStreamCallbackTimeInfo time = {0};

    assert_true(n <= 4096);
    for (size_t i = 0; i < n; i++) {
        ticks[i * CHANNELS] = (float)(first + i + 1);
        ticks[i * CHANNELS + 1] = -(float)(first + i + 1);
    }
    assert_int_equal(source_on_ticks(ticks, NULL, n, &time, flags, s), paContinue);
}

/* Every tick is at its place, or silence there. Returns how many are silence. */
static size_t check_ticks(const float *ticks, uint64_t first, size_t n)
{
    size_t silent = 0;

    for (size_t i = 0; i < n; i++) {
        const float *tick = ticks + i * CHANNELS;
        float want = (float)(first + i + 1);
        if (tick[0] == 0.0f && tick[1] == 0.0f)
            silent++;
        else if (tick[0] != want || tick[1] != -want)
            check_fail("tick %llu holds %g %g", (unsigned long long)(first + i), tick[0], tick[1]);
    }
    return silent;
}

static void test_a_full_ring_leaves_silence_at_its_place(void **state)
{
    (void)state;
    struct source *s = fake_open(1000, 64); // 64 ticks of ring
    float got[400 * CHANNELS];

    assert_int_equal(ring_writable(&s->ticks), 64);
    capture(s, 0, 50, 0);
    capture(s, 50, 50, 0);  // 14 fit
    capture(s, 100, 50, 0); // none
    assert_int_equal(source_counts(s).lost_ticks, 86);
    assert_int_equal(source_counts(s).overruns, 1); // one stretch, however many buffers
    assert_int_equal(source_read(s, got, 20), 20);
    capture(s, 150, 10, 0); // these fit again
    assert_int_equal(source_read(s, got + 20 * CHANNELS, 380), 140);
    assert_int_equal(check_ticks(got, 0, 160), 86);
    for (int i = 0; i < 160; i++)
        assert_int_equal(got[i * CHANNELS] == 0.0f, i >= 64 && i < 150);
    assert_int_equal(source_counts(s).captured_ticks, 160);
    source_close(&s);
}

static void test_what_is_lost_at_the_very_end_counts_too(void **state)
{
    (void)state;
    struct source *s = fake_open(1000, 64);
    float got[100 * CHANNELS];

    capture(s, 0, 90, 0);
    source_stop(s);
    assert_int_equal(source_wait(s, 10), 1);
    assert_int_equal(source_read(s, got, 100), 90);
    assert_int_equal(check_ticks(got, 0, 90), 26);
    assert_int_equal(source_wait(s, 10), 0);
    assert_true(source_ended(s));
    source_close(&s);
}

static void test_overflows_of_the_driver_are_counted(void **state)
{
    (void)state;
    struct source *s = fake_open(1000, 64);
    float got[8 * CHANNELS];

    capture(s, 0, 4, paInputOverflow);
    assert_int_equal(source_counts(s).overruns, 1);
    assert_int_equal(source_counts(s).lost_ticks, 0);
    // A host without a buffer: time goes on all the same.
    assert_int_equal(source_on_ticks(NULL, NULL, 3, NULL, 0, s), paContinue);
    assert_int_equal(source_counts(s).lost_ticks, 3);
    capture(s, 7, 1, 0);
    assert_int_equal(source_read(s, got, 8), 8);
    assert_int_equal(check_ticks(got, 0, 8), 3);
    source_close(&s);
}

/* Far more gaps than the second ring holds: a tick read, one written, one lost. */
static void test_more_gaps_than_can_be_told(void **state)
{
    (void)state;
    struct source *s = fake_open(1000, 1024);
    static float got[16384 * CHANNELS];
    uint64_t captured = 0;
    size_t n = 0;

    capture(s, 0, 1024, 0);
    for (captured = 1024; captured < 4000; captured += 2) {
        n += source_read(s, got + n * CHANNELS, 1);
        capture(s, captured, 2, 0);
    }
    source_stop(s);
    while (source_wait(s, 1000))
        n += source_read(s, got + n * CHANNELS, 700);
    assert_int_equal(n, captured);
    assert_int_equal(check_ticks(got, 0, n), source_counts(s).lost_ticks);
    assert_true(source_counts(s).lost_ticks > 2 * SOURCE_N_GAPS);
    source_close(&s);
}

static void test_any_order_of_reads_and_writes(void **state)
{
    (void)state;
    struct random rng;

    random_init(&rng, check_seed());
    for (int round = 0; round < 200; round++) {
        struct source *s = fake_open(1000, 1 + (int)(random_bits(&rng) % 500));
        size_t most = 1 + random_bits(&rng) % 300;
        static float got[300 * CHANNELS];
        uint64_t captured = 0, n_read = 0, silent = 0;
        for (int i = 0; i < 300; i++) {
            size_t n = random_bits(&rng) % most;
            if (random_bits(&rng) % 2) {
                capture(s, captured, n, 0);
                captured += n;
            } else {
                n = source_read(s, got, n);
                silent += check_ticks(got, n_read, n);
                n_read += n;
            }
        }
        source_stop(s);
        while (source_wait(s, 1000)) {
            size_t n = source_read(s, got, 300);
            silent += check_ticks(got, n_read, n);
            n_read += n;
        }
        assert_true(n_read == captured);
        assert_true(silent == (uint64_t)source_counts(s).lost_ticks);
        source_close(&s);
    }
}

struct device_thread {
    struct source *s;
    uint64_t captured, seed;
};

static void *device_run(void *user)
{
    struct device_thread *d = user;
    struct random rng;

    random_init(&rng, d->seed);
    while (d->captured < 200000) {
        size_t n = random_bits(&rng) % 60;
        capture(d->s, d->captured, n, 0);
        d->captured += n;
        if (random_bits(&rng) % 4 == 0)
            sched_yield();
    }
    source_finish(d->s, SOURCE_ENDED);
    return NULL;
}

static void test_callback_and_worker_at_once(void **state)
{
    (void)state;
    struct device_thread d = {.s = fake_open(1000, 128), .seed = check_seed()};
    static float got[100 * CHANNELS];
    uint64_t n_read = 0, silent = 0;
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, device_run, &d), 0);
    while (source_wait(d.s, 60000)) {
        size_t n = source_read(d.s, got, 100);
        silent += check_ticks(got, n_read, n);
        n_read += n;
        source_wall(d.s, (int64_t)n_read);
    }
    pthread_join(thread, NULL);
    assert_true(n_read == d.captured);
    assert_true(silent == (uint64_t)source_counts(d.s).lost_ticks);
    source_close(&d.s);
}

static double wall_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_REALTIME, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* The stream's clock may have any origin; its readings become Unix time. */
static void test_capture_times(void **state)
{
    (void)state;
    struct source *s = fake_open(1000, 1000);
    float ticks[100 * CHANNELS] = {0};
    PaStreamCallbackTimeInfo time = {.inputBufferAdcTime = 499.0, .currentTime = 500.0};
    const double tolerance = 0.4; // between two looks at the clock, on a busy machine

    s->start_wall = wall_now() - 70.0;
    s->latency_seconds = 2.5;
    assert_true(fabs(source_wall(s, 2000) - (s->start_wall + 2.0)) < 1e-6); // nothing known yet

    stream_clock = 500.0;
    source_on_ticks(ticks, NULL, 100, &time, 0, s);
    assert_true(fabs(source_wall(s, 0) - (wall_now() - 1.0)) < tolerance);
    assert_true(fabs(source_wall(s, 5000) - (wall_now() + 4.0)) < tolerance);

    // The second buffer comes 3 s late: its ticks are that much later.
    time = (PaStreamCallbackTimeInfo){.inputBufferAdcTime = 502.0, .currentTime = 503.1};
    stream_clock = 503.1;
    source_on_ticks(ticks, NULL, 100, &time, 0, s);
    assert_true(fabs(source_wall(s, 100) - (wall_now() - 1.1)) < tolerance);

    // Without the time of capture: the call, less the latency of the device.
    time = (PaStreamCallbackTimeInfo){.currentTime = 503.5};
    stream_clock = 503.5;
    source_on_ticks(ticks, NULL, 100, &time, 0, s);
    assert_true(fabs(source_wall(s, 200) - (wall_now() - 2.5)) < tolerance);

    // A clock that is not the one of the readings is not believed.
    stream_clock = 1e9;
    assert_true(fabs(source_wall(s, 200) - (s->start_wall + 0.2)) < 1e-6);
    source_close(&s);
}

static void test_which_device_is_meant(void **state)
{
    (void)state;
    struct device devices[] = {
        {.index = 1, .name = "HDA Intel: ALC257 (hw:0,0)", .host_api = "ALSA"},
        {.index = 4, .name = "USB Mic: Audio (hw:1,0)", .host_api = "ALSA"},
        {.index = 5, .name = "pulse", .host_api = "ALSA", .is_default = 1},
        {.index = 6, .name = "pulse monitor", .host_api = "ALSA"},
        {.index = 7, .name = "system", .host_api = "JACK"},
        {.index = 8, .name = "system", .host_api = "ALSA"},
    };
    const struct device_list list = {devices, 6};
    const struct {
        const char *wanted;
        int index; // -1: refused
        const char *words;
    } rows[] = {
        {NULL, 5, NULL},
        {"4", 4, NULL},
        {"pulse", 5, NULL}, // exact, though it is also a part of another
        {"usb mic", 4, NULL},
        {"MONITOR", 6, NULL},
        {"hw:0,0", 1, NULL},
        {"2", -1, "no such device: '2'"}, // a number is an index, and no part of a name
        {"257", -1, "no such device: '257'"},
        {"hw:", -1, "ambiguous: 'hw:' may be 1 \"HDA Intel: ALC257 (hw:0,0)\" (ALSA), 4 \"USB"},
        {"system", -1, "7 \"system\" (JACK), 8 \"system\" (ALSA); give the index"},
        {"webcam", -1, "no such device: 'webcam'; `antiphon devices` lists them"},
        {"", -1, "no such device"},
        {"99999999999999999999", -1, "no such device"},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct device chosen;
        struct error err;
        int status = device_choose(&chosen, &list, rows[i].wanted, &err);
        if (rows[i].index >= 0) {
            assert_int_equal(status, 0);
            assert_int_equal(chosen.index, rows[i].index);
        } else if (status != -1 || !strstr(err.text, rows[i].words)) {
            check_fail("%s: %s", rows[i].wanted, status ? err.text : "accepted");
        }
    }
    struct device_list none = {0};
    struct device chosen;
    struct error err;
    assert_int_equal(device_choose(&chosen, &none, NULL, &err), -1);
    assert_non_null(strstr(err.text, "no capture device"));
}

/* Whatever this machine has: the sound systems' noise stays out of sight, and
 * a device that cannot be there is refused in one line. */
static void test_an_unknown_device_and_no_noise(void **state)
{
    (void)state;
    struct source_settings settings = source_defaults();
    struct source *s;
    struct error err;
    char path[] = "/tmp/antiphon_test_XXXXXX", noise[200] = "";
    int saved = dup(STDERR_FILENO), file = mkstemp(path);

    settings.device = "a device of no machine";
    dup2(file, STDERR_FILENO);
    int status = source_open(&s, &settings, &err);
    dup2(saved, STDERR_FILENO);
    assert_int_equal(status, -1);
    assert_null(s);
    assert_true(strstr(err.text, "no such device: 'a device of no machine'") ||
                strstr(err.text, "no capture device"));
    assert_int_equal(pread(file, noise, sizeof(noise) - 1, 0), 0);
    close(saved);
    close(file);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_full_ring_leaves_silence_at_its_place),
        cmocka_unit_test(test_what_is_lost_at_the_very_end_counts_too),
        cmocka_unit_test(test_overflows_of_the_driver_are_counted),
        cmocka_unit_test(test_more_gaps_than_can_be_told),
        cmocka_unit_test(test_any_order_of_reads_and_writes),
        cmocka_unit_test(test_callback_and_worker_at_once),
        cmocka_unit_test(test_capture_times),
        cmocka_unit_test(test_which_device_is_meant),
        cmocka_unit_test(test_an_unknown_device_and_no_noise),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
