// SPDX-License-Identifier: MIT
#include "prune/data.h"

#include "model/blocks.h"
#include "prune/draw.h"
#include "prune/room.h"
#include "stream/audio_file.h"
#include "stream/pcm.h"
#include "stream/resample.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONTEXT 0.1 // s read before and after a chunk that is resampled

const struct data_settings data_defaults = {
    .chunk = 8.0, .shift = 6.0, .keep = 4, .channel = 1, .shuffle = 1, .dither = 1,
    .augment = 0.5f, .voices = 3, .p_speed = 0.3f, .p_room = 0.2f, .rt60_low = 0.1f, .rt60_high = 0.5f,
    .line = CHANNEL_DEFAULTS,
};

struct data_space {
    float *samples, *ticks; // the chunk as it is in the file, and what it is read from
    size_t samples_room, ticks_room;
    struct convolve_space convolve;
    struct response response;
    struct data_space *next;
};

uint64_t data_shuffled(uint64_t k, uint64_t n, uint64_t seed, uint64_t epoch)
{
    struct random rng;
    uint64_t key[4];
    int half = 1;

    draw_begin(&rng, seed, epoch);
    for (int i = 0; i < 4; i++)
        key[i] = random_bits(&rng);
    while (half < 31 && (uint64_t)1 << (2 * half) < n)
        half++;
    uint64_t mask = ((uint64_t)1 << half) - 1;
    do {
        uint64_t left = k >> half, right = k & mask;
        for (int i = 0; i < 4; i++) {
            uint64_t z = (right ^ key[i]) * 0xff51afd7ed558ccdu;
            z = (z ^ (z >> 32)) * 0xc4ceb9fe1a85ec53u;
            uint64_t mixed = left ^ ((z >> 29) & mask);
            left = right;
            right = mixed;
        }
        k = left << half | right;
    } while (k >= n);
    return k;
}

static int add_chunk(struct data_folder *d, size_t *room, struct data_chunk chunk,
                     struct error *err)
{
    if (d->source.epoch == *room) {
        size_t more = *room ? 2 * *room : 1024;
        struct data_chunk *chunks = realloc(d->chunks, more * sizeof(*chunks));
        if (!chunks)
            return fail(err, "out of memory for %zu chunks", more);
        d->chunks = chunks;
        *room = more;
    }
    d->chunks[d->source.epoch++] = chunk;
    return 0;
}

static int cut_region(struct data_folder *d, int recording, const struct data_region *region,
                      size_t *room, struct error *err)
{
    double first = floor(region->start + 1.0), length = floor(region->end - 1.0) - first;
    double size = d->settings.chunk, step = d->settings.shift;

    if (!(length > size)) {
        const struct data_recording *r = &d->lists.recordings[recording];
        return fail(err, "%s: line %d: the %.2f s of %.60s are too short: a chunk of %g s and a "
                    "second at each edge are needed; leave it out or take shorter chunks",
                    region->line ? "all.uem" : "wav.scp", region->line ? region->line : r->line,
                    region->end - region->start, r->name, size);
    }
    int n = (int)((length - size + step) / step);
    for (int i = 0; i < n; i++) {
        if (add_chunk(d, room, (struct data_chunk){recording, first + i * step, region->end}, err))
            return -1;
    }
    return 0;
}

static int cut_all(struct data_folder *d, const char *folder, struct error *err)
{
    size_t room = 0;

    for (int i = 0; i < d->lists.n; i++) {
        const struct data_recording *r = &d->lists.recordings[i];
        for (int k = 0; k < r->n_regions; k++) {
            if (cut_region(d, i, &r->regions[k], &room, err))
                return fail_prefix(err, "%s/", folder);
        }
    }
    return d->source.epoch ? 0 : fail(err, "%s/all.uem: no region in it", folder);
}

static int reserve(float **at, size_t *room, size_t n, struct error *err)
{
    if (*room >= n)
        return 0;
    free(*at);
    *room = 0;
    *at = malloc(n * sizeof(float));
    if (!*at)
        return fail(err, "out of memory for %zu samples", n);
    *room = n;
    return 0;
}

/* Reads `n` ticks, or to the end; mono samples at 16 kHz behind `samples`. */
static int convert(struct audio_file *f, struct resampler *r, struct data_space *s, int64_t n,
                   size_t *n_samples, struct error *err)
{
    enum { PART = 4096 };
    long got = 1;

    *n_samples = 0;
    while (n > 0 && got > 0) {
        got = audio_file_next(f, s->ticks, n < PART ? (size_t)n : PART, err);
        if (got < 0)
            return -1;
        pcm_make_finite(s->ticks, (size_t)got * (size_t)f->channels);
        *n_samples += resampler_process(r, s->samples + *n_samples, s->ticks, (size_t)got);
        n -= got;
    }
    *n_samples += resampler_finish(r, s->samples + *n_samples);
    return 0;
}

