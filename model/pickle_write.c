// SPDX-License-Identifier: MIT
#include "model/pickle_write.h"

#include "model/json.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The pickler's own number of items that one instruction takes. */
enum { BATCH = 1000 };

static const struct json_limits config_limits = {"config", "", 4 << 20, 1 << 16, 16, 1};

/* What occurs again and is fetched from the memo then; 0: not there yet. */
struct writer {
    struct text *t;
    int n_memo;
    int ordered_dict, rebuild, word, cpu;  // memo number + 1
    int storage_class[DTYPE_BOOL + 1];
};

static void put_byte(struct writer *w, unsigned char byte)
{
    text_add(w->t, (const char *)&byte, 1);
}

/* n little-endian bytes. */
static void put_bytes(struct writer *w, uint64_t x, int n)
{
    for (int i = 0; i < n; i++)
        put_byte(w, (unsigned char)(x >> 8 * i));
}

/* Remembers what was written last. */
static int memo_put(struct writer *w)
{
    int at = w->n_memo++;

    put_byte(w, at < 256 ? 'q' : 'r'); // BINPUT, LONG_BINPUT
    put_bytes(w, (uint64_t)at, at < 256 ? 1 : 4);
    return at + 1;
}

static void memo_get(struct writer *w, int number)
{
    int at = number - 1;

    put_byte(w, at < 256 ? 'h' : 'j'); // BINGET, LONG_BINGET
    put_bytes(w, (uint64_t)at, at < 256 ? 1 : 4);
}

static void put_string(struct writer *w, const char *s)
{
    put_byte(w, 'X'); // BINUNICODE
    put_bytes(w, strlen(s), 4);
    text_puts(w->t, s);
    memo_put(w);
}

/* The same string or name each time. */
static void put_word(struct writer *w, int *memo, const char *s)
{
    if (*memo) {
        memo_get(w, *memo);
        return;
    }
    put_string(w, s);
    *memo = w->n_memo;
}

static void put_global(struct writer *w, int *memo, const char *module, const char *name)
{
    if (*memo) {
        memo_get(w, *memo);
        return;
    }
    put_byte(w, 'c'); // GLOBAL
    text_puts(w->t, module);
    text_puts(w->t, "\n");
    text_puts(w->t, name);
    text_puts(w->t, "\n");
    *memo = memo_put(w);
}

static void put_int(struct writer *w, int64_t x)
{
    if (x >= 0 && x < 1 << 8) {
        put_byte(w, 'K'); // BININT1
        put_bytes(w, (uint64_t)x, 1);
    } else if (x >= 0 && x < 1 << 16) {
        put_byte(w, 'M'); // BININT2
        put_bytes(w, (uint64_t)x, 2);
    } else if (x >= INT32_MIN && x <= INT32_MAX) {
        put_byte(w, 'J'); // BININT
        put_bytes(w, (uint64_t)x, 4);
    } else { // LONG1 in as few bytes as keep the sign
        int n = 5;
        while (n < 8 && (x >> (8 * n - 1)) != (x < 0 ? -1 : 0))
            n++;
        put_byte(w, 0x8a);
        put_bytes(w, (uint64_t)n, 1);
        put_bytes(w, (uint64_t)x, n);
    }
}

static void put_double(struct writer *w, double x)
{
    uint64_t bits;

    memcpy(&bits, &x, sizeof(bits));
    put_byte(w, 'G'); // BINFLOAT, big-endian
    for (int i = 7; i >= 0; i--)
        put_byte(w, (unsigned char)(bits >> 8 * i));
}

/* n numbers as a tuple. */
static void put_tuple(struct writer *w, const int64_t *x, int n)
{
    static const unsigned char end[] = {')', 0x85, 0x86, 0x87, 't'}; // EMPTY_TUPLE .. TUPLE

    if (n > 3)
        put_byte(w, '('); // MARK
    for (int i = 0; i < n; i++)
        put_int(w, x[i]);
    put_byte(w, end[n > 3 ? 4 : n]);
    if (n)
        memo_put(w);
}

/* --- tensors ---------------------------------------------------------- */

/* OrderedDict(), empty. */
static void put_ordered_dict(struct writer *w)
{
    put_global(w, &w->ordered_dict, "collections", "OrderedDict");
    text_puts(w->t, ")R"); // EMPTY_TUPLE, REDUCE
    memo_put(w);
}

/* ('storage', class, key, 'cpu', number of elements), as a persistent id */
static void put_storage(struct writer *w, const struct tensor *t, int index)
{
    static const char *const classes[] = {
        [DTYPE_F32] = "FloatStorage", [DTYPE_F64] = "DoubleStorage", [DTYPE_F16] = "HalfStorage",
        [DTYPE_BF16] = "BFloat16Storage", [DTYPE_I64] = "LongStorage",
        [DTYPE_I32] = "IntStorage", [DTYPE_I16] = "ShortStorage", [DTYPE_I8] = "CharStorage",
        [DTYPE_U8] = "ByteStorage", [DTYPE_BOOL] = "BoolStorage",
    };
    char key[16];

    snprintf(key, sizeof(key), "%d", index);
    put_byte(w, '(');
    put_word(w, &w->word, "storage");
    put_global(w, &w->storage_class[t->dtype], "torch", classes[t->dtype]);
    put_string(w, key);
    put_word(w, &w->cpu, "cpu");
    put_int(w, (int64_t)tensor_count(t));
    put_byte(w, 't');
    memo_put(w);
    put_byte(w, 'Q'); // BINPERSID
}

