// SPDX-License-Identifier: MIT
#include "prune/reader.h"

#include <pthread.h>
#include <stdlib.h>

enum { MAX_THREADS = 64 };

struct slot {
    struct clip clip;
    int state; // 0: to be made, 1: ready, -1: failed
};

struct clip_reader {
    const struct clip_source *source;
    struct clip_order order;
    struct slot *slots; // [ahead] clip k lies in slot k % ahead
    int ahead;
    pthread_t threads[MAX_THREADS];
    int n_threads;
    pthread_mutex_t lock;
    pthread_cond_t made, taken;
    uint64_t next_made, next_taken; // clips given to threads, and to the caller
    int stop;
    struct error error; // of the first clip, in order, that failed
    uint64_t failed;    // its number, UINT64_MAX: none
};

static uint64_t index_of(const struct clip_reader *r, uint64_t k)
{
    if (r->order.index)
        return r->order.index(r->order.context, k);
    return r->order.first + k * r->order.stride;
}

/* The number of a clip to make, or UINT64_MAX when there is none any more. */
static uint64_t wait_for_work(struct clip_reader *r)
{
    for (;;) {
        int end = r->order.n && r->next_made == r->order.n;
        if (r->stop || end || r->failed != UINT64_MAX)
            return UINT64_MAX;
        if (r->next_made < r->next_taken + (uint64_t)r->ahead)
            return r->next_made++;
        pthread_cond_wait(&r->taken, &r->lock);
    }
}

static void *worker(void *arg)
{
    struct clip_reader *r = arg;

    pthread_mutex_lock(&r->lock);
    for (uint64_t k = wait_for_work(r); k != UINT64_MAX; k = wait_for_work(r)) {
        struct slot *slot = &r->slots[k % (uint64_t)r->ahead];
        struct error err = {""};
        pthread_mutex_unlock(&r->lock);
        uint64_t index = index_of(r, k);
        int status = r->source->get(&slot->clip, r->source, index, &err);
        if (status)
            fail_prefix(&err, "clip %llu of the data: ", (unsigned long long)index);
        pthread_mutex_lock(&r->lock);
        slot->state = status ? -1 : 1;
        if (status && k < r->failed) {
            r->failed = k;
            r->error = err;
        }
        pthread_cond_broadcast(&r->made);
    }
    pthread_mutex_unlock(&r->lock);
    return NULL;
}

static int start(struct clip_reader *r, int n_threads, struct error *err)
{
    for (int i = 0; i < r->ahead; i++) {
        if (clip_init(&r->slots[i].clip, r->source->n_samples, err))
            return -1;
    }
    if (n_threads > MAX_THREADS)
        n_threads = MAX_THREADS;
    while (r->n_threads < n_threads || r->n_threads == 0) {
        if (pthread_create(&r->threads[r->n_threads], NULL, worker, r))
            return r->n_threads ? 0 : fail(err, "no thread could be started to read data");
        r->n_threads++;
    }
    return 0;
}

int clip_reader_open(struct clip_reader **reader, const struct clip_source *source,
                     const struct clip_order *order, int n_threads, int ahead, struct error *err)
{
    struct clip_reader *r = calloc(1, sizeof(*r));

    *reader = NULL;
    if (!r)
        return fail(err, "out of memory");
    r->source = source;
    r->order = *order;
    r->ahead = ahead > 0 ? ahead : 1;
    r->failed = UINT64_MAX;
    pthread_mutex_init(&r->lock, NULL);
    pthread_cond_init(&r->made, NULL);
    pthread_cond_init(&r->taken, NULL);
    r->slots = calloc((size_t)r->ahead, sizeof(*r->slots));
    *reader = r;
    if (r->slots && start(r, n_threads, err) == 0)
        return 0;
    if (!r->slots)
        fail(err, "out of memory for %d clips", r->ahead);
    clip_reader_close(reader);
    return -1;
}

int clip_reader_next(struct clip_reader *r, struct clip *clip, struct error *err)
{
    struct slot *slot;
    struct clip swap;

    pthread_mutex_lock(&r->lock);
    uint64_t k = r->next_taken;
    slot = &r->slots[k % (uint64_t)r->ahead];
    if (r->order.n && k == r->order.n) {
        pthread_mutex_unlock(&r->lock);
        return 0;
    }
    while (slot->state == 0 && r->failed > k)
        pthread_cond_wait(&r->made, &r->lock);
    if (slot->state != 1) {
        fail(err, "%s", r->error.text);
        pthread_mutex_unlock(&r->lock);
        return -1;
    }
    swap = *clip;
    *clip = slot->clip;
    slot->clip = swap;
    slot->state = 0;
    r->next_taken++;
    pthread_cond_broadcast(&r->taken);
    pthread_mutex_unlock(&r->lock);
    return 1;
}

void clip_reader_close(struct clip_reader **reader)
{
    struct clip_reader *r = *reader;

    if (!r)
        return;
    pthread_mutex_lock(&r->lock);
    r->stop = 1;
    pthread_cond_broadcast(&r->taken);
    pthread_mutex_unlock(&r->lock);
    for (int i = 0; i < r->n_threads; i++)
        pthread_join(r->threads[i], NULL);
    for (int i = 0; r->slots && i < r->ahead; i++)
        clip_release(&r->slots[i].clip);
    pthread_cond_destroy(&r->made);
    pthread_cond_destroy(&r->taken);
    pthread_mutex_destroy(&r->lock);
    free(r->slots);
    free(r);
    *reader = NULL;
}
