// SPDX-License-Identifier: MIT
/* cmd_prune.c - `prune`: a smaller model that does the same. */
#include "cli/command.h"
#include "cli/options.h"
#include "cli/prune_stages.h"

#include <popt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const struct usage usage = {
    "",
    "Prunes a model's encoder: hard-concrete gates on convolution channels, attention heads and\n"
    "feed-forward units learn under distillation from the model itself, a Lagrangian drives the\n"
    "size to its target, the cut takes away what was closed, distillation and diarization training\n"
    "mend what is left. --preset takes the published recipe's values; each can be overridden, and\n"
    "--print-config shows them. Killed and begun again it goes on where it was.\n\n"
    "  antiphon prune --speech libri/ --noise noise/ -m dense.safetensors --sparsity 0.8 \\\n"
    "                 -o pruned.safetensors --report pruned.svg\n"
    "  antiphon prune --data ami/ -m base.safetensors --preset s90-base --target macs -o s90.safetensors",
};

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

/* The preset must be known before the other options, which override it. */
static int find_preset(struct prune_arguments *a, int argc, const char **argv, struct error *err)
{
    const char *name = NULL;

    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--preset") && i + 1 < argc)
            name = argv[i + 1];
        if (!strncmp(argv[i], "--preset=", 9))
            name = argv[i] + 9;
    }
    for (size_t i = 0; name && i < sizeof(presets) / sizeof(*presets); i++) {
        if (!strcmp(name, presets[i].name)) {
            take_preset(a, &presets[i]);
            return 0;
        }
    }
    return name ? fail(err, "--preset %.40s: there are s80-base, s90-base, s80-large, s90-large, "
                            "s80-nano", name)
                : 0;
}

static void print_config(const struct prune_arguments *a)
{
    printf("sparsity %g of %s\nunits %s\nbatch %d x %d\n", a->sparsity, a->target, a->units,
           a->batch, a->accumulate);
    printf("prune: %g epochs, target reached after %g, lr %g, gates' lr %g\n", a->epochs,
           a->warmup_epochs, a->distill_lr, a->reg_lr);
    printf("loss: l1 %g, l2 %g, cosine %g%s\n", a->l1, a->l2, a->cos,
           a->log_sigmoid ? " of its log-sigmoid" : "");
    printf("distill: %g epochs, lr %g\n", a->distill_epochs, a->distill_lr);
    printf("train: %g epochs, lr %g, of the encoder %g\n", a->train_epochs, a->lr, a->lr_encoder);
    printf("blocks %s ms, left %s ms\nclip %g quantile 0.9\nstages %s\n", a->blocks, a->lefts,
           a->clip, a->stages);
}

static int check(const struct prune_arguments *a, struct error *err)
{
    if (!a->model)
        return fail(err, "prune: --model FILE is missing: what to prune");
    if (!a->output)
        return fail(err, "prune: -o FILE is missing: where the model goes");
    return 0;
}

static int check_numbers(const struct prune_arguments *a, struct error *err)
{
    if (!(a->sparsity > 0.0 && a->sparsity < 1.0))
        return fail(err, "--sparsity %g: expected a share between 0 and 1", a->sparsity);
    if (a->batch < 1 || a->accumulate < 1 || a->threads < 1 || a->save_every < 1 ||
        a->validate_every < 1 || a->epoch_clips < 1 || a->epochs <= 0.0 || a->average < 1 ||
        a->average > 32 || a->distill_lr < 0.0 || a->reg_lr <= 0.0 || strspn(a->stages, "123,") !=
        strlen(a->stages))
        return fail(err, "a number is out of range: see antiphon help prune");
    return 0;
}

#define NUMBER(name, field, text, unit) {name, 0, POPT_ARG_DOUBLE, &given.field, 0, text, unit}
#define COUNT(name, field, text) {name, 0, POPT_ARG_LONG, &given.field, 0, text, "N"}
#define TEXT(name, field, text, unit) {name, 0, POPT_ARG_STRING, &given.field, 0, text, unit}
#define WHOLE(name, field, text) {name, 0, POPT_ARG_INT, &given.field, 0, text, "N"}

static struct prune_arguments given;

