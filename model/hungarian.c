// SPDX-License-Identifier: MIT
#include "model/hungarian.h"

#include <math.h>
#include <stdlib.h>

/* Workers are the smaller side, jobs the larger. */
struct problem {
    const double *cost;
    int n_columns, turned; // turned: workers are columns
    int n_workers, n_jobs;
    double *worker_price, *job_price;
    double *way;     // [n_jobs] cost of the cheapest known way to a job
    int *from;       // [n_jobs] the worker before it on that way
    int *worker_of;  // [n_jobs] or -1
    int *job_of;     // [n_workers] or -1
    int *left;       // jobs the search has not reached, last ones first
    int *job_seen, *worker_seen;
};

static double cost_of(const struct problem *p, int worker, int job)
{
    int row = p->turned ? job : worker, column = p->turned ? worker : job;

    return p->cost[(size_t)row * (size_t)p->n_columns + (size_t)column];
}

/* Of the jobs left, reached from a worker at cost so_far, the place of the
 * cheapest; of equal ones the last that is free, else the first. */
static int nearest(struct problem *p, int n_left, int worker, double so_far)
{
    double least = INFINITY;
    int at = 0;

    for (int k = 0; k < n_left; k++) {
        int j = p->left[k];
        double r = so_far + cost_of(p, worker, j) - p->worker_price[worker] - p->job_price[j];
        if (r < p->way[j]) {
            p->way[j] = r;
            p->from[j] = worker;
        }
        if (p->way[j] < least || (p->way[j] == least && p->worker_of[j] < 0)) {
            least = p->way[j];
            at = k;
        }
    }
    return at;
}

/* Searches from a worker to the nearest free job, which it returns. */
static int search(struct problem *p, int first, double *so_far)
{
    int n_left = p->n_jobs, worker = first;

    *so_far = 0.0;
    for (int k = 0; k < p->n_jobs; k++) {
        p->left[k] = p->n_jobs - 1 - k;
        p->way[k] = INFINITY;
        p->from[k] = first;
        p->job_seen[k] = 0;
    }
    for (int i = 0; i < p->n_workers; i++)
        p->worker_seen[i] = 0;
    for (;;) {
        p->worker_seen[worker] = 1;
        int at = nearest(p, n_left, worker, *so_far), j = p->left[at];
        *so_far = p->way[j];
        p->job_seen[j] = 1;
        p->left[at] = p->left[--n_left];
        if (p->worker_of[j] < 0)
            return j;
        worker = p->worker_of[j];
    }
}

static void employ(struct problem *p, int first)
{
    double so_far;
    int job = search(p, first, &so_far), worker;

    p->worker_price[first] += so_far;
    for (int i = 0; i < p->n_workers; i++) {
        if (p->worker_seen[i] && i != first)
            p->worker_price[i] += so_far - p->way[p->job_of[i]];
    }
    for (int j = 0; j < p->n_jobs; j++) {
        if (p->job_seen[j])
            p->job_price[j] -= so_far - p->way[j];
    }
    do { // everybody on the way moves on by one
        worker = p->from[job];
        p->worker_of[job] = worker;
        int before = p->job_of[worker];
        p->job_of[worker] = job;
        job = before;
    } while (worker != first);
}

size_t hungarian_scratch_bytes(int n_rows, int n_columns)
{
    size_t small = (size_t)(n_rows < n_columns ? n_rows : n_columns);
    size_t large = (size_t)(n_rows < n_columns ? n_columns : n_rows);

    return (small + 2 * large) * sizeof(double) + (2 * small + 4 * large) * sizeof(int);
}

void hungarian_in(void *scratch, int *map, const double *cost, int n_rows, int n_columns)
{
    struct problem p = {.cost = cost, .n_columns = n_columns, .turned = n_rows > n_columns};

    p.n_workers = p.turned ? n_columns : n_rows;
    p.n_jobs = p.turned ? n_rows : n_columns;
    p.worker_price = scratch;
    p.job_price = p.worker_price + p.n_workers;
    p.way = p.job_price + p.n_jobs;
    p.from = (int *)(p.way + p.n_jobs);
    p.worker_of = p.from + p.n_jobs;
    p.left = p.worker_of + p.n_jobs;
    p.job_seen = p.left + p.n_jobs;
    p.job_of = p.job_seen + p.n_jobs;
    p.worker_seen = p.job_of + p.n_workers;
    for (int i = 0; i < p.n_workers; i++) {
        p.worker_price[i] = 0.0;
        p.job_of[i] = -1;
    }
    for (int j = 0; j < p.n_jobs; j++) {
        p.job_price[j] = 0.0;
        p.worker_of[j] = -1;
    }
    for (int i = 0; i < p.n_workers; i++)
        employ(&p, i);
    for (int i = 0; i < n_rows; i++)
        map[i] = p.turned ? p.worker_of[i] : p.job_of[i];
}

int hungarian(int *map, const double *cost, int n_rows, int n_columns, struct error *err)
{
    void *scratch = malloc(hungarian_scratch_bytes(n_rows, n_columns) + 1);

    if (!scratch)
        return fail(err, "out of memory");
    hungarian_in(scratch, map, cost, n_rows, n_columns);
    free(scratch);
    return 0;
}
