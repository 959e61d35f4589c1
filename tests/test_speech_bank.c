// SPDX-License-Identifier: MIT
/* The bank of speech: who speaks in which file and when, whatever the format;
 * and what is no such folder. */
#include "tests/check.h"
#include "tests/synthetic.h"

#include "prune/activity.h"
#include "prune/sound_bank.h"
#include "prune/speech_bank.h"

/* Every step that lies in a burst is speech, every one that lies 50 ms outside is not. */
static void test_activity(void **state)
{
    enum { SECONDS = 20, HZ = 16000 };
    struct burst b[64];
    int n = synthetic_bursts(b, 64, SECONDS, check_seed()), wrong = 0;
    float *x = synthetic_wave(b, n, SECONDS, HZ, 1, 140.0);
    uint8_t a[SECONDS * ACTIVITY_HZ];

    activity_find(a, x, SECONDS * HZ);
    for (int s = 0; s < SECONDS * ACTIVITY_HZ; s++) {
        double from = s * 0.01, to = from + 0.01;
        int inside = 0, near = 0;
        for (int k = 0; k < n; k++) {
            inside |= from >= b[k].start + 0.01 && to <= b[k].end - 0.01;
            near |= to > b[k].start - 0.05 && from < b[k].end + 0.05;
        }
        wrong += inside && !a[s];
        wrong += !near && a[s];
    }
    assert_int_equal(wrong, 0);
    free(x);
}

/* The level of the recording does not matter, until there is nothing to hear. */
static void test_activity_of_levels(void **state)
{
    enum { N = 10 * 16000 };
    struct burst b[64];
    int n = synthetic_bursts(b, 64, 10.0, 5);
    float *x = synthetic_wave(b, n, 10.0, 16000, 1, 140.0);
    uint8_t loud[N / 160], soft[N / 160];
    int count = 0;

    activity_find(loud, x, N);
    for (int i = 0; i < N; i++)
        x[i] *= 0.05f;
    activity_find(soft, x, N);
    for (int i = 0; i < N / 160; i++)
        assert_int_equal(!loud[i], !soft[i]);
    for (int i = 0; i < N; i++)
        x[i] *= 1e-4f;
    activity_find(soft, x, N);
    for (int i = 0; i < N / 160; i++)
        count += soft[i] != 0;
    assert_int_equal(count, 0);
    free(x);
}

static void test_bank(void **state)
{
    static const struct {
        const char *folder, *file;
        int rate, channels, format;
    } files[] = {
        {"b", "b/one.wav", 16000, 1, SF_FORMAT_WAV | SF_FORMAT_PCM_16},
        {"a", "a/two.flac", 44100, 2, SF_FORMAT_FLAC | SF_FORMAT_PCM_16},
        {"a/deep", "a/deep/three.ogg", 16000, 1, SF_FORMAT_OGG | SF_FORMAT_VORBIS},
        {"b", "b/zwei.aiff", 8000, 1, SF_FORMAT_AIFF | SF_FORMAT_PCM_16},
    };
    struct speech_bank bank[2];
    struct error err = {""};
    char folder[64], path[4096];

    synthetic_folder(folder);
    for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++) {
        snprintf(path, sizeof(path), "%s/%s", folder, files[i].folder);
        mkdir(path, 0755);
        snprintf(path, sizeof(path), "%s/%s", folder, files[i].file);
        synthetic_file(path, 12.0, files[i].rate, files[i].channels, files[i].format, i + 1);
    }
    synthetic_text(folder, "README.txt", "no audio\n");
    synthetic_text(folder, ".hidden.wav", "no audio either\n");
    for (int k = 0; k < 2; k++) {
        if (speech_bank_open(&bank[k], folder, k ? 4 : 1, &err))
            check_fail("%s", err.text);
        assert_int_equal(bank[k].n_speakers, 3);
        assert_int_equal(bank[k].n_files, 4);
        assert_int_equal(strcmp(strrchr(bank[k].speakers[0].name, '/'), "/a"), 0);
        assert_int_equal(strcmp(strrchr(bank[k].speakers[1].name, '/'), "/deep"), 0);
        assert_int_equal(strcmp(strrchr(bank[k].speakers[2].name, '/'), "/b"), 0);
    }
    assert_int_equal(bank[0].n_pieces, bank[1].n_pieces); // whatever the threads
    for (int i = 0; i < bank[0].n_pieces; i++) {
        const struct piece *p = &bank[0].pieces[i], *q = &bank[1].pieces[i];
        assert_int_equal(p->n_steps, q->n_steps);
        assert_memory_equal(p->pcm, q->pcm, (size_t)p->n_steps * ACTIVITY_STEP * 2);
        assert_true(p->n_steps > 35 && p->n_steps < 180); // a burst and its margins
    }

    struct burst b[64]; // the pieces of one file are its bursts
    assert_int_equal(bank[0].speakers[1].n, synthetic_bursts(b, 64, 12.0, 3));
    for (int i = 0; i < bank[0].speakers[1].n; i++) {
        double seconds = bank[0].pieces[bank[0].speakers[1].first + i].n_steps * 0.01;
        assert_true(fabs(seconds - (b[i].end - b[i].start) - 0.1) < 0.1);
    }
    speech_bank_close(&bank[0]);
    speech_bank_close(&bank[1]);
    synthetic_remove(folder);
}

