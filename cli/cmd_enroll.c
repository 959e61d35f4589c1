// SPDX-License-Identifier: MIT
/* cmd_enroll.c - `enroll`: how a person sounds to a model, under a name, in a file. */
#include "cli/command.h"
#include "cli/load.h"
#include "cli/options.h"
#include "cli/progress.h"
#include "model/op.h"
#include "model/powerset.h"
#include "stream/audio_file.h"
#include "stream/frame.h"
#include "stream/speakers_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct usage usage = {
    "NAME AUDIO...",
    "Learns how a person sounds from recordings in which nobody else speaks, ten seconds or\n"
    "more, and adds them to a file of speakers for `antiphon stream --speakers`. A person\n"
    "who is in it already is learnt anew. The file belongs to the model that made it.\n\n"
    "  antiphon enroll Ada ada.wav -o people.json\n"
    "  antiphon stream --speakers people.json",
};

enum { STRETCH = 250, LEAST = 150 }; // frames of a prototype, and to know anybody by

/* What is being gathered of one person. */
struct gathered {
    double *sum; // [width]
    float *mean, *vectors; // [width], [block rows,width]
    float *prob; // [block rows,n_local]
    int n, total;
};

static void add_prototype(struct gathered *g, const struct speakers *s, struct known_speaker *who)
{
    if (g->n < STRETCH / 2 && who->n)
        return; // the rest of a recording
    for (int e = 0; e < s->width; e++)
        g->mean[e] = (float)(g->sum[e] / g->n);
    if (g->n)
        speakers_add(s, who, g->mean, (float)g->n);
    memset(g->sum, 0, (size_t)s->width * sizeof(*g->sum));
    g->n = 0;
}

/* Frames in which one local speaker, whichever, is alone and the model is sure. */
static void gather(struct gathered *g, const struct speakers *s, struct known_speaker *who,
                   int n_frames, int n_local)
{
    for (int t = 0; t < n_frames; t++) {
        int alone = 0, sure = 1;
        for (int i = 0; i < n_local; i++) {
            float p = g->prob[t * n_local + i];
            alone += p >= 0.8f;
            sure &= p >= 0.8f || p <= 0.2f;
        }
        if (alone != 1 || !sure)
            continue;
        for (int e = 0; e < s->width; e++)
            g->sum[e] += g->vectors[t * s->width + e];
        g->total++;
        if (++g->n == STRETCH)
            add_prototype(g, s, who);
    }
}

static int hear(struct gathered *g, const struct speakers *s, struct known_speaker *who,
                const struct model *m, const float *samples, int64_t n, struct error *err)
{
    const struct readout_config *r = &m->config.readout;
    struct model_state state = {0};
    struct model_acts acts = {0};
    struct powerset powerset;
    struct progress progress;
    struct block b;
    int status = -1;

    powerset_init(&powerset, r->n_speakers, r->at_once);
    if (model_state_open(&state, m, err) == 0 && model_acts_open(&acts, m, err) == 0) {
        progress_begin(&progress, "listening", "s of audio", (double)n / FRAME_HZ);
        while (block_next(&b, &state.at, n - state.at.samples, 1, m->reach.block_frames, 0)) {
            model_forward(&acts, &state, m, samples + state.at.samples, &b, 1);
            powerset_activity(g->prob, acts.readout.scores, &powerset, b.own);
            model_vectors(g->vectors, m, acts.readout.traits, b.own);
            gather(g, s, who, b.own, r->n_speakers);
            progress_at(&progress, (double)state.at.samples / FRAME_HZ);
        }
        progress_end(&progress);
        add_prototype(g, s, who);
        status = 0;
    }
    model_acts_close(&acts);
    model_state_close(&state);
    return status;
}

static int hear_files(struct gathered *g, const struct speakers *s, struct known_speaker *who,
                      const struct model *m, const char **files, struct error *err)
{
    for (int i = 0; files[i]; i++) {
        float *samples = NULL;
        size_t n;
        if (audio_file_read(&samples, &n, files[i], 0, err))
            return -1;
        int status = hear(g, s, who, m, samples, (int64_t)n, err);
        free(samples);
        if (status)
            return -1;
    }
    if (g->total < LEAST)
        return fail(err, "%s: %.1f s of clear speech by one voice; at least %.0f s are needed, "
                         "better ten", who->name, g->total * FRAME_SECONDS, LEAST * FRAME_SECONDS);
    return 0;
}

static int learn(struct speakers *s, const struct model *m, const char **arguments,
                 struct error *err)
{
    size_t width = (size_t)s->width, rows = (size_t)m->reach.block_frames;
    struct known_speaker *who = speakers_get(s, arguments[0], err);
    struct gathered g = {
        .sum = calloc(width, sizeof(double)),
        .mean = calloc(width, sizeof(float)),
        .vectors = calloc(rows * width, sizeof(float)),
        .prob = calloc(rows * (size_t)m->config.readout.n_speakers, sizeof(float)),
    };
    int status = -1;

    if (!g.sum || !g.mean || !g.vectors || !g.prob) {
        fail(err, "out of memory");
    } else if (who) {
        who->n = 0; // learnt anew
        status = hear_files(&g, s, who, m, arguments + 1, err);
    }
    if (status == 0)
        printf("%s: %.1f s of clear speech\n", who->name, g.total * FRAME_SECONDS);
    free(g.sum);
    free(g.mean);
    free(g.vectors);
    free(g.prob);
    return status;
}

static int enroll(const char *model, const char *output, const char **arguments,
                  struct error *err)
{
    struct reach reach = reach_defaults();
    struct loaded loaded;
    struct speakers s;
    int status = -1;

    if (load_model(&loaded, model, NULL, &reach, err))
        return -1;
    op_set_threads(1);
    speakers_init(&s, model_fingerprint(&loaded.model), loaded.model.config.readout.embedding);
    if (!loaded.model.config.readout.embedding)
        fail(err, "%s: a model without speaker vectors cannot know anybody again", loaded.name);
    else if (access(output, F_OK) || speakers_read(&s, output, err) == 0)
        status = learn(&s, &loaded.model, arguments, err) || speakers_write(&s, output, err) ? -1
                                                                                             : 0;
    speakers_release(&s);
    unload_model(&loaded);
    return status;
}

int cmd_enroll(int argc, const char **argv, struct error *err)
{
    const char *model = NULL, *output = NULL;
    const struct poptOption table[] = {
        {"output", 'o', POPT_ARG_STRING, &output, 0, "the file of speakers", "FILE"},
        {"model", 'm', POPT_ARG_STRING, &model, 0, "model file [built-in]", "FILE"},
        POPT_TABLEEND,
    };
    struct options o;
    int status = STATUS_MISUSED;

    if (options_open(&o, argc, argv, table, &usage, err) == 0) {
        if (o.helped)
            status = STATUS_DONE;
        else if (options_expect(&o, 2, 1000, &usage, err) == 0 && !output)
            fail(err, "where to? say -o FILE");
        else if (o.n_arguments >= 2)
            status = enroll(model, output, o.arguments, err) ? STATUS_FAILED : STATUS_DONE;
    }
    options_close(&o);
    return status;
}
