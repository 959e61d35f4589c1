// SPDX-License-Identifier: MIT
#include "prune/simulate.h"

#include "model/blocks.h"
#include "prune/draw.h"
#include "prune/meeting.h"
#include "stream/scan.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct simulate_settings simulate_defaults = {
    .min_speakers = 1, .max_speakers = 4, .p_nobody = 0.05f, .p_sparse = 0.15f,
    .turns = {.model = &turn_model_ami, .overlap = 1.15f, .length = 1.0f, .vary = 0.4f, .p_part = 0.2f},
    .voices = 5, .tracts = 1, .level_sd = 4.0f, .turn_sd = 2.0f, .aside_db = -3.0f,
    .p_close = 0.25f, .p_measured = 0.15f, .p_far = 0.4f,
    .near_low = 0.2f, .near_high = 1.2f, .far_low = 1.0f, .far_high = 4.5f,
    .rt60_low = 0.1f, .rt60_high = 0.8f, .bridge = 0.5f, .before = 1500, .excerpts = 1,
    .body = BODY_DEFAULTS, .channel = CHANNEL_DEFAULTS,
};

static int check(const struct simulate_settings *x, const struct speech_bank *speech,
                 struct error *err)
{
    if (x->min_speakers < 1 || x->max_speakers < x->min_speakers ||
        x->max_speakers > TURN_SPEAKERS)
        return fail(err, "%d to %d speakers a meeting: should be 1 to %d, the least first",
                    x->min_speakers, x->max_speakers, TURN_SPEAKERS);
    if (x->max_speakers > speech->n_speakers)
        return fail(err, "up to %d speakers a meeting, but the speech is of %d: give more "
                    "speech or fewer speakers (the speaker is the folder above the file)",
                    x->max_speakers, speech->n_speakers);
    if (!(x->rt60_low >= 0.05f && x->rt60_high >= x->rt60_low && x->rt60_high <= 1.0f))
        return fail(err, "reverberation of %g to %g s: should be 0.05 to 1", x->rt60_low,
                    x->rt60_high);
    if (!(x->channel.snr_high >= x->channel.snr_low && x->turns.overlap >= 0.0f &&
          x->turns.overlap <= 100.0f && x->turns.length > 0.0f && x->bridge >= 0.0f && x->bridge <= 10.0f))
        return fail(err, "impossible settings: SNR %g to %g dB, overlap times %g, turns times %g, "
                    "bridge %g s", x->channel.snr_low, x->channel.snr_high, x->turns.overlap,
                    x->turns.length, x->bridge);
    if (!(x->body.breaths >= 0.0f && x->body.breaths <= 60.0f && x->body.laughs >= 0.0f &&
          x->body.laughs <= 60.0f && x->body.stirs >= 0.0f && x->body.stirs <= 60.0f &&
          x->body.blows >= 0.0f && x->body.blows <= 60.0f))
        return fail(err, "%g breaths, %g laughs, %g stirs and %g blows a minute: should be 0 to 60",
                    x->body.breaths, x->body.laughs, x->body.stirs, x->body.blows);
    if (x->excerpts < 1 || x->excerpts > CLIP_MAX_EXCERPTS)
        return fail(err, "%d excerpts of a meeting: should be 1 to %d", x->excerpts, CLIP_MAX_EXCERPTS);
    if (x->before < 1)
        return fail(err, "clips that begin fewer than %d steps after their meeting", x->before);
    if (!(x->manner >= 0.0f && x->manner <= 20.0f))
        return fail(err, "manner of %g percent: should be 0 to 20", x->manner);
    if (!(x->colour >= 0.0f && x->colour <= 20.0f))
        return fail(err, "colour of %g dB: should be 0 to 20", x->colour);
    return 0;
}

static struct simulate_space *space_take(struct simulation *s, struct error *err)
{
    struct simulate_space *m;

    pthread_mutex_lock(&s->lock);
    m = s->spaces;
    if (m)
        s->spaces = m->next;
    pthread_mutex_unlock(&s->lock);
    if (m)
        return m;
    m = calloc(1, sizeof(*m));
    if (!m)
        fail(err, "out of memory for a simulation");
    else if (convolve_space_open(&m->convolve, err)) {
        free(m);
        m = NULL;
    }
    return m;
}

static void space_give(struct simulation *s, struct simulate_space *m)
{
    pthread_mutex_lock(&s->lock);
    m->next = s->spaces;
    s->spaces = m;
    pthread_mutex_unlock(&s->lock);
}

