// SPDX-License-Identifier: MIT
#include "prune/team.h"

#include <string.h>

struct start {
    struct team *team;
    int member;
};

static void *member_run(void *arg)
{
    struct start start = *(struct start *)arg;
    struct team *team = start.team;
    long round = 0;

    pthread_mutex_lock(&team->lock);
    team->started++;
    pthread_cond_broadcast(&team->turn);
    for (;;) {
        while (team->round == round && !team->ending)
            pthread_cond_wait(&team->turn, &team->lock);
        if (team->ending)
            break;
        round = team->round;
        pthread_mutex_unlock(&team->lock);
        team->work(team->user, start.member);
        pthread_mutex_lock(&team->lock);
        team->finished++;
        pthread_cond_broadcast(&team->turn);
    }
    pthread_mutex_unlock(&team->lock);
    return NULL;
}

int team_open(struct team *team, int n_members, struct ranks *ranks, struct error *err)
{
    memset(team, 0, sizeof(*team));
    if (n_members < 1 || n_members > TEAM_MAX)
        return fail(err, "%d threads: expected 1 to %d", n_members, TEAM_MAX);
    team->n = 1;
    team->ranks = ranks;
    pthread_mutex_init(&team->lock, NULL);
    pthread_cond_init(&team->turn, NULL);
    for (int i = 1; i < n_members; i++) {
        struct start start = {team, i};

        if (pthread_create(&team->thread[i], NULL, member_run, &start)) {
            team_close(team);
            return fail(err, "cannot start thread %d of %d", i + 1, n_members);
        }
        team->n++;
        pthread_mutex_lock(&team->lock); // start must outlive its reading
        while (team->started < i)
            pthread_cond_wait(&team->turn, &team->lock);
        pthread_mutex_unlock(&team->lock);
    }
    return 0;
}

void team_close(struct team *team)
{
    if (team->n == 0)
        return;
    pthread_mutex_lock(&team->lock);
    team->ending = 1;
    pthread_cond_broadcast(&team->turn);
    pthread_mutex_unlock(&team->lock);
    for (int i = 1; i < team->n; i++)
        pthread_join(team->thread[i], NULL);
    pthread_cond_destroy(&team->turn);
    pthread_mutex_destroy(&team->lock);
    team->n = 0;
}

void team_run(struct team *team, void (*work)(void *user, int member), void *user)
{
    pthread_mutex_lock(&team->lock);
    team->work = work;
    team->user = user;
    team->finished = 0;
    team->round++;
    pthread_cond_broadcast(&team->turn);
    pthread_mutex_unlock(&team->lock);
    work(user, 0);
    pthread_mutex_lock(&team->lock);
    while (team->finished < team->n - 1)
        pthread_cond_wait(&team->turn, &team->lock);
    pthread_mutex_unlock(&team->lock);
}

/* Waits for all; the last to come runs last(), if there is one, before anybody
 * goes on. The lock is held. */
static void meet(struct team *team, void (*last)(struct team *team, size_t n), size_t n)
{
    long passed = team->passed;

    if (++team->waiting == team->n) {
        if (last)
            last(team, n);
        team->waiting = 0;
        team->passed++;
        pthread_cond_broadcast(&team->turn);
        return;
    }
    while (team->passed == passed)
        pthread_cond_wait(&team->turn, &team->lock);
}

void team_barrier(struct team *team)
{
    pthread_mutex_lock(&team->lock);
    meet(team, NULL, 0);
    pthread_mutex_unlock(&team->lock);
}

static void add_up(struct team *team, size_t n)
{
    double *total = team->numbers[0];

    for (int m = 1; m < team->n; m++) {
        for (size_t i = 0; i < n; i++)
            total[i] += team->numbers[m][i];
    }
    if (team->ranks)
        ranks_sum(team->ranks, total, n);
    for (int m = 1; m < team->n; m++)
        memcpy(team->numbers[m], total, n * sizeof(double));
}

void team_sum(void *user, double *x, size_t n)
{
    const struct member *member = user;
    struct team *team = member->team;

    pthread_mutex_lock(&team->lock);
    team->numbers[member->index] = x;
    meet(team, add_up, n);
    pthread_mutex_unlock(&team->lock);
}
