// SPDX-License-Identifier: MIT
#include "prune/speech_bank.h"

#include "prune/activity.h"
#include "prune/audio_folder.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* In steps of 10 ms. */
enum { PAUSE = 20, MARGIN = 5, LEAST_SPEECH = 15 };

/* One file's cut: its pieces in one block of memory, which is theirs. */
struct cut {
    struct piece *pieces; // begins the block; pcm and activity follow
    int n;
};

struct cutting {
    struct cut *cuts; // [files]
};

static int16_t to_int16(float x)
{
    float y = x * 32768.0f;

    return y >= 32767.0f ? 32767 : y <= -32768.0f ? -32768 : (int16_t)lrintf(y);
}

/* The next piece of speech at or after *at: its steps [from, to) with margins,
 * and *at behind it. 0 if there is none. */
static int next_piece(const uint8_t *activity, int n, int *at, int *from, int *to, int *speech)
{
    int i = *at, pause = 0, last;

    while (i < n && !activity[i])
        i++;
    if (i == n)
        return 0;
    *from = i - MARGIN > *at ? i - MARGIN : *at;
    *speech = 0;
    for (last = i; i < n && pause < PAUSE; i++) {
        pause = activity[i] ? 0 : pause + 1;
        if (activity[i]) {
            last = i;
            (*speech)++;
        }
    }
    *to = last + 1 + MARGIN < n ? last + 1 + MARGIN : n;
    *at = *to;
    return 1;
}

static void count_pieces(int *n_pieces, int *n_steps, const uint8_t *activity, int n)
{
    int at = 0, from, to, speech;

    *n_pieces = *n_steps = 0;
    while (next_piece(activity, n, &at, &from, &to, &speech)) {
        *n_pieces += speech >= LEAST_SPEECH;
        *n_steps += speech >= LEAST_SPEECH ? to - from : 0;
    }
}

static void fill_cut(struct cut *c, int n_steps, const uint8_t *activity, const float *samples,
                     int n, size_t n_samples)
{
    int16_t *pcm = (int16_t *)(void *)(c->pieces + c->n);
    uint8_t *marks = (uint8_t *)(pcm + (size_t)n_steps * ACTIVITY_STEP);
    float scale = (float)(1.0 / sqrt(activity_power(activity, samples, n_samples) + 1e-12));
    int at = 0, from, to, speech, end = 0, k = 0;

    while (next_piece(activity, n, &at, &from, &to, &speech)) {
        if (speech < LEAST_SPEECH)
            continue;
        struct piece *p = &c->pieces[k];
        *p = (struct piece){pcm, marks, to - from, -1, scale / 32768.0f};
        if (k > 0)
            p[-1].pause = from - end;
        for (size_t i = 0; i < (size_t)(to - from) * ACTIVITY_STEP; i++) {
            size_t from_sample = (size_t)from * ACTIVITY_STEP + i;
            pcm[i] = from_sample < n_samples ? to_int16(samples[from_sample]) : 0;
        }
        memcpy(marks, activity + from, (size_t)(to - from));
        pcm += (size_t)(to - from) * ACTIVITY_STEP;
        marks += to - from;
        end = to;
        k++;
    }
}

static int cut_file(void *context, int i, float *samples, size_t n, struct error *err)
{
    struct cut *c = &((struct cutting *)context)->cuts[i];
    uint8_t *activity = malloc(activity_steps(n) + 1);
    int n_steps, status = 0;

    if (n > (size_t)INT32_MAX)
        status = fail(err, "a recording of %.0f hours; split it", (double)n / 16000.0 / 3600.0);
    else if (!activity)
        status = fail(err, "out of memory for %zu samples", n);
    if (status == 0) {
        activity_find(activity, samples, n);
        count_pieces(&c->n, &n_steps, activity, (int)activity_steps(n));
    }
    if (status == 0 && c->n > 0) {
        c->pieces = malloc((size_t)c->n * sizeof(struct piece) +
                           (size_t)n_steps * (ACTIVITY_STEP * sizeof(int16_t) + 1));
        if (c->pieces)
            fill_cut(c, n_steps, activity, samples, (int)activity_steps(n), n);
        else
            status = fail(err, "out of memory for %d s of speech", n_steps / ACTIVITY_HZ);
    }
    free(activity);
    free(samples);
    return status;
}

