// SPDX-License-Identifier: MIT
#include "prune/turn_taking.h"

#include "prune/draw.h"

#include <stdlib.h>

#define LEAST_TURN 0.15  // s
#define BREATH 0.15      // s, between two turns of one speaker

const float quantile_shares[QUANTILES] = {
    0.01f, 0.05f, 0.1f, 0.2f, 0.35f, 0.5f, 0.65f, 0.8f, 0.9f, 0.95f, 0.99f,
};

/* Linear between the table's values; its ends stand for what lies beyond. */
static double draw_quantile(const struct quantiles *q, struct random *rng)
{
    float u = random_uniform(rng);

    if (u <= quantile_shares[0])
        return q->at[0];
    for (int i = 1; i < QUANTILES; i++) {
        float low = quantile_shares[i - 1], high = quantile_shares[i];
        if (u < high)
            return q->at[i - 1] + (q->at[i] - q->at[i - 1]) * (u - low) / (high - low);
    }
    return q->at[QUANTILES - 1];
}

/* What one meeting has drawn, and where its chain stands. */
struct chain {
    const struct turn_settings *s;
    struct turn_plan *plan;
    struct random *rng;
    int n_speakers;
    double weight[TURN_SPEAKERS];            // talkativeness
    double from[TURN_SPEAKERS], to[TURN_SPEAKERS]; // when a speaker is there
    double last_end[TURN_SPEAKERS];
    double length;                           // scale of the turns' lengths
    int now, before;                         // speaker of the last turn, and of the one before it
};

static int add(struct turn_plan *plan, struct plan_turn turn, struct error *err)
{
    if (plan->n == plan->room) {
        int room = plan->room ? 2 * plan->room : 64;
        struct plan_turn *turns = realloc(plan->turns, (size_t)room * sizeof(*turns));
        if (!turns)
            return fail(err, "out of memory for %d turns", room);
        plan->turns = turns;
        plan->room = room;
    }
    plan->turns[plan->n++] = turn;
    return 0;
}

static int is_there(const struct chain *c, int speaker, double t)
{
    return t >= c->from[speaker] && t < c->to[speaker];
}

/* Anybody but one, by talkativeness, that of `likely` times a boost; -1 if
 * nobody else is there. */
static int draw_speaker(const struct chain *c, int but, int likely, double boost, double t)
{
    double weight[TURN_SPEAKERS], sum = 0.0, at;
    int last = -1;

    for (int i = 0; i < c->n_speakers; i++) {
        weight[i] = i != but && is_there(c, i, t) ? c->weight[i] : 0.0;
        weight[i] *= i == likely ? boost : 1.0;
        sum += weight[i];
    }
    at = random_uniform(c->rng) * sum;
    for (int i = 0; i < c->n_speakers && at >= 0.0; i++) {
        at -= weight[i];
        last = weight[i] > 0.0 ? i : last;
    }
    return last;
}

/* Somebody who comes late or leaves early is there for 20 to 80 % of the time. */
static void draw_speakers(struct chain *c, double seconds)
{
    for (int i = 0; i < c->n_speakers; i++) {
        double there = seconds * draw_between(c->rng, 0.2f, 0.8f);
        double late = (seconds - there) * random_uniform(c->rng);
        int part = draw_chance(c->rng, c->s->p_part);
        c->weight[i] = exp(c->s->model->talk_sd * (double)draw_normal(c->rng));
        c->from[i] = part ? late : 0.0;
        c->to[i] = part ? late + there : seconds;
        c->last_end[i] = -10.0;
    }
    c->from[0] = 0.0; // somebody is always there
    c->to[0] = seconds;
}

/* Below 1 some overlaps become gaps of that length, above 1 some gaps overlaps. */
static double scaled_overlap(double gap, float scale, int same, struct random *rng)
{
    float u = random_uniform(rng);

    if (gap < 0.0)
        return u < scale ? gap : -gap;
    return scale > 1.0f && !same && u < 1.0f - 1.0f / scale ? -gap : gap;
}

/* Who has the next main turn: the same with p_same, else the one before more
 * often than others; so much more that among four who speak alike it is p_return. */
static int next_speaker(struct chain *c, double t)
{
    const struct turn_model *m = c->s->model;
    double boost = 2.0 * m->p_return / (1.0 - m->p_return + 1e-3);
    int same = draw_chance(c->rng, m->p_same);
    int next = draw_speaker(c, c->now, c->before, boost, t);

    if (c->now >= 0 && is_there(c, c->now, t) && (same || next < 0))
        next = c->now;
    return next;
}

/* The chain's next main turn, after one that lasts [start, end). A main turn
 * lies in no other: it begins after the last one's start and ends after its
 * end, so overlap and lengths must fit and are drawn again until they do. */
