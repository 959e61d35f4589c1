// SPDX-License-Identifier: MIT
/* Data folders: chunks and labels as upstream's recipe makes them, audio of any
 * rate, epochs, changes on the way; and every mistake that its lists can hold. */
#include "tests/check.h"
#include "tests/synthetic.h"

#include "prune/data.h"
#include "stream/audio_file.h"

static struct data_settings plain(double chunk, double shift)
{
    struct data_settings x = data_defaults;

    x.chunk = chunk;
    x.shift = shift;
    x.shuffle = x.dither = 0;
    x.augment = 0.0f;
    return x;
}

static void must_open(struct data_folder *d, const char *folder, const struct data_settings *x,
                      uint64_t seed)
{
    struct error err = {""};

    if (data_open(d, folder, x, NULL, NULL, seed, &err))
        check_fail("%s", err.text);
}

static void must_get(struct clip *clip, struct data_folder *d, uint64_t index)
{
    struct error err = {""};

    if (d->source.get(clip, &d->source, index, &err))
        check_fail("%s", err.text);
}

/* A folder with one recording of `seconds`; the lists are written by the test. */
static void make_folder(char folder[64], double seconds, int rate, int channels, int format,
                        const char *file)
{
    char path[4096];

    synthetic_folder(folder);
    snprintf(path, sizeof(path), "%s/%s", folder, file);
    synthetic_file(path, seconds, rate, channels, format, 4);
}

/* First and last frame of turns in chunks of 8 s, computed with numpy by
 * DiariZen's formula in single precision; last -1: none. */
static void test_labels_as_upstream(void **state)
{
    static const struct {
        double chunk, start, duration;
        int first, last;
    } rows[] = {
        {1, 7.08, 1.551, 303, 381}, {1, 1.86, 0.171, 42, 51}, {1, 3.085, 0.15, 104, 111},
        {1, -0.51, 3, 0, 74}, {1, 1.345, 1.31, 17, 82}, {1, 8.74, 2.69, 386, 398},
        {1, 2.92, 1.484, 95, 170}, {1, 5.77, 0.192, 238, 247}, {1, 1.71, 2.64, 35, 167},
        {1, -0.36, 2.04, 0, 33}, {1, 1.273, 2.69, 13, 148}, {1, 7.72, 0.065, 335, 339},
        {1, -0.99, 1.515, 0, -1}, {1, 3.37, 0.618, 118, 149}, {7, 13.06, 0.96, 302, 350},
        {7, 6.49, 2.1, 0, 79}, {7, 12.99, 0.71, 299, 334}, {7, 8.2, 2.4, 59, 179},
        {7, 10.06, 0.72, 152, 188}, {7, 5.15, 2.8, 0, 47}, {7, 13.45, 1.11, 322, 377},
        {7, 14.51, 1.2, 375, 398}, {7, 10.562, 0.73, 177, 214}, {7, 12.41, 2.026, 270, 371},
        {7, 9.64, 0.673, 131, 165}, {7, 11.41, 0.33, 220, 236}, {7, 11.354, 1.14, 217, 274},
        {7, 12.99, 0.59, 299, 328}, {601, 606.979, 1.15, 298, 356}, {601, 606.13, 1.84, 256, 348},
        {601, 608.917, 2.17, 395, 398}, {601, 607.09, 0.467, 304, 327},
        {601, 607.48, 1.21, 323, 384}, {601, 604.53, 1.444, 176, 248},
        {601, 602.17, 1.21, 58, 118}, {601, 599.01, 1.266, 0, -1}, {601, 608.35, 2.77, 367, 398},
        {601, 602.27, 2.97, 63, 211}, {601, 607.23, 0.48, 311, 335},
        {601, 603.051, 0.23, 102, 113}, {601, 607.288, 0.43, 314, 335},
        {601, 604.27, 0.782, 163, 202},
    };
    char folder[64], lists[4096] = "";
    float *quiet = calloc(620 * 16000, sizeof(float));
    const struct data_settings x = plain(8.0, 6.0);
    struct data_folder d;
    struct clip clip;
    struct error err;

    assert_non_null(quiet);
    synthetic_folder(folder);
    snprintf(lists, sizeof(lists), "%s/x.flac", folder);
    synthetic_write(lists, quiet, 620 * 16000, 16000, 1, SF_FORMAT_FLAC | SF_FORMAT_PCM_16);
    free(quiet);
    assert_int_equal(clip_init(&clip, 8 * 16000, &err), 0);
    assert_int_equal(clip.n_frames, 399);
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        int first = 0, last = -1;
        if (rows[i].start < 0.0) // upstream's arithmetic allows it, RTTM does not
            continue;
        synthetic_text(folder, "wav.scp", "x x.flac\n");
        snprintf(lists, sizeof(lists), "SPEAKER x 1 %g %g <NA> <NA> A <NA> <NA>\n", rows[i].start,
                 rows[i].duration);
        synthetic_text(folder, "rttm", lists);
        must_open(&d, folder, &x, 1);
        must_get(&clip, &d, (uint64_t)((rows[i].chunk - 1.0) / 6.0));
        for (int f = clip.n_frames - 1; f >= 0; f--) {
            first = clip.labels[f * CLIP_MAX_SPEAKERS] ? f : first;
            last = last < 0 && clip.labels[f * CLIP_MAX_SPEAKERS] ? f : last;
        }
        if (first != rows[i].first || last != rows[i].last)
            check_fail("turn at %g s for %g s: frames %d to %d, should be %d to %d",
                       rows[i].start, rows[i].duration, first, last, rows[i].first,
                       rows[i].last);
        data_close(&d);
    }
    clip_release(&clip);
    synthetic_remove(folder);
}

