// SPDX-License-Identifier: MIT
#include "stream/hear.h"

#include "stream/frame.h"
#include "stream/speaker_vectors.h"
#include "stream/through.h"
#include "stream/window_reader.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { THREADS_MAX = 256 };

/* How much of a vector is the window's if there is a listener's, too: chosen on simulated
 * meetings apart from those in the README; from 0.25 to 0.5 it matters little. */
static const float WINDOW_SAYS = 0.25f;

/* One recording. The lock guards the reader and what has been heard. */
struct hearing {
    const struct hear_settings *settings;
    struct powerset powerset;
    struct window_reader reader;
    struct through through; // not opened without a live model
    struct heard *heard;
    int room; // windows
    pthread_mutex_t lock;
    int failed;
    struct error failure;
};

/* One thread. */
struct ear {
    struct hearing *hearing;
    struct model_state state;
    struct model_acts acts;
    struct speaker_vectors network;
    float *samples;         // [a window's]
    uint8_t *raw, *sets;    // [frames]
    uint8_t *active;        // [frames,n_slots] the sets, as the network wants them
    float *live;            // [n_live,width] a listener's vectors of the window's first frames
    int n_live;
    float *mean;            // [TRAITS], or [width]
    float *vectors;         // [n_slots,width]
    pthread_t thread;
    struct error failure;
};

static void ear_close(struct ear *e)
{
    model_acts_close(&e->acts);
    model_state_close(&e->state);
    speaker_vectors_close(&e->network);
    free(e->samples);
    free(e->raw);
    free(e->active);
    free(e->mean);
    free(e->live);
    free(e->vectors);
}

static int ear_open(struct ear *e, struct hearing *hearing, struct error *err)
{
    const struct hear_settings *s = hearing->settings;
    const struct heard *h = hearing->heard;

    *e = (struct ear){.hearing = hearing};
    e->samples = malloc((size_t)s->windows.n_samples * sizeof(float));
    e->raw = malloc(2 * (size_t)h->n_frames);
    int traits = config_traits(&s->model->config);
    e->mean = malloc((size_t)(traits > h->width ? traits : h->width) * sizeof(float));
    e->live = malloc((size_t)h->n_frames * (size_t)h->width * sizeof(float));
    e->vectors = malloc((size_t)h->n_slots * (size_t)h->width * sizeof(float));
    e->active = malloc((size_t)h->n_frames * (size_t)h->n_slots);
    if (!e->samples || !e->raw || !e->mean || !e->live || !e->vectors ||
        !e->active)
        return fail(err, "out of memory");
    e->sets = e->raw + h->n_frames;
    if (s->network && speaker_vectors_open(&e->network, s->network, (size_t)s->windows.n_samples,
                                           h->n_frames, h->n_slots, err))
        return -1;
    return model_state_open(&e->state, s->model, err) || model_acts_open(&e->acts, s->model, err)
               ? -1
               : 0;
}

/* The decisions of n samples' frames; those there are none of are silent. */
static int decide(struct ear *e, size_t n)
{
    const struct hearing *h = e->hearing;
    const struct model *m = h->settings->model;
    int n_frames = h->heard->n_frames, T = 0;
    struct block b;

    model_state_reset(&e->state, m);
    if (block_next(&b, &e->state.at, (int64_t)n, 1, m->reach.block_frames, 0)) {
        model_forward(&e->acts, &e->state, m, e->samples, &b, 1);
        T = b.own;
    }
    memset(e->raw, 0, (size_t)n_frames);
    for (int t = 0; t < T; t++)
        e->raw[t] = (uint8_t)powerset_argmax(
            e->acts.readout.scores + (size_t)t * (size_t)h->powerset.n_classes, &h->powerset);
    heard_median(e->sets, e->raw, n_frames);
    return T;
}

