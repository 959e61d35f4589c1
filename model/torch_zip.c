// SPDX-License-Identifier: MIT
/* torch_zip.c - torch files since 1.6: a zip with a pickle and its storages.
 *
 * libzip reads the directory and, where needed, decompresses. It does not say
 * where a member lies, so the directory is walked once more for the places of
 * stored members. A place is only a guess: every storage is read through
 * libzip, which checks its sum, and is used in place if the bytes there are
 * the same; otherwise it is copied. */
#include "model/torch_read.h"

#include <stdlib.h>
#include <string.h>
#include <zip.h>

#define AGAIN "; the file is damaged or cut short, fetch or make it again"

/* Compressed weights are a few times larger, not a thousand times. */
enum { READ_BYTES = 64 * 1024, MAX_SWELLING = 64, SMALL_BYTES = 64 << 20 };

struct container {
    struct checkpoint_storage *file;
    zip_t *zip;
    struct pool *pool;    // for the pickle
    const char *root;     // the folder that everything is in
    size_t n_members;
    size_t *places;       // of each member's data in the file, 0: not known
    unsigned char *chunk; // READ_BYTES
    size_t left;          // bytes that storages may still have: members may overlap, or swell
};

/* --- places ----------------------------------------------------------- */

static uint32_t number_at(const unsigned char *at, size_t n)
{
    uint32_t x = 0;

    for (size_t i = n; i-- > 0;)
        x = x << 8 | at[i];
    return x;
}

static int is_record(const struct checkpoint_storage *f, size_t at, size_t n_record,
                     const char *signature)
{
    return at <= f->n_bytes && n_record <= f->n_bytes - at && !memcmp(f->bytes + at, signature, 4);
}

/* The end record: 22 bytes and a comment, which ends the file. */
static int find_end(const struct checkpoint_storage *f, size_t *end)
{
    for (size_t comment = 0; comment <= 0xffff && comment + 22 <= f->n_bytes; comment++) {
        size_t at = f->n_bytes - 22 - comment;
        if (is_record(f, at, 22, "PK\x05\x06") && number_at(f->bytes + at + 20, 2) == comment) {
            *end = at;
            return 0;
        }
    }
    return -1;
}

/* Notes the data of all members whose records can be followed; those of files
 * of more than 4 GB cannot, and are copied. */
static void find_places(struct container *z)
{
    const struct checkpoint_storage *f = z->file;
    size_t end;

    if (find_end(f, &end))
        return;
    size_t at = number_at(f->bytes + end + 16, 4);
    for (size_t i = 0; i < z->n_members && is_record(f, at, 46, "PK\x01\x02"); i++) {
        const unsigned char *record = f->bytes + at;
        size_t local = number_at(record + 42, 4);
        if (is_record(f, local, 30, "PK\x03\x04"))
            z->places[i] = local + 30 + number_at(f->bytes + local + 26, 2) +
                           number_at(f->bytes + local + 28, 2);
        at += 46 + number_at(record + 28, 2) + number_at(record + 30, 2) +
              number_at(record + 32, 2);
    }
}

/* --- members ---------------------------------------------------------- */

/* What libzip says, and what to do about it. */
static int fail_zip(zip_error_t *error, const char *what, struct error *err)
{
    int is_memory = zip_error_code_zip(error) == ZIP_ER_MEMORY;

    return fail(err, "%s: %s; %s", what, zip_error_strerror(error), is_memory ?
                "close other programs" : "the file is damaged, fetch or make it again");
}

static int open_member(zip_file_t **member, zip_stat_t *st, const struct container *z,
                       zip_uint64_t index, struct error *err)
{
    zip_uint64_t needed = ZIP_STAT_SIZE | ZIP_STAT_COMP_METHOD;

    zip_stat_init(st);
    if (zip_stat_index(z->zip, index, 0, st) || (st->valid & needed) != needed)
        return fail(err, "member %llu of the zip has no size" AGAIN, (unsigned long long)index);
    *member = zip_fopen_index(z->zip, index, 0);
    if (!*member)
        return fail_zip(zip_get_error(z->zip), "a member of the zip cannot be read", err);
    return 0;
}

