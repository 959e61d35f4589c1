// SPDX-License-Identifier: MIT
/* fuzz_lists.c - any bytes as the lists of a data folder: wav.scp, rttm and all.uem, cut
 * where a line says "====". Recordings are two short files beside them. */
#include "fuzz.h"

#include "prune/data_lists.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char folder[] = "/tmp/antiphon-lists-XXXXXX";

static void write_list(const char *name, const void *bytes, size_t n)
{
    char path[128];

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd < 0 || write(fd, bytes, n) != (ssize_t)n)
        abort();
    close(fd);
}

/* A second of silence, as WAV of one channel at 16 kHz. */
static void write_wav(const char *name)
{
    static const unsigned char header[44] = {
        'R', 'I', 'F', 'F', 0x24, 0x7d, 0, 0, 'W', 'A', 'V', 'E', 'f', 'm', 't', ' ', 16, 0, 0, 0,
        1, 0, 1, 0, 0x80, 0x3e, 0, 0, 0, 0x7d, 0, 0, 2, 0, 16, 0, 'd', 'a', 't', 'a', 0, 0x7d, 0,
        0,
    };
    unsigned char bytes[44 + 32000] = {0};

    memcpy(bytes, header, sizeof(header));
    write_list(name, bytes, sizeof(bytes));
}

static void clean(void)
{
    static const char *const names[] = {"wav.scp", "rttm", "all.uem", "a.wav", "b.wav"};
    char path[128];

    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
        unlink(path);
    }
    rmdir(folder);
}

static void check_lists(const struct data_lists *l)
{
    for (int i = 0; i < l->n; i++) {
        const struct data_recording *r = &l->recordings[i];
        if (!r->name || !r->path || r->n_regions < 0 || !(r->seconds > 0.0))
            abort();
        for (int k = 0; k < r->n_turns; k++) {
            if (r->turns[k].speaker < 0 || r->turns[k].speaker >= l->n_speakers)
                abort();
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = {"wav.scp", "rttm", "all.uem"};
    static int made;
    struct data_lists lists;
    struct error err = {{0}};

    if (!made) {
        made = 1;
        if (!mkdtemp(folder))
            abort();
        atexit(clean);
        write_wav("a.wav");
        write_wav("b.wav");
    }
    for (int i = 0; i < 3; i++) {
        const uint8_t *end = i < 2 ? memmem(data, size, "====\n", 5) : NULL;
        size_t n = end ? (size_t)(end - data) : size, skip = end ? n + 5 : n;
        write_list(names[i], data, n);
        data += skip;
        size -= skip;
    }
    if (data_lists_read(&lists, folder, &err)) {
        if (!*err.text || strchr(err.text, '\n'))
            abort();
        return 0;
    }
    check_lists(&lists);
    data_lists_release(&lists);
    return 0;
}
