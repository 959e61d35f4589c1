// SPDX-License-Identifier: MIT
#include "stream/track_slots.h"

#include "model/hungarian.h"
#include "stream/frame.h"

#include <stdio.h>
#include <string.h>

enum { LITTLE = 10 }; // clean frames that say whether a piece is nobody's, if it has no more

struct tracker_settings tracker_defaults(void)
{
    return (struct tracker_settings){
        .decode = decode_defaults(),
        .block_frames = 16,
        .context_frames = 400,
        .min_speech_seconds = 0.4,
        .patience_seconds = 3.0,
        .threshold = 0.45f,
        .slope = 28.0f,
        .stranger = -1.0f,
        .most_bond = 3.0f,
        .loose_bond = 0.5f,
        .exclusion = 2.0f,
        .sure = 2.0f,
        .stay = 0.5f,
        .merge = 0.65f,
    };
}

static int64_t frames_of(double seconds)
{
    return (int64_t)(seconds / FRAME_SECONDS + 0.5);
}

static void place(struct tracker *t)
{
    size_t width = (size_t)t->settings.embedding, n_local = (size_t)t->settings.n_local;
    size_t rows = (size_t)(TRACK_PIECE + t->settings.block_frames);
    int columns = REPORT_MAX_SPEAKERS + t->settings.n_local;

    voices_place(&t->voices, t->settings.embedding, REPORT_MAX_SPEAKERS, &t->arena);
    t->voices.regroup.late = t->settings.embedding_late;
    for (size_t i = 0; i < n_local; i++) {
        t->slot[i].sum = arena_floats(&t->arena, width);
        t->slot[i].raw = arena_floats(&t->arena, width);
        t->slot[i].at = arena_floats(&t->arena, width);
        t->slot[i].rows = arena_floats(&t->arena, rows * width);
    }
    t->heirs = arena_bytes(&t->arena, REPORT_MAX_SPEAKERS * sizeof(*t->heirs));
    t->deviations = arena_floats(&t->arena, rows * width);
    t->score = arena_doubles(&t->arena, n_local * (size_t)columns);
    t->cost = arena_doubles(&t->arena, n_local * (size_t)columns);
    t->scratch = arena_bytes(&t->arena, hungarian_scratch_bytes(t->settings.n_local, columns));
}

static void forget_slots(struct tracker *t)
{
    for (int i = 0; i < t->settings.n_local; i++) {
        struct track_slot *s = &t->slot[i];
        track_forget(t, s);
        s->voice = s->was = s->told = TRACK_NOBODY;
        s->heard = INT64_MIN / 2;
        s->open = s->n_held = s->active = 0;
        s->held_since = -1;
    }
}

static void forget(struct tracker *t)
{
    decoder_reset(&t->decoder);
    voices_reset(&t->voices);
    forget_slots(t);
    memset(t->turn, 0, sizeof(t->turn));
    t->n_ids = 0;
    t->stays = 8.0; // of ten, as long as nothing is known
    t->pieces = 10.0;
    for (int i = 0; i < REPORT_MAX_SPEAKERS; i++) {
        t->voice_of_id[i] = TRACK_NOBODY;
        t->id_free_since[i] = 0;
    }
}

int tracker_open(struct tracker *t, const struct tracker_settings *settings, struct error *err)
{
    *t = (struct tracker){.settings = *settings};
    decoder_init(&t->decoder, &settings->decode, settings->n_local);
    place(t);
    if (arena_commit(&t->arena, err))
        return -1;
    place(t);
    if (!settings->max_speakers || settings->max_speakers > REPORT_MAX_SPEAKERS)
        t->settings.max_speakers = REPORT_MAX_SPEAKERS;
    t->voices.space.fixed = settings->calibrated;
    t->voices.thresholds = (struct voices_thresholds){
        .distance = settings->threshold,
        .slope = settings->slope,
        .stranger = settings->stranger,
        .merge = settings->merge,
        .least = (float)frames_of(settings->min_speech_seconds),
    };
    forget(t);
    return 0;
}

void tracker_close(struct tracker *t)
{
    arena_release(&t->arena);
    *t = (struct tracker){0};
}

