// SPDX-License-Identifier: MIT
#include "starve.h"

#include "check.h"

#include <cjson/cJSON.h>
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static atomic_long places, refused;
static long refuse_at = -1;
static int refuse_onwards, json_too;

static int refuses(void)
{
    long place = atomic_fetch_add(&places, 1);

    if (refuse_at < 0 || place < refuse_at || (!refuse_onwards && place != refuse_at))
        return 0;
    atomic_fetch_add(&refused, 1);
    errno = ENOMEM;
    return 1;
}

/* Each refusable call: its type, name, parameters, arguments, and what a refusal returns. */
#define WRAP(type, name, parameters, arguments, refusal)                                           \
    type __real_##name parameters;                                                                 \
    type __wrap_##name parameters;                                                                 \
    type __wrap_##name parameters { return refuses() ? refusal : __real_##name arguments; }

WRAP(void *, malloc, (size_t n), (n), NULL)
WRAP(void *, calloc, (size_t n, size_t size), (n, size), NULL)
WRAP(void *, realloc, (void *old, size_t n), (old, n), NULL)
WRAP(void *, aligned_alloc, (size_t alignment, size_t n), (alignment, n), NULL)
WRAP(char *, strdup, (const char *s), (s), NULL)
WRAP(char *, strndup, (const char *s, size_t n), (s, n), NULL)
WRAP(char *, realpath, (const char *path, char *resolved), (path, resolved), NULL)
WRAP(FILE *, fopen64, (const char *path, const char *mode), (path, mode), NULL)
WRAP(FILE *, open_memstream, (char **text, size_t *n), (text, n), NULL)
WRAP(int, eventfd, (unsigned value, int flags), (value, flags), -1)
WRAP(DIR *, opendir, (const char *path), (path), NULL)
WRAP(void *, fts64_open, (char *const *paths, int options, void *compare), (paths, options, compare),
     NULL)
WRAP(int, pthread_create,
     (pthread_t *thread, const pthread_attr_t *how, void *(*run)(void *), void *user),
     (thread, how, run, user), EAGAIN)
WRAP(void *, fftwf_malloc, (size_t n), (n), NULL)
WRAP(void *, fftwf_plan_dft_r2c_1d, (int n, float *in, void *out, unsigned flags),
     (n, in, out, flags), NULL)
WRAP(void *, fftwf_plan_dft_c2r_1d, (int n, void *in, float *out, unsigned flags),
     (n, in, out, flags), NULL)
WRAP(void *, sf_open, (const char *path, int mode, void *info), (path, mode, info), NULL)
WRAP(void *, src_new, (int kind, int channels, int *error), (kind, channels, error), NULL)
WRAP(void *, lo_server_new_with_proto, (const char *port, int kind, void *told),
     (port, kind, told), NULL)
WRAP(void *, lo_message_new, (void), (), NULL)
WRAP(void *, lo_bundle_new, (uint64_t when), (when), NULL)
WRAP(void *, newterm, (const char *kind, FILE *out, FILE *in), (kind, out, in), NULL)
WRAP(void *, newlocale, (int mask, const char *name, void *base), (mask, name, base), NULL)

int __wrap_asprintf(char **text, const char *format, ...) __attribute__((format(printf, 2, 3)));
int __wrap_asprintf(char **text, const char *format, ...)
{
    va_list args;

    if (refuses())
        return -1;
    va_start(args, format);
    int n = vasprintf(text, format, args);
    va_end(args);
    return n;
}

/* A refusal, or a number: measuring takes its time. */
double __wrap_op_peak(struct error *err);
double __wrap_op_peak(struct error *err)
{
    if (!refuses())
        return 1e9;
    fail(err, "out of memory");
    return -1.0;
}

static void *json_malloc(size_t n)
{
    return refuses() ? NULL : __real_malloc(n);
}

void starve_at(long at, int onwards)
{
    cJSON_Hooks hooks = {json_malloc, free};

    cJSON_InitHooks(at < 0 || !json_too ? NULL : &hooks);
    atomic_store(&places, 0);
    atomic_store(&refused, 0);
    refuse_onwards = onwards;
    refuse_at = at;
}

void starve_json(int on)
{
    json_too = on;
}

long starve_places(void)
{
    return atomic_load(&places);
}

int starve_refused(void)
{
    return atomic_load(&refused) > 0;
}

static int open_files(void)
{
    DIR *d = opendir("/proc/self/fd");
    int n = 0;

    while (d && readdir(d))
        n++;
    if (d)
        closedir(d);
    return n;
}

static void check_text(const char *what, long at, const struct error *err)
{
    if (!*err->text || strchr(err->text, '\n'))
        check_fail("%s, place %ld: refused with \"%s\"", what, at, err->text);
    if (getenv("STARVE_TELL"))
        print_message("%s, place %ld: %s\n", what, at, err->text);
}

static long starve_all(const char *what, int (*open)(void *context, struct error *err),
                       void *context, int onwards)
{
    int files = open_files(), was_refused = 1;
    long n_errors = 0;

    for (long at = 0; was_refused; at++) {
        struct error err = {""};
        starve_at(at, onwards);
        int status = open(context, &err);
        was_refused = starve_refused();
        starve_at(-1, 0);
        if (status) {
            check_text(what, at, &err);
            n_errors++;
        }
        if (status && !was_refused)
            check_fail("%s: fails without a refusal: %s", what, err.text);
        if (open_files() != files)
            check_fail("%s, place %ld: %d files are open instead of %d", what, at, open_files(),
                       files);
    }
    return n_errors;
}

long starve(const char *what, int (*open)(void *context, struct error *err), void *context)
{
    struct error err = {""};

    starve_at(-1, 0);
    if (open(context, &err)) // once in peace: what libraries keep for good is there
        check_fail("%s: %s", what, err.text);
    return starve_all(what, open, context, 0) + starve_all(what, open, context, 1);
}
