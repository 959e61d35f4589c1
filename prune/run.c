// SPDX-License-Identifier: MIT
#include "prune/run.h"

#include "model/clock.h"
#include "model/outfile.h"
#include "prune/run_log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct run {
    struct trainer *trainer;
    const struct run_settings *s;
    struct run_log log;
    char last[1024]; // path of the state
    double began;
};

static int is_first(const struct run *r)
{
    return !r->trainer->ranks || r->trainer->ranks->rank == 0;
}

static void model_path(const struct run *r, long step, char path[1024])
{
    snprintf(path, 1024, "%s/model-%ld.safetensors", r->s->folder, step);
}

static int is_in(long step, const long *steps, int n)
{
    int in = 0;

    for (int i = 0; i < n; i++)
        in = in || steps[i] == step;
    return in;
}

static int best(const struct run *r, long steps[RUN_MAX_BEST])
{
    return run_log_best(&r->log, steps, r->s->average > 0 ? r->s->average : 1);
}

/* Removes the models that are no longer among the best. */
static void drop_rest(const struct run *r)
{
    char path[1024];
    long now[RUN_MAX_BEST];
    int n_now = best(r, now);

    for (int i = 0; i < r->log.n; i++) {
        model_path(r, r->log.list[i].step, path);
        if (!is_in(r->log.list[i].step, now, n_now))
            unlink(path);
    }
}

/* The state of the run is on the disk, and the log up to it. Only then models go: a run that is
 * killed goes on from a state that knows what there is. */
static int save(struct run *r, struct error *err)
{
    if (!is_first(r))
        return 0;
    if (run_log_flush(&r->log, err) || trainer_save(r->trainer, r->last, err))
        return -1;
    drop_rest(r);
    return 0;
}

/* Writes the newest model if it is among the best. */
static int keep_best(struct run *r, long step, struct error *err)
{
    char path[1024];
    long now[RUN_MAX_BEST];
    int n_now = best(r, now);

    if (!is_in(step, now, n_now))
        return 0;
    model_path(r, step, path);
    return trainer_write_model(r->trainer, path, r->s->provenance, err);
}

/* One block length's, into the log; its score. */
static int score_sums(struct run *r, double *score, const struct objective_sums *sums, int block,
                      struct error *err)
{
    struct trainer *t = r->trainer;

    if (t->distiller) {
        double distill = sums->loss / sums->frames, penalty = distiller_penalty(t->distiller);
        *score = distill + penalty;
        return is_first(r) ? run_log_distance(&r->log, t->step, block, distill, penalty, err) : 0;
    }
    double speech = sums->speech > 0.0 ? sums->speech / 100.0 : 1.0;
    double parts[3] = {sums->missed / speech, sums->false_alarm / speech,
                       sums->confusion / speech};
    *score = parts[0] + parts[1] + parts[2];
    return is_first(r) ? run_log_validation(&r->log, t->step, block, parts, err) : 0;
}

static int validate(struct run *r, struct error *err)
{
    const struct run_settings *s = r->s;
    struct trainer *t = r->trainer;
    double mean = 0.0;

    for (int i = 0; i < s->n_dev_blocks; i++) {
        struct objective_sums sums;
        double score;
        if (trainer_validate(t, s->dev, s->dev_first, s->dev_clips, s->dev_blocks[i], s->dev_left,
                             &sums, err) ||
            score_sums(r, &score, &sums, s->dev_blocks[i], err))
            return -1;
        mean += score / s->n_dev_blocks;
    }
    if (s->tell)
        s->tell(s->user, NULL, mean);
    if (!is_first(r))
        return run_log_note(&r->log, t->step, mean, err);
    if (run_log_mean(&r->log, t->step, mean, err) || keep_best(r, t->step, err))
        return -1;
    return 0;
}

/* The finished model: the mean of the best, or what the trainer holds. */
static int finish(struct run *r, struct error *err)
{
    long steps[RUN_MAX_BEST];
    int n = best(r, steps);

    if (!is_first(r))
        return 0;
    drop_rest(r); // where a kill came before it was done
    if (n == 0)
        return trainer_write_model(r->trainer, r->s->output, r->s->provenance, err);
    char paths[RUN_MAX_BEST][1024];
    const char *list[RUN_MAX_BEST];
    for (int i = 0; i < n; i++) {
        model_path(r, steps[i], paths[i]);
        list[i] = paths[i];
    }
    return trainer_average(r->trainer, list, n, r->s->output, r->s->provenance, err);
}

static int begin(struct run *r, struct error *err)
{
    struct stat st;
    char path[1024];

    snprintf(r->last, sizeof(r->last), "%s/last.safetensors", r->s->folder);
    if (is_first(r) && mkdir(r->s->folder, 0777) && errno != EEXIST)
        return fail(err, "%s: %s", r->s->folder, strerror(errno));
    /* The log first: its lock keeps other runs out. */
    snprintf(path, sizeof(path), "%s/log.jsonl", r->s->folder);
    if (is_first(r) && run_log_lock(&r->log, path, err))
        return -1;
    if (is_first(r))
        outfile_sweep(r->s->folder);
    if (stat(r->last, &st) == 0 && trainer_resume(r->trainer, r->last, err))
        return -1;
    return run_log_read(&r->log, path, r->trainer->step, err);
}

static int stops(const struct run *r)
{
    const struct run_settings *s = r->s;
    int yes = (s->interrupted && *s->interrupted) ||
              (s->max_seconds > 0.0 && clock_monotonic() - r->began > s->max_seconds);

    return r->trainer->ranks ? ranks_any(r->trainer->ranks, yes) : yes;
}

/* A step failed and left the state as it was before: that is kept. */
static int save_before(struct run *r, struct error *err)
{
    struct error why = *err, unsaved;

    if (r->trainer->step > 0 && save(r, &unsaved))
        return fail(err, "%s; and %s", why.text, unsaved.text);
    return -1;
}

static int loop(struct run *r, struct error *err)
{
    const struct run_settings *s = r->s;
    struct trainer *t = r->trainer;

    while (t->step < t->settings.steps) {
        struct step_report report;
        if (stops(r))
            return save(r, err) ? -1 : RUN_INTERRUPTED;
        if (trainer_step(t, &report, err))
            return save_before(r, err);
        if (is_first(r) && run_log_step(&r->log, &report, err))
            return -1;
        if (s->tell)
            s->tell(s->user, &report, 0.0);
        int ends = t->step == t->settings.steps;
        if (s->dev && (t->step % s->validate_every == 0 || ends)) {
            if (validate(r, err))
                return -1;
            run_log_plateau(&r->log, t);
            if (s->patience > 0 && run_log_waited(&r->log) >= s->patience)
                ends = 1;
        }
        if ((t->step % s->save_every == 0 || ends) && save(r, err))
            return -1;
        if (ends)
            break;
    }
    return finish(r, err) ? -1 : RUN_DONE;
}

int run_training(struct trainer *t, const struct run_settings *s, struct error *err)
{
    struct run r = {.trainer = t, .s = s, .began = clock_monotonic()};

    r.log.key = t->distiller ? "loss" : "der";
    r.log.first = s->best_from;
    r.log.from_peak = s->best_from_peak;
    int end = begin(&r, err) ? -1 : loop(&r, err);

    run_log_close(&r.log);
    return end;
}
