// SPDX-License-Identifier: MIT
#include "prune/simulate_folder.h"

#include "model/outfile.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <sndfile.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_THREADS = 64 };

struct work {
    struct simulation *s;
    const struct folder_settings *f;
    char partial[PATH_MAX];     // where all is written until the end
    struct simulated *meetings; // [n_meetings] their turns; the samples are gone
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int next, done, failed;     // meetings; failed: the first that failed, n_meetings: none
    struct error error;
};

static void meeting_name(char name[32], int i)
{
    snprintf(name, 32, "meeting_%04d", i + 1);
}

static int is_empty(const char *folder)
{
    DIR *d = opendir(folder);
    int n = 0;

    if (!d)
        return 0;
    for (struct dirent *e = readdir(d); e; e = readdir(d))
        n += strcmp(e->d_name, ".") && strcmp(e->d_name, "..");
    closedir(d);
    return n == 0;
}

int simulate_folder_check(const struct folder_settings *f, struct error *err)
{
    if (strcmp(f->format, "flac") && strcmp(f->format, "wav"))
        return fail(err, "format \"%.40s\": should be flac or wav", f->format);
    if (f->n_meetings < 1 || f->n_meetings > 1000000)
        return fail(err, "%d meetings: should be 1 to 1000000", f->n_meetings);
    if (!(f->seconds >= 1.0 && f->seconds <= 24.0 * 3600.0))
        return fail(err, "meetings of %g minutes: should be 1 s to 24 h", f->seconds / 60.0);
    return 0;
}

int simulate_folder_check_place(const struct folder_settings *f, struct error *err)
{
    struct stat st;

    if (strlen(f->folder) > PATH_MAX - 100 || !*f->folder)
        return fail(err, "the output folder's name is %s", *f->folder ? "too long" : "empty");
    if (strpbrk(f->folder, "\n\r"))
        return fail(err, "the output folder's name has a line end, which wav.scp cannot hold");
    if (lstat(f->folder, &st) == 0 && (!S_ISDIR(st.st_mode) || !is_empty(f->folder)))
        return fail(err, "%s: exists already; give a new folder, or remove that one", f->folder);
    return 0;
}

static int write_audio(const struct work *w, const char *name, const struct simulated *m,
                       struct error *err)
{
    int flac = !strcmp(w->f->format, "flac"), bad;
    SF_INFO info = {.samplerate = 16000, .channels = 1,
                    .format = (flac ? SF_FORMAT_FLAC : SF_FORMAT_WAV) | SF_FORMAT_PCM_16};
    char path[PATH_MAX + 64];
    SNDFILE *file;

    snprintf(path, sizeof(path), "%s/audio/%s.%s", w->partial, name, w->f->format);
    file = sf_open(path, SFM_WRITE, &info);
    if (!file)
        return fail(err, "%s: cannot be written: %s", path, sf_strerror(NULL));
    sf_command(file, SFC_SET_CLIPPING, NULL, SF_TRUE);
    bad = sf_write_float(file, m->samples, m->n) != m->n;
    sf_write_sync(file);
    bad |= sf_close(file) != 0;
    return bad ? fail(err, "%s: cannot be written to its end; is the disk full?", path) : 0;
}

static int make_one(struct work *w, int i, struct error *err)
{
    struct simulated *m = &w->meetings[i];
    char name[32];
    int status;

    if (simulation_meeting(m, w->s, (uint64_t)i, w->f->seconds, err))
        return -1;
    meeting_name(name, i);
    status = write_audio(w, name, m, err);
    free(m->samples);
    m->samples = NULL;
    return status;
}