/* Filtering may have a slot speak in the frames behind the last, T. */
static void find_own(struct ear *e, int T)
{
    const struct heard *h = e->hearing->heard;
    const struct model *m = e->hearing->settings->model;

    for (int s = 0; s < h->n_slots; s++) {
        float *vector = e->vectors + (size_t)s * (size_t)h->width;
        heard_mean(e->mean, e->acts.readout.traits, config_traits(&m->config), e->sets, T, s);
        model_vectors(vector, m, e->mean, 1);
        if (!heard_mean(e->mean, e->live, h->width, e->sets, e->n_live, s))
            continue;
        for (int k = 0; k < h->width; k++)
            vector[k] = WINDOW_SAYS * vector[k] + (1.0f - WINDOW_SAYS) * e->mean[k];
    }
}

static void find_by_network(struct ear *e, size_t n)
{
    const struct heard *h = e->hearing->heard;
    size_t slots = (size_t)h->n_slots;

    for (size_t i = 0; i < (size_t)h->n_frames * slots; i++)
        e->active[i] = e->sets[i / slots] >> i % slots & 1;
    speaker_vectors_compute(e->vectors, &e->network, e->samples, n, 0,
                            (size_t)e->hearing->settings->windows.n_samples, e->active,
                            h->n_frames, h->n_slots);
}

/* Of a window with n samples and T frames. */
static void find_vectors(struct ear *e, size_t n, int T)
{
    const struct heard *h = e->hearing->heard;

    if (e->hearing->settings->network)
        find_by_network(e, n);
    else
        find_own(e, T);
    for (int s = 0; s < h->n_slots && !e->hearing->settings->compat; s++) {
        int active, alone;
        heard_frames(&active, &alone, e->sets, h->n_frames, s);
        for (int k = 0; k < h->width && !active; k++)
            e->vectors[s * h->width + k] = NAN;
    }
}

/* With the lock. */
static int make_room(struct hearing *h, int window, struct error *err)
{
    struct heard *heard = h->heard;
    int room = window < 64 ? 128 : 2 * window;

    if (window < h->room)
        return 0;
    size_t frames = (size_t)room * (size_t)heard->n_frames;
    size_t numbers = (size_t)room * (size_t)heard->n_slots * (size_t)heard->width;
    uint8_t *sets = realloc(heard->sets, frames);
    heard->sets = sets ? sets : heard->sets;
    float *vectors = realloc(heard->vectors, numbers * sizeof(float));
    heard->vectors = vectors ? vectors : heard->vectors;
    if (!sets || !vectors)
        return fail(err, "out of memory: %d windows", window);
    h->room = room;
    return 0;
}

static void keep(struct ear *e, int window)
{
    struct heard *h = e->hearing->heard;
    size_t slots = (size_t)h->n_slots * (size_t)h->width;

    memcpy(heard_window(h, window), e->sets, (size_t)h->n_frames);
    memcpy(h->vectors + (size_t)window * slots, e->vectors, slots * sizeof(float));
}

/* With the lock: those of a window's samples that the window before had not are heard. */
static void hear_through(struct ear *e, size_t n, int64_t window)
{
    struct hearing *h = e->hearing;
    const struct windows *w = &h->settings->windows;
    size_t known = window ? (size_t)(w->n_samples - w->n_step) : 0;

    if (!h->through.keep)
        return;
    if (n > known)
        through_put(&h->through, e->samples + known, n - known);
    e->n_live = through_copy(e->live, &h->through, windows_frame(w, window), w->n_frames);
}

/* The next window's samples: as window_reader_next. */
static int next_window(struct ear *e, size_t *n, int64_t *window)
{
    struct hearing *h = e->hearing;
    int got = 0;

    pthread_mutex_lock(&h->lock);
    if (!h->failed) {
        got = window_reader_next(&h->reader, e->samples, n, window, &e->failure);
        if (got > 0 && (*window > INT32_MAX / 2 || make_room(h, (int)*window, &e->failure)))
            got = -1;
        if (got > 0) {
            h->heard->n_windows = (int)*window + 1;
            hear_through(e, *n, *window);
        }
        if (got < 0) {
            h->failed = 1;
            h->failure = e->failure;
        }
    }
    pthread_mutex_unlock(&h->lock);
    return got;
}

