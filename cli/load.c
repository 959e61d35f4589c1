// SPDX-License-Identifier: MIT
#include "cli/load.h"

#include "model/builtin.h"
#include "model/resnet_params.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int load_checkpoint(struct checkpoint *c, const char *path, struct error *err)
{
    if (path && strcmp(path, BUILTIN_NAME))
        return checkpoint_open(c, path, err);
    return checkpoint_open_memory(c, builtin_model, builtin_model_bytes(), BUILTIN_NAME, err);
}

/* Finds a reach for the model in hand: given, or made of options and config. */
struct wish {
    const struct reach *reach; // or
    const struct live_options *live;
};

static int wish_reach(struct reach *reach, const struct wish *wish, const char *json,
                      struct error *err)
{
    struct model_config *c;
    int status = -1;

    if (wish->reach) {
        *reach = *wish->reach;
        return 0;
    }
    *reach = reach_defaults();
    if (!json) // model_open says what is wrong
        return 0;
    c = malloc(sizeof(*c));
    if (!c)
        fail(err, "out of memory");
    else if (config_parse(c, json, err) == 0)
        status = live_reach(reach, wish->live, c, err);
    free(c);
    return status;
}

static int load_arch(struct loaded *l, const char *arch, const struct wish *wish,
                     struct error *err)
{
    char *json = config_arch_json(arch, err);
    struct reach reach;
    int status = json ? wish_reach(&reach, wish, json, err) : -1;

    free(json);
    return status ? -1 : model_open_arch(&l->model, arch, 1, &reach, err);
}

static int load(struct loaded *l, const char *path, const char *arch, const struct wish *wish,
                struct error *err)
{
    struct reach reach;

    *l = (struct loaded){0};
    snprintf(l->name, sizeof(l->name), "%s", arch ? arch : path ? path : BUILTIN_NAME);
    if (arch)
        return load_arch(l, arch, wish, err);
    if (load_checkpoint(&l->checkpoint, path, err))
        return -1;
    checkpoint_take_model(&l->checkpoint);
    if (resnet_refuse(&l->checkpoint, err) ||
        wish_reach(&reach, wish, l->checkpoint.config, err) ||
        model_open(&l->model, &l->checkpoint, &reach, err)) {
        fail_prefix(err, "%s: ", l->name);
        unload_model(l);
        return -1;
    }
    return 0;
}

int load_bind(struct loaded *l, const struct reach *reach, struct error *err)
{
    checkpoint_take_model(&l->checkpoint);
    if (model_open(&l->model, &l->checkpoint, reach, err)) {
        fail_prefix(err, "%s: ", l->name);
        unload_model(l);
        return -1;
    }
    return 0;
}

int load_model(struct loaded *l, const char *path, const char *arch, const struct reach *reach,
               struct error *err)
{
    return load(l, path, arch, &(struct wish){.reach = reach}, err);
}

int load_live_model(struct loaded *l, const char *path, const char *arch,
                    const struct live_options *o, struct error *err)
{
    return load(l, path, arch, &(struct wish){.live = o}, err);
}

void unload_model(struct loaded *l)
{
    model_close(&l->model);
    checkpoint_close(&l->checkpoint);
}

/* A frame is 20 ms. */
static int frames_from_ms(int *frames, const char *option, int ms, int min_ms, struct error *err)
{
    if (ms < min_ms || ms > 600000 || ms % 20)
        return fail(err, "%s %d: should be a multiple of 20 ms from %d to 600000", option, ms,
                    min_ms);
    *frames = ms / 20;
    return 0;
}

/* What was not said is the model's own. */
static int left_from_ms(int *frames, int ms, struct error *err)
{
    *frames = REACH_OWN;
    return ms == LIVE_UNSAID ? 0 : frames_from_ms(frames, "--left", ms, 0, err);
}

int reach_from_options(struct reach *reach, const struct block_options *o, struct error *err)
{
    *reach = reach_defaults();
    return frames_from_ms(&reach->block_frames, "--block", o->block_ms, 20, err) ||
                   left_from_ms(&reach->left_frames, o->left_ms, err) ||
                   frames_from_ms(&reach->right_frames, "--right", o->right_ms, 0, err)
               ? -1
               : 0;
}

enum { STEP_MS = 500 };

static int says_blocks(const struct live_options *o)
{
    return o->block_ms != LIVE_UNSAID || o->left_ms != LIVE_UNSAID;
}

static int says_window(const struct live_options *o)
{
    return o->window_seconds != LIVE_UNSAID || o->step_ms != LIVE_UNSAID;
}

static int ms_or(int ms, int otherwise)
{
    return ms == LIVE_UNSAID ? otherwise : ms;
}

int horizon_check(double seconds, struct error *err)
{
    if (seconds == LIVE_UNSAID || (seconds >= 0.0 && seconds <= 1e6))
        return 0;
    return fail(err, "--horizon %g: should be 0 to 1000000 seconds", seconds);
}

double horizon_or_own(double seconds)
{
    return seconds == LIVE_UNSAID ? REACH_OWN : seconds;
}

int live_options_check(const struct live_options *o, struct error *err)
{
    int frames;

    if (says_blocks(o) && says_window(o))
        return fail(err, "--block or --left, and --window or --step: block by block or in windows, "
                         "not both");
    if (o->window_seconds != LIVE_UNSAID && !(o->window_seconds >= 0.1 && o->window_seconds <= 120.0))
        return fail(err, "--window %g: should be 0.1 to 120 seconds", o->window_seconds);
    return horizon_check(o->horizon_seconds, err) ||
                   frames_from_ms(&frames, "--block", ms_or(o->block_ms, 320), 20, err) ||
                   left_from_ms(&frames, o->left_ms, err) ||
                   frames_from_ms(&frames, "--step", ms_or(o->step_ms, STEP_MS), 20, err) ||
                   frames_from_ms(&frames, "--right", ms_or(o->right_ms, 0), 0, err)
               ? -1
               : 0;
}

/* The model's own length: what its readout was trained on. */
static double own_window(const struct model_config *c)
{
    double seconds = c->readout.present ? c->readout.chunk_seconds : 8.0;

    return seconds >= 0.5 && seconds <= 120.0 ? seconds : 8.0;
}

static int window_reach(struct reach *reach, const struct live_options *o,
                        const struct model_config *c, struct error *err)
{
    double seconds = o->window_seconds != LIVE_UNSAID ? o->window_seconds : own_window(c);

    reach->block_frames = ms_or(o->step_ms, STEP_MS) / 20;
    reach->left_frames = 0;
    reach->horizon_seconds = 0.0;
    reach->window_frames = (int)blocks_frames(llround(seconds * 16000.0));
    if (reach->block_frames + reach->right_frames > reach->window_frames)
        return fail(err, "a step of %d ms%s does not fit a window of %g s: try --step %d",
                    reach->block_frames * 20, reach->right_frames ? " and its look-ahead" : "",
                    seconds, reach->window_frames / 2 * 20);
    return 0;
}

int live_reach(struct reach *reach, const struct live_options *o, const struct model_config *c,
               struct error *err)
{
    *reach = reach_defaults();
    reach->right_frames = ms_or(o->right_ms, 0) / 20;
    if (says_window(o) || (c->live == LIVE_WINDOW && !says_blocks(o)))
        return window_reach(reach, o, c, err);
    reach->horizon_seconds = horizon_or_own(o->horizon_seconds);
    reach->block_frames = ms_or(o->block_ms, 320) / 20;
    return left_from_ms(&reach->left_frames, o->left_ms, err);
}