static void *worker(void *arg)
{
    struct work *w = arg;

    pthread_mutex_lock(&w->lock);
    while (w->next < w->failed) {
        int i = w->next++;
        struct error err = {""};
        pthread_mutex_unlock(&w->lock);
        int status = make_one(w, i, &err);
        pthread_mutex_lock(&w->lock);
        w->done++;
        if (status && i < w->failed) {
            w->failed = i;
            w->error = err;
        }
        pthread_cond_signal(&w->changed);
    }
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

static int make_all(struct work *w, void (*progress)(void *context, double seconds),
                    void *context, struct error *err)
{
    pthread_t threads[MAX_THREADS];
    int n = 0, want = w->f->n_threads < MAX_THREADS ? w->f->n_threads : MAX_THREADS;

    w->failed = w->f->n_meetings;
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->changed, NULL);
    while ((n < want || n == 0) && pthread_create(&threads[n], NULL, worker, w) == 0)
        n++;
    if (n == 0)
        return fail(err, "no thread could be started");
    pthread_mutex_lock(&w->lock);
    while (w->done < w->failed) {
        pthread_cond_wait(&w->changed, &w->lock);
        int done = w->done;
        pthread_mutex_unlock(&w->lock);
        if (progress)
            progress(context, done * w->f->seconds);
        pthread_mutex_lock(&w->lock);
    }
    pthread_mutex_unlock(&w->lock);
    for (int i = 0; i < n; i++)
        pthread_join(threads[i], NULL);
    pthread_mutex_destroy(&w->lock);
    pthread_cond_destroy(&w->changed);
    return w->failed < w->f->n_meetings ? fail(err, "%s", w->error.text) : 0;
}

/* One of the three lists, to be written at once. */
struct text {
    char *at;
    size_t n;
    FILE *out;
};

static int commit_text(const struct work *w, struct text *t, const char *name, struct error *err)
{
    char path[PATH_MAX + 64];
    struct outfile file;
    int bad = ferror(t->out);

    bad |= fclose(t->out) != 0;
    if (bad) {
        free(t->at);
        return fail(err, "out of memory for %s", name);
    }
    snprintf(path, sizeof(path), "%s/%s", w->partial, name);
    bad = outfile_open(&file, path, err);
    if (!bad && outfile_write(&file, t->at, t->n, err)) {
        outfile_discard(&file);
        bad = -1;
    } else if (!bad) {
        bad = outfile_commit(&file, err);
    }
    free(t->at);
    return bad ? -1 : 0;
}

static int add_lists(struct work *w, struct turns *turns, struct turns *uem, FILE *rttm,
                     struct error *err)
{
    for (int i = 0; i < w->f->n_meetings; i++) {
        const struct simulated *m = &w->meetings[i];
        char name[32], voice[128];
        meeting_name(name, i);
        struct field recording = {name, strlen(name)};
        if (!turns_recording(turns, recording, err) ||
            turns_add(uem, recording, (struct field){"scored", 6}, 0.0, w->f->seconds, err))
            return -1;
        for (int k = 0; k < m->n_turns; k++) {
            const struct simulated_turn *t = &m->turns[k];
            simulation_voice_name(voice, w->s, t->voice);
            fprintf(rttm, "SPEAKER %s 1 %.2f %.2f <NA> <NA> %s <NA> <NA>\n", name, t->start,
                    t->end - t->start, voice);
            if (turns_add(turns, recording, (struct field){voice, strlen(voice)}, t->start, t->end,
                          err))
                return -1;
        }
    }
    return 0;
}

static int write_lists(struct work *w, const char *final, struct turns *turns,
                       struct turns *uem, struct error *err)
{
    struct text rttm = {0}, map = {0}, scp = {0};
    int status;

    rttm.out = open_memstream(&rttm.at, &rttm.n);
    map.out = open_memstream(&map.at, &map.n);
    scp.out = open_memstream(&scp.at, &scp.n);
    if (!rttm.out || !map.out || !scp.out) {
        struct text *all[] = {&rttm, &map, &scp};
        for (int i = 0; i < 3; i++) {
            if (all[i]->out)
                fclose(all[i]->out);
            free(all[i]->at);
        }
        return fail(err, "out of memory");
    }
    status = add_lists(w, turns, uem, rttm.out, err);
    for (int i = 0; i < w->f->n_meetings; i++) {
        char name[32];
        meeting_name(name, i);
        fprintf(map.out, "%s 1 0.000 %.3f\n", name, w->f->seconds);
        fprintf(scp.out, "%s %s/audio/%s.%s\n", name, final, name, w->f->format);
    }
    status |= commit_text(w, &rttm, "rttm", status ? NULL : err);
    status |= commit_text(w, &map, "all.uem", status ? NULL : err);
    status |= commit_text(w, &scp, "wav.scp", status ? NULL : err);
    return status ? -1 : 0;
}

