// SPDX-License-Identifier: MIT
/* fuzz_rttm.c - libFuzzer: any bytes as RTTM, UEM or labels are read or refused,
 * and what was read can be scored. */
#include "fuzz.h"

#include "stream/labels.h"
#include "stream/rttm.h"
#include "stream/score.h"

#include <stdlib.h>

static void score_all(const struct turns *t)
{
    const struct score_settings settings = {0.25, 1};

    for (int i = 0; i < t->n; i++) {
        struct score s;
        struct error err = {""};
        if (t->list[i].n_speakers > 20) // the mapping's time is their cube
            continue;
        if (score_recording(&s, NULL, &t->list[i], &t->list[(i + 1) % t->n], NULL, &settings,
                            &err) == 0 && !(s.der >= 0.0 && s.jer >= 0.0 && s.jer <= 100.0))
            abort();
    }
}

/* The first byte chooses the format. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct turns t = {0};
    struct error err = {""};
    struct field text, name = {"r", 1};
    int status;

    if (size == 0)
        return 0;
    text = (struct field){(const char *)data + 1, size - 1};
    if (data[0] % 5 == 0)
        status = rttm_parse(&t, text, &err);
    else if (data[0] % 5 == 1)
        status = uem_parse(&t, text, &err);
    else
        status = labels_parse(&t, text, (enum labels_format)(data[0] % 5 - 1), name, &err);
    if ((status == 0) == (*err.text != 0)) // an error has words, a success has none
        abort();
    if (status == 0)
        score_all(&t);
    turns_release(&t);
    return 0;
}
