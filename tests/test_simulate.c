// SPDX-License-Identifier: MIT
/* Simulated clips and meetings: the same bits whoever asks, labels that agree
 * with what is heard, voices, levels. */
#include "tests/check.h"
#include "tests/synthetic_bank.h"

#include "prune/activity.h"
#include "prune/simulate.h"

#include <pthread.h>

static void begin(struct simulation *s, const struct simulate_settings *settings, double seconds,
                  uint64_t seed)
{
    struct error err = {""};

    if (simulation_open(s, &bank, NULL, NULL, settings, seconds, seed, &err))
        check_fail("%s", err.text);
}

struct asked {
    struct simulation *s;
    struct clip clip[12];
    int backwards;
};

static void *ask(void *arg)
{
    struct asked *a = arg;
    struct error err;

    for (int i = 0; i < 12; i++) {
        int k = a->backwards ? 11 - i : i;
        if (a->s->source.get(&a->clip[k], &a->s->source, (uint64_t)k, &err))
            return arg;
    }
    return NULL;
}

/* Four threads in two orders at once, and a simulation opened anew. */
static void test_same_bits(void **state)
{
    struct simulation s[2];
    struct asked a[4];
    pthread_t thread[4];
    struct error err;

    begin(&s[0], &simulate_defaults, 8.0, 3);
    begin(&s[1], &simulate_defaults, 8.0, 3);
    for (int i = 0; i < 4; i++) {
        a[i].s = &s[i / 3];
        a[i].backwards = i & 1;
        for (int k = 0; k < 12; k++)
            assert_int_equal(clip_init(&a[i].clip[k], s[0].source.n_samples, &err), 0);
        assert_int_equal(pthread_create(&thread[i], NULL, ask, &a[i]), 0);
    }
    for (int i = 0; i < 4; i++) {
        void *failed;
        pthread_join(thread[i], &failed);
        assert_null(failed);
    }
    for (int k = 0; k < 12; k++) {
        struct clip *want = &a[0].clip[k];
        for (int i = 1; i < 4; i++) {
            assert_memory_equal(a[i].clip[k].samples, want->samples, 8 * 16000 * sizeof(float));
            assert_memory_equal(a[i].clip[k].labels, want->labels,
                                (size_t)want->n_frames * CLIP_MAX_SPEAKERS);
            assert_memory_equal(a[i].clip[k].speaker, want->speaker, sizeof(want->speaker));
        }
        assert_true(k == 0 || memcmp(want->samples, want[-1].samples, 4000) != 0);
    }
    for (int i = 0; i < 4; i++) {
        for (int k = 0; k < 12; k++)
            clip_release(&a[i].clip[k]);
    }
    simulation_close(&s[0]);
    s[1].source.close(&s[1].source);
}

/* Without rooms, noise and bridges it is loud where labels say so, two frames
 * from their edges, and there is only dither 100 ms away from speech. */
static void test_labels_against_energy(void **state)
{
    struct simulate_settings settings = simulate_defaults;
    struct simulation s;
    struct clip clip;
    struct error err;
    int frames = 0, wrong = 0, spoken = 0;

    settings.bridge = 0.0f;
    settings.p_close = 1.0f;
    settings.level_sd = settings.turn_sd = settings.aside_db = 0.0f;
    settings.channel = (struct channel_settings){.level_low = -20.0f, .level_high = -20.0f};
    settings.body = (struct body_settings){0}; // heard, but not labelled
    begin(&s, &settings, 20.0, check_seed());
    assert_int_equal(clip_init(&clip, s.source.n_samples, &err), 0);
    for (int i = 0; i < 25; i++) {
        assert_int_equal(s.source.get(&clip, &s.source, (uint64_t)i, &err), 0);
        for (int f = 5; f < clip.n_frames - 5; f++) {
            int now = 0, near = 0, inside = 0;
            double energy = 0.0;
            for (int k = 0; k < clip.n_speakers; k++) {
                int around = 0;
                now |= clip.labels[f * CLIP_MAX_SPEAKERS + k];
                for (int d = -5; d <= 5; d++) {
                    near |= clip.labels[(f + d) * CLIP_MAX_SPEAKERS + k];
                    around += d >= -2 && d <= 2 && clip.labels[(f + d) * CLIP_MAX_SPEAKERS + k];
                }
                inside |= around == 5;
            }
            for (int n = 320 * f + 120; n < 320 * f + 280; n++)
                energy += (double)clip.samples[n] * clip.samples[n] / 160.0;
            double db = 10.0 * log10(energy);
            frames++;
            spoken += now;
            wrong += (inside && db < -45.0) || (!near && db > -65.0);
        }
    }
    print_message("%d frames, %d with speech, %d wrong\n", frames, spoken, wrong);
    assert_true(spoken > frames / 3 && spoken < frames);
    assert_true(wrong < frames / 500);
    clip_release(&clip);
    simulation_close(&s);
}

