// SPDX-License-Identifier: MIT
/* torch_write.c - torch files as torch.save writes them since 1.6.
 *
 * A zip of stored members: the pickle, a storage for each tensor, the format's
 * version; in torch's order, with the padding by which each begins at a
 * multiple of 64 bytes of the file, and without times, so that the same model
 * is the same file. libzip writes through an outfile, so that the name never
 * stands for half a file. */
#include "model/checkpoint_read.h"
#include "model/outfile.h"
#include "model/pickle_write.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zip.h>

enum { ALIGNMENT = 64, LOCAL_HEADER_BYTES = 30, EXTRA_HEADER_BYTES = 4, PADDING_ID = 0x4246 };

/* Torch's own interpreter of pickles wants no more. */
enum { PICKLE_MAX_BYTES = 16 << 20 };

/* --- an outfile as libzip's target ------------------------------------- */

struct target {
    struct outfile file;
    zip_error_t error;
    struct error text; // what outfile said
};

static zip_int64_t fail_target(struct target *t, int zip_code)
{
    zip_error_set(&t->error, zip_code, errno);
    return -1;
}

static zip_int64_t target_stat(void *data, zip_uint64_t n)
{
    zip_stat_t *st = data;

    if (n < sizeof(*st))
        return -1;
    zip_stat_init(st);
    st->size = 0;
    st->valid = ZIP_STAT_SIZE;
    return sizeof(*st);
}

static zip_int64_t target_write(struct target *t, const void *data, zip_uint64_t n)
{
    if (outfile_write(&t->file, data, n, &t->text))
        return fail_target(t, ZIP_ER_WRITE);
    return (zip_int64_t)n;
}

static zip_int64_t target_seek(struct target *t, void *data, zip_uint64_t n)
{
    zip_source_args_seek_t *to = ZIP_SOURCE_GET_ARGS(zip_source_args_seek_t, data, n, &t->error);

    if (!to)
        return -1;
    return lseek(t->file.fd, to->offset, to->whence) < 0 ? fail_target(t, ZIP_ER_SEEK) : 0;
}

static zip_int64_t target_tell(struct target *t)
{
    off_t at = lseek(t->file.fd, 0, SEEK_CUR);

    return at < 0 ? fail_target(t, ZIP_ER_TELL) : at;
}

static zip_int64_t target_call(void *user, void *data, zip_uint64_t n, zip_source_cmd_t command)
{
    struct target *t = user;

    switch (command) {
    case ZIP_SOURCE_SUPPORTS:
        return zip_source_make_command_bitmap(
            ZIP_SOURCE_OPEN, ZIP_SOURCE_READ, ZIP_SOURCE_CLOSE, ZIP_SOURCE_STAT, ZIP_SOURCE_ERROR,
            ZIP_SOURCE_FREE, ZIP_SOURCE_SEEK, ZIP_SOURCE_TELL, ZIP_SOURCE_SUPPORTS,
            ZIP_SOURCE_BEGIN_WRITE, ZIP_SOURCE_WRITE, ZIP_SOURCE_SEEK_WRITE,
            ZIP_SOURCE_TELL_WRITE, ZIP_SOURCE_COMMIT_WRITE, ZIP_SOURCE_ROLLBACK_WRITE,
            ZIP_SOURCE_REMOVE, -1);
    case ZIP_SOURCE_STAT: return target_stat(data, n);
    case ZIP_SOURCE_ERROR: return zip_error_to_data(&t->error, data, n);
    case ZIP_SOURCE_WRITE: return target_write(t, data, n);
    case ZIP_SOURCE_SEEK_WRITE: return target_seek(t, data, n);
    case ZIP_SOURCE_TELL_WRITE: return target_tell(t);
    default: return 0; // there is nothing to read; the outfile is committed by us
    }
}

/* --- members ---------------------------------------------------------- */

static int fail_zip(zip_t *zip, struct error *err)
{
    return fail(err, "cannot be written: %s", zip_error_strerror(zip_get_error(zip)));
}

/* Torch's padding behind a member's name, so that its data begin at a multiple of 64;
 * *at is where the member begins, and then where the next one will. */
static int pad_member(zip_t *zip, zip_uint64_t index, size_t *at, size_t n_name, size_t n,
                      struct error *err)
{
    unsigned char padding[ALIGNMENT];
    size_t data = *at + LOCAL_HEADER_BYTES + n_name + EXTRA_HEADER_BYTES;
    size_t n_padding = (ALIGNMENT - data % ALIGNMENT) % ALIGNMENT;

    memset(padding, 'Z', sizeof(padding));
    if (zip_file_extra_field_set(zip, index, PADDING_ID, ZIP_EXTRA_FIELD_NEW, padding,
                                 (zip_uint16_t)n_padding, ZIP_FL_LOCAL))
        return fail_zip(zip, err);
    *at = data + n_padding + n;
    return 0;
}