/* Samples [n] from `start` s on into s->samples; what the file lacks is zero. */
static int read_chunk(struct data_space *s, const struct data_recording *rec, double start,
                      int64_t n, int channel, struct error *err)
{
    struct audio_file f;
    struct resampler r = {0};
    double context = rec->rate_hz == 16000 ? 0.0 : CONTEXT;
    int64_t tick = (int64_t)((start > context ? start - context : 0.0) * rec->rate_hz);
    int64_t skip = llrint(start * 16000.0 - (double)tick * 16000.0 / rec->rate_hz);
    int64_t n_ticks = (int64_t)ceil(((double)(skip + n) / 16000.0 + context) * rec->rate_hz);
    size_t got = 0;
    int status;

    if (audio_file_open(&f, rec->path, err))
        return -1;
    status = f.rate_hz == rec->rate_hz ? 0
        : fail(err, "%s: %d Hz, but %d Hz when the run began: it was replaced", rec->path,
               f.rate_hz, rec->rate_hz);
    if (status == 0)
        status = resampler_open(&r, f.rate_hz, f.channels, channel, err)
                 ? fail_prefix(err, "%s: ", rec->path) : 0;
    if (status == 0)
        status = reserve(&s->samples, &s->samples_room,
                         resampler_room(&r, (size_t)n_ticks) + resampler_room(&r, 0) + (size_t)n,
                         err) ||
                 reserve(&s->ticks, &s->ticks_room, 4096 * (size_t)f.channels, err) ? -1 : 0;
    if (status == 0)
        status = audio_file_seek(&f, tick, err);
    if (status == 0)
        status = convert(&f, &r, s, n_ticks, &got, err);
    resampler_close(&r);
    audio_file_close(&f);
    if (status)
        return -1;
    if ((int64_t)got < skip + n - 1600)
        return fail(err, "%s: its audio ends at %.2f s, before %.2f s that its header promises",
                    rec->path, start + (double)((int64_t)got - skip) / 16000.0, rec->seconds);
    for (int64_t i = 0; i < n; i++)
        s->samples[i] = skip + i < (int64_t)got ? s->samples[skip + i] : 0.0f;
    return 0;
}

/* Marks a turn's frames [n_frames]; times in single precision, as upstream's
 * arrays are. */
static void mark_turn(uint8_t *frames, int n_frames, const struct data_turn *t, float start,
                      float end, float speed)
{
    float from = ((t->start > start ? t->start : start) - start) / speed - 0.0125f;
    float to = ((t->end < end ? t->end : end) - start) / speed - 0.0125f;
    long first = lrintf(from / 0.02f), last = lrintf(to / 0.02f);

    for (long f = first > 0 ? first : 0; f <= last && f < n_frames; f++)
        frames[f] = 1;
}

/* Speakers of a chunk, in order of first mention, with the frames of each. */
struct talk {
    int speaker[64], count[64], n;
    uint8_t *frames; // [64][n_frames]
};

static void find_talk(struct talk *talk, const struct data_recording *r, double start,
                      double chunk, float speed, int n_frames)
{
    float from = (float)start, to = (float)(start + chunk * speed);

    talk->n = 0;
    for (int i = 0; i < r->n_turns; i++) {
        const struct data_turn *t = &r->turns[i];
        int k = 0;
        if (!(t->start < to && t->end > from))
            continue;
        while (k < talk->n && talk->speaker[k] != t->speaker)
            k++;
        if (k == 64)
            continue;
        if (k == talk->n) {
            talk->speaker[talk->n++] = t->speaker;
            memset(talk->frames + (size_t)k * (size_t)n_frames, 0, (size_t)n_frames);
        }
        mark_turn(talk->frames + (size_t)k * (size_t)n_frames, n_frames, t, from, to,
                  speed);
    }
    for (int k = 0; k < talk->n; k++) {
        talk->count[k] = 0;
        for (int f = 0; f < n_frames; f++)
            talk->count[k] += talk->frames[(size_t)k * (size_t)n_frames + (size_t)f];
    }
}

static float speed_of(const struct data_folder *d, int speed)
{
    return (float)d->filters.percent[speed] / 100.0f;
}

