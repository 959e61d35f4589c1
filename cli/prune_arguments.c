// SPDX-License-Identifier: MIT
#include "cli/prune_arguments.h"

#include "cli/options.h"
#include "prune/team.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct preset {
    const char *name;
    double sparsity;
    int batch;
    double epochs, warmup_epochs, distill_epochs, train_epochs;
    double distill_lr, reg_lr, lr, lr_encoder;
};

/* The recipe's: batch of 16 (Large 8) on each of 4 devices. */
static const struct preset presets[] = {
    {"s80-base", 0.8, 64, 30, 5, 20, 20, 2e-4, 2e-2, 1e-3, 2e-5},
    {"s90-base", 0.9, 64, 30, 5, 20, 20, 2e-4, 2e-2, 1e-3, 2e-5},
    {"s80-large", 0.8, 32, 30, 5, 20, 20, 2e-4, 2e-2, 1e-3, 2e-5},
    {"s90-large", 0.9, 32, 30, 5, 20, 20, 2e-4, 2e-2, 1e-3, 2e-5},
    {"s80-nano", 0.8, 16, 4, 1, 4, 8, 1e-3, 2e-2, 5e-4, 5e-4},
};

static void take_preset(struct prune_arguments *a, const struct preset *p)
{
    a->sparsity = p->sparsity;
    a->batch = p->batch;
    a->epochs = p->epochs;
    a->warmup_epochs = p->warmup_epochs;
    a->distill_epochs = p->distill_epochs;
    a->train_epochs = p->train_epochs;
    a->distill_lr = p->distill_lr;
    a->reg_lr = p->reg_lr;
    a->lr = p->lr;
    a->lr_encoder = p->lr_encoder;
}

int prune_arguments_preset(struct prune_arguments *a, const char *name, struct error *err)
{
    for (size_t i = 0; i < sizeof(presets) / sizeof(*presets); i++) {
        if (!strcmp(name, presets[i].name)) {
            take_preset(a, &presets[i]);
            return 0;
        }
    }
    return fail(err, "--preset %.40s: there are s80-base, s90-base, s80-large, s90-large, s80-nano",
                name);
}

struct prune_arguments prune_arguments_defaults(void)
{
    struct prune_arguments a = {
        .blocks = "160,320,500,1000,whole", .lefts = "4000,8000,whole", .units = "conv,head,interm",
        .target = "params", .stages = "1,2,3", .by = "gates", .l1 = 1.0, .cos = 1.0,
        .dropout = -1.0, .accumulate = 1, .threads = options_processors(TEAM_MAX),
        .dev_clips = 32, .average = 5, .epoch_clips = 20000, .save_every = 100,
        .validate_every = 500, .seed = 1, .data.augment = 0.5,
    };

    take_preset(&a, &presets[0]);
    a.batch = 16;
    return a;
}

static int read_stages(struct prune_arguments *a, struct error *err)
{
    a->stage_bits = 0;
    for (const char *at = a->stages; *at; at += at[0] && at[1] == ',' ? 2 : 1) {
        if (*at < '1' || *at > '3' || (at[1] && (at[1] != ',' || !at[2])))
            return fail(err, "--stages %.40s: expected some of 1 (prune), 2 (distill), 3 (train), "
                             "as 1,2", a->stages);
        a->stage_bits |= 1u << (*at - '0');
    }
    return a->stage_bits ? 0 : fail(err, "--stages: none of 1, 2, 3");
}

static int read_layers(struct prune_arguments *a, struct error *err)
{
    const char *at = a->layers ? a->layers : "";

    for (a->n_layers = 0; *at; a->n_layers++) {
        char *end;
        long layer = strtol(at, &end, 10);
        if (end == at || (*end && *end != ',') || layer < 0 || layer > MAX_LAYERS ||
            a->n_layers > MAX_LAYERS || (a->n_layers && layer <= a->layer[a->n_layers - 1]))
            return fail(err, "--layers %.60s: expected numbers of representations that rise, as "
                             "0,4,8,12", a->layers);
        a->layer[a->n_layers] = (int)layer;
        at = *end ? end + 1 : end;
    }
    return 0;
}

static int one_of(const char *option, const char *name, const char *const *names, int n,
                  const char *expected, struct error *err)
{
    for (int i = 0; i < n; i++) {
        if (!strcmp(name, names[i]))
            return i;
    }
    return fail(err, "%s %.40s: expected %s", option, name, expected);
}