static void refuse(const char *folder, const char *words)
{
    struct speech_bank b;
    struct error err = {""};

    if (speech_bank_open(&b, folder, 2, &err) == 0)
        check_fail("%s was taken, but should say: %s", folder, words);
    if (!strstr(err.text, words) || strchr(err.text, '\n'))
        check_fail("says \"%s\" without \"%s\"", err.text, words);
    assert_null(b.pieces);
    speech_bank_close(&b);
}

static void test_bad_folders(void **state)
{
    char folder[64], path[4096];
    float zeros[16000] = {0.0f};

    synthetic_folder(folder);
    snprintf(path, sizeof(path), "%s/none", folder);
    refuse(path, "No such file");
    refuse(folder, "no audio in this folder");
    synthetic_text(folder, "notes.txt", "nothing\n");
    refuse(folder, "no audio in this folder");
    snprintf(path, sizeof(path), "%s/circle", folder);
    assert_int_equal(symlink(folder, path), 0);
    refuse(folder, "no audio in this folder");
    snprintf(path, sizeof(path), "%s/silent.wav", folder);
    synthetic_write(path, zeros, 16000, 16000, 1, SF_FORMAT_WAV | SF_FORMAT_PCM_16);
    refuse(path, "is a file");
    refuse(folder, "no speech in its 1 audio files");
    synthetic_text(folder, "a.wav", "RIFF is not enough");
    refuse(folder, "a.wav: not an audio file");
    synthetic_text(folder, "a.wav", "");
    refuse(folder, "a.wav: is empty");
    synthetic_remove(folder);
}

/* The direct sound stands at RESPONSE_LEAD wherever it was in the file. */
static void test_responses(void **state)
{
    struct sound_bank b;
    struct error err = {""};
    char folder[64], path[4096];
    float x[20000] = {0.0f};

    synthetic_folder(folder);
    for (int i = 0; i < 2; i++) {
        int at = i ? 3 : 4000;
        memset(x, 0, sizeof(x));
        x[at] = 0.8f;
        for (int k = at + 50; k < 20000; k++)
            x[k] = 0.1f * expf(-(float)(k - at) / 800.0f);
        snprintf(path, sizeof(path), "%s/%d.wav", folder, i);
        synthetic_write(path, x, 20000, 16000, 1, SF_FORMAT_WAV | SF_FORMAT_FLOAT);
    }
    if (sound_bank_open_responses(&b, folder, 2, &err))
        check_fail("%s", err.text);
    assert_int_equal(b.n, 2);
    for (int i = 0; i < 2; i++) {
        double energy = 0.0;
        int peak = 0;
        for (int k = 0; k < b.sounds[i].n; k++) {
            energy += (double)b.sounds[i].samples[k] * b.sounds[i].samples[k];
            peak = fabsf(b.sounds[i].samples[k]) > fabsf(b.sounds[i].samples[peak]) ? k : peak;
        }
        assert_int_equal(peak, RESPONSE_LEAD);
        assert_true(fabs(energy - 1.0) < 1e-4);
        assert_true(b.sounds[i].n <= RESPONSE_MAX && b.sounds[i].n > 4000);
    }
    sound_bank_close(&b);
    memset(x, 0, sizeof(x));
    synthetic_write(path, x, 20000, 16000, 1, SF_FORMAT_WAV | SF_FORMAT_FLOAT);
    assert_int_equal(sound_bank_open_responses(&b, folder, 2, &err), -1);
    assert_non_null(strstr(err.text, "1.wav: a room response without a sound"));
    synthetic_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_activity), cmocka_unit_test(test_activity_of_levels),
        cmocka_unit_test(test_bank), cmocka_unit_test(test_bad_folders),
        cmocka_unit_test(test_responses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
