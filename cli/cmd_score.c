// SPDX-License-Identifier: MIT
/* cmd_score.c - `score`: DER and JER of a system's turns against a reference. */
#include "cli/command.h"
#include "cli/json_out.h"
#include "cli/options.h"
#include "stream/rttm.h"
#include "stream/score.h"

#include <cjson/cJSON.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

static const struct usage usage = {
    "",
    "Compares what a system says with a reference: diarization error rate (missed, false\n"
    "alarm, confusion) as NIST's md-eval counts it, Jaccard error rate as dscore does. FILE is\n"
    "RTTM, Audacity labels (.txt), WebVTT (.vtt) or Praat TextGrid (.TextGrid); a folder stands\n"
    "for the .rttm files in it. Overall is over all time together, not a mean of recordings.\n"
    "Without --uem a recording counts from the first to the last boundary of both sides.\n\n"
    "  antiphon score --ref meeting.rttm --sys antiphon.rttm\n"
    "  antiphon score --ref ref/ --sys sys/ --uem all.uem --collar 0.25 --json",
};

struct arguments {
    const char **ref, **sys, **uem; // ended by NULL, or NULL
    double collar;
    int skip_overlap, json;
};

/* Both sides, and one row for each recording scored. */
struct board {
    struct turns ref, sys, uem;
    struct row {
        const char *name;
        struct score score;
    } *rows;
    int n_rows;
    struct score overall;
};

/* The file's turns are added to those that are there. The same recording in two
 * files is a mistake more often than not. */
static int read_file(struct turns *t, const char *path, struct error *err)
{
    struct turns part = {0};
    int status = turns_read(&part, path, err);

    for (int i = 0; status == 0 && i < part.n; i++) {
        if (turns_find(t, part.list[i].name))
            fprintf(stderr, "antiphon score: warning: %s: recording %s was in an earlier file too; "
                    "the turns of both are taken\n", path, part.list[i].name);
    }
    if (status == 0)
        status = turns_append(t, &part, err);
    turns_release(&part);
    return status;
}

static int is_rttm(const struct dirent *entry)
{
    size_t n = strlen(entry->d_name);

    return n > 5 && *entry->d_name != '.' && !strcasecmp(entry->d_name + n - 5, ".rttm");
}

static int read_folder(struct turns *t, const char *path, struct error *err)
{
    struct dirent **entries;
    int n = scandir(path, &entries, is_rttm, alphasort), status = 0;

    if (n < 0)
        return fail(err, "%s: cannot be listed", path);
    if (n == 0)
        status = fail(err, "%s: no .rttm file in this folder", path);
    for (int i = 0; i < n; i++) {
        char *file = NULL;
        if (status == 0 && asprintf(&file, "%s/%s", path, entries[i]->d_name) < 0)
            status = fail(err, "out of memory");
        if (status == 0)
            status = read_file(t, file, err);
        free(file);
        free(entries[i]);
    }
    free(entries);
    return status;
}

static int read_side(struct turns *t, const char **paths, struct error *err)
{
    for (; *paths; paths++) {
        struct stat st;
        int folder = strcmp(*paths, "-") && stat(*paths, &st) == 0 && S_ISDIR(st.st_mode);
        if (folder ? read_folder(t, *paths, err) : read_file(t, *paths, err))
            return -1;
    }
    return 0;
}

static int read_all(struct board *b, const struct arguments *a, struct error *err)
{
    if (read_side(&b->ref, a->ref, err) || read_side(&b->sys, a->sys, err))
        return -1;
    for (int i = 0; a->uem && a->uem[i]; i++) {
        if (uem_read(&b->uem, a->uem[i], err))
            return -1;
    }
    if (b->ref.n == 0)
        return fail(err, "%s: no turn in the reference", a->ref[0]);
    return 0;
}

/* One line for all of them: a few names, and how many more. */
static void warn_of(const struct turns *set, const struct turns *other, const struct turns *also,
                    const char *what)
{
    int n = 0;

    for (int i = 0; i < set->n; i++) {
        const char *name = set->list[i].name;
        if (turns_find(other, name) || (also && !turns_find(also, name)))
            continue;
        if (n == 0)
            fprintf(stderr, "antiphon score: warning: %s: %s", what, name);
        else if (n < 5)
            fprintf(stderr, ", %s", name);
        n++;
    }
    if (n > 5)
        fprintf(stderr, " and %d more", n - 5);
    if (n)
        fputc('\n', stderr);
}

static void warn(const struct board *b, const struct arguments *a)
{
    const struct turns *scored = a->uem ? &b->uem : NULL;

    if (a->uem)
        warn_of(&b->ref, &b->uem, NULL, "not in the UEM, left out");
    warn_of(&b->ref, &b->sys, scored, "only in the reference, counted as missed");
    warn_of(&b->sys, &b->ref, NULL, "only in the system's output, left out");
}

static int score_all(struct board *b, const struct arguments *a, struct error *err)
{
    const struct score_settings settings = {a->collar, a->skip_overlap};

    b->rows = calloc((size_t)b->ref.n, sizeof(*b->rows));
    if (!b->rows)
        return fail(err, "out of memory");
    for (int i = 0; i < b->ref.n; i++) {
        const struct recording *ref = &b->ref.list[i];
        const struct recording *uem = turns_find(&b->uem, ref->name);
        struct row *row = &b->rows[b->n_rows];
        if (a->uem && !uem)
            continue;
        row->name = ref->name;
        if (score_recording(&row->score, NULL, ref, turns_find(&b->sys, ref->name), uem, &settings,
                            err))
            return fail_prefix(err, "%s: ", ref->name);
        score_pool(&b->overall, &row->score);
        b->n_rows++;
    }
    if (b->n_rows == 0)
        return fail(err, "no recording of the reference is in the UEM: do their names agree?");
    return 0;
}

