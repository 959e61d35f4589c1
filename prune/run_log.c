// SPDX-License-Identifier: MIT
#include "prune/run_log.h"

#include "model/json.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

enum { LINE_BYTES = 1 << 16 }; // ours have 400

int run_log_note(struct run_log *l, long step, double score, struct error *err)
{
    if (l->n == l->room) {
        int room = l->room ? 2 * l->room : 64;
        struct run_validation *list = realloc(l->list, (size_t)room * sizeof(*list));
        if (!list)
            return fail(err, "out of memory");
        l->list = list;
        l->room = room;
    }
    l->list[l->n++] = (struct run_validation){step, score};
    return 0;
}

static double number(const cJSON *o, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(o, key);

    return cJSON_IsNumber(item) ? item->valuedouble : -1.0;
}

/* Takes one line of an earlier session; 0: it is to be dropped, with all after. */
static int take_line(struct run_log *l, const char *line, long step, struct error *err)
{
    static const struct json_limits limits = {"line", "", LINE_BYTES, 1000, 8, 1};
    cJSON *o = json_read(line, strlen(line), &limits, NULL);
    const cJSON *type = cJSON_GetObjectItemCaseSensitive(o, "type");
    const cJSON *score = cJSON_GetObjectItemCaseSensitive(o, l->key);
    double at = number(o, "step");
    int keep = at >= 0.0 && at <= (double)step;

    if (keep && cJSON_IsString(type) && !strcmp(type->valuestring, "validation") &&
        !cJSON_GetObjectItemCaseSensitive(o, "block") && cJSON_IsNumber(score)) {
        if (!(fabs(score->valuedouble) < 1e9))
            keep = 0;
        else if (run_log_note(l, (long)at, score->valuedouble, err))
            keep = -1;
    }
    cJSON_Delete(o);
    return keep;
}

int run_log_lock(struct run_log *l, const char *path, struct error *err)
{
    l->file = fopen(path, "a+");
    if (!l->file)
        return fail(err, "%s: %s", path, strerror(errno));
    if (flock(fileno(l->file), LOCK_EX | LOCK_NB))
        return fail(err, "%s is being written: another run is at work in its folder", path);
    return 0;
}

/* The end of the last line that stands, in *end. A line that a kill has torn is dropped, but
 * what never was a log is left alone. */
static int read_lines(struct run_log *l, FILE *f, off_t *end, const char *path, long step,
                      struct error *err)
{
    struct stat st;
    char *line = malloc(LINE_BYTES);
    int keep = 1;

    *end = 0;
    if (!line)
        return fail(err, "%s: out of memory", path);
    if (fstat(fileno(f), &st) || !S_ISREG(st.st_mode))
        keep = fail(err, "%s: is no regular file; expected a run's log", path);
    while (keep > 0 && fgets(line, LINE_BYTES, f)) {
        if (*end == 0 && *line != '{')
            keep = fail(err, "%s: is no log of a run; give the run another folder", path);
        else
            keep = strchr(line, '\n') ? take_line(l, line, step, err) : 0;
        if (keep > 0)
            *end = ftello(f);
    }
    free(line);
    return keep < 0 ? -1 : 0;
}

int run_log_read(struct run_log *l, const char *path, long step, struct error *err)
{
    FILE *f = l->file ? l->file : fopen(path, "r");
    off_t end;
    int status;

    if (!f)
        return errno == ENOENT ? 0 : fail(err, "%s: %s", path, strerror(errno));
    rewind(f);
    status = read_lines(l, f, &end, path, step, err);
    if (!l->file)
        fclose(f);
    else if (status == 0 && (ftruncate(fileno(f), end) || fseeko(f, 0, SEEK_END)))
        return fail(err, "%s: %s", path, strerror(errno));
    return status;
}

int run_log_flush(struct run_log *l, struct error *err)
{
    if (l->file && (fflush(l->file) || ferror(l->file)))
        return fail(err, "the run's log: %s", strerror(errno));
    return 0;
}

void run_log_close(struct run_log *l)
{
    if (l->file)
        fclose(l->file);
    free(l->list);
    *l = (struct run_log){0};
}

static int wrote(struct run_log *l, int n, struct error *err)
{
    return n < 0 ? fail(err, "the run's log: %s", strerror(errno)) : run_log_flush(l, err);
}

