// SPDX-License-Identifier: MIT
/* synthetic_bank.h - the speech of a few, for a test program's group: set up and torn down once. */
#ifndef SYNTHETIC_BANK_H
#define SYNTHETIC_BANK_H

#include "tests/synthetic.h"

#include "prune/speech_bank.h"

enum { SPEAKERS = 8 };

static char folder[64];
static struct speech_bank bank;

static int open_bank(void **state)
{
    struct error err = {""};

    synthetic_folder(folder);
    synthetic_speakers(folder, SPEAKERS);
    if (speech_bank_open(&bank, folder, 2, &err))
        check_fail("%s", err.text);
    return 0;
}

static int close_bank(void **state)
{
    speech_bank_close(&bank);
    synthetic_remove(folder);
    return 0;
}

#endif
