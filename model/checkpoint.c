// SPDX-License-Identifier: MIT
#include "model/checkpoint_read.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "model files are used in place");

/* What a reader may copy: a file holds most of its tensors uncompressed, and
 * compressed or expanded ones are a few times larger, not a thousand times. */
enum { COPY_PER_FILE_BYTE = 32, COPY_BYTES = 64 << 20 };

static int compare_names(const void *a, const void *b)
{
    return strcmp(((const struct tensor *)a)->name, ((const struct tensor *)b)->name);
}

static int sort_tensors(struct checkpoint *c, struct error *err)
{
    if (c->n_tensors)
        qsort(c->tensors, (size_t)c->n_tensors, sizeof(*c->tensors), compare_names);
    for (int i = 1; i < c->n_tensors; i++) {
        if (!strcmp(c->tensors[i - 1].name, c->tensors[i].name))
            return fail(err, "tensor '%.100s' stands there twice; the file is damaged or made "
                        "by a faulty tool", c->tensors[i].name);
    }
    return 0;
}

static int begins_with(const struct checkpoint_storage *s, const char *words)
{
    return s->n_bytes >= strlen(words) && !memcmp(s->bytes, words, strlen(words));
}

/* A word on what the file is instead, for the mistakes that people make. */
static int fail_foreign(const struct checkpoint_storage *s, struct error *err)
{
    if (begins_with(s, "version https://git-lfs"))
        return fail(err, "is a Git LFS pointer, not the model; fetch it with 'git lfs pull'");
    if (begins_with(s, "<"))
        return fail(err, "is a web page or XML, not a model; download the file itself");
    if (begins_with(s, "{"))
        return fail(err, "is JSON, not a model; give the .safetensors or torch file beside it");
    if (begins_with(s, "\x80"))
        return fail(err, "is a bare Python pickle, not a torch file; save the state_dict with "
                    "torch.save and try that");
    if (begins_with(s, "RIFF") || begins_with(s, "fLaC"))
        return fail(err, "is audio, not a model; swap the arguments");
    return fail(err, "is no model file: expected safetensors or a torch checkpoint (zip)");
}

static int looks_like_safetensors(const struct checkpoint_storage *s)
{
    return s->n_bytes >= 9 && s->bytes[8] == '{';
}

static int read_any(struct checkpoint *c, struct error *err)
{
    const struct checkpoint_storage *s = c->storage;

    if (torch_is_legacy(s->bytes, s->n_bytes))
        return torch_legacy_read(c, err);
    if (begins_with(s, "PK\x03\x04") || begins_with(s, "PK\x05\x06"))
        return torch_zip_read(c, err);
    if (looks_like_safetensors(s))
        return safetensors_read(c, err);
    return fail_foreign(s, err);
}

static int storage_new(struct checkpoint *c, const void *bytes, size_t n_bytes, struct error *err)
{
    *c = (struct checkpoint){0};
    c->storage = calloc(1, sizeof(*c->storage));
    if (!c->storage)
        return fail(err, "out of memory; close other programs");
    c->storage->bytes = bytes;
    c->storage->n_bytes = n_bytes;
    c->storage->pool.limit = n_bytes > SIZE_MAX / 4 / COPY_PER_FILE_BYTE ?
        SIZE_MAX / 4 : COPY_PER_FILE_BYTE * n_bytes + COPY_BYTES;
    return 0;
}

static int open_with(struct checkpoint *c, int (*read)(struct checkpoint *, struct error *),
                     const char *name, struct error *err)
{
    if (!read(c, err) && !sort_tensors(c, err))
        return 0;
    checkpoint_close(c);
    return fail_prefix(err, "%.300s: ", name);
}

int checkpoint_open_bytes(struct checkpoint *c, const void *bytes, size_t n_bytes,
                          const char *name, struct error *err)
{
    if (storage_new(c, bytes, n_bytes, err))
        return fail_prefix(err, "%.300s: ", name);
    return open_with(c, read_any, name, err);
}

int checkpoint_open_memory(struct checkpoint *c, const void *bytes, size_t n_bytes,
                           const char *name, struct error *err)
{
    if (storage_new(c, bytes, n_bytes, err))
        return fail_prefix(err, "%.300s: ", name);
    return open_with(c, safetensors_read, name, err);
}

