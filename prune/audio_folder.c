// SPDX-License-Identifier: MIT
#include "prune/audio_folder.h"

#include "stream/audio_file.h"

#include <errno.h>
#include <fts.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { MAX_THREADS = 64 };

/* The endings of the formats that libsndfile 1.2 reads and that hold recordings. */
static const char *const endings[] = {
    "wav", "flac", "ogg", "oga", "opus", "mp3", "aif", "aiff", "aifc", "au", "snd", "caf", "w64",
    "rf64", "sph", "nist", "wv", "voc",
};

static int is_audio(const char *name)
{
    const char *dot = strrchr(name, '.');

    for (size_t i = 0; dot && i < sizeof(endings) / sizeof(*endings); i++) {
        if (!strcasecmp(dot + 1, endings[i]))
            return 1;
    }
    return 0;
}

static int add(struct audio_folder *f, const char *path, struct error *err)
{
    if (f->n == f->room) {
        int room = f->room ? 2 * f->room : 256;
        char **paths = realloc(f->paths, (size_t)room * sizeof(*paths));
        if (!paths)
            return fail(err, "out of memory for %d file names", room);
        f->paths = paths;
        f->room = room;
    }
    f->paths[f->n] = strdup(path);
    if (!f->paths[f->n])
        return fail(err, "out of memory for %d file names", f->n);
    f->n++;
    return 0;
}

/* By folder, then by name: so one folder's files stand together. */
static int compare(const void *a, const void *b)
{
    const char *x = *(char *const *)a, *y = *(char *const *)b;
    size_t nx = (size_t)(strrchr(x, '/') - x), ny = (size_t)(strrchr(y, '/') - y);
    int order = strncmp(x, y, nx < ny ? nx : ny);

    if (order)
        return order;
    return nx == ny ? strcmp(x, y) : nx < ny ? -1 : 1;
}

static int walk(struct audio_folder *f, FTS *tree, struct error *err)
{
    for (FTSENT *e = fts_read(tree); e; e = fts_read(tree)) {
        if (e->fts_info == FTS_DNR || e->fts_info == FTS_ERR || e->fts_info == FTS_NS)
            return fail(err, "%s: cannot be read: %s", e->fts_path, strerror(e->fts_errno));
        if (e->fts_level > 0 && *e->fts_name == '.') {
            fts_set(tree, e, FTS_SKIP);
            continue;
        }
        if (e->fts_info == FTS_F && is_audio(e->fts_name) && e->fts_level == 0)
            return fail(err, "%s: is a file; a folder of audio files was expected", e->fts_path);
        if (e->fts_info == FTS_F && is_audio(e->fts_name) && add(f, e->fts_path, err))
            return -1;
    }
    return 0;
}

int audio_folder_list(struct audio_folder *f, const char *root, struct error *err)
{
    char *const roots[] = {(char *)root, NULL};
    FTS *tree = fts_open(roots, FTS_LOGICAL | FTS_NOCHDIR, NULL);
    int status;

    *f = (struct audio_folder){0};
    if (!tree)
        return fail(err, "%s: cannot be read: %s", root, strerror(errno));
    status = walk(f, tree, err);
    fts_close(tree);
    if (status == 0 && f->n == 0)
        status = fail(err, "%s: no audio in this folder or below it; files that end in .wav, "
                      ".flac, .ogg, .opus, .mp3 and the like were expected", root);
    if (status)
        audio_folder_release(f);
    else
        qsort(f->paths, (size_t)f->n, sizeof(*f->paths), compare);
    return status;
}

void audio_folder_release(struct audio_folder *f)
{
    for (int i = 0; i < f->n; i++)
        free(f->paths[i]);
    free(f->paths);
    *f = (struct audio_folder){0};
}

struct reading {
    const struct audio_folder *f;
    audio_folder_take *take;
    void *context;
    pthread_mutex_t lock;
    int next;   // file to be read next
    int failed; // number of the first bad file, n: none
    struct error error;
};

static int read_one(struct reading *r, int i, struct error *err)
{
    float *samples = NULL;
    size_t n = 0;

    if (audio_file_read(&samples, &n, r->f->paths[i], 0, err))
        return -1;
    if (r->take(r->context, i, samples, n, err))
        return fail_prefix(err, "%s: ", r->f->paths[i]);
    return 0;
}

/* Files are handed out in order, so all before a bad one are read to their end. */
static void *worker(void *arg)
{
    struct reading *r = arg;

    for (;;) {
        struct error err = {""};
        pthread_mutex_lock(&r->lock);
        int i = r->next < r->failed ? r->next++ : -1;
        pthread_mutex_unlock(&r->lock);
        if (i < 0)
            return NULL;
        if (read_one(r, i, &err) == 0)
            continue;
        pthread_mutex_lock(&r->lock);
        if (i < r->failed) {
            r->failed = i;
            r->error = err;
        }
        pthread_mutex_unlock(&r->lock);
    }
}

int audio_folder_read(const struct audio_folder *f, int n_threads, audio_folder_take *take,
                      void *context, struct error *err)
{
    struct reading r = {.f = f, .take = take, .context = context, .failed = f->n};
    pthread_t threads[MAX_THREADS];
    int n = 0;

    if (n_threads > MAX_THREADS)
        n_threads = MAX_THREADS;
    pthread_mutex_init(&r.lock, NULL);
    while (n < n_threads - 1 && n < f->n - 1 && pthread_create(&threads[n], NULL, worker, &r) == 0)
        n++;
    worker(&r); // this thread works as well, so a machine without threads gets there too
    for (int i = 0; i < n; i++)
        pthread_join(threads[i], NULL);
    pthread_mutex_destroy(&r.lock);
    return r.failed == f->n ? 0 : fail(err, "%s", r.error.text);
}