/* Reads n bytes and the end behind them, where libzip checks the sum. A
 * target collects them; without one they are compared with what is in place.
 * 1: they differ. */
static int read_member(zip_file_t *member, unsigned char *target, const unsigned char *place,
                       unsigned char *chunk, size_t n, struct error *err)
{
    size_t at = 0;

    for (;;) {
        zip_int64_t got = zip_fread(member, chunk, READ_BYTES);
        if (got < 0)
            return fail_zip(zip_file_get_error(member), "a member of the zip", err);
        if (got == 0)
            break;
        if ((size_t)got > n - at)
            return fail(err, "zip: member is longer than its directory says" AGAIN);
        if (target)
            memcpy(target + at, chunk, (size_t)got);
        else if (memcmp(place + at, chunk, (size_t)got))
            return 1;
        at += (size_t)got;
    }
    if (at != n)
        return fail(err, "zip: member is shorter than its directory says" AGAIN);
    return 0;
}

/* Copies the whole member, of n bytes, into a pool. */
static const unsigned char *copy_member(struct container *z, zip_uint64_t index, size_t n,
                                        struct pool *pool, struct error *err)
{
    zip_file_t *member;
    zip_stat_t st;
    unsigned char *target = pool_alloc(pool, n, 64, err);

    if (!target || open_member(&member, &st, z, index, err))
        return NULL;
    int failed = read_member(member, target, NULL, z->chunk, n, err);
    zip_fclose(member);
    return failed ? NULL : target;
}

/* Where the member stands in the file as it is; NULL in data: it does not. */
static int use_in_place(const unsigned char **data, struct container *z, zip_uint64_t index,
                        size_t n, struct error *err)
{
    zip_file_t *member;
    zip_stat_t st;
    size_t place = z->places[index];

    *data = NULL;
    if (!place || place > z->file->n_bytes || n > z->file->n_bytes - place)
        return 0;
    if (open_member(&member, &st, z, index, err))
        return -1;
    int result = st.comp_method == ZIP_CM_STORE ?
        read_member(member, NULL, z->file->bytes + place, z->chunk, n, err) : 1;
    zip_fclose(member);
    if (result == 0)
        *data = z->file->bytes + place;
    return result < 0 ? -1 : 0;
}

/* The member root/name; its size goes to n. */
static int find_member(zip_uint64_t *index, size_t *n, struct container *z, const char *name,
                       struct error *err)
{
    zip_stat_t st;
    size_t n_path = strlen(z->root) + strlen(name) + 2;
    char *path = pool_alloc(z->pool, n_path, 1, err);

    if (!path)
        return -1;
    memcpy(path, z->root, strlen(z->root));
    path[strlen(z->root)] = '/';
    memcpy(path + strlen(z->root) + 1, name, strlen(name));
    zip_int64_t found = zip_name_locate(z->zip, path, 0);
    zip_stat_init(&st);
    if (found < 0 || (size_t)found >= z->n_members ||
        zip_stat_index(z->zip, (zip_uint64_t)found, 0, &st) || !(st.valid & ZIP_STAT_SIZE))
        return fail(err, "the zip lacks %.120s" AGAIN, path);
    if (st.size > SIZE_MAX / 4)
        return fail(err, "%.120s is larger than this machine can address" AGAIN, path);
    *index = (zip_uint64_t)found;
    *n = (size_t)st.size;
    return 0;
}

/* --- the checkpoint --------------------------------------------------- */

static int load_storage(void *container, struct pickle_storage *s, struct error *err)
{
    struct container *z = container;
    size_t n, wanted = (size_t)s->n_elements * dtype_bytes(s->dtype);
    zip_uint64_t index;
    size_t n_key = strlen(s->key);
    char *name = pool_alloc(z->pool, n_key + 6, 1, err);

    if (!name)
        return -1;
    memcpy(name, "data/", 5);
    memcpy(name + 5, s->key, n_key);
    if (find_member(&index, &n, z, name, err))
        return -1;
    if (n != wanted)
        return fail(err, "storage '%.60s' has %zu bytes, its tensors want %zu" AGAIN, s->key, n,
                    wanted);
    if (n > z->left)
        return fail(err, "storages of more than %d times the file's size; it is damaged or not a "
                    "model", MAX_SWELLING);
    z->left -= n;
    if (use_in_place(&s->data, z, index, n, err))
        return -1;
    if (!s->data)
        s->data = copy_member(z, index, n, &z->file->pool, err);
    return s->data ? 0 : -1;
}

