// SPDX-License-Identifier: MIT
/* test_commands_memory.c - whole commands, at every place where one asks for memory, a
 * thread or a file: each refusal ends in one line, or is done without; nothing is lost, and
 * an output that failed is not there. */
#include "check.h"
#include "starve.h"

#include "cli/command.h"
#include "model/op.h"
#include "tiny_training.h"

#include <fcntl.h>
#include <ftw.h>
#include <sndfile.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_ARGUMENTS = 40, SECONDS = 2, LONGER = 20 /* SECONDS of who is enrolled */ };

struct line {
    const char *name;
    int (*run)(int argc, const char **argv, struct error *err);
    const char *argv[MAX_ARGUMENTS]; // '@' at first: in the tests' folder; '%': in this test's own
    const char *whole; // after a failure this is not there; NULL: nothing is
};

static char folder[] = "/tmp/antiphon-commands-XXXXXX";
static int said = -1, nowhere = -1, old_out, old_err; // files

/* All of a command's stdout goes nowhere, its stderr into `said`. */
static void redirect(void)
{
    fflush(stdout);
    fflush(stderr);
    if (ftruncate(said, 0) || lseek(said, 0, SEEK_SET) || dup2(nowhere, 1) < 0 || dup2(said, 2) < 0)
        abort();
}

static void restore(void)
{
    fflush(stdout);
    fflush(stderr);
    if (dup2(old_out, 1) < 0 || dup2(old_err, 2) < 0)
        abort();
}

/* What a command has said itself, if it left no error for main to print: its last line. */
static void take_said(struct error *err)
{
    char text[sizeof(err->text)];
    ssize_t n = pread(said, text, sizeof(text) - 1, 0);

    text[n > 0 ? n : 0] = 0;
    for (char *end = strrchr(text, '\n'); end && !end[1]; end = strrchr(text, '\n'))
        *end = 0;
    char *last = strrchr(text, '\n');
    snprintf(err->text, sizeof(err->text), "%.*s", (int)sizeof(err->text) - 1,
             last ? last + 1 : text);
}

static void fill_path(char *to, size_t room, const char *argument)
{
    if (*argument == '@')
        snprintf(to, room, "%s", check_path("%s", argument + 1));
    else if (*argument == '%')
        snprintf(to, room, "%s/%s", folder, argument + 1);
    else
        snprintf(to, room, "%s", argument);
}

static int n_removed;

static int remove_output(const char *path, const struct stat *st, int kind, struct FTW *where)
{
    (void)st;
    (void)kind;
    if (where->level == 0)
        return 0;
    n_removed++;
    return remove(path);
}

/* The outputs are all in one folder: how many there were. */
static int clear_outputs(void)
{
    char path[100];

    n_removed = 0;
    fill_path(path, sizeof(path), "%out");
    assert_int_equal(nftw(path, remove_output, 8, FTW_DEPTH | FTW_PHYS), 0);
    return n_removed;
}

static int run_line(void *context, struct error *err)
{
    const struct line *l = context;
    char text[MAX_ARGUMENTS][512], whole[512];
    const char *argv[MAX_ARGUMENTS + 1] = {NULL};
    int argc = 0;

    for (; l->argv[argc]; argc++) {
        fill_path(text[argc], sizeof(text[argc]), l->argv[argc]);
        argv[argc] = text[argc];
    }
    redirect();
    int status = l->run(argc, argv, err);
    restore();
    if (status != STATUS_DONE && !*err->text)
        take_said(err);
    fill_path(whole, sizeof(whole), l->whole ? l->whole : "");
    int is_whole = l->whole && access(whole, F_OK) == 0, n_left = clear_outputs();
    if ((l->whole ? is_whole : n_left > 0) && status != STATUS_DONE)
        check_fail("%s: failed (%s), and left an output behind", l->name, err->text);
    return status == STATUS_DONE ? 0 : -1;
}

static void assert_survives(const struct line *lines, size_t n)
{
    for (size_t i = 0; i < n; i++)
        assert_true(starve(lines[i].name, run_line, (void *)(uintptr_t)&lines[i]) >= 2);
}

#define ASSERT_SURVIVES(lines) assert_survives(lines, sizeof(lines) / sizeof(*(lines)))

/* --- what the commands are given ---------------------------------------- */

