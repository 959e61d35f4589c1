// SPDX-License-Identifier: MIT
/* cmd_prune.c - `prune`: a smaller model that does the same. */
#include "cli/command.h"
#include "cli/options.h"
#include "cli/prune_stages.h"

#include <popt.h>
#include <string.h>

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
    return name ? prune_arguments_preset(a, name, err) : 0;
}

static int work(struct prune_arguments *a, struct error *err)
{
    if (prune_arguments_read(a, err))
        return STATUS_MISUSED;
    if (a->print_config) {
        prune_arguments_print(a);
        return STATUS_DONE;
    }
    if (!a->model || !a->output) {
        fail(err, a->model ? "prune: -o FILE is missing: where the model goes"
                           : "prune: --model FILE is missing: what to prune");
        return STATUS_MISUSED;
    }
    return prune_run(a, err) ? STATUS_FAILED : STATUS_DONE;
}

#define NUMBER(name, field, text, unit) {name, 0, POPT_ARG_DOUBLE, &a.field, 0, text, unit}
#define COUNT(name, field, text) {name, 0, POPT_ARG_LONG, &a.field, 0, text, "N"}
#define TEXT(name, field, text, unit) {name, 0, POPT_ARG_STRING, &a.field, 0, text, unit}
#define WHOLE(name, field, text) {name, 0, POPT_ARG_INT, &a.field, 0, text, "N"}
#define SWITCH(name, field, text) {name, 0, POPT_ARG_NONE, &a.field, 0, text, NULL}

int cmd_prune(int argc, const char **argv, struct error *err)
{
    struct prune_arguments a = prune_arguments_defaults();
    const struct poptOption table[] = {
        FINETUNE_DATA_OPTIONS(a.data),
        {"model", 'm', POPT_ARG_STRING, &a.model, 0, "prune this model; it is the teacher", "FILE"},
        {"output", 'o', POPT_ARG_STRING, &a.output, 0, "the model to make", "FILE"},
        TEXT("run", run, "folder of the run (FILE.run)", "DIR"),
        TEXT("preset", preset, "s80-base, s90-base, s80-large, s90-large, s80-nano", "NAME"),
        SWITCH("print-config", print_config, "show all values and stop"),
        NUMBER("sparsity", sparsity, "share of the encoder to cut (0.8)", "S"),
        TEXT("target", target, "what is counted: params, macs, or time on this machine", "NAME"),
        TEXT("latency", latency, "for time: the table that bench --latency wrote", "FILE"),
        TEXT("units", units, "conv,head,interm; attlayer,ffnlayer: whole modules", "LIST"),
        TEXT("by", by, "learned gates, or magnitude: the smallest weights, at once", "NAME"),
        SWITCH("masked-norms", masked_norms, "norms over cut channels count the open ones alone"),
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
        NUMBER("reg-lr", reg_lr, "of gates", "R"),
        NUMBER("multiplier-lr", multiplier_lr,
               "of what drives them to the target (the gates'); more for few steps", "R"),
        NUMBER("lr", lr, "of stage 3", "R"),
        NUMBER("lr-encoder", lr_encoder, "of stage 3's encoder", "R"),
        TEXT("layers", layers, "representations to compare, 0 the first (four, evenly)", "LIST"),
        NUMBER("l1", l1, "weight of |s-t| (1)", "W"),
        NUMBER("l2", l2, "weight of (s-t)^2 (0)", "W"),
        NUMBER("cos", cos, "weight of the cosine (1)", "W"),
        SWITCH("log-sigmoid", log_sigmoid, "of its log-sigmoid"),
        NUMBER("clip", clip, "largest norm of a gradient (90 % quantile)", "NORM"),
        NUMBER("dropout", dropout, "instead of the model's own rates", "P"),
        NUMBER("affinity", affinity, "stage 3: weight of the deep-clustering loss", "W"),
        NUMBER("vector", vector, "stage 3: weight of the speaker vectors' loss", "W"),
        NUMBER("ema", ema, "stage 3: keep a mean of the weights", "D"),
        WHOLE("batch", batch, "clips of a step, of each rank (16)"),
        WHOLE("accumulate", accumulate, "so many batches make a step (1)"),
        TEXT("block-ms", blocks, "blocks of the student to draw from, or whole", "LIST"),
        TEXT("left-ms", lefts, "left contexts to draw from", "LIST"),
        SWITCH("recompute", recompute, "less memory, more time"),
        SWITCH("bf16", bf16, "round the factors of products to bfloat16: faster with AVX512_BF16"),
        WHOLE("dev-clips", dev_clips, "clips of a validation (32)"),
        WHOLE("average", average, "so many best models make a stage's result (5)"),
        COUNT("validate-every", validate_every, "steps (500)"),
        COUNT("save-every", save_every, "steps (100)"),
        NUMBER("hours", hours, "of a stage, then stop, to be gone on with", "H"),
        WHOLE("threads", threads, "processors to use (all)"),
        {"seed", 0, POPT_ARG_LONGLONG, &a.seed, 0, "of all that is random (1)", "N"},
        POPT_TABLEEND,
    };
    struct options options;
    int status = STATUS_MISUSED;

    if (find_preset(&a, argc, argv, err))
        return STATUS_MISUSED;
    if (options_open(&options, argc, argv, table, &usage, err) == 0) {
        if (options.helped)
            status = STATUS_DONE;
        else if (options_expect(&options, 0, 0, &usage, err) == 0)
            status = work(&a, err);
    }
    options_close(&options);
    return status;
}
