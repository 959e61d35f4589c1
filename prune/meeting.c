// SPDX-License-Identifier: MIT
#include "prune/meeting.h"

#include "prune/decibels.h"
#include "prune/draw.h"
#include "prune/room.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define ENOUGH 6.0 // s of speech
#define TILT_DB 40.0f // that come with a pitch of e times

/* In steps of 10 ms. */
enum {
    LEAST = 15,     // no stretch is planned shorter than this
    SLACK = 15,     // a piece may be longer than its turn by this before it is cut
    SEARCH = 12,    // the cut may move this far to a quiet place
    PAUSE_MOST = 36, // within a turn; with the pieces' margins half a second, as labels bridge
    REST = 30,      // what is left of a piece is used if it is longer than this
    LABEL_AT = 40,  // samples into the step: 320 f + 200 is 40 into step 2 f + 1
};

static int add_stretch(struct simulate_space *m, struct stretch s, struct error *err)
{
    if (m->n == m->room) {
        int room = m->room ? 2 * m->room : 256;
        struct stretch *stretches = realloc(m->stretches, (size_t)room * sizeof(*stretches));
        if (!stretches)
            return fail(err, "out of memory for %d stretches of speech", room);
        m->stretches = stretches;
        m->room = room;
    }
    m->stretches[m->n++] = s;
    return 0;
}

/* A speaker of the bank; one of whom there is little, who would soon repeat
 * himself, is drawn less often. */
static int draw_person(const struct speech_bank *b, struct random *rng)
{
    int who = draw_below(rng, b->n_speakers);

    for (int i = 0; i < 3 && b->speakers[who].seconds < ENOUGH; i++)
        who = draw_chance(rng, 0.5f) ? draw_below(rng, b->n_speakers) : who;
    return who;
}

/* Distinct speakers of the bank, each in one of the voices. */
static void draw_voices(struct simulate_space *m, const struct simulation *s, struct random *rng)
{
    for (int i = 0; i < m->n_speakers; i++) {
        struct meeting_speaker *p = &m->speakers[i];
        int who, taken;
        do {
            who = draw_person(s->speech, rng);
            taken = 0;
            for (int k = 0; k < i; k++)
                taken |= voice_speaker(&s->filters, m->speakers[k].voice) == who;
        } while (taken);
        *p = (struct meeting_speaker){.voice = who * s->filters.n_tracts * s->filters.n};
        if (s->filters.n > 1)
            p->voice += draw_below(rng, s->filters.n);
        if (s->filters.n_tracts > 1)
            p->voice += s->filters.n * draw_below(rng, s->filters.n_tracts);
        p->gain = decibels(s->settings.level_sd * draw_normal(rng));
        p->piece = s->speech->speakers[who].first +
                   draw_below(rng, s->speech->speakers[who].n);
    }
}

/* The quietest step near `at`: words are cut there, if they must be. */
static int quietest(const struct piece *p, int from, int at)
{
    int best = at;

    for (int i = at - SEARCH; i <= at + SEARCH; i++) {
        if (i > from + LEAST / 2 && i < p->n_steps && p->activity[i] < p->activity[best])
            best = i;
    }
    return best;
}

/* The step before the first with speech: a turn begins when it begins. */
static int first_speech(const struct piece *p, int from)
{
    int i = from;

    while (i < p->n_steps - 1 && !p->activity[i])
        i++;
    return i > from ? i - 1 : from;
}

static int draw_pause(struct random *rng)
{
    float seconds = 0.2f * expf(0.5f * draw_normal(rng));

    seconds = seconds < 0.06f ? 0.06f : seconds > 0.36f ? 0.36f : seconds;
    return (int)(seconds * ACTIVITY_HZ);
}

/* Moves on behind step `end` of the piece; returns the pause before what follows. */
static int advance(struct meeting_speaker *p, const struct bank_speaker *who,
                   const struct piece *piece, int end, struct random *rng)
{
    int pause = draw_pause(rng); // drawn whether it is needed or not

    if (piece->n_steps - end >= REST) {
        p->step = end;
        return pause;
    }
    p->step = 0;
    p->piece = p->piece + 1 < who->first + who->n ? p->piece + 1 : who->first;
    return piece->pause >= 0 && piece->pause < PAUSE_MOST ? piece->pause : pause;
}

/* How a turn is spoken: by whom, and how he is in it. With `manner` pitch, vocal effort and,
 * less, resonances vary from turn to turn; the pitch by playing faster, with the resonances put
 * back. With `colour` so does what the way to the microphone does. */
