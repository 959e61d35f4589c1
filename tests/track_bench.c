// SPDX-License-Identifier: MIT
/* track_bench.c - how well lasting identities last: track_bench [OPTION...] FOLDER...
 *
 * Data folders of meetings (antiphon simulate makes them) are heard by a model, block
 * by block, and its answers given to trackers:
 *
 *   off    the model's local speakers as they are
 *   diart  incremental clustering as in diart: windows of 5 s every 0.5 s
 *   ours   the live tracker
 *
 * once with the activities that the model hears, and once with the reference's in
 * their place (oracle): four slots, of which a speaker loses theirs when unheard for
 * longer than the model's context, and then gets any that is free. Vectors are the
 * model's in both. Prints a line a folder and tracker. */
#include "cli/load.h"
#include "model/clock.h"
#include "model/op.h"
#include "model/random.h"
#include "prune/data_lists.h"
#include "stream/rttm.h"
#include "stream/smooth.h"
#include "stream/told.h"
#include "stream/track.h"
#include "tests/diart.h"
#include "tests/track_hear.h"
#include "tests/track_measure.h"

#include <math.h>
#include <popt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SLOTS = 4, CONTEXT = 400, BLOCK = 16, DIART_WINDOW = 250, DIART_STEP = 25 };

struct bench {
    struct loaded loaded;
    const char *model, *cache;
    double delta, rho, threshold, min_speech, slope, stranger, bond, loose_bond, exclusion, sure,
        stay, merge, patience, steady;
    int verbose, seed; // of the oracle's slots
    double seconds, longest; // of our tracker, and of one block
    int64_t n_blocks;
};

/* One input of a tracker: what a model hears, or the oracle. */
struct input {
    const char *name;
    const struct heard *heard;
    float *prob; // [n_frames,n_local]
    int n_local;
};

static int add_turn(struct turns *turns, const char *recording, int speaker, double start,
                    double end, struct error *err)
{
    char name[16];

    snprintf(name, sizeof(name), "%d", speaker);
    return turns_add(turns, (struct field){recording, strlen(recording)},
                     (struct field){name, strlen(name)}, start, end, err);
}

/* Turns of activities [n_frames,n] above one half. */
static int add_activity(struct turns *turns, const char *recording, const float *prob,
                        int n_frames, int n, struct error *err)
{
    for (int k = 0; k < n; k++) {
        int start = -1;
        for (int t = 0; t <= n_frames; t++) {
            int on = t < n_frames && prob[t * n + k] > 0.5f;
            if (on && start < 0)
                start = t;
            if (!on && start >= 0) {
                if (add_turn(turns, recording, k, start * 0.02 + 0.0025, t * 0.02 + 0.0025, err))
                    return -1;
                start = -1;
            }
        }
    }
    return 0;
}

/* A slot for a speaker: one at random of those not in use, or the longest unheard. */
static int take_slot(int *holder, const int *last, int t, struct random *rng)
{
    int free_slots[SLOTS], n = 0, oldest = 0;

    for (int s = 0; s < SLOTS; s++) {
        if (holder[s] < 0 || t - last[holder[s]] > CONTEXT)
            free_slots[n++] = s;
        if (holder[s] >= 0 && last[holder[s]] < last[holder[oldest]])
            oldest = s;
    }
    return n ? free_slots[random_bits(rng) % (uint64_t)n] : oldest;
}

static float *oracle(const struct recording *r, int n_frames, int seed, struct error *err)
{
    size_t K = (size_t)r->n_speakers, n = (size_t)n_frames;
    unsigned char *speaks = calloc(K * n + 1, 1);
    int *last = calloc(K + 1, sizeof(*last)), holder[SLOTS] = {-1, -1, -1, -1};
    float *prob = calloc(n * SLOTS + 1, sizeof(*prob));
    struct random rng;

    random_init(&rng, (uint64_t)seed);
    for (size_t i = 0; speaks && i < r->n_turns; i++) {
        int from = (int)(r->turns[i].start * 50.0), to = (int)(r->turns[i].end * 50.0);
        for (int t = from; t < to && t < n_frames; t++)
            speaks[(size_t)r->turns[i].speaker * n + (size_t)t] = 1;
    }
    for (size_t t = 0; speaks && last && prob && t < n; t++) {
        for (int s = 0; s < SLOTS; s++)
            prob[t * SLOTS + (size_t)s] = 0.01f;
        for (size_t k = 0; k < K; k++) {
            int slot = -1;
            if (!speaks[k * n + t])
                continue;
            for (int s = 0; s < SLOTS; s++)
                slot = holder[s] == (int)k && (int)t - last[k] <= CONTEXT ? s : slot;
            if (slot < 0) {
                slot = take_slot(holder, last, (int)t, &rng);
                for (int s = 0; s < SLOTS; s++)
                    holder[s] = holder[s] == (int)k ? -1 : holder[s];
                holder[slot] = (int)k;
            }
            last[k] = (int)t;
            prob[t * SLOTS + (size_t)slot] = 0.99f;
        }
    }
    if (!speaks || !last || !prob) {
        free(prob);
        prob = NULL;
        fail(err, "out of memory");
    }
    free(speaks);
    free(last);
    return prob;
}

