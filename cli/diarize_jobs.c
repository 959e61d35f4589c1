// SPDX-License-Identifier: MIT
#include "cli/diarize_jobs.h"

#include "stream/hear.h"
#include "stream/online.h"
#include "stream/utf8.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int diarize_name(struct diarize_job *job, int compat, struct error *err)
{
    const char *slash = strrchr(job->path, '/');
    char name[sizeof(job->recording)];

    if (snprintf(name, sizeof(name), "%s", slash ? slash + 1 : job->path) >= (int)sizeof(name))
        return fail(err, "%.100s...: a longer name than file systems have", job->path);
    char *dot = compat ? strchr(name, '.') : strrchr(name, '.');
    if (dot && dot > name)
        *dot = 0;
    if (compat && name[strcspn(name, " \t")])
        return fail(err, "%s: DiariZen refuses blanks in a name, and so does --compat diarizen; "
                         "rename the file", job->path);
    utf8_field(job->recording, sizeof(job->recording), name);
    return 0;
}

/* Known people's, as RTTM can hold them; others have numbers. who: NULL or [n_names]. */
static int own_names(struct diarize_job *job, const int *who, const struct offline_settings *s,
                     struct error *err)
{
    int number = s->compat ? 0 : 1;

    job->names = calloc((size_t)job->n_names + 1, sizeof(*job->names));
    for (int i = 0; job->names && i < job->n_names; i++) {
        char name[REPORT_NAME_BYTES];
        if (who && who[i] >= 0)
            utf8_field(name, sizeof(name), s->known->list[who[i]].name);
        else
            snprintf(name, sizeof(name), s->compat ? "%d" : "speaker_%d", number++);
        job->names[i] = strdup(name);
        if (!job->names[i])
            return fail(err, "out of memory");
    }
    return job->names ? 0 : fail(err, "out of memory");
}

static int run_offline(struct diarize_job *job, const struct diarize_how *how,
                       atomic_llong *samples, struct error *err)
{
    const struct hear_settings hearing = {
        .model = how->model, .live = how->live, .network = how->network,
        .windows = how->windows, .channel = how->channel, .n_threads = how->n_threads,
        .compat = how->offline.compat, .samples = samples,
    };
    struct heard h;
    int *who = NULL;
    int status = hear(&h, &job->seconds, job->path, &hearing, err);

    if (status == 0) {
        status = offline_run(&job->regions, &job->n_names, &who, &h, &how->windows,
                             &how->offline, job->seconds, err);
        if (status)
            fail_prefix(err, "%s: ", job->path);
    }
    heard_release(&h);
    if (status == 0)
        status = own_names(job, who, &how->offline, err);
    free(who);
    return status;
}

static int run_online(struct diarize_job *job, const struct diarize_how *how,
                      atomic_llong *samples, struct error *err)
{
    struct told told;
    int status = online_run(&told, job->path, &how->engine, samples, err);

    if (status == 0) {
        job->regions = told.regions;
        job->names = told.names;
        job->n_names = told.n_names;
        told.regions = (struct regions){0};
        told.names = NULL;
        told.n_names = 0;
    }
    told_release(&told);
    return status;
}

static void *work(void *user)
{
    struct diarize_jobs *jobs = user;
    int i;

    while ((i = atomic_fetch_add(&jobs->next, 1)) < jobs->n) {
        struct diarize_job *job = &jobs->list[i];
        job->failed = jobs->how->online ? run_online(job, jobs->how, &jobs->samples, &job->err)
                                        : run_offline(job, jobs->how, &jobs->samples, &job->err);
        atomic_store_explicit(&job->done, 1, memory_order_release);
    }
    return NULL;
}

int diarize_jobs_start(struct diarize_jobs *jobs, int n_at_once, struct error *err)
{
    jobs->n_threads = n_at_once < jobs->n ? n_at_once : jobs->n;
    jobs->thread = calloc((size_t)jobs->n_threads, sizeof(*jobs->thread));
    if (!jobs->thread)
        return fail(err, "out of memory");
    while (jobs->started < jobs->n_threads &&
           pthread_create(&jobs->thread[jobs->started], NULL, work, jobs) == 0)
        jobs->started++;
    if (jobs->started)
        return 0;
    diarize_jobs_join(jobs);
    return fail(err, "cannot start a thread");
}

void diarize_jobs_join(struct diarize_jobs *jobs)
{
    for (int i = 0; i < jobs->started; i++)
        pthread_join(jobs->thread[i], NULL);
    free(jobs->thread);
    jobs->thread = NULL;
    jobs->started = 0;
}

void diarize_job_release(struct diarize_job *job)
{
    for (int i = 0; job->names && i < job->n_names; i++)
        free(job->names[i]);
    free(job->names);
    regions_release(&job->regions);
}