static double percent(double part, const struct score *s)
{
    return s->scored > 0.0 ? 100.0 * part / s->scored : 0.0;
}

static void print_row(const char *name, int width, const struct score *s)
{
    printf("%-*s %11.2f %8.2f %8.2f %9.2f %8.2f %8.2f\n", width, name, s->scored,
           percent(s->missed, s), percent(s->false_alarm, s), percent(s->confusion, s), s->der,
           s->jer);
}

static void print_rule(int width)
{
    for (int i = 0; i < width + 58; i++)
        putchar('-');
    putchar('\n');
}

/* A score without its protocol says nothing: that is printed with it. */
static void print_table(const struct board *b, const struct arguments *a)
{
    int width = 9;

    for (int i = 0; i < b->n_rows; i++) {
        int n = (int)strlen(b->rows[i].name);
        width = n > width ? n : width;
    }
    printf("%-*s %11s %8s %8s %9s %8s %8s\n", width, "recording", "scored s", "missed", "f.alarm",
           "confused", "DER", "JER");
    print_rule(width);
    for (int i = 0; i < b->n_rows; i++)
        print_row(b->rows[i].name, width, &b->rows[i].score);
    print_rule(width);
    print_row("overall", width, &b->overall);
    printf("percent of the scored speaker time; collar %g s on each side of a reference boundary, "
           "overlap %s;\n", a->collar, a->skip_overlap ? "skipped" : "scored");
    printf("regions: %s%s; reference: %s%s\n",
           a->uem ? a->uem[0] : "no UEM, the union of both spans",
           a->uem && a->uem[1] ? " ..." : "", a->ref[0], a->ref[1] ? " ..." : "");
}

static void add_number(cJSON *json, const char *key, double value)
{
    char text[40];

    snprintf(text, sizeof(text), "%.6f", value);
    cJSON_AddRawToObject(json, key, text);
}

static cJSON *score_json(const char *name, const struct score *s)
{
    cJSON *json = cJSON_CreateObject();

    cJSON_AddStringToObject(json, "name", name);
    add_number(json, "scored", s->scored);
    add_number(json, "missed", s->missed);
    add_number(json, "false_alarm", s->false_alarm);
    add_number(json, "confusion", s->confusion);
    add_number(json, "der", s->der);
    add_number(json, "jer", s->jer);
    cJSON_AddNumberToObject(json, "reference_speakers", s->n_reference);
    cJSON_AddNumberToObject(json, "system_speakers", s->n_system);
    return json;
}

static int print_json(const struct board *b, const struct arguments *a, struct error *err)
{
    cJSON *json = cJSON_CreateObject(), *list = cJSON_AddArrayToObject(json, "recordings");

    for (int i = 0; i < b->n_rows; i++)
        cJSON_AddItemToArray(list, score_json(b->rows[i].name, &b->rows[i].score));
    cJSON_AddItemToObject(json, "overall", score_json("overall", &b->overall));
    cJSON_AddNumberToObject(json, "collar", a->collar);
    cJSON_AddBoolToObject(json, "skip_overlap", a->skip_overlap);
    cJSON_AddBoolToObject(json, "uem", a->uem != NULL);
    return json_print(json, err);
}

static int check_arguments(const struct arguments *a, struct error *err)
{
    if (!a->ref || !a->sys)
        return fail(err, "wants --ref FILE and --sys FILE; see `antiphon help score`");
    if (!(a->collar >= 0.0 && a->collar <= 60.0))
        return fail(err, "--collar %g: should be 0 to 60 seconds", a->collar);
    return 0;
}

static int score(const struct arguments *a, struct error *err)
{
    struct board b = {0};
    int status = -1;

    if (read_all(&b, a, err) == 0) {
        warn(&b, a);
        status = score_all(&b, a, err);
    }
    if (status == 0 && a->json)
        status = print_json(&b, a, err);
    else if (status == 0)
        print_table(&b, a);
    free(b.rows);
    turns_release(&b.ref);
    turns_release(&b.sys);
    turns_release(&b.uem);
    return status ? STATUS_FAILED : STATUS_DONE;
}

int cmd_score(int argc, const char **argv, struct error *err)
{
    struct arguments a = {0};
    const struct poptOption table[] = {
        {"ref", 'r', POPT_ARG_ARGV, &a.ref, 0, "reference; repeatable", "FILE"},
        {"sys", 's', POPT_ARG_ARGV, &a.sys, 0, "the system's output; repeatable", "FILE"},
        {"uem", 'u', POPT_ARG_ARGV, &a.uem, 0, "regions to score; repeatable", "FILE"},
        {"collar", 'c', POPT_ARG_DOUBLE, &a.collar, 0,
         "left out on each side of a reference boundary [0]", "SEC"},
        {"skip-overlap", 0, POPT_ARG_NONE, &a.skip_overlap, 0,
         "leave out where more than one of the reference speaks", NULL},
        {"json", 0, POPT_ARG_NONE, &a.json, 0, "print one JSON object", NULL},
        POPT_TABLEEND,
    };
    struct options o;
    int status = STATUS_MISUSED;

    if (options_open(&o, argc, argv, table, &usage, err) == 0) {
        if (o.helped)
            status = STATUS_DONE;
        else if (options_expect(&o, 0, 0, &usage, err) == 0 && check_arguments(&a, err) == 0)
            status = score(&a, err);
    }
    options_close(&o);
    return status;
}