/* Length of the folder's path. */
static size_t folder_length(const char *path)
{
    return (size_t)(strrchr(path, '/') - path);
}

/* Files of one folder stand together in the list. */
static int is_new_speaker(const struct speech_bank *b, const char *path)
{
    const struct bank_speaker *last = b->speakers + b->n_speakers - 1;
    size_t n = folder_length(path);

    return b->n_speakers == 0 || strlen(last->name) != n || strncmp(last->name, path, n) != 0;
}

static int add_file(struct speech_bank *b, const char *path, struct cut *c, struct error *err)
{
    struct bank_speaker *s;

    if (c->n == 0) {
        b->n_silent++;
        return 0;
    }
    if (is_new_speaker(b, path)) {
        s = &b->speakers[b->n_speakers++];
        *s = (struct bank_speaker){strndup(path, folder_length(path)), b->n_pieces, 0, 0.0};
        if (!s->name)
            return fail(err, "out of memory");
    }
    s = &b->speakers[b->n_speakers - 1];
    for (int i = 0; i < c->n; i++) {
        double seconds = 0.0;
        for (int k = 0; k < c->pieces[i].n_steps; k++)
            seconds += c->pieces[i].activity[k] ? 1.0 / ACTIVITY_HZ : 0.0;
        b->pieces[b->n_pieces++] = c->pieces[i];
        s->seconds += seconds;
        b->seconds += seconds;
    }
    s->n += c->n;
    b->files[b->n_files++] = c->pieces;
    c->pieces = NULL;
    return 0;
}

static int join(struct speech_bank *b, const struct audio_folder *f, struct cut *cuts,
                const char *folder, struct error *err)
{
    size_t n = 0;

    for (int i = 0; i < f->n; i++)
        n += (size_t)cuts[i].n;
    if (n == 0)
        return fail(err, "%s: no speech in its %d audio files; recordings of one person each "
                    "were expected", folder, f->n);
    if (n > (size_t)INT32_MAX)
        return fail(err, "%s: %zu pieces of speech are too many; take a part of it", folder, n);
    b->pieces = calloc(n, sizeof(*b->pieces));
    b->speakers = calloc((size_t)f->n, sizeof(*b->speakers));
    b->files = calloc((size_t)f->n, sizeof(*b->files));
    if (!b->pieces || !b->speakers || !b->files)
        return fail(err, "out of memory for %zu pieces of speech", n);
    for (int i = 0; i < f->n; i++) {
        if (add_file(b, f->paths[i], &cuts[i], err))
            return -1;
    }
    return 0;
}

int speech_bank_open(struct speech_bank *b, const char *folder, int n_threads, struct error *err)
{
    struct audio_folder f;
    struct cutting work = {0};
    int status;

    *b = (struct speech_bank){0};
    if (audio_folder_list(&f, folder, err))
        return -1;
    work.cuts = calloc((size_t)f.n, sizeof(*work.cuts));
    status = work.cuts ? audio_folder_read(&f, n_threads, cut_file, &work, err)
                       : fail(err, "out of memory for %d files", f.n);
    if (status == 0)
        status = join(b, &f, work.cuts, folder, err);
    for (int i = 0; work.cuts && i < f.n; i++)
        free(work.cuts[i].pieces);
    free(work.cuts);
    audio_folder_release(&f);
    if (status)
        speech_bank_close(b);
    return status;
}

void speech_bank_close(struct speech_bank *b)
{
    for (int i = 0; i < b->n_files; i++)
        free(b->files[i]);
    for (int i = 0; i < b->n_speakers; i++)
        free(b->speakers[i].name);
    free(b->files);
    free(b->speakers);
    free(b->pieces);
    *b = (struct speech_bank){0};
}