/* Columns of the clip, which begins at a step of the meeting: its speakers by the frames they speak in. */
static void label(struct clip *clip, const struct simulate_space *m, int64_t step)
{
    int count[TURN_SPEAKERS] = {0}, done[TURN_SPEAKERS] = {0};

    for (int i = 0; i < m->n_speakers; i++) {
        for (int f = 0; f < clip->n_frames; f++)
            count[i] += m->marks[i * m->n_steps + step + 2 * f + 1];
    }
    clip->n_speakers = 0;
    memset(clip->labels, 0, (size_t)clip->n_frames * CLIP_MAX_SPEAKERS);
    for (int k = 0; k < CLIP_MAX_SPEAKERS; k++)
        clip->speaker[k] = -1;
    for (int k = 0; k < CLIP_MAX_SPEAKERS; k++) {
        int best = -1;
        for (int i = 0; i < m->n_speakers; i++) {
            if (!done[i] && count[i] > 0 && (best < 0 || count[i] > count[best]))
                best = i;
        }
        if (best < 0)
            break;
        done[best] = 1;
        clip->speaker[k] = m->speakers[best].voice;
        clip->n_speakers++;
        for (int f = 0; f < clip->n_frames; f++)
            clip->labels[f * CLIP_MAX_SPEAKERS + k] =
                m->marks[best * m->n_steps + step + 2 * f + 1];
    }
}

/* Memory for the sound of a meeting of n samples, silent. */
static float *sound_of_all(struct simulate_space *m, int64_t n, struct error *err)
{
    if (m->sound_room < n) {
        free(m->sound_of_all);
        m->sound_of_all = malloc((size_t)n * sizeof(float));
        m->sound_room = m->sound_of_all ? n : 0;
    }
    if (!m->sound_of_all)
        fail(err, "out of memory for a meeting");
    else
        memset(m->sound_of_all, 0, (size_t)n * sizeof(float));
    return m->sound_of_all;
}

/* A clip is a part of a meeting that may have been going on for a while. */
static int get(struct clip *clip, const struct clip_source *source, uint64_t index,
               struct error *err)
{
    struct simulation *s = (struct simulation *)(void *)source; // its first member
    struct simulate_space *m = space_take(s, err);
    int64_t steps = (source->n_samples + ACTIVITY_STEP - 1) / ACTIVITY_STEP; // from clip to clip
    int excerpts = s->settings.excerpts, which = (int)(index % (uint64_t)excerpts);
    int64_t n = (excerpts - 1) * steps * ACTIVITY_STEP + source->n_samples;
    struct random rng;
    float *sound;
    int status;

    if (!m)
        return -1;
    draw_begin(&rng, s->seed, index / (uint64_t)excerpts);
    snprintf(clip->origin, sizeof(clip->origin), "simulated clip %llu of seed %llu",
             (unsigned long long)index, (unsigned long long)s->seed);
    status = clip->n_samples == source->n_samples
                 ? 0 : fail(err, "a clip of %lld samples for a source of %lld",
                            (long long)clip->n_samples, (long long)source->n_samples);
    if (status == 0)
        status = meeting_draw(m, s, 0.01 * draw_below(&rng, s->settings.before), n, 5.0, &rng, err);
    if (status == 0 && (sound = sound_of_all(m, n, err)) != NULL) {
        label(clip, m, which * steps);
        meeting_render(m, s, sound, n, &rng);
        memcpy(clip->samples, sound + which * steps * ACTIVITY_STEP,
               (size_t)clip->n_samples * sizeof(float));
    } else {
        status = -1;
    }
    space_give(s, m);
    return status;
}

static void close_source(struct clip_source *source)
{
    simulation_close((struct simulation *)(void *)source);
}

int simulation_open(struct simulation *s, const struct speech_bank *speech,
                    const struct sound_bank *noise, const struct sound_bank *rooms,
                    const struct simulate_settings *settings, double clip_seconds, uint64_t seed,
                    struct error *err)
{
    *s = (struct simulation){
        .source = {.n_samples = llrint(clip_seconds * 16000.0),
                   .n_known = settings->voices * settings->tracts * speech->n_speakers,
                   .excerpts = settings->excerpts, .get = get, .close = close_source},
        .speech = speech, .noise = noise, .rooms = rooms, .settings = *settings, .seed = seed,
    };
    if (check(settings, speech, err) ||
        voice_filters_open(&s->filters, settings->voices, settings->tracts, err) ||
        convolver_open(&s->convolver, err)) {
        voice_filters_close(&s->filters);
        *s = (struct simulation){0};
        return -1;
    }
    pthread_mutex_init(&s->lock, NULL);
    return 0;
}