/* The folder of the one member that is called FOLDER/data.pkl. */
static int find_root(struct container *z, struct error *err)
{
    for (size_t i = 0; i < z->n_members; i++) {
        const char *name = zip_get_name(z->zip, i, 0);
        const char *slash = name ? strchr(name, '/') : NULL;
        if (!slash || strcmp(slash, "/data.pkl"))
            continue;
        if (z->root)
            return fail(err, "holds more than one data.pkl; unpack it and try one of them");
        z->root = pool_string(z->pool, name, (size_t)(slash - name), err);
        if (!z->root)
            return -1;
    }
    if (!z->root)
        return fail(err, "is a zip, but not of torch (it lacks data.pkl); expected a checkpoint "
                    "written by torch.save");
    return 0;
}

/* Files of torch since 2.0 say their byte order. */
static int check_order(struct container *z, struct error *err)
{
    zip_uint64_t index;
    size_t n;

    if (find_member(&index, &n, z, "byteorder", NULL))
        return 0;
    const unsigned char *order = n == 6 ? copy_member(z, index, n, z->pool, err) : NULL;
    if (!order || memcmp(order, "little", 6))
        return fail(err, "was written on a big-endian machine; save it on another one");
    return 0;
}

static int read_members(struct checkpoint *c, struct container *z, struct error *err)
{
    struct pickle p;
    zip_uint64_t index;
    size_t n;

    z->places = pool_alloc(z->pool, z->n_members * sizeof(*z->places), _Alignof(size_t), err);
    z->chunk = pool_alloc(z->pool, READ_BYTES, 64, err);
    if (!z->places || !z->chunk || find_root(z, err))
        return -1;
    find_places(z);
    if (check_order(z, err) || find_member(&index, &n, z, "data.pkl", err))
        return -1;
    if (n > TORCH_PICKLE_MAX_BYTES)
        return fail(err, "data.pkl has %zu bytes; no checkpoint needs more than %d", n,
                    TORCH_PICKLE_MAX_BYTES);
    const unsigned char *bytes = copy_member(z, index, n, z->pool, err);
    if (!bytes || pickle_read(&p, z->pool, bytes, n, err))
        return fail_prefix(err, "data.pkl: ");
    return torch_take(c, &p, load_storage, z, err);
}

static zip_t *open_zip(const struct checkpoint_storage *f, struct error *err)
{
    zip_error_t error;
    zip_t *zip = NULL;

    zip_error_init(&error);
    zip_source_t *source = zip_source_buffer_create(f->bytes, f->n_bytes, 0, &error);
    if (source)
        zip = zip_open_from_source(source, ZIP_RDONLY, &error);
    if (!zip) {
        fail_zip(&error, "is not a whole zip", err);
        if (source)
            zip_source_free(source);
    }
    zip_error_fini(&error);
    return zip;
}

int torch_zip_read(struct checkpoint *c, struct error *err)
{
    struct pool pool = {.limit = TORCH_POOL_BYTES};
    struct container z = {.file = c->storage, .pool = &pool};
    size_t n_file = c->storage->n_bytes;

    z.left = n_file > SIZE_MAX / 2 / MAX_SWELLING ? SIZE_MAX / 2
                                                  : MAX_SWELLING * n_file + SMALL_BYTES;

    z.zip = open_zip(c->storage, err);
    if (!z.zip)
        return -1;
    zip_int64_t n = zip_get_num_entries(z.zip, 0);
    z.n_members = n > 0 ? (size_t)n : 0;
    int failed = read_members(c, &z, err);
    zip_discard(z.zip);
    pool_release(&pool);
    return failed;
}