struct collect {
    struct turns *turns;
    const char *recording;
    int failed, verbose, put_right;
    struct error *err;
    struct told told;
};

static void put(void *user, const struct report *r)
{
    struct collect *c = user;

    c->failed |= told_take(&c->told, r, c->err);
    if (r->type == REPORT_SPEAKER_OFF && !c->put_right)
        c->failed |= add_turn(c->turns, c->recording, r->speaker.id, r->speaker.start,
                              r->speaker.end, c->err);
    if (c->verbose && r->type == REPORT_SPEAKER_MERGE)
        printf("  %s %.1f: %d merged into %d\n", c->recording, r->time, r->speaker.merged_id,
               r->speaker.id);
    if (c->verbose && r->type == REPORT_SPEAKER_NEW)
        printf("  %s %.1f: %d is new\n", c->recording, r->time, r->speaker.id);
}

/* put_right: the turns as files have them when the stream has ended, else as they were told. */
static int run_ours(struct turns *turns, struct bench *b, const struct input *in,
                    const char *recording, int put_right, struct error *err)
{
    struct tracker_settings s = tracker_defaults();
    struct collect c = {.turns = turns, .recording = recording, .verbose = b->verbose,
                        .put_right = put_right, .err = err};
    struct track_output out = {put, &c};
    struct report_block block;
    struct tracker t;
    const struct heard *h = in->heard;

    s.n_local = in->n_local;
    s.embedding = h->embedding;
    s.embedding_late = b->loaded.model.config.readout.embedding_projection;
    s.block_frames = BLOCK;
    s.threshold = (float)b->threshold;
    s.min_speech_seconds = b->min_speech;
    s.patience_seconds = b->patience;
    s.slope = (float)b->slope;
    s.calibrated = b->loaded.model.config.readout.embedding_threshold > 0.0f;
    s.stranger = (float)b->stranger;
    s.most_bond = (float)b->bond;
    s.stay = (float)b->stay;
    s.loose_bond = (float)b->loose_bond;
    s.exclusion = (float)b->exclusion;
    s.sure = (float)b->sure;
    s.merge = (float)b->merge;
    if (tracker_open(&t, &s, err))
        return -1;
    for (int f = 0; f < h->n_frames; f += BLOCK) {
        double began = clock_monotonic(), took;
        int n = h->n_frames - f < BLOCK ? h->n_frames - f : BLOCK;
        block.wall = 0.0;
        tracker_block(&t, &block, in->prob + (size_t)f * (size_t)in->n_local,
                      h->embedding ? h->vectors + (size_t)f * (size_t)h->embedding : NULL, f, n,
                      &out);
        b->n_blocks++;
        took = clock_monotonic() - began;
        b->seconds += took;
        b->longest = took > b->longest ? took : b->longest;
    }
    tracker_finish(&t, h->n_frames, &out);
    tracker_close(&t);
    c.failed |= told_settle(&c.told, err);
    for (size_t i = 0; put_right && !c.failed && i < c.told.regions.n; i++) {
        const struct turn *x = &c.told.regions.list[i];
        c.failed = add_turn(turns, recording, x->speaker + 1, x->start, x->end, err);
    }
    told_release(&c.told);
    return c.failed ? -1 : 0;
}

/* The mean of the vectors in which a slot is alone; NaN without any. */
static void slot_vectors(float *mean, const struct input *in, int from, int n)
{
    int E = in->heard->embedding, S = in->n_local;

    for (int s = 0; s < S; s++) {
        int count = 0;
        memset(mean + s * E, 0, (size_t)E * sizeof(float));
        for (int t = from; t < from + n; t++) {
            int clean = in->prob[t * S + s] > 0.5f;
            for (int k = 0; k < S; k++)
                clean &= k == s || in->prob[t * S + k] <= 0.5f;
            for (int e = 0; clean && e < E; e++)
                mean[s * E + e] += in->heard->vectors[(size_t)t * (size_t)E + (size_t)e];
            count += clean;
        }
        for (int e = 0; e < E; e++)
            mean[s * E + e] = count ? mean[s * E + e] / (float)count : NAN;
    }
}