/* Regions to chunks: from floor(start + 1), as many as end by floor(end - 1). */
static void test_chunks(void **state)
{
    static const double want[] = {1.0, 4.0, 7.0, 31.0, 34.0};
    const struct data_settings x = plain(5.0, 3.0);
    struct data_folder d;
    char folder[64];

    make_folder(folder, 60.0, 16000, 1, SF_FORMAT_WAV | SF_FORMAT_PCM_16, "x.wav");
    synthetic_text(folder, "wav.scp", "# lists may have comments\n\nx x.wav\n");
    synthetic_text(folder, "rttm", "SPEAKER x 1 2 3 <NA> <NA> A <NA> <NA>\n");
    synthetic_text(folder, "all.uem", "x 1 0.5 14.5\nx 1 30.2 40.9\n");
    must_open(&d, folder, &x, 1);
    assert_int_equal(d.source.epoch, 5);
    for (int i = 0; i < 5; i++)
        assert_true(d.chunks[i].start == want[i]);
    data_close(&d);
    synthetic_remove(folder);
}

/* A chunk's samples are those of the whole file, whatever its rate. */
static void test_audio_of_any_rate(void **state)
{
    static const struct {
        int rate, channels, format;
        const char *file;
    } files[] = {
        {16000, 1, SF_FORMAT_WAV | SF_FORMAT_PCM_16, "a b.wav"},
        {16000, 2, SF_FORMAT_FLAC | SF_FORMAT_PCM_16, "x.flac"},
        {8000, 1, SF_FORMAT_WAV | SF_FORMAT_FLOAT, "x.wav"},
        {44100, 2, SF_FORMAT_FLAC | SF_FORMAT_PCM_24, "x.flac"},
        {48000, 1, SF_FORMAT_OGG | SF_FORMAT_VORBIS, "x.ogg"},
    };
    const struct data_settings x = plain(5.0, 3.0);

    for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++) {
        struct data_folder d;
        struct clip clip;
        struct error err = {""};
        char folder[64], path[4096], line[4200];
        float *whole;
        size_t n;
        make_folder(folder, 14.0, files[i].rate, files[i].channels, files[i].format,
                    files[i].file);
        snprintf(line, sizeof(line), "x %s\n", files[i].file);
        synthetic_text(folder, "wav.scp", line);
        synthetic_text(folder, "rttm", "SPEAKER x 1 2 3 <NA> <NA> A <NA> <NA>\n");
        must_open(&d, folder, &x, 1);
        snprintf(path, sizeof(path), "%s/%s", folder, files[i].file);
        assert_int_equal(audio_file_read(&whole, &n, path, 1, &err), 0);
        assert_int_equal(clip_init(&clip, d.source.n_samples, &err), 0);
        assert_int_equal(d.source.epoch, 3);
        for (int k = 0; k < 3; k++) {
            must_get(&clip, &d, (uint64_t)k);
            check_close(files[i].file, clip.samples, whole + 16000 * (1 + 3 * k), 5 * 16000,
                        files[i].rate == 16000 ? 1e-7 : 5e-3);
        }
        free(whole);
        clip_release(&clip);
        data_close(&d);
        synthetic_remove(folder);
    }
}