int run_log_step(struct run_log *l, const struct step_report *r, struct error *err)
{
    int n = fprintf(l->file,
                    "{\"type\":\"step\",\"step\":%ld,\"clip\":%llu,\"loss\":%.6g,"
                    "\"affinity\":%.6g,\"vector\":%.6g,\"vector_right\":%.4g,\"mels\":%.6g,"
                    "\"der\":%.4g,\"missed\":%.4g,\"false_alarm\":%.4g,"
                    "\"confusion\":%.4g,\"lr\":%.6g,\"norm\":%.6g,\"clip_norm\":%.6g,"
                    "\"block\":%d,\"left\":%d,\"seconds\":%.4g,\"cpu_seconds\":%.4g,"
                    "\"audio_seconds\":%.6g,"
                    "\"gemm_share\":%.4g,\"sparsity\":%.6g,\"target\":%.6g}\n",
                    r->step, (unsigned long long)r->first_clip, r->loss, r->affinity, r->vector,
                    r->vector_right, r->mels, r->der,
                    r->missed, r->false_alarm, r->confusion, r->lr, r->norm, r->clip,
                    r->block_frames, r->left_frames, r->seconds, r->cpu_seconds, r->audio_seconds,
                    r->gemm_share,
                    r->sparsity, r->target);
    return wrote(l, n, err);
}

int run_log_validation(struct run_log *l, long step, int block, const double parts[3],
                       struct error *err)
{
    int n = fprintf(l->file,
                    "{\"type\":\"validation\",\"step\":%ld,\"block\":%d,\"der\":%.4f,"
                    "\"missed\":%.4f,\"false_alarm\":%.4f,\"confusion\":%.4f}\n",
                    step, block, parts[0] + parts[1] + parts[2], parts[0], parts[1], parts[2]);
    return wrote(l, n, err);
}

int run_log_distance(struct run_log *l, long step, int block, double distill, double penalty,
                     struct error *err)
{
    int n = fprintf(l->file,
                    "{\"type\":\"validation\",\"step\":%ld,\"block\":%d,\"loss\":%.6g,"
                    "\"distill\":%.6g,\"penalty\":%.6g}\n",
                    step, block, distill + penalty, distill, penalty);
    return wrote(l, n, err);
}

int run_log_mean(struct run_log *l, long step, double score, struct error *err)
{
    /* All digits: whoever reads it must find the same ones the best, where two are alike. */
    int n = fprintf(l->file, "{\"type\":\"validation\",\"step\":%ld,\"%s\":%.17g}\n", step,
                    l->key, score);

    return wrote(l, n, err) || run_log_note(l, step, score, err) ? -1 : 0;
}

/* The first validation that may be among the best of the first n. */
static int first_of(const struct run_log *l, int n)
{
    int first = 0;

    while (first < n && l->list[first].step < l->first)
        first++;
    for (int i = first + 1; l->from_peak && i < n; i++)
        first = l->list[i].score > l->list[first].score ? i : first;
    return first;
}

int run_log_best(const struct run_log *l, long *steps, int n)
{
    double score[RUN_MAX_BEST];
    int count = 0;

    n = n < RUN_MAX_BEST ? n : RUN_MAX_BEST;
    for (int i = first_of(l, l->n); i < l->n; i++) {
        int at = count;
        while (at > 0 && score[at - 1] > l->list[i].score)
            at--;
        if (at == n)
            continue;
        count = count < n ? count + 1 : n;
        for (int k = count - 1; k > at; k--) {
            score[k] = score[k - 1];
            steps[k] = steps[k - 1];
        }
        score[at] = l->list[i].score;
        steps[at] = l->list[i].step;
    }
    return count;
}

int run_log_waited(const struct run_log *l)
{
    int best = 0;

    for (int i = 1; i < l->n; i++)
        best = l->list[i].score < l->list[best].score ? i : best;
    return l->n ? l->n - 1 - best : 0;
}

void run_log_plateau(const struct run_log *l, struct trainer *t)
{
    int waited = run_log_waited(l);

    if (t->settings.schedule == SCHEDULE_PLATEAU && waited > 0 && waited % 2 == 0)
        t->plateau_factor *= 0.5;
}