static struct stretch draw_manner(const struct simulation *s, const struct plan_turn *turn,
                                  int voice, struct random *rng)
{
    const struct voice_filters *f = &s->filters;
    float sd = s->settings.manner / 100.0f, speed = (float)f->percent[voice_speed(f, voice)];
    struct stretch x = {.percent = (int)speed, .speaker = turn->speaker, .tilt = 0.0f,
                        .resonance = (float)f->resonance[voice_tract(f, voice)] / 100.0f};

    x.gain = decibels(s->settings.turn_sd * draw_normal(rng) +
                      (turn->aside ? s->settings.aside_db : 0.0f));
    if (sd > 0.0f) {
        float percent = rintf(speed * expf(sd * draw_normal(rng)));
        percent = percent < VOICE_SLOWEST ? VOICE_SLOWEST :
                  percent > VOICE_FASTEST ? VOICE_FASTEST : percent;
        x.percent = (int)percent;
        x.resonance *= speed / percent * expf(0.25f * sd * draw_normal(rng));
        x.tilt = TILT_DB * sd * draw_normal(rng);
    }
    x.colour = s->settings.colour;
    if (x.colour > 0.0f)
        x.colour_seed = random_bits(rng);
    return x;
}

/* Fills one turn, [at, end) in steps from sample 0, with speech. */
static int fill_turn(struct simulate_space *m, const struct simulation *s,
                     const struct plan_turn *turn, int64_t at, int64_t end, int64_t n,
                     struct random *rng, struct error *err)
{
    struct meeting_speaker *p = &m->speakers[turn->speaker];
    const struct bank_speaker *who = &s->speech->speakers[voice_speaker(&s->filters, p->voice)];
    struct stretch stretch = draw_manner(s, turn, p->voice, rng);

    if (draw_chance(rng, turn->aside ? 1.0f : 0.3f)) {
        p->piece = who->first + draw_below(rng, who->n);
        p->step = 0;
    }
    while (end - at >= LEAST) {
        const struct piece *piece = &s->speech->pieces[p->piece];
        int from = first_speech(piece, p->step);
        int want = (int)((end - at) * 1600 / voice_length(10, stretch.percent));
        int to = piece->n_steps - from <= want + SLACK ? piece->n_steps
                                                       : quietest(piece, from, from + want);
        stretch.start = at * ACTIVITY_STEP;
        stretch.n = voice_length(to - from, stretch.percent);
        stretch.piece = piece;
        stretch.from = from;
        stretch.to = to;
        if (stretch.start < n && stretch.start + stretch.n > 0 && add_stretch(m, stretch, err))
            return -1;
        at += stretch.n / ACTIVITY_STEP + 1;
        at += advance(p, who, piece, to, rng);
    }
    return 0;
}

static int by_speaker(const void *a, const void *b)
{
    const struct stretch *x = a, *y = b;

    if (x->speaker != y->speaker)
        return x->speaker - y->speaker;
    return (x->start > y->start) - (x->start < y->start);
}

/* Room for the longest one's sound. */
static int reserve_voice(struct simulate_space *m, struct error *err)
{
    int longest = 0;

    for (int i = 0; i < m->n; i++)
        longest = m->stretches[i].n > longest ? m->stretches[i].n : longest;
    if (longest <= m->voice_room)
        return 0;
    free(m->voice);
    m->voice_room = 0;
    m->voice = malloc(2 * (size_t)longest * sizeof(*m->voice));
    if (!m->voice)
        return fail(err, "out of memory for %d s of speech", longest / 16000);
    m->voice_room = longest;
    return 0;
}

static void sort_stretches(struct simulate_space *m)
{
    if (m->n)
        qsort(m->stretches, (size_t)m->n, sizeof(*m->stretches), by_speaker);
    for (int i = 0; i < m->n; i++) {
        struct meeting_speaker *p = &m->speakers[m->stretches[i].speaker];
        p->first = p->n ? p->first : i;
        p->n++;
    }
}

static void bridge(uint8_t *marks, int64_t n, int64_t most)
{
    int64_t last = -1; // step of the last speech

    for (int64_t i = 0; i < n; i++) {
        if (!marks[i])
            continue;
        if (last >= 0 && i - last - 1 < most)
            memset(marks + last + 1, 1, (size_t)(i - last - 1));
        last = i;
    }
}