static int label(struct clip *clip, const struct data_folder *d, const struct data_chunk *chunk,
                 int speed, struct error *err)
{
    struct talk talk = {.frames = malloc(64 * (size_t)clip->n_frames)};

    if (!talk.frames)
        return fail(err, "out of memory for labels");
    find_talk(&talk, &d->lists.recordings[chunk->recording], chunk->start, d->settings.chunk,
              speed_of(d, speed), clip->n_frames);
    clip->n_speakers = 0;
    memset(clip->labels, 0, (size_t)clip->n_frames * CLIP_MAX_SPEAKERS);
    for (int k = 0; k < CLIP_MAX_SPEAKERS; k++)
        clip->speaker[k] = -1;
    for (int k = 0; k < d->settings.keep; k++) {
        int best = -1;
        for (int i = 0; i < talk.n; i++) {
            if (talk.count[i] > 0 && (best < 0 || talk.count[i] > talk.count[best]))
                best = i;
        }
        if (best < 0)
            break;
        for (int f = 0; f < clip->n_frames; f++)
            clip->labels[f * CLIP_MAX_SPEAKERS + k] =
                talk.frames[(size_t)best * (size_t)clip->n_frames + (size_t)f];
        clip->speaker[k] = d->filters.n * talk.speaker[best] + speed;
        clip->n_speakers++;
        talk.count[best] = 0;
    }
    free(talk.frames);
    return 0;
}

static double speech_power(const struct clip *clip)
{
    double sum = 0.0;
    int64_t count = 0;

    for (int f = 0; f < clip->n_frames; f++) {
        int any = 0;
        for (int k = 0; k < clip->n_speakers; k++)
            any |= clip->labels[f * CLIP_MAX_SPEAKERS + k];
        for (int64_t i = 320 * (int64_t)f; any && i < 320 * (int64_t)(f + 1); i++)
            sum += (double)clip->samples[i] * clip->samples[i];
        count += any ? 320 : 0;
    }
    return count ? sum / (double)count : 0.0;
}

struct dry {
    const float *samples;
};

static int pull_dry(void *context, float *dst, int64_t from, int n)
{
    memcpy(dst, ((const struct dry *)context)->samples + from, (size_t)n * sizeof(float));
    return 1;
}

/* The whole chunk through one response; s->samples is its copy then. */
static void add_room(struct clip *clip, const struct data_folder *d, struct data_space *s,
                     struct random *rng)
{
    struct dry dry = {s->samples};

    if (d->rooms && d->rooms->n && draw_chance(rng, 0.5f)) {
        const struct sound *sound = &d->rooms->sounds[draw_below(rng, d->rooms->n)];
        memcpy(s->response.taps, sound->samples, (size_t)sound->n * sizeof(float));
        s->response.n = sound->n;
        s->response.delay = RESPONSE_LEAD;
    } else {
        struct room room;
        float place[3];
        room_draw(&room, d->settings.rt60_low, d->settings.rt60_high, rng);
        room_place(place, &room, draw_between(rng, 0.3f, 3.0f), rng);
        room_response(&s->response, &room, place, rng);
    }
    memcpy(s->samples, clip->samples, (size_t)clip->n_samples * sizeof(float));
    memset(clip->samples, 0, (size_t)clip->n_samples * sizeof(float));
    convolve_add(&d->convolver, &s->convolve, clip->samples, clip->n_samples, &s->response, 1.0f,
                 pull_dry, &dry);
}

static void change(struct clip *clip, const struct data_folder *d, struct data_space *s,
                   int augment, struct random *rng)
{
    const struct data_settings *x = &d->settings;

    if (augment && draw_chance(rng, x->p_room))
        add_room(clip, d, s, rng);
    if (augment) {
        channel_apply(clip->samples, clip->n_samples, speech_power(clip), &x->line, d->noise,
                      &d->convolver, &s->convolve, &s->response, rng);
    } else if (x->dither) {
        float level = draw_between(rng, DITHER_LOW, DITHER_HIGH);
        for (int64_t i = 0; i < clip->n_samples; i++)
            clip->samples[i] += level * draw_noise(rng);
    }
}

static struct data_space *space_take(struct data_folder *d, struct error *err)
{
    struct data_space *s;

    pthread_mutex_lock(&d->lock);
    s = d->spaces;
    if (s)
        d->spaces = s->next;
    pthread_mutex_unlock(&d->lock);
    if (s)
        return s;
    s = calloc(1, sizeof(*s));
    if (!s)
        fail(err, "out of memory for a chunk");
    else if (convolve_space_open(&s->convolve, err)) {
        free(s);
        s = NULL;
    }
    return s;
}