/* Columns by talkativeness, voices of the bank, levels and dither in their bounds. */
static void test_clips(void **state)
{
    struct simulate_settings settings = simulate_defaults;
    struct simulation s;
    struct clip clip;
    struct error err;
    int n_voices[5] = {0}, speed[5] = {0};

    settings.p_nobody = 0.2f;
    begin(&s, &settings, 8.0, check_seed());
    assert_int_equal(s.source.n_known, 5 * SPEAKERS);
    assert_int_equal(clip_init(&clip, s.source.n_samples, &err), 0);
    for (int i = 0; i < 120; i++) {
        int last = clip.n_frames;
        double quietest = 1.0;
        assert_int_equal(s.source.get(&clip, &s.source, (uint64_t)i, &err), 0);
        assert_true(clip.n_speakers <= 4);
        n_voices[clip.n_speakers]++;
        for (int k = 0; k < CLIP_MAX_SPEAKERS; k++) {
            int count = 0;
            for (int f = 0; f < clip.n_frames; f++)
                count += clip.labels[f * CLIP_MAX_SPEAKERS + k];
            assert_true(count <= last && (k < clip.n_speakers) == (count > 0));
            assert_true(k >= clip.n_speakers ? clip.speaker[k] == -1
                                             : clip.speaker[k] < s.source.n_known);
            for (int m = 0; m < k && k < clip.n_speakers; m++)
                assert_true(clip.speaker[m] / 5 != clip.speaker[k] / 5);
            if (k < clip.n_speakers)
                speed[clip.speaker[k] % 5]++;
            last = count;
        }
        for (int64_t at = 0; at < clip.n_samples; at += 800) {
            double power = 0.0;
            for (int n = 0; n < 800; n++) {
                assert_true(isfinite(clip.samples[at + n]) && fabsf(clip.samples[at + n]) < 1.01f);
                power += (double)clip.samples[at + n] * clip.samples[at + n] / 800.0;
            }
            quietest = power < quietest ? power : quietest;
        }
        assert_true(sqrt(quietest) > 0.4e-4); // nowhere digital silence
    }
    assert_true(n_voices[0] > 5 && n_voices[1] > 5 && n_voices[2] > 5);
    for (int k = 0; k < 5; k++)
        assert_true(speed[k] > 10);
    clip_release(&clip);
    simulation_close(&s);
}

/* Other vocal tracts are other voices of the same speaker. */
static void test_tracts(void **state)
{
    struct simulate_settings settings = simulate_defaults;
    struct simulation s;
    struct clip clip, again;
    struct error err;
    int tract[VOICE_TRACTS] = {0};
    char name[128];

    settings.p_nobody = settings.p_sparse = 0.0f;
    settings.tracts = VOICE_TRACTS;
    begin(&s, &settings, 4.0, check_seed());
    assert_int_equal(s.source.n_known, 5 * VOICE_TRACTS * SPEAKERS);
    assert_int_equal(clip_init(&clip, s.source.n_samples, &err), 0);
    assert_int_equal(clip_init(&again, s.source.n_samples, &err), 0);
    for (int i = 0; i < 40; i++) {
        assert_int_equal(s.source.get(&clip, &s.source, (uint64_t)i, &err), 0);
        assert_int_equal(s.source.get(&again, &s.source, (uint64_t)i, &err), 0);
        assert_memory_equal(clip.samples, again.samples, (size_t)clip.n_samples * sizeof(float));
        for (int64_t at = 0; at < clip.n_samples; at++)
            assert_true(isfinite(clip.samples[at]) && fabsf(clip.samples[at]) < 1.01f);
        for (int k = 0; k < clip.n_speakers; k++) {
            int voice = clip.speaker[k], speaker = voice_speaker(&s.filters, voice);
            assert_true(voice >= 0 && voice < s.source.n_known && speaker < SPEAKERS);
            for (int m = 0; m < k; m++)
                assert_true(voice_speaker(&s.filters, clip.speaker[m]) != speaker);
            tract[voice_tract(&s.filters, voice)]++;
        }
    }
    for (int k = 0; k < VOICE_TRACTS; k++)
        assert_true(tract[k] > 5);
    simulation_voice_name(name, &s, 15 + 5 + 1);
    assert_string_equal(name, "1-s01@0.9~0.91");
    simulation_voice_name(name, &s, 15 + 10);
    assert_string_equal(name, "1-s01~1.1");
    clip_release(&clip);
    clip_release(&again);
    simulation_close(&s);
}