static int check_numbers(const struct prune_arguments *a, struct error *err)
{
    const struct option_range ranges[] = {
        {"batch", a->batch, 1, 1e6}, {"accumulate", a->accumulate, 1, 1e6},
        {"threads", a->threads, 1, TEAM_MAX}, {"hours", a->hours, 0, 1e6},
        {"epoch-clips", (double)a->epoch_clips, 1, 1e12}, {"epochs", a->epochs, 1e-6, 1e6},
        {"warmup-epochs", a->warmup_epochs, 0, 1e6}, {"distill-epochs", a->distill_epochs, 0, 1e6},
        {"train-epochs", a->train_epochs, 0, 1e6}, {"steps", (double)a->steps, 0, 1e12},
        {"distill-steps", (double)a->distill_steps, 0, 1e12},
        {"train-steps", (double)a->train_steps, 0, 1e12},
        {"save-every", (double)a->save_every, 1, 1e12},
        {"validate-every", (double)a->validate_every, 1, 1e12},
        {"average", a->average, 1, 32}, {"dev-clips", a->dev_clips, 1, 1e6},
        {"distill-lr", a->distill_lr, 0, 1e3}, {"reg-lr", a->reg_lr, 1e-12, 1e3},
        {"multiplier-lr", a->multiplier_lr, 0, 1e3}, {"lr", a->lr, 0, 1e3},
        {"lr-encoder", a->lr_encoder, -1, 1e3}, {"clip", a->clip, 0, 1e9},
        {"ema", a->ema, 0, 0.999999}, {"dropout", a->dropout, -1, 0.99},
        {"affinity", a->affinity, 0, 1e6}, {"vector", a->vector, 0, 1e6},
        {"l1", a->l1, 0, 1e6}, {"l2", a->l2, 0, 1e6}, {"cos", a->cos, 0, 1e6},
    };

    return options_in_range(ranges, sizeof(ranges) / sizeof(*ranges), err) ||
                   finetune_data_check(&a->data, err) ? -1 : 0;
}

int prune_arguments_read(struct prune_arguments *a, struct error *err)
{
    static const char *const targets[] = {"params", "macs", "time"};
    static const char *const ways[] = {"gates", "magnitude"};
    int target = one_of("--target", a->target, targets, 3, "params, macs or time", err);
    int by = target < 0 ? -1 : one_of("--by", a->by, ways, 2, "gates or magnitude", err);

    if (target < 0 || by < 0 || read_stages(a, err) || read_layers(a, err) ||
        gate_units_parse(&a->unit_bits, a->units, err))
        return -1;
    a->size = (enum size_target)target;
    a->by_magnitude = by;
    if (!(a->sparsity > 0.0 && a->sparsity < 1.0))
        return fail(err, "--sparsity %g: expected a share between 0 and 1", a->sparsity);
    if (check_numbers(a, err))
        return -1;
    if (a->l1 + a->l2 + a->cos == 0.0)
        return fail(err, "--l1 0 --l2 0 --cos 0: a weight above 0 is needed");
    return 0;
}

void prune_arguments_print(const struct prune_arguments *a)
{
    printf("sparsity %g of %s, by %s\nunits %s\nbatch %d x %d\n", a->sparsity, a->target, a->by,
           a->units, a->batch, a->accumulate);
    printf("prune: %g epochs, target reached after %g, lr %g, gates' lr %g, "
           "multipliers' %g\n", a->epochs, a->warmup_epochs, a->distill_lr, a->reg_lr,
           a->multiplier_lr > 0.0 ? a->multiplier_lr : a->reg_lr);
    printf("loss: l1 %g, l2 %g, cosine %g%s, at layers %s\n", a->l1, a->l2, a->cos,
           a->log_sigmoid ? " of its log-sigmoid" : "", a->layers ? a->layers : "four, evenly");
    printf("norms over cut channels: %s\n", a->masked_norms ? "the open ones" : "all");
    printf("distill: %g epochs, lr %g\n", a->distill_epochs, a->distill_lr);
    printf("train: %g epochs, lr %g, of the encoder %g, affinity %g, vector %g, ema %g\n", a->train_epochs,
           a->lr, a->lr_encoder, a->affinity, a->vector, a->ema);
    printf("an epoch of simulated meetings: %ld clips\nblocks %s ms, left %s ms\n", a->epoch_clips,
           a->blocks, a->lefts);
    if (a->clip > 0.0)
        printf("clip at a norm of %g\n", a->clip);
    else
        printf("clip at the 0.9 quantile of 1000 norms\n");
    printf("dropout %s\n", a->dropout < 0.0 ? "the model's" : "given");
    printf("average of %d, of validations on %d clips every %ld steps\nstages %s\nseed %lld\n",
           a->average, a->dev_clips, a->validate_every, a->stages, a->seed);
}

void prune_arguments_line(char *line, size_t size, const struct prune_arguments *a)
{
    snprintf(line, size, "%s: sparsity %g of %s by %s, units %s, layers %s%s, seed %lld\n", a->model,
             a->sparsity, a->target, a->by, a->units, a->layers ? a->layers : "-",
             a->masked_norms ? ", masked norms" : "", a->seed);
}