static const struct poptOption table[] = {
    FINETUNE_DATA_OPTIONS(given.data),
    {"model", 'm', POPT_ARG_STRING, &given.model, 0, "prune this model; it is the teacher", "FILE"},
    {"output", 'o', POPT_ARG_STRING, &given.output, 0, "the model to make", "FILE"},
    TEXT("run", run, "folder of the run (FILE.run)", "DIR"),
    TEXT("preset", preset,
         "the published recipe: s80-base, s90-base, s80-large, s90-large, s80-nano", "NAME"),
    {"print-config", 0, POPT_ARG_NONE, &given.print_config, 0, "show all values and stop", NULL},
    NUMBER("sparsity", sparsity, "share of the encoder to cut (0.8)", "S"),
    TEXT("target", target, "what is counted: params, macs, or time on this machine", "NAME"),
    TEXT("units", units, "conv,head,interm; attlayer,ffnlayer: whole modules", "LIST"),
    TEXT("stages", stages, "1 prune, 2 distill, 3 train (1,2,3)", "LIST"),
    TEXT("report", report, "draw sparsity, losses and what is left", "F.svg"),
    NUMBER("epochs", epochs, "of pruning", "N"),
    NUMBER("warmup-epochs", warmup_epochs, "over which the target rises", "N"),
    NUMBER("distill-epochs", distill_epochs, "of distillation after the cut", "N"),
    NUMBER("train-epochs", train_epochs, "of diarization training", "N"),
    COUNT("epoch-clips", epoch_clips, "what an epoch of simulated meetings is (20000)"),
    COUNT("steps", steps, "of pruning, instead of epochs"),
    COUNT("distill-steps", distill_steps, "likewise"),
    COUNT("train-steps", train_steps, "likewise"),
    NUMBER("distill-lr", distill_lr, "learning rate of stages 1 and 2", "R"),
    NUMBER("reg-lr", reg_lr, "of gates and multipliers", "R"),
    NUMBER("lr", lr, "of stage 3", "R"),
    NUMBER("lr-encoder", lr_encoder, "of stage 3's encoder", "R"),
    NUMBER("l1", l1, "weight of |s-t| (1)", "W"),
    NUMBER("l2", l2, "weight of (s-t)^2 (0)", "W"),
    NUMBER("cos", cos, "weight of the cosine (1)", "W"),
    {"log-sigmoid", 0, POPT_ARG_NONE, &given.log_sigmoid, 0, "of its log-sigmoid", NULL},
    NUMBER("clip", clip, "largest norm of a gradient (90 % quantile)", "NORM"),
    NUMBER("dropout", dropout, "instead of the model's own rates", "P"),
    NUMBER("affinity", affinity, "stage 3: weight of the deep-clustering loss", "W"),
    NUMBER("ema", ema, "stage 3: keep a mean of the weights", "D"),
    WHOLE("batch", batch, "clips of a step, of each rank (16)"),
    WHOLE("accumulate", accumulate, "so many batches make a step (1)"),
    TEXT("block-ms", blocks, "blocks of the student to draw from, or whole", "LIST"),
    TEXT("left-ms", lefts, "left contexts to draw from", "LIST"),
    {"recompute", 0, POPT_ARG_NONE, &given.recompute, 0, "less memory, more time", NULL},
    WHOLE("dev-clips", dev_clips, "clips of a validation in stage 3 (32)"),
    WHOLE("average", average, "so many best models make the result (5)"),
    COUNT("validate-every", validate_every, "steps (500)"),
    COUNT("save-every", save_every, "steps (100)"),
    NUMBER("hours", hours, "of a stage, then stop, to be gone on with", "H"),
    WHOLE("threads", threads, "processors to use (all)"),
    {"seed", 0, POPT_ARG_LONGLONG, &given.seed, 0, "of all that is random (1)", "N"},
    POPT_TABLEEND,
};

int cmd_prune(int argc, const char **argv, struct error *err)
{
    struct options options;
    int status = STATUS_MISUSED;

    given = (struct prune_arguments){
        .blocks = "160,320,500,1000,whole", .lefts = "4000,8000,whole", .units = "conv,head,interm",
        .target = "params", .stages = "1,2,3", .l1 = 1.0, .cos = 1.0, .dropout = -1.0,
        .accumulate = 1, .threads = (int)sysconf(_SC_NPROCESSORS_ONLN), .dev_clips = 32,
        .average = 5, .epoch_clips = 20000, .save_every = 100, .validate_every = 500, .seed = 1,
        .data.augment = 0.5,
    };
    take_preset(&given, &presets[0]);
    given.batch = 16;
    if (find_preset(&given, argc, argv, err))
        return STATUS_MISUSED;
    if (options_open(&options, argc, argv, table, &usage, err) == 0) {
        if (options.helped)
            status = STATUS_DONE;
        else if (options_expect(&options, 0, 0, &usage, err) == 0) {
            if (given.print_config) {
                print_config(&given);
                status = STATUS_DONE;
            } else if (check(&given, err) == 0) {
                status = check_numbers(&given, err) || prune_run(&given, err) ? STATUS_FAILED
                                                                              : STATUS_DONE;
            }
        }
    }
    options_close(&options);
    return status;
}
