// SPDX-License-Identifier: MIT
/* fuzz_speakers.c - any bytes as a file of speakers; what is accepted is of the width that
 * was asked for, and names nobody twice. */
#include "fuzz.h"

#include "stream/scan.h"
#include "stream/speakers_file.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { WIDTH = 2 };

static void check_speaker(const struct speakers *s, int i)
{
    const struct known_speaker *who = &s->list[i];
    struct field name = {who->name, strlen(who->name)};

    if (name.n == 0 || name.n >= REPORT_NAME_BYTES || !scan_printable(name) || who->n < 1 ||
        who->n > SPEAKER_MAX_PROTOTYPES)
        abort();
    for (int k = 0; k < who->n * WIDTH; k++) {
        if (!isfinite(who->vectors[k]))
            abort();
    }
    for (int k = 0; k < i; k++) {
        if (!strcmp(s->list[k].name, who->name))
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error err = {{0}};
    struct speakers s;

    speakers_init(&s, 7, WIDTH);
    if (speakers_parse(&s, (const char *)data, size, &err)) {
        if (!*err.text || strchr(err.text, '\n'))
            abort();
    } else {
        for (int i = 0; i < s.n; i++)
            check_speaker(&s, i);
    }
    speakers_release(&s);
    return 0;
}
