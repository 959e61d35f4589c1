// SPDX-License-Identifier: MIT
#include "cli/diarize_output.h"

#include "model/outfile.h"
#include "stream/rttm_write.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static int find_folder(struct diarize_output *o, struct error *err)
{
    struct stat st;
    size_t n = strlen(o->path);
    int wanted = n > 0 && o->path[n - 1] == '/';

    if (wanted && mkdir(o->path, 0777) && errno != EEXIST)
        return fail(err, "%s: cannot make this folder: %s", o->path, strerror(errno));
    o->is_folder = wanted || (stat(o->path, &st) == 0 && S_ISDIR(st.st_mode));
    return 0;
}

static int check_names(const struct diarize_job *jobs, int n, struct error *err)
{
    for (int i = 0; i < n; i++) {
        for (int j = i + 1; j < n; j++) {
            if (!strcmp(jobs[i].recording, jobs[j].recording))
                return fail(err, "%s and %s are both called %s; rename one, or do them apart",
                            jobs[i].path, jobs[j].path, jobs[i].recording);
        }
    }
    return 0;
}

int diarize_output_open(struct diarize_output *o, const char *path,
                        const struct diarize_job *jobs, int n, struct error *err)
{
    *o = (struct diarize_output){.path = path && strcmp(path, "-") ? path : NULL};
    if (check_names(jobs, n, err) || (o->path && find_folder(o, err)))
        return -1;
    if (o->path && !o->is_folder)
        o->format = labels_format_of(o->path);
    if (o->format != LABELS_NONE && n > 1)
        return fail(err, "%s: this format is of one recording; give a folder or a name in .rttm",
                    o->path);
    if (!o->path || o->is_folder || o->format != LABELS_NONE)
        return 0;
    o->collected = open_memstream(&o->text, &o->n);
    return o->collected ? 0 : fail(err, "out of memory");
}

static int write_file(const char *path, const char *text, size_t n, struct error *err)
{
    struct outfile f;

    if (outfile_open(&f, path, err))
        return -1;
    if (outfile_write(&f, text, n, err)) {
        outfile_discard(&f);
        return -1;
    }
    return outfile_commit(&f, err);
}

static int put_labels(const char *path, enum labels_format format, const struct diarize_job *job,
                      struct error *err)
{
    struct labels *l;
    int status = 0;

    if (labels_open(&l, path, format, err))
        return -1;
    for (size_t i = 0; status == 0 && i < job->regions.n; i++) {
        const struct turn *t = &job->regions.list[i];
        status = labels_turn(l, job->names[t->speaker], t->start, t->end, err);
    }
    if (status) {
        labels_close(&l, job->seconds, NULL);
        return -1;
    }
    return labels_close(&l, job->seconds, err);
}

/* Labels are made for what grows; here they are there whole or not at all. */
static int write_labels(const struct diarize_output *o, const struct diarize_job *job,
                        struct error *err)
{
    struct outfile f;

    if (outfile_open(&f, o->path, err))
        return -1;
    if (put_labels(f.temporary ? f.temporary : f.path, o->format, job, err)) {
        outfile_discard(&f);
        return -1;
    }
    return outfile_commit(&f, err);
}

static int put_text(struct diarize_output *o, const struct diarize_job *job, const char *text,
                    struct error *err)
{
    char path[4096];

    if (o->is_folder) {
        const char *slash = o->path[strlen(o->path) - 1] == '/' ? "" : "/";
        if (snprintf(path, sizeof(path), "%s%s%s.rttm", o->path, slash, job->recording) >=
            (int)sizeof(path))
            return fail(err, "%s: too long a name", job->path);
        return write_file(path, text, strlen(text), err);
    }
    fputs(text, o->collected ? o->collected : stdout);
    if (!o->collected)
        fflush(stdout); // main sees what fails
    return 0;
}

int diarize_output_take(struct diarize_output *o, struct diarize_job *job, struct error *err)
{
    char *text = rttm_text(&job->regions, job->recording, (const char *const *)job->names, err);
    int status = -1;

    if (text)
        status = o->format != LABELS_NONE ? write_labels(o, job, err)
                                          : put_text(o, job, text, err);
    free(text);
    o->n_taken += status == 0;
    return status;
}

int diarize_output_close(struct diarize_output *o, struct error *err)
{
    int status = 0;

    if (o->collected) {
        int whole = fclose(o->collected) == 0;
        if (err && o->n_taken)
            status = whole ? write_file(o->path, o->text, o->n, err) : fail(err, "out of memory");
        free(o->text);
    }
    *o = (struct diarize_output){0};
    return status;
}