static const char many[] =
    "SPEAKER x 1 1.0 4.0 <NA> <NA> D <NA> <NA>\nSPEAKER x 1 2.0 1.0 <NA> <NA> A <NA> <NA>\n"
    "SPEAKER x 1 2.5 2.0 <NA> <NA> C <NA> <NA>\nSPEAKER x 1 3.0 0.5 <NA> <NA> E <NA> <NA>\n"
    "SPEAKER x 1 1.5 3.0 <NA> <NA> B <NA> <NA>\nSPEAKER x 1 5.0 0.2 <NA> <NA> F <NA> <NA>\n"
    "SPKR-INFO x 1 <NA> <NA> <NA> unknown D <NA> <NA>\n";

/* The four who talk most, in that order, and who they are. */
static void test_most_talkative(void **state)
{
    static const char *const order[] = {"D", "B", "C", "A"};
    const struct data_settings x = plain(8.0, 8.0);
    struct data_folder d;
    struct clip clip;
    struct error err;
    char folder[64];

    make_folder(folder, 12.0, 16000, 1, SF_FORMAT_WAV | SF_FORMAT_PCM_16, "x.wav");
    synthetic_text(folder, "wav.scp", "x x.wav\n");
    synthetic_text(folder, "rttm", many);
    must_open(&d, folder, &x, 1);
    assert_int_equal(d.source.n_known, 3 * 6);
    assert_int_equal(clip_init(&clip, d.source.n_samples, &err), 0);
    must_get(&clip, &d, 0);
    assert_int_equal(clip.n_speakers, 4);
    for (int k = 0; k < 4; k++)
        assert_string_equal(d.lists.speakers[clip.speaker[k] / 3], order[k]);
    assert_int_equal(clip.speaker[4], -1);
    assert_non_null(strstr(clip.origin, "x from 1.00 s on"));
    clip_release(&clip);
    data_close(&d);
    synthetic_remove(folder);
}

/* Each chunk once an epoch; epochs and seeds differ; far too many numbers too. */
static void test_epochs(void **state)
{
    static const uint64_t sizes[] = {1, 2, 3, 7, 64, 65, 1000};
    uint64_t seed = check_seed();

    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        uint64_t n = sizes[i], same = 0;
        for (uint64_t epoch = 0; epoch < 3; epoch++) {
            char *seen = calloc(n, 1);
            for (uint64_t k = 0; k < n; k++) {
                uint64_t to = data_shuffled(k, n, seed, epoch);
                assert_true(to < n && !seen[to]);
                seen[to] = 1;
                same += to == data_shuffled(k, n, seed, epoch + 1);
            }
            free(seen);
        }
        assert_true(n < 64 || same < n / 4);
    }
    assert_true(data_shuffled(5, (uint64_t)1 << 40, seed, 0) < (uint64_t)1 << 40);
}

/* Changed clips are the same bits again, others than the plain ones, finite,
 * never silent, and some are of another voice; labels follow the speed. */
static void test_changes(void **state)
{
    struct data_settings x = data_defaults;
    struct data_folder d, twin;
    struct clip clip, again;
    struct error err;
    int speeds[3] = {0};
    char folder[64];

    make_folder(folder, 40.0, 16000, 1, SF_FORMAT_WAV | SF_FORMAT_PCM_16, "x.wav");
    synthetic_text(folder, "wav.scp", "x x.wav\n");
    synthetic_text(folder, "rttm", "SPEAKER x 1 0 40 <NA> <NA> A <NA> <NA>\n");
    x.augment = 0.9f;
    x.p_speed = x.p_room = 0.6f;
    x.chunk = 6.0;
    x.shift = 4.0;
    must_open(&d, folder, &x, 9);
    must_open(&twin, folder, &x, 9);
    assert_int_equal(clip_init(&clip, d.source.n_samples, &err), 0);
    assert_int_equal(clip_init(&again, d.source.n_samples, &err), 0);
    for (uint64_t i = 0; i < 60; i++) {
        double quiet = 1.0;
        must_get(&clip, &d, i);
        must_get(&again, &twin, 59 - i);
        must_get(&again, &twin, i);
        assert_memory_equal(clip.samples, again.samples, (size_t)clip.n_samples * sizeof(float));
        assert_string_equal(clip.origin, again.origin);
        assert_int_equal(clip.n_speakers, 1);
        speeds[clip.speaker[0] % 3]++;
        for (int f = 0; f < clip.n_frames; f++)
            assert_int_equal(clip.labels[f * CLIP_MAX_SPEAKERS], 1);
        for (int64_t at = 0; at < clip.n_samples; at += 800) {
            double power = 0.0;
            for (int n = 0; n < 800; n++)
                power += (double)clip.samples[at + n] * clip.samples[at + n] / 800.0;
            assert_true(isfinite(power));
            quiet = power < quiet ? power : quiet;
        }
        assert_true(sqrt(quiet) > 0.4e-4);
    }
    assert_true(speeds[0] > 5 && speeds[1] > 5 && speeds[2] > 5);
    clip_release(&clip);
    clip_release(&again);
    d.source.close(&d.source);
    data_close(&twin);
    synthetic_remove(folder);
}

