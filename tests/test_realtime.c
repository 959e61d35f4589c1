// SPDX-License-Identifier: MIT
/* test_realtime.c - what the callback and the worker must not do, by counting.
 *
 * Allocations and locks are counted in both, by taking the place of the C
 * library's functions. System calls are forbidden to the callback by the
 * kernel: a child enters seccomp's strict mode, where any call but read, write
 * and exit kills, and lives through a thousand buffers. */
#include "check.h"

#include "stream/resample.h"
#include "stream/source_kind.h"

#include <dlfcn.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef __has_feature
#define HAS_FEATURE(x) __has_feature(x)
#else
#define HAS_FEATURE(x) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) ||                              \
    HAS_FEATURE(address_sanitizer) || HAS_FEATURE(thread_sanitizer) || !defined(__GLIBC__)
#define CAN_COUNT 0 // sanitizers take these places themselves
#else
#define CAN_COUNT 1
#include <linux/seccomp.h>
#endif

enum { CHANNELS = 2, HZ = 48000, BUFFER = 512, N_BUFFERS = 1000 };

#if CAN_COUNT
static int n_forbidden; // calls since it was set to 0

void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *old, size_t n);
void __libc_free(void *old);

#define COUNTED __attribute__((visibility("default")))

COUNTED void *malloc(size_t n)
{
    n_forbidden++;
    return __libc_malloc(n);
}

COUNTED void *calloc(size_t n, size_t size)
{
    n_forbidden++;
    return __libc_calloc(n, size);
}

COUNTED void *realloc(void *old, size_t n)
{
    n_forbidden++;
    return __libc_realloc(old, n);
}

COUNTED void free(void *old)
{
    n_forbidden++;
    __libc_free(old);
}

static int (*real_lock)(pthread_mutex_t *mutex);

COUNTED int pthread_mutex_lock(pthread_mutex_t *mutex)
{
    n_forbidden++;
    return real_lock ? real_lock(mutex) : 0;
}
#endif

static void nothing(struct source *s)
{
    (void)s;
}

static const struct source_kind fake_device = {.name = "fake", .stop = nothing, .close = nothing};

static struct source *fake_open(void)
{
    struct source *s = aligned_alloc(_Alignof(struct source), sizeof(*s));
    struct error err;

    assert_non_null(s);
    *s = (struct source){.kind = &fake_device, .rate_hz = HZ, .channels = CHANNELS};
    if (source_allocate(s, 500, &err))
        check_fail("%s", err.text);
    return s;
}

static float buffer[BUFFER * CHANNELS], taken[BUFFER * CHANNELS], samples[BUFFER * CHANNELS];

static void call_back(struct source *s, int i)
{
    PaStreamCallbackTimeInfo time = {.inputBufferAdcTime = i + 1.0, .currentTime = i + 1.5};

    source_on_ticks(buffer, NULL, BUFFER, &time, i % 7 ? 0 : paInputOverflow, s);
}

static void test_callback_and_worker_allocate_and_lock_nothing(void **state)
{
    (void)state;
#if CAN_COUNT
    struct source *s = fake_open();
    struct resampler r;
    struct error err;
    size_t n_samples = 0;

    *(void **)&real_lock = dlsym(RTLD_NEXT, "pthread_mutex_lock");
    assert_non_null(real_lock);
    n_forbidden = 0;
    if (resampler_open(&r, HZ, CHANNELS, 0, &err))
        check_fail("%s", err.text);
    assert_true(n_forbidden > 1); // the counting counts, in libsamplerate too
    assert_true(resampler_room(&r, BUFFER) <= BUFFER * CHANNELS);
    buffer[3] = NAN;
    n_forbidden = 0;
    for (int i = 0; i < N_BUFFERS; i++) {
        call_back(s, i);
        if (i % 200 >= 100) // half of the time the worker is away, and the ring runs over
            continue;
        for (size_t n; (n = source_read(s, taken, BUFFER)) > 0;)
            n_samples += resampler_process(&r, samples, taken, n);
        source_counts(s);
    }
    assert_int_equal(n_forbidden, 0);
    assert_true(n_samples > 100000);
    assert_true(source_counts(s).lost_ticks > 0);
    resampler_close(&r);
    source_close(&s);
#else
    skip();
#endif
}

#if CAN_COUNT
/* Calls back in a child that may make no system call but its exit, and one that
 * it shall not survive if `also` says so. Returns how the child ended. */
static int strict_child(struct source *s, int also)
{
    int status;
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) != 0)
            _exit(77);
        for (int i = 0; i < N_BUFFERS; i++)
            call_back(s, i);
        if (also)
            syscall(SYS_getppid);
        syscall(SYS_exit, 0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}
#endif

static void test_callback_makes_no_system_call(void **state)
{
    (void)state;
#if CAN_COUNT
    struct source *s = fake_open();
    int without = strict_child(s, 0), with = strict_child(s, 1);

    source_close(&s);
    if (WIFEXITED(without) && WEXITSTATUS(without) == 77)
        skip(); // a kernel without seccomp
    assert_true(WIFEXITED(without) && WEXITSTATUS(without) == 0);
    assert_true(WIFSIGNALED(with)); // the guard guards
#else
    skip();
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_callback_and_worker_allocate_and_lock_nothing),
        cmocka_unit_test(test_callback_makes_no_system_call),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
