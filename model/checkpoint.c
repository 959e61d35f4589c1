// SPDX-License-Identifier: MIT
/* checkpoint.c - which reader a file gets, and what all of them share. */
#include "model/checkpoint.h"

#include "model/storage.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

void *storage_alloc(struct checkpoint_storage *s, size_t n)
{
    if (s->n_owned == s->room) {
        size_t room = s->room ? 2 * s->room : 64;
        void **owned = realloc(s->owned, room * sizeof(*owned));
        if (!owned)
            return NULL;
        s->owned = owned;
        s->room = room;
    }
    void *memory = malloc(n ? n : 1);
    if (memory)
        s->owned[s->n_owned++] = memory;
    return memory;
}

char *storage_text(struct checkpoint_storage *s, const char *text, size_t n)
{
    char *copy = storage_alloc(s, n + 1);

    if (copy) {
        memcpy(copy, text, n);
        copy[n] = 0;
    }
    return copy;
}

size_t dtype_bytes(enum dtype dtype)
{
    static const unsigned char bytes[] = {
        [DTYPE_F32] = 4, [DTYPE_F64] = 8, [DTYPE_F16] = 2, [DTYPE_BF16] = 2, [DTYPE_I64] = 8,
        [DTYPE_I32] = 4, [DTYPE_I16] = 2, [DTYPE_I8] = 1,  [DTYPE_U8] = 1,   [DTYPE_BOOL] = 1,
    };
    return bytes[dtype];
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(((const struct tensor *)a)->name, ((const struct tensor *)b)->name);
}

int checkpoint_sort(struct checkpoint *c, struct error *err)
{
    if (c->n_tensors > 1)
        qsort(c->tensors, (size_t)c->n_tensors, sizeof(*c->tensors), compare_names);
    for (int i = 1; i < c->n_tensors; i++) {
        if (!strcmp(c->tensors[i - 1].name, c->tensors[i].name))
            return fail(err, "tensor %.150s stands twice", c->tensors[i].name);
    }
    return 0;
}

const struct tensor *checkpoint_find(const struct checkpoint *c, const char *name)
{
    struct tensor key = {.name = name};

    if (!c->n_tensors)
        return NULL;
    return bsearch(&key, c->tensors, (size_t)c->n_tensors, sizeof(key), compare_names);
}

size_t tensor_count(const struct tensor *t)
{
    size_t count = 1;

    for (int a = 0; a < t->n_axes; a++)
        count *= (size_t)t->size[a];
    return count;
}

/* IEEE 754 half precision. */
static float float_from_half(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, exponent = h >> 10 & 31, mantissa = h & 1023;
    float value;

    if (exponent == 0) { // zero and subnormal: mantissa times 2^-24
        value = (float)mantissa * 0x1p-24f;
        return sign ? -value : value;
    }
    uint32_t bits = sign | mantissa << 13;
    bits |= exponent == 31 ? 0x7f800000u : (exponent + 112) << 23;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

static float float_from_bfloat(uint16_t b)
{
    uint32_t bits = (uint32_t)b << 16;
    float value;

    memcpy(&value, &bits, sizeof(value));
    return value;
}

void tensor_to_floats(float *dst, const struct tensor *t)
{
    size_t n = tensor_count(t);

    for (size_t i = 0; i < n; i++) {
        switch (t->dtype) {
        case DTYPE_F32: dst[i] = ((const float *)t->data)[i]; break;
        case DTYPE_F64: dst[i] = (float)((const double *)t->data)[i]; break;
        case DTYPE_F16: dst[i] = float_from_half(((const uint16_t *)t->data)[i]); break;
        case DTYPE_BF16: dst[i] = float_from_bfloat(((const uint16_t *)t->data)[i]); break;
        case DTYPE_I64: dst[i] = (float)((const int64_t *)t->data)[i]; break;
        case DTYPE_I32: dst[i] = (float)((const int32_t *)t->data)[i]; break;
        case DTYPE_I16: dst[i] = ((const int16_t *)t->data)[i]; break;
        case DTYPE_I8: dst[i] = ((const int8_t *)t->data)[i]; break;
        case DTYPE_U8:
        case DTYPE_BOOL: dst[i] = ((const uint8_t *)t->data)[i]; break;
        }
    }
}

static int parse(struct checkpoint *c, const unsigned char *bytes, size_t n, struct error *err)
{
    c->storage = calloc(1, sizeof(*c->storage));
    if (!c->storage)
        return fail(err, "out of memory");
    if (n >= 4 && !memcmp(bytes, "PK\3\4", 4))
        return torch_parse(c, bytes, n, err);
    if (n >= 9 && bytes[8] == '{')
        return safetensors_parse(c, bytes, n, err);
    if (n >= 2 && bytes[0] == 0x80 && bytes[1] == 2)
        return fail(err, "an old torch file (before 1.6); load it in PyTorch and torch.save it");
    return fail(err, "neither safetensors nor a torch file");
}

int checkpoint_open_bytes(struct checkpoint *c, const void *bytes, size_t n, struct error *err)
{
    *c = (struct checkpoint){0};
    if (parse(c, bytes, n, err)) {
        checkpoint_close(c);
        return -1;
    }
    return 0;
}

int checkpoint_open_memory(struct checkpoint *c, const void *bytes, size_t n_bytes,
                           const char *name, struct error *err)
{
    return checkpoint_open_bytes(c, bytes, n_bytes, err) ? fail_prefix(err, "%s: ", name) : 0;
}

/* The mapping of a whole regular file. */
static void *map_file(size_t *bytes, const char *path, struct error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    void *map = NULL;
    struct stat st;

    if (fd < 0 || fstat(fd, &st))
        fail(err, "%s", strerror(errno));
    else if (S_ISDIR(st.st_mode))
        fail(err, "a folder, expected a model file");
    else if (!S_ISREG(st.st_mode))
        fail(err, "not a regular file");
    else if (st.st_size == 0)
        fail(err, "the file is empty");
    else if ((map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0)) == MAP_FAILED) {
        fail(err, "%s", strerror(errno));
        map = NULL;
    } else {
        *bytes = (size_t)st.st_size;
    }
    if (fd >= 0)
        close(fd);
    return map;
}

int checkpoint_open(struct checkpoint *c, const char *path, struct error *err)
{
    size_t n = 0;
    void *map = map_file(&n, path, err);

    *c = (struct checkpoint){0};
    if (!map)
        return fail_prefix(err, "%s: ", path);
    if (checkpoint_open_bytes(c, map, n, err)) {
        munmap(map, n);
        return fail_prefix(err, "%s: ", path);
    }
    c->storage->map = map;
    c->storage->map_bytes = n;
    return 0;
}

void checkpoint_close(struct checkpoint *c)
{
    struct checkpoint_storage *s = c->storage;

    if (s) {
        for (size_t i = 0; i < s->n_owned; i++)
            free(s->owned[i]);
        free(s->owned);
        if (s->map)
            munmap(s->map, s->map_bytes);
        free(s);
    }
    *c = (struct checkpoint){0};
}