/* A voice for what the slot has said; TRACK_NOBODY if there may be no more. */
static int new_voice(struct tracker *t, const struct track_slot *s, int64_t now,
                     const struct track_output *out)
{
    int busy[2 * POWERSET_MAX_SPEAKERS], n = 0, voice;

    for (int i = 0; i < t->settings.n_local; i++) {
        busy[n++] = t->slot[i].voice;
        busy[n++] = t->slot[i].told;
    }
    if (t->voices.n_used >= t->settings.max_speakers &&
        t->settings.max_speakers < REPORT_MAX_SPEAKERS)
        return TRACK_NOBODY;
    if (t->voices.n_used == REPORT_MAX_SPEAKERS) { // its number goes before its place does
        voice = voices_least_wanted(&t->voices, busy, n);
        if (voice < 0)
            return TRACK_NOBODY;
        track_voice_gone(t, voice, TRACK_NOBODY, now, out);
        voices_drop(&t->voices, voice);
    }
    voice = voices_add(&t->voices, s->heard);
    return voice < 0 ? TRACK_NOBODY : voice;
}

static void merge(struct tracker *t, int a, int b, int64_t now, const struct track_output *out);

/* The slot speaks as that voice, since the piece began. A voice that only this piece
 * made was the other all along. */
static void bind(struct tracker *t, struct track_slot *s, int voice, int64_t now,
                 const struct track_output *out)
{
    int before = s->voice, alone = before != TRACK_NOBODY;

    for (int i = 0; alone && i < t->settings.n_local; i++)
        alone = &t->slot[i] == s || t->slot[i].voice != before;
    s->voice = voice;
    track_tell_switch(t, s, s->since > s->start ? s->since : s->start, now, out);
    track_tell_held(t, s, now, out);
    if (alone && before != voice && !t->voices.list[before].n_prototypes &&
        !t->voices.list[before].enrolled)
        merge(t, voice, before, now, out);
}

/* The piece may be anybody's yet. */
static void decide_unbound(struct tracker *t, struct track_slot *s, int choice, int64_t now,
                           const struct track_output *out)
{
    const double *score = track_score_of(t, (int)(s - t->slot), 0);
    int enough = s->n >= (float)frames_of(t->settings.min_speech_seconds);
    double second = (double)voices_stranger(&t->voices);

    if (choice == TRACK_NOBODY && enough)
        choice = new_voice(t, s, now, out);
    if (choice == TRACK_NOBODY)
        return;
    for (int k = 0; k < t->voices.high; k++)
        second = k != choice && score[k] > second ? score[k] : second;
    if (enough || score[choice] - second > (double)t->settings.sure)
        bind(t, s, choice, now, out);
}

/* Without vectors a slot is a voice. */
static void decide_by_slot(struct tracker *t, int64_t now, const struct track_output *out)
{
    for (int i = 0; i < t->settings.n_local; i++) {
        if (t->slot[i].voice == TRACK_NOBODY)
            t->slot[i].voice = new_voice(t, &t->slot[i], now, out);
    }
}

/* The piece is somebody else's after all. */
static void decide_bound(struct tracker *t, struct track_slot *s, int choice, int64_t now,
                         const struct track_output *out)
{
    const double *score = track_score_of(t, (int)(s - t->slot), 0);
    double other = choice == TRACK_NOBODY ? (double)voices_stranger(&t->voices) : score[choice];

    if (choice == s->voice || other < score[s->voice] + (double)t->settings.stay)
        return;
    if (choice == TRACK_NOBODY) {
        if (s->n < (float)frames_of(t->settings.min_speech_seconds) ||
            !t->voices.list[s->voice].n_prototypes ||
            (choice = new_voice(t, s, now, out)) == TRACK_NOBODY)
            return;
    }
    bind(t, s, choice, now, out);
}

/* It has waited long enough: the likeliest voice has it. */
static void decide_overdue(struct tracker *t, struct track_slot *s, int64_t now,
                           const struct track_output *out)
{
    const double *score = track_score_of(t, (int)(s - t->slot), 0);
    int best = TRACK_NOBODY;

    for (int k = 0; k < t->voices.high; k++) {
        if (t->voices.list[k].used && (best < 0 || score[k] > score[best]))
            best = k;
    }
    /* In words that others spoke over there may never be enough clean ones. */
    if (s->n >= (float)LITTLE && (best < 0 || score[best] < (double)voices_stranger(&t->voices))) {
        int fresh = new_voice(t, s, now, out);
        best = fresh != TRACK_NOBODY ? fresh : best;
    }
    if (best != TRACK_NOBODY) {
        bind(t, s, best, now, out);
    } else if (!s->open) {
        s->n_held = 0;
        s->held_since = -1;
    }
}