/* Turns sound otherwise where speakers vary, each time the same; there is about as much speech. */
static void check_varied(float manner, float colour)
{
    struct simulate_settings settings = simulate_defaults;
    struct simulation plain, varied;
    struct clip a, b;
    struct error err;
    int64_t spoken[2] = {0};

    settings.p_nobody = settings.p_sparse = 0.0f;
    begin(&plain, &settings, 4.0, check_seed());
    settings.manner = manner;
    settings.colour = colour;
    begin(&varied, &settings, 4.0, check_seed());
    assert_int_equal(clip_init(&a, plain.source.n_samples, &err), 0);
    assert_int_equal(clip_init(&b, plain.source.n_samples, &err), 0);
    for (uint64_t i = 0; i < 40; i++) {
        assert_int_equal(plain.source.get(&a, &plain.source, i, &err), 0);
        assert_int_equal(varied.source.get(&b, &varied.source, i, &err), 0);
        if (a.n_speakers > 0 && memcmp(a.samples, b.samples, (size_t)a.n_samples * sizeof(float)) == 0)
            check_fail("clip %d is the same when speakers vary", (int)i);
        for (int k = 0; k < a.n_frames * CLIP_MAX_SPEAKERS; k++) {
            spoken[0] += a.labels[k];
            spoken[1] += b.labels[k];
        }
        for (int64_t k = 0; k < b.n_samples; k++)
            assert_true(isfinite(b.samples[k]) && fabsf(b.samples[k]) < 1.01f);
        assert_int_equal(varied.source.get(&a, &varied.source, i, &err), 0);
        assert_memory_equal(a.samples, b.samples, (size_t)a.n_samples * sizeof(float));
    }
    if (!(llabs(spoken[1] - spoken[0]) < spoken[0] / 5))
        check_fail("%lld frames of speech became %lld", (long long)spoken[0], (long long)spoken[1]);
    clip_release(&a);
    clip_release(&b);
    simulation_close(&plain);
    simulation_close(&varied);
}

static void test_manner(void **state)
{
    check_varied(10.0f, 0.0f);
    check_varied(0.0f, 4.0f);
}

/* Clips of one meeting are one long clip's parts, sound and labels. */
static void test_excerpts(void **state)
{
    enum { N = 3, FRAMES = 200 }; // of 4 s
    struct simulate_settings settings = simulate_defaults;
    struct simulation whole, parts;
    struct clip all, part;
    struct error err;

    settings.p_nobody = settings.p_sparse = 0.0f;
    begin(&whole, &settings, 4.0 * N, check_seed());
    settings.excerpts = N;
    begin(&parts, &settings, 4.0, check_seed());
    assert_int_equal(clip_excerpts(&whole.source), 1);
    assert_int_equal(clip_excerpts(&parts.source), N);
    assert_int_equal(clip_init(&all, whole.source.n_samples, &err), 0);
    assert_int_equal(clip_init(&part, parts.source.n_samples, &err), 0);
    for (uint64_t i = 0; i < 5 * N; i++) {
        size_t at = (size_t)(i % N);
        assert_int_equal(whole.source.get(&all, &whole.source, i / N, &err), 0);
        assert_int_equal(parts.source.get(&part, &parts.source, i, &err), 0);
        assert_memory_equal(part.samples, all.samples + at * (size_t)part.n_samples,
                            (size_t)part.n_samples * sizeof(float));
        for (int k = 0; k < part.n_speakers; k++) {
            int column = 0;
            while (column < all.n_speakers && all.speaker[column] != part.speaker[k])
                column++;
            assert_true(column < all.n_speakers);
            for (size_t f = 0; f < (size_t)part.n_frames; f++)
                assert_int_equal(part.labels[f * CLIP_MAX_SPEAKERS + (size_t)k],
                                 all.labels[(at * FRAMES + f) * CLIP_MAX_SPEAKERS + (size_t)column]);
        }
    }
    clip_release(&all);
    clip_release(&part);
    simulation_close(&whole);
    simulation_close(&parts);
}