static int add_member(zip_t *zip, size_t *at, const char *root, const char *name,
                      const void *bytes, size_t n, struct error *err)
{
    char path[300];
    int n_path = snprintf(path, sizeof(path), "%s/%s", root, name);
    zip_source_t *source = zip_source_buffer(zip, bytes, n, 0);
    zip_int64_t index = source ? zip_file_add(zip, path, source, ZIP_FL_ENC_UTF_8) : -1;

    if (index < 0) {
        zip_source_free(source);
        return fail_zip(zip, err);
    }
    if (zip_set_file_compression(zip, (zip_uint64_t)index, ZIP_CM_STORE, 0) ||
        zip_file_set_dostime(zip, (zip_uint64_t)index, 0, 0, 0))
        return fail_zip(zip, err);
    return pad_member(zip, (zip_uint64_t)index, at, (size_t)n_path, n, err);
}

static int compare_keys(const void *a, const void *b)
{
    char x[16], y[16];

    snprintf(x, sizeof(x), "%d", *(const int *)a);
    snprintf(y, sizeof(y), "%d", *(const int *)b);
    return strcmp(x, y);
}

/* The storages, in the order of their keys as text, as torch has them. */
static int add_storages(zip_t *zip, size_t *at, const char *root, const struct tensor *tensors,
                        int n, struct error *err)
{
    int *order = malloc(((size_t)n + 1) * sizeof(*order)), status = 0;

    if (!order)
        return fail(err, "out of memory; close other programs");
    for (int i = 0; i < n; i++)
        order[i] = i;
    qsort(order, (size_t)n, sizeof(*order), compare_keys);
    for (int i = 0; i < n && !status; i++) {
        const struct tensor *t = &tensors[order[i]];
        char name[24];
        snprintf(name, sizeof(name), "data/%d", order[i]);
        status = add_member(zip, at, root, name, t->data, tensor_count(t) * dtype_bytes(t->dtype),
                            err);
    }
    free(order);
    return status;
}

/* The folder in the zip is the file's name up to its last point, as torch has it. */
static void root_name(char root[256], const char *path)
{
    const char *name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
    const char *point = strrchr(name, '.');
    int n = point && point != name ? (int)(point - name) : (int)strlen(name);

    snprintf(root, 256, "%.*s", n > 200 ? 200 : n, name);
    if (!*root || !utf8_valid(root, strlen(root)))
        snprintf(root, 256, "archive");
}

static int write_members(zip_t *zip, const char *path, const struct text *pickle,
                         const struct tensor *tensors, int n, struct error *err)
{
    char root[256];
    size_t at = 0;

    root_name(root, path);
    if (add_member(zip, &at, root, "data.pkl", pickle->bytes, pickle->n, err) ||
        add_storages(zip, &at, root, tensors, n, err) ||
        add_member(zip, &at, root, "version", "3\n", 2, err))
        return -1;
    return 0;
}

/* Writes all into the open target. */
static int write_zip(struct target *t, const char *path, const struct text *pickle,
                     const struct tensor *tensors, int n, struct error *err)
{
    zip_error_t error;
    zip_t *zip = NULL;

    zip_error_init(&error);
    zip_source_t *source = zip_source_function_create(target_call, t, &error);
    if (source)
        zip = zip_open_from_source(source, ZIP_CREATE | ZIP_TRUNCATE, &error);
    if (!zip) {
        fail(err, "cannot be written: %s", zip_error_strerror(&error));
        if (source)
            zip_source_free(source);
    }
    zip_error_fini(&error);
    if (!zip)
        return -1;
    if (!write_members(zip, path, pickle, tensors, n, err)) {
        if (!zip_close(zip))
            return 0;
        fail_zip(zip, err);
    }
    zip_discard(zip);
    return -1;
}

static int write_file(const char *path, const struct text *pickle, const struct tensor *tensors,
                      int n, struct error *err)
{
    struct target t = {0};
    int failed;

    if (outfile_open(&t.file, path, err))
        return -1;
    zip_error_init(&t.error);
    failed = write_zip(&t, path, pickle, tensors, n, err);
    if (failed && *t.text.text)
        fail(err, "%s", t.text.text);
    else if (failed)
        fail_prefix(err, "%.300s: ", path);
    zip_error_fini(&t.error);
    if (!failed)
        return outfile_commit(&t.file, err);
    outfile_discard(&t.file);
    return -1;
}

int torch_write(const char *path, const struct tensor *tensors, int n_tensors,
                const char *config, struct error *err)
{
    struct text pickle = {.limit = PICKLE_MAX_BYTES};
    int failed = pickle_write_torch(&pickle, tensors, n_tensors, config, err) ||
                 text_check(&pickle, "data.pkl", err);

    if (failed)
        fail_prefix(err, "%.300s: ", path);
    else
        failed = write_file(path, &pickle, tensors, n_tensors, err);
    text_release(&pickle);
    return failed ? -1 : 0;
}