static void decide(struct tracker *t, int64_t now, const struct track_output *out)
{
    int map[POWERSET_MAX_SPEAKERS];

    if (!t->settings.embedding) {
        decide_by_slot(t, now, out);
        return;
    }
    track_score(t);
    track_assign(t, map);
    for (int i = 0; i < t->settings.n_local; i++) {
        struct track_slot *s = &t->slot[i];
        if (!s->active)
            continue;
        if (s->voice == TRACK_NOBODY)
            decide_unbound(t, s, map[i], now, out);
        else
            decide_bound(t, s, map[i], now, out);
    }
}

static void end_piece(struct tracker *t, struct track_slot *s, int64_t now,
                      const struct track_output *out)
{
    if (s->voice == TRACK_NOBODY)
        decide_overdue(t, s, now, out);
    track_learn(t, s);
    s->was = s->voice != TRACK_NOBODY ? s->voice : s->was;
    s->voice = TRACK_NOBODY;
    track_forget(t, s);
}

/* Pieces that are over before a block: by what it was scored last. */
static void end_pieces(struct tracker *t, int64_t frame, const struct track_output *out)
{
    for (int i = 0; t->settings.embedding && i < t->settings.n_local; i++) {
        struct track_slot *s = &t->slot[i];
        if (s->since >= 0 && (frame - s->heard > TRACK_PAUSE || s->n >= (float)TRACK_PIECE))
            end_piece(t, s, frame, out);
    }
}

static void decide_late(struct tracker *t, int64_t now, int all, const struct track_output *out)
{
    int64_t patience = frames_of(t->settings.patience_seconds);

    for (int i = 0; i < t->settings.n_local; i++) {
        struct track_slot *s = &t->slot[i];
        if (s->since >= 0 && s->voice == TRACK_NOBODY && (all || now - s->since >= patience))
            decide_overdue(t, s, now, out);
    }
}

static int worth(const struct voice *v) // whose number stays
{
    return v->enrolled ? 3 : v->named ? 2 : v->id ? 1 : 0;
}

static void merge(struct tracker *t, int a, int b, int64_t now, const struct track_output *out)
{
    struct voice *x = &t->voices.list[a], *y = &t->voices.list[b];
    struct report r = {.type = REPORT_SPEAKER_MERGE, .time = frame_begin_seconds(now)};
    int into = worth(x) > worth(y) || (worth(x) == worth(y) && x->n >= y->n) ? a : b;
    int from = into == a ? b : a;
    struct voice *kept = &t->voices.list[into];

    r.speaker.id = kept->id;
    r.speaker.merged_id = t->voices.list[from].id;
    r.speaker.wall = t->wall;
    r.speaker.start = frame_begin_seconds(now);
    if (r.speaker.merged_id && !r.speaker.id) { // an enrolled voice that was not heard yet
        track_tell_new(t, into, now, now, out);
        r.speaker.id = kept->id;
    }
    memcpy(r.speaker.name, kept->name, REPORT_NAME_BYTES);
    track_voice_gone(t, from, into, now, out);
    voices_merge(&t->voices, into, from);
    if (r.speaker.merged_id)
        out->put(out->user, &r);
}

/* All voices anew, and what that changes. */
static void regroup_voices(struct tracker *t, int64_t now, const struct track_output *out)
{
    int n = voices_regroup(&t->voices, t->heirs, t->settings.max_speakers,
                           t->settings.context_frames, now);

    for (int i = 0; i < t->voices.n_moves; i++)
        track_tell_moved(t, &t->voices.moves[i], now, out);
    for (int i = 0; i < n; i++)
        merge(t, t->heirs[i].into, t->heirs[i].from, now, out);
}

/* Looks at what was decided again. */
static void look_again(struct tracker *t, int64_t now, const struct track_output *out)
{
    int a, b, voice;

    if (voices_regroup_due(&t->voices, 0))
        regroup_voices(t, now, out);
    if (t->voices.space.fixed)
        return;
    switch (voices_look(&t->voices, &a, &b)) {
    case VOICES_ONE: merge(t, a, b, now, out); break;
    case VOICES_PARTED:
        if (t->voices.n_used < t->settings.max_speakers &&
            (voice = voices_add(&t->voices, t->voices.list[a].last_heard)) >= 0)
            voices_give(&t->voices, b, voice);
        break;
    case VOICES_SAME: break;
    }
}