/* _rebuild_tensor_v2(storage, 0, size, stride, False, OrderedDict()) */
static void put_tensor(struct writer *w, const struct tensor *t, int index)
{
    int64_t stride[CHECKPOINT_MAX_AXES], step = 1;

    for (int i = t->n_axes; i-- > 0;) {
        stride[i] = step;
        step *= t->size[i];
    }
    put_global(w, &w->rebuild, "torch._utils", "_rebuild_tensor_v2");
    put_byte(w, '(');
    put_storage(w, t, index);
    put_int(w, 0);
    put_tuple(w, t->size, t->n_axes);
    put_tuple(w, stride, t->n_axes);
    put_byte(w, 0x89); // NEWFALSE
    put_ordered_dict(w);
    put_byte(w, 't');
    memo_put(w);
    put_byte(w, 'R');
    memo_put(w);
}

static void put_state_dict(struct writer *w, const struct tensor *tensors, int n)
{
    put_ordered_dict(w);
    for (int first = 0, last; first < n; first = last) {
        last = n - first < BATCH ? n : first + BATCH;
        if (last - first > 1)
            put_byte(w, '(');
        for (int i = first; i < last; i++) {
            put_string(w, tensors[i].name);
            put_tensor(w, &tensors[i], i);
        }
        put_byte(w, last - first > 1 ? 'u' : 's'); // SETITEMS, SETITEM
    }
}

/* --- configs ---------------------------------------------------------- */

static void put_value(struct writer *w, const char *key, const cJSON *v);

static int ends_with(const char *s, const char *end)
{
    return strlen(s) >= strlen(end) && !strcmp(s + strlen(s) - strlen(end), end);
}

/* JSON does not tell 0 from 0.0, but upstream's keys do. */
static int is_real(const char *key, const cJSON *v)
{
    return v->valuedouble != floor(v->valuedouble) || ends_with(key, "dropout") ||
           ends_with(key, "layer_drop") || !strcmp(key, "temperature") ||
           !strncmp(key, "limit_", 6) || fabs(v->valuedouble) > 1e15;
}

/* Upstream's list of convolutions is a list of tuples. */
static void put_convs(struct writer *w, const cJSON *v)
{
    int64_t shape[3] = {0};
    int n = 0;
    const cJSON *item;

    cJSON_ArrayForEach(item, v)
    {
        if (n < 3)
            shape[n++] = (int64_t)item->valuedouble;
    }
    put_tuple(w, shape, n);
}

static void put_list(struct writer *w, const char *key, const cJSON *v)
{
    int n = cJSON_GetArraySize(v), i = 0;
    const cJSON *item;

    put_byte(w, ']'); // EMPTY_LIST
    memo_put(w);
    cJSON_ArrayForEach(item, v)
    {
        if (n > 1 && i % BATCH == 0)
            put_byte(w, '(');
        if (cJSON_IsArray(item) && !strcmp(key, "extractor_conv_layer_config"))
            put_convs(w, item);
        else
            put_value(w, key, item);
        i++;
        if (n > 1 && (i % BATCH == 0 || i == n))
            put_byte(w, 'e'); // APPENDS
    }
    if (n == 1)
        put_byte(w, 'a'); // APPEND
}

static void put_dict(struct writer *w, const cJSON *v)
{
    int n = cJSON_GetArraySize(v), i = 0;
    const cJSON *item;

    put_byte(w, '}'); // EMPTY_DICT
    memo_put(w);
    cJSON_ArrayForEach(item, v)
    {
        if (n > 1 && i % BATCH == 0)
            put_byte(w, '(');
        put_string(w, item->string);
        put_value(w, item->string, item);
        i++;
        if (n > 1 && (i % BATCH == 0 || i == n))
            put_byte(w, 'u');
    }
    if (n == 1)
        put_byte(w, 's');
}

/* As deep as the config was allowed to be. */
static void put_value(struct writer *w, const char *key, const cJSON *v)
{
    if (cJSON_IsObject(v))
        put_dict(w, v);
    else if (cJSON_IsArray(v))
        put_list(w, key, v);
    else if (cJSON_IsString(v))
        put_string(w, v->valuestring);
    else if (cJSON_IsNull(v))
        put_byte(w, 'N');
    else if (cJSON_IsBool(v))
        put_byte(w, cJSON_IsTrue(v) ? 0x88 : 0x89);
    else if (is_real(key, v))
        put_double(w, v->valuedouble);
    else
        put_int(w, (int64_t)v->valuedouble);
}

int pickle_write_torch(struct text *t, const struct tensor *tensors, int n_tensors,
                       const char *config, struct error *err)
{
    struct writer w = {.t = t};
    cJSON *json = NULL;

    if (config && (json = json_read(config, strlen(config), &config_limits, err)) == NULL)
        return -1;
    text_puts(t, "\x80\x02"); // PROTO 2
    if (json) {
        put_byte(&w, '}');
        memo_put(&w);
        put_byte(&w, '(');
        put_string(&w, "state_dict");
    }
    put_state_dict(&w, tensors, n_tensors);
    if (json) {
        put_string(&w, "config");
        put_value(&w, "config", json);
        put_byte(&w, 'u');
    }
    put_byte(&w, '.'); // STOP
    cJSON_Delete(json);
    return 0;
}