static int run_diart(struct turns *turns, const struct bench *b, const struct input *in,
                     const char *recording, struct error *err)
{
    static struct diart d;
    int T = in->heard->n_frames, S = in->n_local, E = in->heard->embedding;
    float *global = calloc((size_t)T * DIART_MAX_SPEAKERS + 1, sizeof(*global));
    float *vectors = calloc((size_t)(S * E) + 1, sizeof(*vectors));
    int status = -1;

    d = (struct diart){.tau = 0.5, .rho = b->rho, .delta = b->delta, .width = E, .n_local = S,
                       .max_speakers = DIART_MAX_SPEAKERS};
    for (int end = DIART_STEP; global && vectors && end <= T; end += DIART_STEP) {
        int from = end > DIART_WINDOW ? end - DIART_WINDOW : 0, map[DIART_MAX_LOCAL];
        slot_vectors(vectors, in, from, end - from);
        diart_step(&d, map, in->prob + from * S, end - from, vectors);
        for (int t = end - DIART_STEP; t < end; t++) {
            for (int s = 0; s < S; s++) {
                if (map[s] >= 0)
                    global[t * DIART_MAX_SPEAKERS + map[s]] = in->prob[t * S + s];
            }
        }
    }
    if (global && vectors)
        status = add_activity(turns, recording, global, T, DIART_MAX_SPEAKERS, err);
    free(global);
    free(vectors);
    return status;
}

enum { TRACKERS = 4, INPUTS = 2 };
static const char *const tracker_names[TRACKERS] = {"off", "diart", "ours", "right"};

static int run_tracker(struct measure *m, struct bench *b, int which, const struct input *in,
                       const struct recording *ref, const struct recording *uem,
                       struct error *err)
{
    struct turns turns = {0};
    int status;

    if (which >= 2)
        status = run_ours(&turns, b, in, ref->name, which == 3, err);
    else if (which == 1)
        status = run_diart(&turns, b, in, ref->name, err);
    else
        status = add_activity(&turns, ref->name, in->prob, in->heard->n_frames, in->n_local, err);
    if (status == 0)
        status = measure_recording(m, ref, turns_find(&turns, ref->name), uem, err);
    turns_release(&turns);
    return status;
}

static void print_row(const char *folder, const char *input, const char *tracker,
                      const struct measure *m)
{
    const char *slash = strrchr(folder, '/');
    double all = m->score.scored > 0.0 ? m->score.scored : 1.0;

    printf("%-14s %-7s %-6s %8.1f %6d/%-4d %8.2f %8.2f %8.2f %8.2f\n",
           slash && slash[1] ? slash + 1 : folder, input, tracker, m->n_switches / m->hours,
           m->n_speakers, m->n_reference, 100.0 * m->score.missed / all,
           100.0 * m->score.false_alarm / all, 100.0 * m->score.confusion / all, m->score.der);
}

static int run_recording(struct measure total[INPUTS][TRACKERS], struct bench *b,
                         const char *folder, const struct data_recording *r,
                         const struct turns *refs, const struct turns *uems, struct error *err)
{
    const struct recording *ref = turns_find(refs, r->name);
    const char *slash = strrchr(folder, '/');
    struct heard heard;
    char cache[4096];
    int status = 0;

    if (!ref)
        return fail(err, "%s: no turns of %s", folder, r->name);
    snprintf(cache, sizeof(cache), "%s/%s_%s.safetensors", b->cache ? b->cache : "",
             slash && slash[1] ? slash + 1 : folder, r->name);
    if (hear(&heard, &b->loaded.model, b->steady, r->path, b->cache ? cache : NULL, err))
        return -1;
    struct input in[INPUTS] = {
        {"heard", &heard, heard.prob, heard.n_local},
        {"oracle", &heard, oracle(ref, heard.n_frames, b->seed, err), SLOTS},
    };
    status = in[1].prob ? 0 : -1;
    for (int i = 0; i < INPUTS; i++) {
        for (int k = 0; k < TRACKERS && status == 0; k++) {
            struct measure m;
            if (k == 1 && !heard.embedding)
                continue;
            status = run_tracker(&m, b, k, &in[i], ref, turns_find(uems, r->name), err);
            if (status == 0)
                measure_pool(&total[i][k], &m);
            if (status == 0 && b->verbose)
                print_row(r->name, in[i].name, tracker_names[k], &m);
        }
    }
    free(in[1].prob);
    heard_release(&heard);
    return status;
}