static void fill_report(struct tracker *t, struct report_block *block, const float *prob,
                        int n_frames)
{
    int n_local = t->settings.n_local;

    block->n_speakers = t->n_ids;
    memset(block->activity, 0, sizeof(block->activity));
    memset(block->speaking, 0, sizeof(block->speaking));
    for (int i = 0; i < n_local; i++) {
        const struct track_slot *s = &t->slot[i];
        int voice = s->voice == TRACK_NOBODY ? s->told : s->voice;
        int id = voice == TRACK_NOBODY ? 0 : t->voices.list[voice].id;
        float sum = 0.0f;
        for (int f = 0; f < n_frames; f++)
            sum += prob[f * n_local + i];
        if (id && n_frames && sum / (float)n_frames > block->activity[id - 1])
            block->activity[id - 1] = sum / (float)n_frames;
    }
    for (int id = 1; id <= t->n_ids; id++) {
        int voice = t->voice_of_id[id - 1];
        block->speaking[id - 1] = voice != TRACK_NOBODY && t->turn[voice].open;
    }
}

/* What begins in a frame comes before what ends there: a voice that goes on in another slot has
 * one turn. */
static void tell_events(struct tracker *t, const struct decode_event *events, int n, int64_t now,
                        const struct track_output *out)
{
    for (int on = 1; on >= 0; on--) {
        for (int i = 0; i < n; i++) {
            if (events[i].on == on)
                track_tell_event(t, &events[i], now, out);
        }
    }
}

void tracker_block(struct tracker *t, struct report_block *block, const float *prob,
                   const float *vectors, int64_t frame, int n_frames,
                   const struct track_output *out)
{
    struct decode_event events[POWERSET_MAX_SPEAKERS];
    int n_local = t->settings.n_local, most = 0;

    t->wall = block->wall;
    t->frame = frame;
    end_pieces(t, frame, out);
    track_listen(t, prob, vectors, frame, n_frames);
    decide(t, frame + n_frames, out);
    for (int i = 0; i < n_frames; i++) {
        int speaking = 0, n = decoder_frame(&t->decoder, events, prob + i * n_local, frame + i);
        tell_events(t, events, n, frame + i + 1, out);
        for (int s = 0; s < n_local; s++)
            speaking += decoder_speaking(&t->decoder, s);
        most = speaking > most ? speaking : most;
    }
    t->frame = frame + n_frames;
    decide_late(t, t->frame, 0, out);
    look_again(t, t->frame, out);
    voices_settle(&t->voices);
    block->overlap = most;
    fill_report(t, block, prob, n_frames);
}

void tracker_finish(struct tracker *t, int64_t end, const struct track_output *out)
{
    struct decode_event events[POWERSET_MAX_SPEAKERS];

    tell_events(t, events, decoder_finish(&t->decoder, events), end, out);
    if (t->settings.embedding)
        track_score(t);
    decide_late(t, end, 1, out);
    for (int i = 0; t->settings.embedding && i < t->settings.n_local; i++) {
        if (t->slot[i].since >= 0)
            end_piece(t, &t->slot[i], end, out);
    }
    if (voices_regroup_due(&t->voices, 1))
        regroup_voices(t, end, out);
}

void tracker_reset(struct tracker *t, int64_t end, const struct track_output *out)
{
    struct report r = {.type = REPORT_RESET, .time = frame_begin_seconds(end)};

    tracker_finish(t, end, out);
    forget(t);
    out->put(out->user, &r);
}

int tracker_rename(struct tracker *t, int id, const char *name, int64_t frame,
                   const struct track_output *out)
{
    struct voice *who;

    if (id < 1 || id > t->n_ids || t->voice_of_id[id - 1] == TRACK_NOBODY)
        return 0;
    who = &t->voices.list[t->voice_of_id[id - 1]];
    snprintf(who->name, sizeof(who->name), "%s", name);
    who->named = 1;
    track_tell(t, REPORT_SPEAKER_NAME, t->voice_of_id[id - 1], frame, 0, frame, out);
    return 1;
}