static void space_give(struct data_folder *d, struct data_space *s)
{
    pthread_mutex_lock(&d->lock);
    s->next = d->spaces;
    d->spaces = s;
    pthread_mutex_unlock(&d->lock);
}

static int fill(struct clip *clip, const struct data_folder *d, struct data_space *s,
                const struct data_chunk *chunk, struct random *rng, struct error *err)
{
    const struct data_recording *rec = &d->lists.recordings[chunk->recording];
    int augment = draw_chance(rng, d->settings.augment), speed = 0;
    int64_t n;

    if (augment && d->filters.n > 1 && draw_chance(rng, d->settings.p_speed))
        speed = 1 + draw_below(rng, d->filters.n - 1);
    if (chunk->start + d->settings.chunk * speed_of(d, speed) > chunk->until)
        speed = 0;
    n = speed ? (int64_t)ceil((double)clip->n_samples * speed_of(d, speed)) : clip->n_samples;
    snprintf(clip->origin, sizeof(clip->origin), "%.120s from %.2f s on, speed %.2f%s", rec->name,
             chunk->start, speed_of(d, speed), augment ? ", changed" : "");
    if (read_chunk(s, rec, chunk->start, n, d->settings.channel, err))
        return -1;
    voice_resample(clip->samples, clip->n_samples, s->samples, n, d->filters.percent[speed],
                   &d->filters);
    if (label(clip, d, chunk, speed, err) ||
        reserve(&s->samples, &s->samples_room, (size_t)clip->n_samples, err))
        return -1;
    change(clip, d, s, augment, rng);
    return 0;
}

static int get(struct clip *clip, const struct clip_source *source, uint64_t index,
               struct error *err)
{
    struct data_folder *d = (struct data_folder *)(void *)source; // its first member
    uint64_t epoch = index / source->epoch, k = index % source->epoch;
    struct data_space *s;
    struct random rng;
    int status;

    if (clip->n_samples != source->n_samples)
        return fail(err, "a clip of %lld samples for a source of %lld",
                    (long long)clip->n_samples, (long long)source->n_samples);
    s = space_take(d, err);
    if (!s)
        return -1;
    draw_begin(&rng, d->seed ^ 0x64617461, index);
    if (d->settings.shuffle)
        k = data_shuffled(k, source->epoch, d->seed, epoch);
    status = fill(clip, d, s, &d->chunks[k], &rng, err);
    space_give(d, s);
    return status;
}

static void close_source(struct clip_source *source)
{
    data_close((struct data_folder *)(void *)source);
}

static int check(const struct data_settings *x, struct error *err)
{
    if (!(x->chunk >= 0.1 && x->chunk <= 3600.0 && x->shift >= 0.01 && x->shift <= 3600.0))
        return fail(err, "chunks of %g s every %g s: should be 0.1 s to an hour", x->chunk,
                    x->shift);
    if (x->keep < 1 || x->keep > CLIP_MAX_SPEAKERS)
        return fail(err, "%d speakers of a chunk: should be 1 to %d", x->keep,
                    CLIP_MAX_SPEAKERS);
    return 0;
}

int data_open(struct data_folder *d, const char *folder, const struct data_settings *settings,
              const struct sound_bank *noise, const struct sound_bank *rooms, uint64_t seed,
              struct error *err)
{
    *d = (struct data_folder){.settings = *settings, .noise = noise, .rooms = rooms,
                              .seed = seed, .open = 1};
    pthread_mutex_init(&d->lock, NULL);
    if (check(settings, err) || voice_filters_open(&d->filters, settings->voices, 1, err) ||
        data_lists_read(&d->lists, folder, err) ||
        cut_all(d, folder, err) || convolver_open(&d->convolver, err)) {
        data_close(d);
        return -1;
    }
    d->source.n_samples = llrint(settings->chunk * 16000.0);
    d->source.n_known = settings->voices * d->lists.n_speakers;
    d->source.get = get;
    d->source.close = close_source;
    return 0;
}

void data_close(struct data_folder *d)
{
    if (!d->open)
        return;
    while (d->spaces) {
        struct data_space *s = d->spaces;
        d->spaces = s->next;
        convolve_space_close(&s->convolve);
        free(s->samples);
        free(s->ticks);
        free(s);
    }
    convolver_close(&d->convolver);
    voice_filters_close(&d->filters);
    data_lists_release(&d->lists);
    free(d->chunks);
    pthread_mutex_destroy(&d->lock);
    *d = (struct data_folder){0};
}