/* The first seconds of the meeting. */
static void write_talk(const char *name, int seconds)
{
    SF_INFO info = {0};
    SNDFILE *in = sf_open(check_path("audio/ami_EN2004a_first30s.flac"), SFM_READ, &info);
    static short samples[LONGER * 16000];
    char path[100];

    assert_non_null(in);
    assert_int_equal(sf_read_short(in, samples, seconds * 16000), seconds * 16000);
    sf_close(in);
    SF_INFO plain = {.samplerate = 16000, .channels = 1,
                     .format = SF_FORMAT_WAV | SF_FORMAT_PCM_16};
    fill_path(path, sizeof(path), name);
    SNDFILE *out = sf_open(path, SFM_WRITE, &plain);
    assert_non_null(out);
    assert_int_equal(sf_write_short(out, samples, seconds * 16000), seconds * 16000);
    sf_close(out);
}

static void write_text(const char *name, const char *text)
{
    char path[100];

    fill_path(path, sizeof(path), name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

/* That, alone, as a meeting, and as two people's speech, and a model to train on it. */
static void write_speech(void)
{
    static const char *const folders[] = {"%meeting", "%speech", "%speech/ann", "%speech/ben"};
    static const char *const files[] = {"%talk.wav", "%meeting/1.wav", "%speech/ann/1.wav",
                                        "%speech/ben/1.wav"};
    char path[100];

    for (int i = 0; i < 4; i++) {
        fill_path(path, sizeof(path), folders[i]);
        assert_int_equal(mkdir(path, 0700), 0);
        write_talk(files[i], SECONDS);
    }
    write_talk("%longer.wav", LONGER);
    write_text("%tiny.json", tiny_config);
    write_text("%meeting/1.rttm", "SPEAKER 1 1 0.5 1.0 <NA> <NA> ann <NA> <NA>\n");
}

#define NETWORK "@golden/resnet34_tiny/pytorch_model.bin"
#define QUICK "--threads", "2", "--window", "1", "--step", "1"

static void test_diarize(void **state)
{
    static const struct line lines[] = {
        {"diarize", cmd_diarize, {"diarize", "%talk.wav", "-o", "%out/t.vtt", QUICK}, NULL},
        {"diarize to a folder, with a network", cmd_diarize,
         {"diarize", "%talk.wav", "-e", NETWORK, "-o", "%out/", "--jobs", "2", QUICK}, NULL},
        {"diarize online", cmd_diarize,
         {"diarize", "%talk.wav", "--clustering", "online", "-o", "%out/t.TextGrid"}, NULL},
    };

    (void)state;
    ASSERT_SURVIVES(lines);
}

static void test_stream(void **state)
{
    static const struct line lines[] = {
        {"stream", cmd_stream,
         {"stream", "--input", "%talk.wav", "--fast", "--rttm", "%out/t.rttm", "--labels",
          "%out/t.txt", "--jsonl", "-", "--save-speakers", "%out/p.json"}, "%out/p.json"},
        {"stream in windows", cmd_stream,
         {"stream", "--input", "%talk.wav", "--fast", "--window", "1", "--step", "480"}, NULL},
    };

    (void)state;
    ASSERT_SURVIVES(lines);
}

static void test_models(void **state)
{
    static const struct line lines[] = {
        {"info", cmd_info, {"info", "--json", "@golden/wavlm_pruned_tiny/model.pt"}, NULL},
        {"info of a network", cmd_info, {"info", NETWORK}, NULL},
        {"convert", cmd_convert,
         {"convert", "@golden/hf-wavlm-base-tiny/hf-wavlm-base-tiny", "-o",
          "%out/m.safetensors"}, NULL},
        {"convert to bf16", cmd_convert,
         {"convert", "@golden/wavlm_pruned_tiny/model.pt", "--dtype", "bf16", "-o",
          "%out/m.safetensors"}, NULL},
        {"convert to torch", cmd_convert,
         {"convert", "@golden/wavlm_pruned_tiny/model.pt", "--to", "torch", "-o", "%out/m.bin"}, NULL},
        {"convert to hf", cmd_convert,
         {"convert", "@golden/hf-wavlm-base-tiny/hf-wavlm-base-tiny", "--to", "hf", "-o",
          "%out/m/"}, "%out/m/config.json"},
        {"convert a network", cmd_convert, {"convert", NETWORK, "-o", "%out/r.safetensors"}, NULL},
        {"features", cmd_features,
         {"features", "@golden/wavlm_pruned_tiny/model.pt", "%talk.wav", "-o",
          "%out/f.safetensors"}, NULL},
    };

    (void)state;
    ASSERT_SURVIVES(lines);
}

#define TURNS "@audio/ami_EN2004a_first30s.rttm"

static void test_results(void **state)
{
    static const struct line lines[] = {
        {"score", cmd_score, {"score", "--ref", TURNS, "--sys", TURNS, "--json"}, NULL},
        {"plot", cmd_plot, {"plot", TURNS, TURNS, "-o", "%out/t.svg"}, NULL},
        {"evaluate", cmd_evaluate,
         {"evaluate", "--block-ms", "whole", "--chunk", "1", "%meeting"}, NULL},
        {"plot of a model", cmd_plot,
         {"plot", "@golden/wavlm_pruned_tiny/model.pt", "-o", "%out/m.svg"}, NULL},
    };

    (void)state;
    ASSERT_SURVIVES(lines);
}

#define TRAIN                                                                                      \
    "--speech", "%speech", "--chunk", "1", "--batch", "2", "--threads", "2", "--steps", "2",       \
        "--dev-clips", "2", "--validate-every", "2", "--max-speakers", "2"

/* A model of one step, and its run, for whoever comes first. */
static void need_model(void)
{
    const struct line train = {"finetune", cmd_finetune,
                               {"finetune", TRAIN, "--config", "%tiny.json", "-o",
                                "%m.safetensors"}, NULL};
    char path[100];
    struct error err;

    fill_path(path, sizeof(path), "%m.safetensors");
    if (access(path, F_OK) && run_line((void *)(uintptr_t)&train, &err))
        check_fail("%s", err.text);
}

static void test_training(void **state)
{
    static const struct line lines[] = {
        {"simulate", cmd_simulate,
         {"simulate", "--speech", "%speech", "-n", "1", "--minutes", "0.1", "--max-speakers", "2",
          "-o", "%out/sim"}, NULL},
        {"finetune", cmd_finetune,
         {"finetune", TRAIN, "--dev-speech", "%speech", "--config", "%tiny.json", "--freeze",
          "lnorm.*", "-o", "%out/m.safetensors"}, "%out/m.safetensors"},
        {"plot of a run", cmd_plot,
         {"plot", "%m.safetensors.run/log.jsonl", "-o", "%out/run.svg"}, NULL},
    };

    (void)state;
    need_model();
    ASSERT_SURVIVES(lines);
}

static void test_pruning(void **state)
{
    static const struct line lines[] = {
        {"prune", cmd_prune,
         {"prune", TRAIN, "-m", "%m.safetensors", "--sparsity", "0.5", "--distill-steps", "2",
          "--train-steps", "2", "--report", "%out/report.svg", "-o", "%out/p.safetensors"},
         "%out/report.map.svg"},
        {"prune by magnitude", cmd_prune,
         {"prune", TRAIN, "-m", "%m.safetensors", "--sparsity", "0.5", "--by", "magnitude",
          "--stages", "1", "-o", "%out/p.safetensors"}, "%out/p.safetensors"},
    };

    (void)state;
    need_model();
    ASSERT_SURVIVES(lines);
}

static void test_measuring(void **state)
{
    static const struct line lines[] = {
        {"enroll", cmd_enroll, {"enroll", "Ada", "%longer.wav", "-o", "%out/p.json"}, NULL},
        {"bench", cmd_bench,
         {"bench", "-m", "%m.safetensors", "--seconds", "1", "--left", "320", "--json"}, NULL},
        {"bench of layers", cmd_bench,
         {"bench", "-m", "%m.safetensors", "--latency", "%out/l.json"}, NULL},
        {"devices", cmd_devices, {"devices", "--json"}, NULL},
    };

    (void)state;
    need_model();
    ASSERT_SURVIVES(lines);
}

/* --- around them --------------------------------------------------------- */

static int begin(void **state)
{
    char path[100];

    (void)state;
    if (!mkdtemp(folder))
        return -1;
    fill_path(path, sizeof(path), "%out");
    mkdir(path, 0700);
    fill_path(path, sizeof(path), "%said");
    said = open(path, O_RDWR | O_CREAT | O_APPEND, 0600);
    nowhere = open("/dev/null", O_WRONLY);
    old_out = dup(1);
    old_err = dup(2);
    write_speech();
    return said < 0 || nowhere < 0 || old_out < 0 || old_err < 0 ? -1 : 0;
}

static int leave(void **state)
{
    char command[100];

    (void)state;
    snprintf(command, sizeof(command), "rm -rf %s", folder);
    return system(command);
}

/* test_commands_memory [TEST]: all, or one. */
int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_diarize),
        cmocka_unit_test(test_stream),
        cmocka_unit_test(test_models),
        cmocka_unit_test(test_results),
        cmocka_unit_test(test_training),
        cmocka_unit_test(test_pruning),
        cmocka_unit_test(test_measuring),
    };

    op_set_threads(1);
    op_warm_up();
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, begin, leave);
}
