// SPDX-License-Identifier: MIT
#include "model/hungarian.h"

#include <math.h>
#include <stdlib.h>

/* Workers are the smaller side, jobs the larger. Both count from 1; job 0 is
 * where a path begins, worker 0 is nobody. */
struct problem {
    const double *cost;
    int n_columns, transposed;
    int n_workers, n_jobs;
    double *worker_price; // [n_workers + 1]
    double *job_price;    // [n_jobs + 1]
    double *slack;        // [n_jobs + 1] the cheapest known way to a job
    int *worker_of;       // [n_jobs + 1]
    int *before;          // [n_jobs + 1] the job before it on that way
    int *visited;         // [n_jobs + 1]
};

static double reduced_cost(const struct problem *p, int worker, int job)
{
    int row = p->transposed ? job : worker, column = p->transposed ? worker : job;

    return p->cost[(size_t)(row - 1) * (size_t)p->n_columns + (size_t)(column - 1)] -
           p->worker_price[worker] - p->job_price[job];
}

/* Takes the job at the end of the way so far, and returns the next one. */
static int advance(struct problem *p, int job)
{
    int worker = p->worker_of[job], next = 0;
    double least = INFINITY;

    p->visited[job] = 1;
    for (int j = 1; j <= p->n_jobs; j++) {
        if (p->visited[j])
            continue;
        double reduced = reduced_cost(p, worker, j);
        if (reduced < p->slack[j]) {
            p->slack[j] = reduced;
            p->before[j] = job;
        }
        if (next == 0 || p->slack[j] < least) {
            least = p->slack[j];
            next = j;
        }
    }
    for (int j = 0; j <= p->n_jobs; j++) {
        if (p->visited[j]) {
            p->worker_price[p->worker_of[j]] += least;
            p->job_price[j] -= least;
        } else {
            p->slack[j] -= least;
        }
    }
    return next;
}

static void employ(struct problem *p, int worker)
{
    int job = 0;

    p->worker_of[0] = worker;
    for (int j = 0; j <= p->n_jobs; j++) {
        p->slack[j] = INFINITY;
        p->before[j] = 0;
        p->visited[j] = 0;
    }
    do {
        job = advance(p, job);
    } while (p->worker_of[job] != 0);
    while (job != 0) { // everybody on the way moves on by one
        int before = p->before[job];
        p->worker_of[job] = p->worker_of[before];
        job = before;
    }
}

size_t hungarian_scratch_bytes(int n_rows, int n_columns)
{
    size_t small = (size_t)(n_rows < n_columns ? n_rows : n_columns) + 1;
    size_t large = (size_t)(n_rows < n_columns ? n_columns : n_rows) + 1;

    return (small + 2 * large) * sizeof(double) + 3 * large * sizeof(int);
}

void hungarian_in(void *scratch, int *map, const double *cost, int n_rows, int n_columns)
{
    struct problem p = {.cost = cost, .n_columns = n_columns, .transposed = n_rows > n_columns};

    p.n_workers = p.transposed ? n_columns : n_rows;
    p.n_jobs = p.transposed ? n_rows : n_columns;
    p.worker_price = scratch;
    p.job_price = p.worker_price + p.n_workers + 1;
    p.slack = p.job_price + p.n_jobs + 1;
    p.worker_of = (int *)(p.slack + p.n_jobs + 1);
    p.before = p.worker_of + p.n_jobs + 1;
    p.visited = p.before + p.n_jobs + 1;
    for (int i = 0; i <= p.n_workers; i++)
        p.worker_price[i] = 0.0;
    for (int j = 0; j <= p.n_jobs; j++) {
        p.job_price[j] = 0.0;
        p.worker_of[j] = 0;
    }
    for (int i = 1; i <= p.n_workers; i++)
        employ(&p, i);
    for (int i = 0; i < n_rows; i++)
        map[i] = -1;
    for (int j = 1; j <= p.n_jobs; j++) {
        int worker = p.worker_of[j];
        if (worker)
            map[(p.transposed ? j : worker) - 1] = (p.transposed ? worker : j) - 1;
    }
}

int hungarian(int *map, const double *cost, int n_rows, int n_columns, struct error *err)
{
    void *scratch = malloc(hungarian_scratch_bytes(n_rows, n_columns));

    if (!scratch)
        return fail(err, "out of memory");
    hungarian_in(scratch, map, cost, n_rows, n_columns);
    free(scratch);
    return 0;
}
