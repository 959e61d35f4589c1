// SPDX-License-Identifier: MIT
#include "stream/rttm_write.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int by_time(const void *a, const void *b, void *user)
{
    const struct turn *x = a, *y = b;
    const char *const *names = user;

    if (x->start != y->start)
        return x->start < y->start ? -1 : 1;
    if (x->end != y->end)
        return x->end < y->end ? -1 : 1;
    return strcmp(names[x->speaker], names[y->speaker]);
}

char *rttm_text(struct regions *r, const char *recording, const char *const *names,
                struct error *err)
{
    char *text = NULL;
    size_t n;
    FILE *out = open_memstream(&text, &n);

    if (!out) {
        fail(err, "out of memory");
        return NULL;
    }
    if (r->n)
        qsort_r(r->list, r->n, sizeof(*r->list), by_time, (void *)(uintptr_t)names);
    for (size_t i = 0; i < r->n; i++) {
        const struct turn *t = &r->list[i];
        fprintf(out, "SPEAKER %s 1 %.3f %.3f <NA> <NA> %s <NA> <NA>\n", recording, t->start,
                t->end - t->start, names[t->speaker]);
    }
    if (fclose(out)) {
        free(text);
        text = NULL;
        fail(err, "out of memory: %zu turns", r->n);
    }
    return text;
}
