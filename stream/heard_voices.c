// SPDX-License-Identifier: MIT
#include "stream/heard_voices.h"

#include "stream/regroup.h"

#include <stdlib.h>
#include <string.h>

enum { PIECES_MOST = 6000 }; // distances of all pairs are kept: 144 MB

/* Chosen on simulated meetings apart from those in the README. */
static const float WORTH = 1.0f;

struct pieces {
    int n;
    struct regroup_piece *list;
    float *x;   // [n,width]
    int *label; // [n]
    struct regroup regroup;
    struct arena arena;
};

static void pieces_close(struct pieces *p)
{
    arena_release(&p->arena);
    free(p->list);
    free(p->x);
    free(p->label);
}

static int is_piece(int slot, const struct heard *h, int apart)
{
    return slot / h->n_slots % apart == 0;
}

static int pieces_open(struct pieces *p, int n, int width, struct error *err)
{
    int most = n < HEARD_VOICES_MOST ? n : HEARD_VOICES_MOST;

    *p = (struct pieces){0};
    p->list = calloc((size_t)n, sizeof(*p->list));
    p->x = malloc((size_t)n * (size_t)width * sizeof(float));
    p->label = malloc((size_t)n * sizeof(int));
    if (!p->list || !p->x || !p->label)
        return fail(err, "out of memory: %d pieces of speech", n);
    regroup_place(&p->regroup, n, width, most, &p->arena);
    if (arena_commit(&p->arena, err))
        return -1;
    regroup_place(&p->regroup, n, width, most, &p->arena);
    return 0;
}

static void take(struct pieces *p, double *weight, int slot, const struct heard *h)
{
    int window = slot / h->n_slots, active, alone;
    size_t W = (size_t)h->width;

    heard_frames(&active, &alone, heard_window(h, window), h->n_frames, slot % h->n_slots);
    *weight = alone > 0 ? alone : 1; // as little as that if it is all there is
    p->list[p->n] = (struct regroup_piece){
        .n = (float)*weight, .before = -1, .fixed = -1, .moment = window,
    };
    memcpy(p->x + (size_t)p->n * W, h->vectors + (size_t)slot * W, W * sizeof(float));
    p->n++;
}

int heard_voices(int *voice, double *weight, const int *slots, int n, const struct heard *h,
                 int apart, int most, struct error *err)
{
    struct pieces p;
    int room, n_voices = 0, status;

    for (apart = apart > 0 ? apart : 1;; apart++) {
        room = 0;
        for (int i = 0; i < n; i++)
            room += is_piece(slots[i], h, apart);
        if (room <= PIECES_MOST)
            break;
    }
    if (room == 0) { // nobody in the windows asked: ask all
        apart = 1;
        room = n;
    }
    status = pieces_open(&p, room, h->width, err);
    for (int i = 0; status == 0 && i < n; i++) {
        if (is_piece(slots[i], h, apart))
            take(&p, &weight[i], slots[i], h);
    }
    if (status == 0)
        n_voices = regroup(&p.regroup, p.label, p.x, p.list, p.n, 0,
                           most > 0 && most < p.regroup.most ? most : p.regroup.most, WORTH);
    for (int i = 0, k = 0; status == 0 && i < n; i++)
        voice[i] = is_piece(slots[i], h, apart) ? p.label[k++] : -1;
    pieces_close(&p);
    return status ? -1 : n_voices;
}