static void test_bad_lists(void **state)
{
    static const char turn[] = "SPEAKER x 1 2 3 <NA> <NA> A <NA> <NA>\n", good[] = "x x.wav\n";
    static const struct {
        const char *scp, *rttm, *uem, *words;
    } bad[] = {
        {NULL, turn, NULL, "wav.scp: "},
        {"", turn, NULL, "wav.scp: no recording in it"},
        {"x\n", turn, NULL, "wav.scp: line 1: only \"x\""},
        {"x none.wav\n", turn, NULL, "wav.scp: line 1: none.wav: cannot be read"},
        {"\nx x.wav\ny rttm\n", turn, NULL, "wav.scp: line 3: "},
        {"x sox a.wav -t wav - |\n", turn, NULL, "wav.scp: line 1: a command instead"},
        {"x x.wav\ny x.wav\nx x.wav\n", turn, NULL, "line 3: recording \"x\" was in line 1"},
        {good, NULL, NULL, "rttm: "},
        {good, "SPEAKER y 1 2 3 <NA> <NA> A <NA> <NA>\n", NULL,
         "rttm: line 1: recording \"y\" is not in wav.scp"},
        {good, "\nSPEAKER x 1 2 -3 <NA> <NA> A <NA> <NA>\n", NULL, "rttm: line 2: duration"},
        {good, "SPEAKER x 1 2\n", NULL, "rttm: line 1: "},
        {good, "SPEAKER x 1 40 3 <NA> <NA> A <NA> <NA>\n", NULL, "rttm: line 1: a turn at 40"},
        {good, turn, "y 1 0 10\n", "all.uem: line 1: recording \"y\" is not in wav.scp"},
        {good, turn, "x 1 0 10\nx 1 12 31\n", "all.uem: line 2: ends at 31.00 s, but the audio"},
        {good, turn, "x 1 9 9\n", "all.uem: line 1: ends at 9 s"},
        {good, turn, "x 1 0 20\nx 1 0 9\n", "all.uem: line 2: the 9.00 s of x are too short"},
        {good, turn, "", "all.uem: no region in it"},
        {"x short.wav\n", "", NULL, "wav.scp: line 1: the 2.00 s of x are too short"},
    };
    char folder[64], path[4096];

    make_folder(folder, 20.0, 16000, 1, SF_FORMAT_WAV | SF_FORMAT_PCM_16, "x.wav");
    snprintf(path, sizeof(path), "%s/short.wav", folder);
    synthetic_file(path, 2.0, 16000, 1, SF_FORMAT_WAV | SF_FORMAT_PCM_16, 1);
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        const char *const names[] = {"wav.scp", "rttm", "all.uem"};
        const char *const texts[] = {bad[i].scp, bad[i].rttm, bad[i].uem};
        const struct data_settings x = plain(8.0, 6.0);
        struct data_folder d;
        struct error err = {""};
        for (int k = 0; k < 3; k++) {
            snprintf(path, sizeof(path), "%s/%s", folder, names[k]);
            unlink(path);
            if (texts[k])
                synthetic_text(folder, names[k], texts[k]);
        }
        if (data_open(&d, folder, &x, NULL, NULL, 1, &err) == 0)
            check_fail("taken, but should say: %s", bad[i].words);
        if (!strstr(err.text, bad[i].words) || strchr(err.text, '\n'))
            check_fail("says \"%s\" without \"%s\"", err.text, bad[i].words);
        data_close(&d); // nothing
    }
    synthetic_remove(folder);
}