/* Maps all of a regular file; the descriptor is not needed afterwards. */
static int map_descriptor(void **bytes, size_t *n_bytes, int fd, struct error *err)
{
    struct stat st;

    if (fstat(fd, &st))
        return fail(err, "cannot be examined: %s", strerror(errno));
    if (S_ISDIR(st.st_mode))
        return fail(err, "is a folder; expected a model file");
    if (!S_ISREG(st.st_mode))
        return fail(err, "is no regular file and cannot be mapped; copy it to a file first");
    if (st.st_size == 0)
        return fail(err, "is empty; expected a model, fetch or make it again");
    if ((uintmax_t)st.st_size > SIZE_MAX)
        return fail(err, "is larger than this machine can address");
    *n_bytes = (size_t)st.st_size;
    *bytes = mmap(NULL, *n_bytes, PROT_READ, MAP_PRIVATE, fd, 0);
    if (*bytes == MAP_FAILED)
        return fail(err, "cannot be mapped: %s", strerror(errno));
    return 0;
}

int checkpoint_open_file(struct checkpoint *c, const char *path, struct error *err)
{
    void *bytes = NULL;
    size_t n_bytes = 0;

    *c = (struct checkpoint){0};
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return fail(err, "%.300s: cannot be opened: %s", path, strerror(errno));
    int failed = map_descriptor(&bytes, &n_bytes, fd, err);
    close(fd);
    if (failed)
        return fail_prefix(err, "%.300s: ", path);
    if (storage_new(c, bytes, n_bytes, err)) {
        munmap(bytes, n_bytes);
        return fail_prefix(err, "%.300s: ", path);
    }
    c->storage->mapping = bytes;
    return open_with(c, read_any, path, err);
}

int checkpoint_open(struct checkpoint *c, const char *path, struct error *err)
{
    struct stat st;

    if (stat(path, &st) || !S_ISDIR(st.st_mode))
        return checkpoint_open_file(c, path, err);
    if (storage_new(c, NULL, 0, err))
        return fail_prefix(err, "%.300s: ", path);
    if (!folder_read(c, path, err)) {
        if (!sort_tensors(c, err))
            return 0;
        fail_prefix(err, "%.300s: ", path);
    }
    checkpoint_close(c);
    return -1;
}

void checkpoint_close(struct checkpoint *c)
{
    if (c->storage) {
        for (int i = 0; i < c->storage->n_parts; i++)
            checkpoint_close(&c->storage->parts[i]);
        free(c->storage->parts);
        pool_release(&c->storage->pool);
        if (c->storage->mapping)
            munmap(c->storage->mapping, c->storage->n_bytes);
        free(c->storage);
    }
    *c = (struct checkpoint){0};
}

void checkpoint_let_go(const struct checkpoint *c, const struct tensor *t)
{
    const struct checkpoint_storage *s = c->storage;
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), begin = (uintptr_t)t->data;
    uintptr_t end = begin + tensor_count(t) * dtype_bytes(t->dtype);

    for (int i = 0; s && i < s->n_parts; i++)
        checkpoint_let_go(&s->parts[i], t);
    if (!s || !s->mapping || begin < (uintptr_t)s->mapping ||
        end > (uintptr_t)s->mapping + s->n_bytes)
        return;
    begin = (begin + page - 1) / page * page; // the pages that are the tensor's alone
    end = end / page * page;
    if (begin < end)
        madvise((void *)begin, end - begin, MADV_DONTNEED);
}

int checkpoint_reserve(struct checkpoint *c, size_t n, struct error *err)
{
    if (n > CHECKPOINT_MAX_TENSORS)
        return fail(err, "has %zu tensors; no model has more than %d", n, CHECKPOINT_MAX_TENSORS);
    c->tensors = pool_alloc(&c->storage->pool, n * sizeof(*c->tensors), _Alignof(struct tensor),
                            err);
    return c->tensors ? 0 : -1;
}

const struct tensor *checkpoint_find(const struct checkpoint *c, const char *name)
{
    struct tensor key = {.name = name};

    if (!c->n_tensors)
        return NULL;
    return bsearch(&key, c->tensors, (size_t)c->n_tensors, sizeof(*c->tensors), compare_names);
}

static int is_state(const char *name)
{
    return strncmp(name, "train.", 6) == 0 || strncmp(name, "gate.", 5) == 0;
}

static int same_shape(const struct tensor *a, const struct tensor *b)
{
    return a->n_axes == b->n_axes &&
           !memcmp(a->size, b->size, (size_t)a->n_axes * sizeof(*a->size));
}

void checkpoint_take_model(struct checkpoint *c)
{
    int n = 0;

    for (int i = 0; i < c->n_tensors; i++) {
        char name[256];
        snprintf(name, sizeof(name), "train.ema.%.200s", c->tensors[i].name);
        const struct tensor *mean = checkpoint_find(c, name);
        if (mean && same_shape(mean, &c->tensors[i])) {
            c->tensors[i].dtype = mean->dtype;
            c->tensors[i].data = mean->data;
        }
    }
    for (int i = 0; i < c->n_tensors; i++) {
        if (!is_state(c->tensors[i].name))
            c->tensors[n++] = c->tensors[i];
    }
    c->n_tensors = n;
}