static void *listen(void *user)
{
    struct ear *e = user;
    struct hearing *h = e->hearing;
    size_t n, whole = (size_t)h->settings->windows.n_samples;
    int64_t window;

    while (next_window(e, &n, &window) > 0) {
        int64_t fresh = window ? h->settings->windows.n_step : (int64_t)n;
        if (h->settings->compat && n < whole) {
            memset(e->samples + n, 0, (whole - n) * sizeof(float));
            n = whole;
        }
        find_vectors(e, n, decide(e, n));
        pthread_mutex_lock(&h->lock);
        keep(e, (int)window);
        pthread_mutex_unlock(&h->lock);
        if (h->settings->samples)
            atomic_fetch_add_explicit(h->settings->samples, fresh, memory_order_relaxed);
    }
    return NULL;
}

/* The caller is one of the threads; a thread that cannot be had is done without. */
static int run(struct hearing *h, struct error *err)
{
    int wanted = h->settings->n_threads < THREADS_MAX ? h->settings->n_threads : THREADS_MAX;
    struct ear *ears = calloc((size_t)wanted, sizeof(*ears));
    int n = 0, status = 0;

    if (!ears)
        return fail(err, "out of memory");
    for (int i = 0; status == 0 && i < wanted; i++)
        status = ear_open(&ears[i], h, err);
    if (status == 0) {
        for (n = 1; n < wanted; n++) {
            if (pthread_create(&ears[n].thread, NULL, listen, &ears[n]))
                break;
        }
        listen(&ears[0]);
    }
    for (int i = 1; i < n; i++)
        pthread_join(ears[i].thread, NULL);
    for (int i = 0; i < wanted; i++)
        ear_close(&ears[i]);
    free(ears);
    if (status == 0 && h->failed) {
        *err = h->failure;
        status = -1;
    }
    return status;
}

static int check_model(const struct hear_settings *s, struct error *err)
{
    const struct model *m = s->model;

    if (!m->config.readout.present)
        return fail(err, "a bare WavLM without a readout cannot tell speakers; it works with "
                         "`antiphon features`");
    if (!m->config.readout.embedding && !s->network)
        return fail(err, "this model has no speaker vectors of its own; say --embedding FILE, "
                         "or --clustering online");
    return 0;
}

static int open_hearing(struct hearing *h, const char *path, struct error *err)
{
    const struct hear_settings *s = h->settings;
    const struct readout_config *readout = &s->model->config.readout;

    powerset_init(&h->powerset, readout->n_speakers, readout->at_once);
    if (check_model(s, err) ||
        window_reader_open(&h->reader, path, s->channel, &s->windows, err))
        return -1;
    return s->live && !s->network ? through_open(&h->through, s->live, s->windows.n_frames + 1,
                                                 (size_t)s->windows.n_samples, err)
                                  : 0;
}

int hear(struct heard *h, double *seconds, const char *path, const struct hear_settings *s,
         struct error *err)
{
    const struct readout_config *readout = &s->model->config.readout;
    struct hearing hearing = {.settings = s, .heard = h};
    int status;

    *h = (struct heard){.n_frames = s->windows.n_frames, .n_slots = readout->n_speakers,
                        .width = s->network ? s->network->shape.embedding
                                            : readout->embedding};
    pthread_mutex_init(&hearing.lock, NULL);
    status = open_hearing(&hearing, path, err) || run(&hearing, err) ? -1 : 0;
    *seconds = (double)window_reader_samples(&hearing.reader) / FRAME_HZ;
    if (status == 0 && window_reader_samples(&hearing.reader) < FRAME_WINDOW)
        status = fail(err, "%s: too short: not even one frame (400 samples at 16 kHz)", path);
    pthread_mutex_destroy(&hearing.lock);
    through_close(&hearing.through);
    window_reader_close(&hearing.reader);
    return status;
}

void heard_release(struct heard *h)
{
    free(h->sets);
    free(h->vectors);
    *h = (struct heard){0};
}