static int run_folder(struct bench *b, const char *folder, struct error *err)
{
    static const char *const inputs[INPUTS] = {"heard", "oracle"};
    struct measure total[INPUTS][TRACKERS] = {0};
    struct data_lists lists = {0};
    struct turns refs = {0}, uems = {0};
    char path[4096];
    int status = data_lists_read(&lists, folder, err);

    snprintf(path, sizeof(path), "%s/rttm", folder);
    status = status ? status : turns_read(&refs, path, err);
    snprintf(path, sizeof(path), "%s/all.uem", folder);
    if (status == 0 && access(path, F_OK) == 0)
        status = uem_read(&uems, path, err);
    for (int i = 0; i < lists.n && status == 0; i++)
        status = run_recording(total, b, folder, &lists.recordings[i], &refs, &uems, err);
    for (int i = 0; i < INPUTS && status == 0; i++) {
        for (int k = 0; k < TRACKERS; k++) {
            if (total[i][k].hours > 0.0)
                print_row(folder, inputs[i], tracker_names[k], &total[i][k]);
        }
    }
    fflush(stdout);
    turns_release(&refs);
    turns_release(&uems);
    data_lists_release(&lists);
    return status;
}

static int run(struct bench *b, const char **folders, struct error *err)
{
    struct reach reach = reach_defaults();
    int status = 0;

    op_set_threads(1);
    reach.left_frames = REACH_OWN; // as stream has it
    reach.horizon_seconds = REACH_OWN;
    if (load_model(&b->loaded, b->model, NULL, &reach, err))
        return -1;
    printf("%-14s %-7s %-6s %8s %11s %8s %8s %8s %8s\n", "meetings", "turns", "track",
           "switch/h", "speakers", "missed", "false", "confused", "DER");
    for (int i = 0; folders && folders[i] && status == 0; i++)
        status = run_folder(b, folders[i], err);
    if (b->n_blocks)
        printf("our tracker: %.1f us a block, the longest %.1f ms\n",
               1e6 * b->seconds / (double)b->n_blocks, 1e3 * b->longest);
    unload_model(&b->loaded);
    return status;
}

int main(int argc, const char **argv)
{
    struct tracker_settings d = tracker_defaults();
    struct bench b = {.seed = 1, .steady = SMOOTH_SECONDS, .delta = 0.06, .rho = 0.1, .threshold = d.threshold,
                      .min_speech = d.min_speech_seconds, .patience = d.patience_seconds,
                      .slope = d.slope, .stranger = d.stranger, .bond = d.most_bond,
                      .loose_bond = d.loose_bond, .exclusion = d.exclusion, .sure = d.sure,
                      .stay = d.stay, .merge = d.merge};
    const struct poptOption table[] = {
        {"model", 'm', POPT_ARG_STRING, &b.model, 0, "model file [built-in]", "FILE"},
        {"steady", 0, POPT_ARG_DOUBLE, &b.steady, 0, "how long a class lasts, as `stream` smooths", "SEC"},
        {"cache", 0, POPT_ARG_STRING, &b.cache, 0, "keep what was heard there", "DIR"},
        {"delta", 0, POPT_ARG_DOUBLE, &b.delta, 0, "diart's distance of a new speaker", "D"},
        {"rho", 0, POPT_ARG_DOUBLE, &b.rho, 0, "diart's share of speech to learn from", "R"},
        {"threshold", 0, POPT_ARG_DOUBLE, &b.threshold, 0, "ours", "D"},
        {"min-speech", 0, POPT_ARG_DOUBLE, &b.min_speech, 0, "ours", "SEC"},
        {"patience", 0, POPT_ARG_DOUBLE, &b.patience, 0, "ours", "SEC"},
        {"slope", 0, POPT_ARG_DOUBLE, &b.slope, 0, "ours", "X"},
        {"bond", 0, POPT_ARG_DOUBLE, &b.bond, 0, "ours", "X"},
        {"loose-bond", 0, POPT_ARG_DOUBLE, &b.loose_bond, 0, "ours", "X"},
        {"exclusion", 0, POPT_ARG_DOUBLE, &b.exclusion, 0, "ours", "X"},
        {"sure", 0, POPT_ARG_DOUBLE, &b.sure, 0, "ours", "X"},
        {"merge", 0, POPT_ARG_DOUBLE, &b.merge, 0, "ours", "X"},
        {"stranger", 0, POPT_ARG_DOUBLE, &b.stranger, 0, "ours", "X"},
        {"stay", 0, POPT_ARG_DOUBLE, &b.stay, 0, "ours", "X"},
        {"seed", 0, POPT_ARG_INT, &b.seed, 0, "of the oracle's slots", "N"},
        {"verbose", 'v', POPT_ARG_NONE, &b.verbose, 0, "a line a recording", NULL},
        POPT_AUTOHELP POPT_TABLEEND,
    };
    poptContext context = poptGetContext(NULL, argc, argv, table, 0);
    struct error err = {""};
    int status = 2, c = poptGetNextOpt(context);

    if (c < -1)
        fail(&err, "%s: %s", poptBadOption(context, 0), poptStrerror(c));
    else
        status = run(&b, poptGetArgs(context), &err) ? 1 : 0;
    if (status)
        fprintf(stderr, "track_bench: %s\n", err.text);
    poptFreeContext(context);
    return status;
}