static int mark(struct simulate_space *m, const struct simulation *s, int64_t n,
                struct error *err)
{
    m->n_steps = (n + ACTIVITY_STEP - 1) / ACTIVITY_STEP;
    if (m->n_steps * m->n_speakers > m->marks_room) {
        free(m->marks);
        m->marks_room = m->n_steps * m->n_speakers;
        m->marks = malloc((size_t)m->marks_room);
        if (!m->marks) {
            m->marks_room = 0;
            return fail(err, "out of memory for %lld s of labels", (long long)(n / 16000));
        }
    }
    if (m->n_speakers)
        memset(m->marks, 0, (size_t)(m->n_steps * m->n_speakers));
    for (int i = 0; i < m->n; i++) {
        const struct stretch *x = &m->stretches[i];
        uint8_t *row = m->marks + x->speaker * m->n_steps;
        int64_t first = x->start > 0 ? x->start / ACTIVITY_STEP : 0;
        int64_t last = (x->start + x->n - 1) / ACTIVITY_STEP;
        for (int64_t k = first; k <= last && k < m->n_steps; k++)
            row[k] |= (uint8_t)voice_speaks(x, k * ACTIVITY_STEP + LABEL_AT);
    }
    for (int i = 0; i < m->n_speakers; i++)
        bridge(m->marks + i * m->n_steps, m->n_steps, (int64_t)(s->settings.bridge * ACTIVITY_HZ));
    return 0;
}

static int draw_n_speakers(const struct simulation *s, struct random *rng)
{
    const struct simulate_settings *x = &s->settings;
    return x->min_speakers + draw_below(rng, x->max_speakers - x->min_speakers + 1);
}

int meeting_draw(struct simulate_space *m, const struct simulation *s, double before, int64_t n,
                 double after, struct random *rng, struct error *err)
{
    double seconds = before + (double)n / 16000.0 + after;
    int64_t offset = llrint(before * ACTIVITY_HZ);
    float kind = random_uniform(rng), left = draw_between(rng, 0.05f, 0.5f); // of the turns
    const struct simulate_settings *x = &s->settings;

    left = kind < x->p_nobody ? 0.0f : kind < x->p_nobody + x->p_sparse ? left : 1.0f;
    m->n = 0;
    m->n_speakers = draw_n_speakers(s, rng);
    draw_voices(m, s, rng);
    if (turn_plan_draw(&m->plan, &s->settings.turns, m->n_speakers, seconds, rng, err))
        return -1;
    for (int i = 0; i < m->plan.n; i++) {
        const struct plan_turn *t = &m->plan.turns[i];
        if (draw_chance(rng, left) &&
            fill_turn(m, s, t, llrint(t->start * ACTIVITY_HZ) - offset,
                      llrint(t->end * ACTIVITY_HZ) - offset, n, rng, err))
            return -1;
    }
    sort_stretches(m);
    if (reserve_voice(m, err) ||
        body_plan_draw(&m->body, &s->settings.body, m->stretches, m->n, m->n_speakers, n, rng, err))
        return -1;
    return mark(m, s, n, err);
}

/* A speaker's track, for the convolution: what is before `first` and `body` has ended. */
struct track {
    struct simulate_space *m;
    const struct voice_filters *filters;
    int speaker;
    int first, end; // stretches
    int body;       // sounds, from the speaker's first on
    int rendered;   // the one that stands in m->sound, or -1
    int spoken;     // the stretch that stands in m->voice, or -1
};

static int first_sound(const struct body_plan *p, int speaker)
{
    int i = 0;

    while (i < p->n && p->sounds[i].speaker < speaker)
        i++;
    return i;
}

/* Adds breaths and laughs; `any`: dst holds something already. Returns whether it does now. */
static int pull_body(struct track *t, float *dst, int64_t from, int n, int any)
{
    const struct body_plan *p = &t->m->body;

    for (; t->body < p->n && p->sounds[t->body].speaker == t->speaker; t->body++) {
        const struct body_sound *s = &p->sounds[t->body];
        int64_t first = s->start > from ? s->start : from;
        int64_t end = s->start + s->n < from + n ? s->start + s->n : from + n;
        if (s->start >= from + n)
            break;
        if (first < end && t->rendered != t->body)
            body_render(t->m->sound, s);
        t->rendered = first < end ? t->body : t->rendered;
        if (!any)
            memset(dst, 0, (size_t)n * sizeof(float));
        any = 1;
        for (int64_t i = first; i < end; i++)
            dst[i - from] += t->m->sound[i - s->start];
        if (s->start + s->n > from + n)
            break;
    }
    return any;
}