/* Lists with bytes changed at random are read, or refused in one line. */
static void test_broken_lists(void **state)
{
    static const char *const names[] = {"wav.scp", "rttm", "all.uem"};
    static const char *const good[] = {"x x.wav\ny x.wav\n", many, "x 1 0 12\ny 1 0 11.5\n"};
    const struct data_settings x = plain(8.0, 6.0);
    struct random rng;
    int taken = 0, refused = 0;
    char folder[64];

    random_init(&rng, check_seed());
    make_folder(folder, 12.0, 16000, 1, SF_FORMAT_WAV | SF_FORMAT_PCM_16, "x.wav");
    for (int i = 0; i < 400; i++) {
        struct data_folder d;
        struct error err = {""};
        for (int k = 0; k < 3; k++) {
            char text[1024];
            snprintf(text, sizeof(text), "%s", good[k]);
            for (int m = 0; m < i % 4; m++)
                text[random_bits(&rng) % strlen(good[k])] = (char)(random_bits(&rng) % 255 + 1);
            synthetic_text(folder, names[k], text);
        }
        if (data_open(&d, folder, &x, NULL, NULL, 1, &err) == 0) {
            taken++;
            data_close(&d);
        } else {
            refused++;
            assert_true(err.text[0] && !strchr(err.text, '\n'));
        }
    }
    assert_true(taken >= 100 && refused > 20);
    synthetic_remove(folder);
}

/* A file that is cut short after its header was read says so when it is met. */
static void test_audio_that_goes_away(void **state)
{
    const struct data_settings x = plain(8.0, 6.0);
    struct data_folder d;
    struct clip clip;
    struct error err = {""};
    char folder[64], path[4096];

    make_folder(folder, 20.0, 16000, 1, SF_FORMAT_WAV | SF_FORMAT_PCM_16, "x.wav");
    synthetic_text(folder, "wav.scp", "x x.wav\n");
    synthetic_text(folder, "rttm", "");
    must_open(&d, folder, &x, 1);
    assert_int_equal(clip_init(&clip, d.source.n_samples, &err), 0);
    must_get(&clip, &d, 1);
    assert_int_equal(clip.n_speakers, 0);
    snprintf(path, sizeof(path), "%s/x.wav", folder);
    assert_int_equal(truncate(path, 44 + 2 * 16000 * 10), 0);
    assert_int_equal(d.source.get(&clip, &d.source, 1, &err), -1);
    assert_non_null(strstr(err.text, "x.wav: "));
    assert_int_equal(unlink(path), 0);
    assert_int_equal(d.source.get(&clip, &d.source, 0, &err), -1);
    assert_non_null(strstr(err.text, "cannot be read"));
    clip_release(&clip);
    data_close(&d);
    synthetic_remove(folder);
}

/* More speakers than a table begins with, each mentioned twice. */
static void test_many_speakers(void **state)
{
    enum { PEOPLE = 500 };
    static char lists[2 * PEOPLE * 64];
    const struct data_settings x = plain(8.0, 6.0);
    struct data_folder d;
    char folder[64], name[20];
    size_t n = 0;

    for (int i = 0; i < 2 * PEOPLE; i++)
        n += (size_t)snprintf(lists + n, sizeof(lists) - n,
                              "SPEAKER x 1 %.2f 0.01 <NA> <NA> p%d <NA> <NA>\n", 0.02 * i,
                              (i * 7) % PEOPLE);
    make_folder(folder, 2.0 * PEOPLE * 0.02 + 1.0, 16000, 1, SF_FORMAT_WAV | SF_FORMAT_PCM_16,
                "x.wav");
    synthetic_text(folder, "wav.scp", "x x.wav\n");
    synthetic_text(folder, "rttm", lists);
    must_open(&d, folder, &x, 1);
    assert_int_equal(d.lists.n_speakers, PEOPLE);
    for (int i = 0; i < 2 * PEOPLE; i++) {
        int number = d.lists.recordings[0].turns[i].speaker;
        assert_int_equal(number, i % PEOPLE); // the order of mention
        snprintf(name, sizeof(name), "p%d", (i * 7) % PEOPLE);
        assert_string_equal(d.lists.speakers[number], name);
    }
    data_close(&d);
    synthetic_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_labels_as_upstream), cmocka_unit_test(test_chunks),
        cmocka_unit_test(test_audio_of_any_rate), cmocka_unit_test(test_most_talkative),
        cmocka_unit_test(test_epochs), cmocka_unit_test(test_changes),
        cmocka_unit_test(test_bad_lists), cmocka_unit_test(test_broken_lists),
        cmocka_unit_test(test_audio_that_goes_away), cmocka_unit_test(test_many_speakers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