/* A sine, slower and faster, is a sine of the other pitch. */
static void test_speeds(void **state)
{
    enum { N = 8000 };
    static float x[N], y[N];
    static struct voice_filters f;
    struct error err = {""};

    for (int i = 0; i < N; i++)
        x[i] = (float)sin(6.283185307179586 * 1000.0 * i / 16000.0);
    for (int k = 0; k < 1 + 3 + 5 + 7; k++) {
        int n = k < 1 ? 1 : k < 4 ? 3 : k < 9 ? 5 : 7, speed = k < 1 ? 0 : k - (n - 1) * (n - 1) / 4;
        double worst = 0.0;
        assert_int_equal(voice_filters_open(&f, n, 1, &err), 0);
        double ratio = f.percent[speed] / 100.0;
        assert_true((speed == 0) == (ratio == 1.0) && ratio >= 0.8 && ratio <= 1.25);
        voice_resample(y, N, x, N, f.percent[speed], &f);
        for (int i = 100; i < 6000; i++) {
            double want = sin(6.283185307179586 * 1000.0 * ratio * i / 16000.0);
            worst = fabs(y[i] - want) > worst ? fabs(y[i] - want) : worst;
        }
        if (worst > 3e-3)
            check_fail("%d voices: speed %g is off by %g", n, ratio, worst);
        voice_filters_close(&f);
    }
    assert_int_equal(voice_filters_open(&f, 2, 1, &err), -1);
    assert_non_null(strstr(err.text, "1, 3, 5 or 7"));
    assert_int_equal(voice_filters_open(&f, 3, 2, &err), -1);
    assert_non_null(strstr(err.text, "expected 1 or 3"));
}

static void test_meeting(void **state)
{
    struct simulate_settings settings = simulate_defaults;
    struct simulated m, again;
    struct simulation s;
    struct error err;
    char name[128];

    settings.min_speakers = 3;
    settings.p_nobody = settings.p_sparse = 0.0f;
    begin(&s, &settings, 8.0, 5);
    assert_int_equal(simulation_meeting(&m, &s, 2, 300.0, &err), 0);
    assert_int_equal(simulation_meeting(&again, &s, 2, 300.0, &err), 0);
    assert_int_equal(m.n, 300 * 16000);
    assert_memory_equal(m.samples, again.samples, (size_t)m.n * sizeof(float));
    assert_int_equal(m.n_turns, again.n_turns);
    assert_true(m.n_turns > 20 && m.n_speakers >= 2 && m.n_speakers <= 4);
    for (int i = 0; i < m.n_turns; i++) {
        const struct simulated_turn *t = &m.turns[i];
        assert_true(t->start >= 0.0 && t->end > t->start && t->end <= 300.0);
        assert_true(i == 0 || t->start >= t[-1].start);
        for (int k = i + 1; k < m.n_turns; k++) // pauses shorter than the bridge are gone
            assert_true(m.turns[k].voice != t->voice ||
                        m.turns[k].start - t->end >= settings.bridge - 0.011);
    }
    simulation_voice_name(name, &s, 5);
    assert_string_equal(name, "1-s01");
    simulation_voice_name(name, &s, 9);
    assert_string_equal(name, "1-s01@1.22");
    simulated_release(&m);
    simulated_release(&again);
    assert_int_equal(simulation_meeting(&m, &s, 2, 0.5, &err), -1);
    simulation_close(&s);
}

/* One voice each: as recorded. Labels and numbers are those of other settings. */
static void test_one_voice(void **state)
{
    struct simulate_settings settings = simulate_defaults;
    struct simulation s;
    struct clip clip;
    struct error err;
    char name[128];

    settings.voices = 1;
    begin(&s, &settings, 8.0, check_seed());
    assert_int_equal(s.source.n_known, SPEAKERS);
    assert_int_equal(clip_init(&clip, s.source.n_samples, &err), 0);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(s.source.get(&clip, &s.source, (uint64_t)i, &err), 0);
        for (int k = 0; k < clip.n_speakers; k++) {
            simulation_voice_name(name, &s, clip.speaker[k]);
            assert_null(strchr(name, '@'));
        }
    }
    clip_release(&clip);
    simulation_close(&s);
    settings.voices = 4;
    assert_int_equal(simulation_open(&s, &bank, NULL, NULL, &settings, 8.0, 1, &err), -1);
    assert_non_null(strstr(err.text, "4 voices"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_bits), cmocka_unit_test(test_labels_against_energy),
        cmocka_unit_test(test_clips), cmocka_unit_test(test_tracts), cmocka_unit_test(test_speeds),
        cmocka_unit_test(test_meeting), cmocka_unit_test(test_one_voice),
        cmocka_unit_test(test_manner), cmocka_unit_test(test_excerpts),
    };

    return cmocka_run_group_tests(tests, open_bank, close_bank);
}
