// SPDX-License-Identifier: MIT
#include "prune/meetings.h"

#include "prune/audio_folder.h"
#include "prune/data_lists.h"
#include "stream/rttm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int reserve(struct meetings *m, int n, int n_sets, struct error *err)
{
    m->list = calloc((size_t)n, sizeof(*m->list));
    m->sets = calloc((size_t)n_sets, sizeof(*m->sets));
    return m->list && m->sets ? 0 : fail(err, "out of memory for %d recordings", n);
}

static int add(struct meetings *m, const char *name, size_t n_name, const char *path,
               const struct recording *reference, const struct recording *uem, struct error *err)
{
    struct meeting *x = &m->list[m->n];

    *x = (struct meeting){strndup(name, n_name), strdup(path), reference, uem};
    m->n++;
    return x->name && x->path ? 0 : fail(err, "out of memory");
}

static int open_lists(struct meetings *m, const char *folder, struct error *err)
{
    struct data_lists lists;
    char path[4096];
    int status = data_lists_read(&lists, folder, err), has_uem;

    if (status)
        return -1;
    status = reserve(m, lists.n, 2, err);
    snprintf(path, sizeof(path), "%s/rttm", folder);
    if (status == 0) {
        m->n_sets = 2;
        status = turns_read(&m->sets[0], path, err);
    }
    snprintf(path, sizeof(path), "%s/all.uem", folder);
    has_uem = access(path, F_OK) == 0;
    if (status == 0 && has_uem)
        status = uem_read(&m->sets[1], path, err);
    for (int i = 0; status == 0 && i < lists.n; i++) {
        const struct data_recording *r = &lists.recordings[i];
        const struct recording *uem = turns_find(&m->sets[1], r->name);
        if (!has_uem || uem)
            status = add(m, r->name, strlen(r->name), r->path, turns_find(&m->sets[0], r->name),
                         uem, err);
    }
    data_lists_release(&lists);
    return status;
}

/* The recording of a file that is about one: the only one, or that of its name. */
static const struct recording *only(const struct turns *t, const char *name)
{
    const struct recording *r = turns_find(t, name);

    return r || t->n != 1 ? r : t->list;
}

static int add_file(struct meetings *m, const char *audio, struct error *err)
{
    const char *base = strrchr(audio, '/') + 1, *dot = strrchr(base, '.');
    int stem = (int)(dot - audio);
    struct turns *reference = &m->sets[m->n_sets++], *uem = &m->sets[m->n_sets++];
    char path[4096];

    snprintf(path, sizeof(path), "%.*s.rttm", stem, audio);
    if (access(path, F_OK))
        return fail(err, "%s: there is no %s beside it to score against", audio, path);
    if (turns_read(reference, path, err))
        return -1;
    snprintf(path, sizeof(path), "%.*s.uem", stem, audio);
    int has_uem = access(path, F_OK) == 0;
    if (has_uem && uem_read(uem, path, err))
        return -1;
    if (add(m, base, (size_t)(dot - base), audio, NULL, NULL, err))
        return -1;
    struct meeting *x = &m->list[m->n - 1];
    x->reference = only(reference, x->name);
    x->uem = has_uem ? only(uem, x->name) : NULL;
    if (reference->n > 0 && !x->reference)
        return fail(err, "%.*s.rttm: is of %d recordings, none of them %s", stem, audio,
                    reference->n, x->name);
    if (has_uem && !x->uem)
        return fail(err, "%s: nothing in it is of %s", path, x->name);
    return 0;
}

static int open_files(struct meetings *m, const char *folder, struct error *err)
{
    struct audio_folder f;
    int status = audio_folder_list(&f, folder, err);

    if (status)
        return -1;
    status = reserve(m, f.n, 2 * f.n, err);
    for (int i = 0; status == 0 && i < f.n; i++)
        status = add_file(m, f.paths[i], err);
    audio_folder_release(&f);
    return status;
}

int meetings_open(struct meetings *m, const char *folder, struct error *err)
{
    char path[4096];
    int status;

    *m = (struct meetings){0};
    if (strlen(folder) > 3000)
        return fail(err, "a path of %zu letters is too long", strlen(folder));
    snprintf(path, sizeof(path), "%s/wav.scp", folder);
    status = access(path, F_OK) == 0 ? open_lists(m, folder, err) : open_files(m, folder, err);
    if (status == 0 && m->n == 0)
        status = fail(err, "%s: all.uem leaves nothing to score", folder);
    if (status)
        meetings_close(m);
    return status;
}

void meetings_close(struct meetings *m)
{
    for (int i = 0; i < m->n; i++) {
        free(m->list[i].name);
        free(m->list[i].path);
    }
    for (int i = 0; i < m->n_sets; i++)
        turns_release(&m->sets[i]);
    free(m->list);
    free(m->sets);
    *m = (struct meetings){0};
}