void simulation_close(struct simulation *s)
{
    if (!s->speech)
        return;
    while (s->spaces) {
        struct simulate_space *m = s->spaces;
        s->spaces = m->next;
        convolve_space_close(&m->convolve);
        turn_plan_release(&m->plan);
        body_plan_release(&m->body);
        free(m->stretches);
        free(m->marks);
        free(m->sound_of_all);
        free(m->voice);
        free(m);
    }
    convolver_close(&s->convolver);
    voice_filters_close(&s->filters);
    pthread_mutex_destroy(&s->lock);
    *s = (struct simulation){0};
}

static int by_start(const void *a, const void *b)
{
    const struct simulated_turn *x = a, *y = b;

    if (x->start != y->start)
        return x->start < y->start ? -1 : 1;
    return x->voice - y->voice;
}

/* Runs of marks; with turns NULL they are only counted. */
static int list_turns(struct simulated_turn *turns, const struct simulate_space *m)
{
    int n = 0;

    for (int i = 0; i < m->n_speakers; i++) {
        const uint8_t *row = m->marks + i * m->n_steps;
        for (int64_t k = 0, end; k < m->n_steps; k = end) {
            for (end = k + 1; end < m->n_steps && row[end] == row[k]; end++) {}
            if (!row[k])
                continue;
            if (turns)
                turns[n] = (struct simulated_turn){(double)k / ACTIVITY_HZ,
                                                   (double)end / ACTIVITY_HZ,
                                                   m->speakers[i].voice};
            n++;
        }
    }
    return n;
}

static int take_turns(struct simulated *out, const struct simulate_space *m, struct error *err)
{
    out->n_turns = list_turns(NULL, m);
    out->turns = malloc(((size_t)out->n_turns + 1) * sizeof(*out->turns));
    if (!out->turns)
        return fail(err, "out of memory for %d turns", out->n_turns);
    list_turns(out->turns, m);
    qsort(out->turns, (size_t)out->n_turns, sizeof(*out->turns), by_start);
    for (int i = 0; i < m->n_speakers; i++)
        out->n_speakers += memchr(m->marks + i * m->n_steps, 1, (size_t)m->n_steps) != NULL;
    return 0;
}

int simulation_meeting(struct simulated *out, struct simulation *s, uint64_t index,
                       double seconds, struct error *err)
{
    struct simulate_space *m;
    struct random rng;
    int status = -1;

    *out = (struct simulated){.n = llrint(seconds * 16000.0)};
    if (out->n < 16000 || out->n > (int64_t)1 << 32)
        return fail(err, "a meeting of %g s: should be 1 s to 74 hours", seconds);
    m = space_take(s, err);
    if (!m)
        return -1;
    draw_begin(&rng, s->seed, index);
    out->samples = calloc((size_t)out->n, sizeof(float));
    if (!out->samples)
        fail(err, "out of memory for a meeting of %g s", seconds);
    else if (meeting_draw(m, s, 0.0, out->n, 0.0, &rng, err) == 0)
        status = take_turns(out, m, err);
    if (status == 0)
        meeting_render(m, s, out->samples, out->n, &rng);
    space_give(s, m);
    if (status)
        simulated_release(out);
    return status;
}

void simulated_release(struct simulated *m)
{
    free(m->samples);
    free(m->turns);
    *m = (struct simulated){0};
}

/* RTTM's fields end at blanks, so a name has none. */
void simulation_voice_name(char name[128], const struct simulation *s, int voice)
{
    int speaker = voice_speaker(&s->filters, voice);
    int percent = s->filters.percent[voice_speed(&s->filters, voice)];
    int resonance = s->filters.resonance[voice_tract(&s->filters, voice)];
    size_t length;
    const struct speech_bank *b = s->speech;
    const char *path = b->speakers[speaker].name, *base = strrchr(path, '/');

    base = base ? base + 1 : path;
    snprintf(name, 128, "%d-%.90s", speaker, base);
    if (!scan_printable((struct field){name, strlen(name)}))
        snprintf(name, 128, "%d", speaker);
    for (char *c = name; *c; c++)
        *c = *c == ' ' ? '_' : *c;
    length = strlen(name);
    if (percent != 100)
        snprintf(name + length, 128 - length, "@%g", percent / 100.0);
    length = strlen(name);
    if (resonance != 100)
        snprintf(name + length, 128 - length, "~%g", resonance / 100.0);
}