/* By the names that were given: reading the folder would take memory, which may be what
 * has ended. */
static void discard(const struct work *w)
{
    static const char *const lists[] = {"rttm", "all.uem", "wav.scp", "audio"};
    char path[PATH_MAX + 64], name[32];

    for (int i = 0; i < w->f->n_meetings; i++) {
        meeting_name(name, i);
        snprintf(path, sizeof(path), "%s/audio/%s.%s", w->partial, name, w->f->format);
        unlink(path);
    }
    for (int i = 0; i < 4; i++) {
        snprintf(path, sizeof(path), "%s/%s", w->partial, lists[i]);
        remove(path);
    }
    rmdir(w->partial);
}

/* The folder's full name, which it will have: wav.scp has it. */
static int full_name(char final[PATH_MAX], const char *folder, struct error *err)
{
    char parent[PATH_MAX], *slash;
    size_t n = strlen(folder);

    while (n > 1 && folder[n - 1] == '/')
        n--;
    snprintf(parent, sizeof(parent), "%s%.*s", *folder == '/' ? "" : "./", (int)n, folder);
    slash = strrchr(parent, '/');
    char name[NAME_MAX + 1];
    snprintf(name, sizeof(name), "%s", slash + 1);
    slash[slash == parent] = '\0';
    if (!*name || !strcmp(name, ".") || !strcmp(name, ".."))
        return fail(err, "%s: give the name of a new folder", folder);
    if (!realpath(parent, final))
        return fail(err, "%s: cannot be made in %s: %s", folder, parent, strerror(errno));
    n = strlen(final);
    if (n + strlen(name) + 64 > PATH_MAX)
        return fail(err, "%s: the name is too long", folder);
    snprintf(final + n, PATH_MAX - n, "%s%s", n > 1 ? "/" : "", name);
    return 0;
}

int simulate_folder_write(struct simulation *s, const struct folder_settings *f,
                          struct turns *turns, struct turns *uem,
                          void (*progress)(void *context, double seconds), void *context,
                          struct error *err)
{
    struct work w = {.s = s, .f = f};
    char final[PATH_MAX], audio[PATH_MAX + 16];
    int status;

    if (simulate_folder_check(f, err) || simulate_folder_check_place(f, err) ||
        full_name(final, f->folder, err))
        return -1;
    snprintf(w.partial, sizeof(w.partial), "%.*s.partial-XXXXXX", PATH_MAX - 20, final);
    if (!mkdtemp(w.partial))
        return fail(err, "%s: cannot be made: %s", f->folder, strerror(errno));
    chmod(w.partial, 0755);
    snprintf(audio, sizeof(audio), "%s/audio", w.partial);
    w.meetings = calloc((size_t)f->n_meetings, sizeof(*w.meetings));
    if (mkdir(audio, 0755))
        status = fail(err, "%s: cannot be made: %s", audio, strerror(errno));
    else if (!w.meetings)
        status = fail(err, "out of memory for %d meetings", f->n_meetings);
    else
        status = make_all(&w, progress, context, err);
    if (status == 0)
        status = write_lists(&w, final, turns, uem, err);
    if (status == 0 && rename(w.partial, final))
        status = fail(err, "%s: cannot be put in its place: %s", f->folder, strerror(errno));
    if (status)
        discard(&w);
    for (int i = 0; w.meetings && i < f->n_meetings; i++)
        simulated_release(&w.meetings[i]);
    free(w.meetings);
    return status;
}
