// SPDX-License-Identifier: MIT
#include "prune/ranks.h"

#include <stdint.h>
#include <stdlib.h>

#ifdef HAVE_MPI
#include <mpi.h>

enum { MOST_AT_ONCE = 1 << 28 }; // MPI counts in int

/* mpirun of Open MPI, of MPICH and its kin, and of Slurm says so. */
static int was_launched(void)
{
    return getenv("OMPI_COMM_WORLD_SIZE") || getenv("PMI_RANK") || getenv("PMIX_RANK");
}

int ranks_open(struct ranks *r, struct error *err)
{
    int provided = 0;

    *r = (struct ranks){.rank = 0, .size = 1};
    if (!was_launched())
        return 0;
    if (MPI_Init_thread(NULL, NULL, MPI_THREAD_SERIALIZED, &provided) != MPI_SUCCESS)
        return fail(err, "MPI does not start");
    r->started = 1;
    MPI_Comm_rank(MPI_COMM_WORLD, &r->rank);
    MPI_Comm_size(MPI_COMM_WORLD, &r->size);
    if (provided < MPI_THREAD_SERIALIZED)
        return fail(err, "this MPI does not work with threads");
    return 0;
}

void ranks_close(struct ranks *r)
{
    if (r->started)
        MPI_Finalize();
    *r = (struct ranks){0};
}

void ranks_sum(struct ranks *r, double *x, size_t n)
{
    if (r->size > 1)
        MPI_Allreduce(MPI_IN_PLACE, x, (int)n, MPI_DOUBLE, MPI_SUM, MPI_COMM_WORLD);
}

void ranks_sum_begin(struct ranks *r, float *x, size_t n)
{
    if (r->size == 1)
        return;
    for (size_t at = 0; at < n; at += MOST_AT_ONCE) {
        size_t count = n - at < MOST_AT_ONCE ? n - at : MOST_AT_ONCE;
        MPI_Request request;

        if (r->n_pending == RANKS_MAX_PENDING)
            ranks_finish(r);
        MPI_Iallreduce(MPI_IN_PLACE, x + at, (int)count, MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD,
                       &request);
        r->pending[r->n_pending++] = (void *)(intptr_t)request;
    }
    /* Most MPIs move data only while they are called. */
    int flag;
    MPI_Request oldest = (MPI_Request)(intptr_t)r->pending[0];
    MPI_Request_get_status(oldest, &flag, MPI_STATUS_IGNORE);
}

void ranks_finish(struct ranks *r)
{
    for (int i = 0; i < r->n_pending; i++) {
        MPI_Request request = (MPI_Request)(intptr_t)r->pending[i];
        MPI_Wait(&request, MPI_STATUS_IGNORE);
    }
    r->n_pending = 0;
}

void ranks_share(struct ranks *r, void *x, size_t n)
{
    for (size_t at = 0; r->size > 1 && at < n; at += MOST_AT_ONCE) {
        size_t count = n - at < MOST_AT_ONCE ? n - at : MOST_AT_ONCE;
        MPI_Bcast((char *)x + at, (int)count, MPI_BYTE, 0, MPI_COMM_WORLD);
    }
}

int ranks_any(struct ranks *r, int yes)
{
    int any = yes != 0;

    if (r->size > 1)
        MPI_Allreduce(MPI_IN_PLACE, &any, 1, MPI_INT, MPI_MAX, MPI_COMM_WORLD);
    return any;
}

void ranks_abort(const struct ranks *r, int status)
{
    if (r->size > 1)
        MPI_Abort(MPI_COMM_WORLD, status);
}

#else

int ranks_open(struct ranks *r, struct error *err)
{
    *r = (struct ranks){.rank = 0, .size = 1};
    if (getenv("OMPI_COMM_WORLD_SIZE") || getenv("PMI_RANK"))
        return fail(err, "started by mpirun, but built without MPI: install libopenmpi-dev and "
                         "build anew");
    return 0;
}

void ranks_close(struct ranks *r)
{
    *r = (struct ranks){0};
}

void ranks_sum(struct ranks *r, double *x, size_t n)
{
}

void ranks_sum_begin(struct ranks *r, float *x, size_t n)
{
}

void ranks_finish(struct ranks *r)
{
}

void ranks_share(struct ranks *r, void *x, size_t n)
{
}

int ranks_any(struct ranks *r, int yes)
{
    return yes != 0;
}

void ranks_abort(const struct ranks *r, int status)
{
}
#endif