static struct plan_turn next_turn(struct chain *c, const struct plan_turn *last)
{
    enum { TRIES = 20 };
    const struct turn_model *m = c->s->model;
    int next = next_speaker(c, last->end);
    double longest = last->end - last->start - 0.1, gap = 0.0, length = 0.0, start;

    gap = scaled_overlap(draw_quantile(next == c->now ? &m->same : &m->change, c->rng),
                         c->s->overlap, next == c->now, c->rng);
    for (int i = 0; i < TRIES && -gap > longest; i++) { // a shorter overlap, not a gap
        double other = draw_quantile(&m->change, c->rng);
        gap = other < 0.0 ? other : gap;
    }
    for (int i = 0; i < TRIES && (i == 0 || length < 0.1 - gap); i++)
        length = draw_quantile(&m->turn, c->rng) * c->length;
    length = length < LEAST_TURN ? LEAST_TURN : length;
    start = last->end + gap > 0.0 ? last->end + gap : 0.0;
    if (start < last->start + 0.1)
        start = last->start + 0.1;
    if (start + length < last->end + 0.1)
        start = last->end + 0.1 - length;
    if (next >= 0 && start < c->last_end[next] + BREATH)
        start = c->last_end[next] + BREATH;
    return (struct plan_turn){start, start + length, next, 0};
}

static int draw_chain(struct chain *c, double seconds, struct error *err)
{
    struct plan_turn last = {-0.2, 0.0, -1, 0};

    c->now = c->before = -1;
    last.end = random_uniform(c->rng);
    while (last.end < seconds) {
        struct plan_turn turn = next_turn(c, &last);
        if (turn.start >= seconds)
            break;
        if (turn.end > seconds)
            turn.end = seconds;
        last = turn;
        if (turn.speaker < 0) // nobody was there
            continue;
        if (turn.end - turn.start >= LEAST_TURN && add(c->plan, turn, err))
            return -1;
        c->last_end[turn.speaker] = turn.end;
        if (turn.speaker != c->now)
            c->before = c->now;
        c->now = turn.speaker;
    }
    return 0;
}

/* Whether a speaker has a turn near that time. */
static int is_busy(const struct turn_plan *plan, int speaker, double start, double end)
{
    for (int i = 0; i < plan->n; i++) {
        const struct plan_turn *t = &plan->turns[i];
        if (t->speaker == speaker && t->start < end + BREATH && t->end > start - BREATH)
            return 1;
    }
    return 0;
}

/* One aside in a main turn, by somebody who is not speaking just then. */
static int add_aside(struct chain *c, const struct plan_turn *main, double at, struct error *err)
{
    enum { TRIES = 4 };
    double length = draw_quantile(&c->s->model->aside, c->rng);

    if (length < LEAST_TURN)
        length = LEAST_TURN;
    if (at + length > main->end)
        at = main->end - length;
    for (int i = 0; i < TRIES && at >= main->start; i++) {
        int who = draw_speaker(c, main->speaker, -1, 1.0, at);
        if (who >= 0 && !is_busy(c->plan, who, at, at + length))
            return add(c->plan, (struct plan_turn){at, at + length, who, 1}, err);
    }
    return 0;
}

static int draw_asides(struct chain *c, struct error *err)
{
    double rate = c->s->model->asides_per_s * c->s->overlap;
    int n_main = c->plan->n;

    for (int i = 0; i < n_main && rate > 0.0; i++) {
        struct plan_turn main = c->plan->turns[i];
        double at = main.start;
        for (;;) {
            at -= log(1.0 - random_uniform(c->rng)) / rate; // a Poisson process
            if (at >= main.end)
                break;
            if (add_aside(c, &main, at, err))
                return -1;
        }
    }
    return 0;
}

static int by_start(const void *a, const void *b)
{
    const struct plan_turn *x = a, *y = b;

    if (x->start != y->start)
        return x->start < y->start ? -1 : 1;
    return x->speaker - y->speaker;
}

int turn_plan_draw(struct turn_plan *plan, const struct turn_settings *s, int n_speakers,
                   double seconds, struct random *rng, struct error *err)
{
    struct chain c = {.s = s, .plan = plan, .rng = rng, .n_speakers = n_speakers};

    plan->n = 0;
    if (n_speakers > TURN_SPEAKERS)
        return fail(err, "%d speakers: should be %d at most", n_speakers, TURN_SPEAKERS);
    if (n_speakers < 1)
        return 0;
    c.length = s->length * exp(s->vary * (double)draw_normal(rng) - 0.5 * s->vary * s->vary);
    draw_speakers(&c, seconds);
    if (draw_chain(&c, seconds, err) || draw_asides(&c, err))
        return -1;
    qsort(plan->turns, (size_t)plan->n, sizeof(*plan->turns), by_start);
    return 0;
}

void turn_plan_release(struct turn_plan *plan)
{
    free(plan->turns);
    *plan = (struct turn_plan){0};
}