/* Adds what of stretch i falls into [from, from + n). */
static void add_voice(struct track *t, float *dst, int64_t from, int n, int i)
{
    const struct stretch *s = &t->m->stretches[i];
    int64_t first = s->start > from ? s->start : from;
    int64_t end = s->start + s->n < from + n ? s->start + s->n : from + n;

    if (t->spoken != i)
        voice_render(t->m->voice, t->m->voice + t->m->voice_room, s, t->filters);
    t->spoken = i;
    for (int64_t at = first; at < end; at++)
        dst[at - from] += t->m->voice[at - s->start];
}

static int pull_track(void *context, float *dst, int64_t from, int n)
{
    struct track *t = context;
    int any = 0;

    for (int i = t->first; i < t->end; i++) {
        const struct stretch *s = &t->m->stretches[i];
        if (s->start >= from + n)
            break;
        if (s->start + s->n <= from) {
            t->first = i == t->first ? i + 1 : t->first;
            continue;
        }
        if (!any)
            memset(dst, 0, (size_t)n * sizeof(float));
        any = 1;
        add_voice(t, dst, from, n, i);
    }
    return pull_body(t, dst, from, n, any);
}

static void use_response(struct response *r, const struct sound *sound)
{
    memcpy(r->taps, sound->samples, (size_t)sound->n * sizeof(float));
    r->n = sound->n;
    r->delay = RESPONSE_LEAD;
}

/* Where the meeting takes place. */
struct place {
    enum { CLOSE, MEASURED, DRAWN } kind;
    int far;
    struct room room;
};

/* The way from one speaker to the microphone; returns what the distance does to
 * the level, 3 dB for its double: half of what it would in the open, as people
 * speak up and the room helps. */
static float draw_way(struct response *r, const struct place *place, const struct simulation *s,
                      struct random *rng)
{
    const struct simulate_settings *x = &s->settings;
    float distance = 1.0f, at[3];

    if (place->kind == DRAWN) {
        distance = place->far ? draw_between(rng, x->far_low, x->far_high)
                              : draw_between(rng, x->near_low, x->near_high);
        distance = room_place(at, &place->room, distance, rng);
        room_response(r, &place->room, at, rng);
    } else if (place->kind == MEASURED) {
        use_response(r, &s->rooms->sounds[draw_below(rng, s->rooms->n)]);
    } else {
        r->taps[0] = 1.0f;
        r->n = 1;
        r->delay = 0;
    }
    channel_colour(r, 0.7f * x->channel.eq_db, rng);
    return 1.0f / sqrtf(distance > 0.2f ? distance : 0.2f);
}

/* Mean square of the samples while anybody speaks; if nobody does, the bank's. */
static double speech_power(const struct simulate_space *m, const float *samples, int64_t n)
{
    double sum = 0.0;
    int64_t count = 0;

    for (int64_t k = 0; k < m->n_steps; k++) {
        int64_t end = (k + 1) * ACTIVITY_STEP < n ? (k + 1) * ACTIVITY_STEP : n;
        float part = 0.0f;
        int any = 0;
        for (int i = 0; i < m->n_speakers; i++)
            any |= m->marks[i * m->n_steps + k];
        for (int64_t i = k * ACTIVITY_STEP; any && i < end; i++)
            part += samples[i] * samples[i];
        sum += part;
        count += any ? ACTIVITY_STEP : 0;
    }
    return count ? sum / (double)count : 1.0;
}

void meeting_render(struct simulate_space *m, const struct simulation *s, float *samples,
                    int64_t n, struct random *rng)
{
    const struct simulate_settings *x = &s->settings;
    struct place place = {.kind = DRAWN};
    float kind = random_uniform(rng);

    if (kind < x->p_close)
        place.kind = CLOSE;
    else if (s->rooms && s->rooms->n > 0 && kind < x->p_close + x->p_measured)
        place.kind = MEASURED;
    place.far = draw_chance(rng, x->p_far);
    room_draw(&place.room, x->rt60_low, x->rt60_high, rng);
    for (int i = 0; i < m->n_speakers; i++) {
        const struct meeting_speaker *p = &m->speakers[i];
        struct track track = {m, &s->filters, i, p->first, p->first + p->n,
                              first_sound(&m->body, i), -1, -1};
        float level = draw_way(&m->response, &place, s, rng);
        convolve_add(&s->convolver, &m->convolve, samples, n, &m->response, p->gain * level,
                     pull_track, &track);
    }
    channel_apply(samples, n, speech_power(m, samples, n), &x->channel, s->noise, &s->convolver,
                  &m->convolve, &m->response, rng);
}
