// SPDX-License-Identifier: MIT
/* cmd_simulate.c - `simulate`: meetings from recordings of one person each. */
#include "cli/command.h"
#include "cli/options.h"
#include "cli/progress.h"
#include "prune/simulate_folder.h"
#include "stream/rttm.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const struct usage usage = {
    "",
    "Makes meetings of people who never met from recordings of one person each: a data folder\n"
    "(wav.scp, rttm, all.uem) to train on or to score on. The speaker of a recording is the\n"
    "folder above it, at any depth; any format and rate. Turn-taking is AMI's, or that of the\n"
    "meetings you give with --like. The same seed gives the same bits.\n\n"
    "  antiphon simulate --speech libri/ --noise musan/ -o sim --meetings 20 --minutes 10\n"
    "  antiphon simulate --like ref.rttm --uem ref.uem --fit",
};

struct arguments {
    const char *speech, *noise, *rir, *output, *format, *like, *uem;
    int meetings, min_speakers, max_speakers, voices, tracts, threads, fit;
    long long seed;
    double minutes, overlap, manner, colour, blows;
};

/* What the simulation is to resemble. */
struct target {
    const char *name;
    struct turn_model model;
    struct turn_stats stats;
};

static int read_target(struct target *t, const struct arguments *a, struct error *err)
{
    struct turns ref = {0}, uem = {0};
    int status;

    *t = (struct target){"AMI", turn_model_ami, turn_stats_ami};
    if (!a->like)
        return 0;
    t->name = "--like";
    status = turns_read(&ref, a->like, err);
    if (status == 0 && a->uem)
        status = uem_read(&uem, a->uem, err);
    if (status == 0) {
        status = turn_model_fit(&t->model, &ref, err) ||
                 turn_stats_of(&t->stats, &ref, a->uem ? &uem : NULL, err) ? -1 : 0;
        if (status)
            fail_prefix(err, "%s: ", a->like);
    }
    turns_release(&ref);
    turns_release(&uem);
    return status;
}

static void print_table(const char *name, const struct quantiles *q)
{
    printf("%-10s", name);
    for (int i = 0; i < QUANTILES; i++)
        printf(" %7.2f", q->at[i]);
    putchar('\n');
}

static void print_fit(const struct turn_model *m)
{
    printf("%-10s", "share");
    for (int i = 0; i < QUANTILES; i++)
        printf(" %7.2f", quantile_shares[i]);
    putchar('\n');
    print_table("turn", &m->turn);
    print_table("change", &m->change);
    print_table("same", &m->same);
    print_table("aside", &m->aside);
    printf("\np_same %.3f  p_return %.3f  asides_per_s %.4f  talk_sd %.3f\n", m->p_same,
           m->p_return, m->asides_per_s, m->talk_sd);
}

static double percent(double part, double whole)
{
    return whole > 0.0 ? 100.0 * part / whole : 0.0;
}

static void print_row(const char *what, const char *format, double simulated, double target)
{
    printf("%-34s ", what);
    printf(format, simulated);
    printf("  ");
    printf(format, target);
    putchar('\n');
}

static void print_stats(const struct turn_stats *s, const struct target *t)
{
    const struct turn_stats *g = &t->stats;
    static const char *const quartiles[] = {"1st quartile", "median", "3rd quartile"};
    char what[64];

    printf("%-34s %10s  %10s\n", "", "simulated", t->name);
    print_row("recordings", "%10.0f", s->n_recordings, g->n_recordings);
    print_row("minutes", "%10.1f", s->seconds / 60.0, g->seconds / 60.0);
    print_row("speakers in a recording, mean", "%10.2f", s->speakers, g->speakers);
    print_row("silence, % of the time", "%10.1f", percent(s->seconds - s->speech, s->seconds),
              percent(g->seconds - g->speech, g->seconds));
    print_row("overlap, % of the speech", "%10.1f", percent(s->overlap, s->speech),
              percent(g->overlap, g->speech));
    print_row("turns a minute", "%10.1f", s->turns_per_minute, g->turns_per_minute);
    for (int i = 0; i < 3; i++) {
        snprintf(what, sizeof(what), "turn length, %s, s", quartiles[i]);
        print_row(what, "%10.2f", s->turn[i], g->turn[i]);
    }
    for (int i = 0; i < 3; i++) {
        snprintf(what, sizeof(what), "gap at a change, %s, s", quartiles[i]);
        print_row(what, "%10.2f", s->gap[i], g->gap[i]);
    }
}

static void show_progress(void *context, double seconds)
{
    progress_at(context, seconds);
}

struct banks {
    struct speech_bank speech;
    struct sound_bank noise, rooms;
};

static int open_banks(struct banks *b, const struct arguments *a, struct error *err)
{
    if (speech_bank_open(&b->speech, a->speech, a->threads, err))
        return -1;
    if (a->noise && sound_bank_open_noise(&b->noise, a->noise, a->threads, err))
        return -1;
    return a->rir ? sound_bank_open_responses(&b->rooms, a->rir, a->threads, err) : 0;
}

static void say_what_is_there(const struct banks *b)
{
    fprintf(stderr, "%d speakers, %.1f minutes of speech in %d pieces; %d noises, %d rooms",
            b->speech.n_speakers, b->speech.seconds / 60.0, b->speech.n_pieces, b->noise.n,
            b->rooms.n);
    if (b->speech.n_silent)
        fprintf(stderr, "; %d files without speech left out", b->speech.n_silent);
    fputc('\n', stderr);
}

static int write_folder(struct simulation *s, const struct folder_settings *f,
                        const struct target *target, struct error *err)
{
    struct turns turns = {0}, uem = {0};
    struct turn_stats stats;
    struct progress bar;
    int status;

    progress_begin(&bar, "simulating", "s", f->seconds * f->n_meetings);
    status = simulate_folder_write(s, f, &turns, &uem, show_progress, &bar, err);
    progress_end(&bar);
    if (status == 0 && turn_stats_of(&stats, &turns, &uem, err) == 0)
        print_stats(&stats, target);
    else if (status == 0) // the meetings are there all the same
        fprintf(stderr, "antiphon simulate: no statistics: %s\n", err->text);
    turns_release(&turns);
    turns_release(&uem);
    return status;
}

static struct folder_settings folder_of(const struct arguments *a)
{
    return (struct folder_settings){a->output, a->format, a->meetings, a->threads,
                                    60.0 * a->minutes};
}

static int simulate(const struct arguments *a, struct error *err)
{
    struct simulate_settings settings = simulate_defaults;
    const struct folder_settings f = folder_of(a);
    struct banks b = {0};
    struct simulation s = {0};
    struct target target;
    int status = read_target(&target, a, err);

    if (status == 0 && a->fit) {
        print_fit(&target.model);
        return STATUS_DONE;
    }
    settings.min_speakers = a->min_speakers;
    settings.max_speakers = a->max_speakers;
    settings.p_nobody = settings.p_sparse = 0.0f; // statistics are to be the target's
    settings.voices = a->voices;
    settings.tracts = a->tracts;
    settings.manner = (float)a->manner;
    settings.colour = (float)a->colour;
    settings.body.blows = (float)a->blows;
    settings.turns.model = &target.model;
    if (status == 0)
        status = simulate_folder_check_place(&f, err) || open_banks(&b, a, err) ? -1 : 0;
    if (status == 0) {
        say_what_is_there(&b);
        if (a->overlap >= 0.0)
            status = turn_overlap_for(&settings.turns, a->overlap / 100.0, a->min_speakers,
                                      a->max_speakers, f.seconds, err);
    }
    if (status == 0)
        status = simulation_open(&s, &b.speech, &b.noise, &b.rooms, &settings, f.seconds,
                                 (uint64_t)a->seed, err);
    if (status == 0)
        status = write_folder(&s, &f, &target, err);
    simulation_close(&s);
    speech_bank_close(&b.speech);
    sound_bank_close(&b.noise);
    sound_bank_close(&b.rooms);
    return status ? STATUS_FAILED : STATUS_DONE;
}

static int check_arguments(const struct arguments *a, struct error *err)
{
    if (a->uem && !a->like)
        return fail(err, "--uem goes with --like");
    if (a->fit && !a->like)
        return fail(err, "--fit wants --like FILE, the turns to fit to");
    if (!a->fit && (!a->speech || !a->output))
        return fail(err, "wants --speech DIR and -o DIR; see `antiphon help simulate`");
    if (a->min_speakers < 1 || a->max_speakers < a->min_speakers ||
        a->max_speakers > TURN_SPEAKERS)
        return fail(err, "--min-speakers %d, --max-speakers %d: should be 1 to %d, the least "
                    "first", a->min_speakers, a->max_speakers, TURN_SPEAKERS);
    if (!(a->overlap < 0.0) && !(a->overlap >= 0.0 && a->overlap <= 60.0))
        return fail(err, "--overlap %g: should be 0 to 60 percent of the speech", a->overlap);
    if (a->overlap > 0.0 && a->max_speakers < 2)
        return fail(err, "--overlap %g wants more than one speaker", a->overlap);
    if (!(a->manner >= 0.0 && a->manner <= 20.0))
        return fail(err, "--manner %g: should be 0 to 20 percent of the pitch", a->manner);
    if (!(a->colour >= 0.0 && a->colour <= 20.0))
        return fail(err, "--colour %g: should be 0 to 20 dB", a->colour);
    if (!(a->blows >= 0.0 && a->blows <= 60.0))
        return fail(err, "--blows %g: should be 0 to 60 a minute", a->blows);
    if (a->threads < 1 || a->threads > 64)
        return fail(err, "--threads %d: should be 1 to 64", a->threads);
    if (a->seed < 0)
        return fail(err, "--seed %lld: should not be negative", a->seed);
    const struct folder_settings f = folder_of(a);
    return a->fit ? 0 : simulate_folder_check(&f, err);
}

int cmd_simulate(int argc, const char **argv, struct error *err)
{
    struct arguments a = {.format = "flac", .meetings = 10, .min_speakers = 1, .max_speakers = 4, .voices = 5,
                          .tracts = 1, .threads = options_processors(64), .minutes = 5.0, .overlap = -1.0};
    const struct poptOption table[] = {
        {"speech", 0, POPT_ARG_STRING, &a.speech, 0, "recordings of one person each", "DIR"},
        {"noise", 0, POPT_ARG_STRING, &a.noise, 0, "recordings of noise", "DIR"},
        {"rir", 0, POPT_ARG_STRING, &a.rir, 0,
         "measured room responses, beside those that are drawn", "DIR"},
        {"output", 'o', POPT_ARG_STRING, &a.output, 0, "the data folder to make", "DIR"},
        {"meetings", 'n', POPT_ARG_INT, &a.meetings, 0, "how many [10]", "N"},
        {"minutes", 'm', POPT_ARG_DOUBLE, &a.minutes, 0, "length of each [5]", "MIN"},
        {"min-speakers", 0, POPT_ARG_INT, &a.min_speakers, 0, "of a meeting [1]", "N"},
        {"max-speakers", 0, POPT_ARG_INT, &a.max_speakers, 0, "of a meeting [4]", "N"},
        {"voices", 0, POPT_ARG_INT, &a.voices, 0,
         "of each speaker, by other speeds: 1 (as recorded), 3, 5 or 7 [5]", "N"},
        {"tracts", 0, POPT_ARG_INT, &a.tracts, 0,
         "times so many, by other vocal tracts: 1 (as recorded) or 3 [1]", "N"},
        {"manner", 0, POPT_ARG_DOUBLE, &a.manner, 0,
         "percent that a speaker's pitch varies from turn to turn [0]", "PERCENT"},
        {"colour", 0, POPT_ARG_DOUBLE, &a.colour, 0,
         "dB that four bands of a speaker's sound vary from turn to turn [0]", "DB"},
        {"blows", 0, POPT_ARG_DOUBLE, &a.blows, 0,
         "of breath or hand upon each microphone, a minute [0]", "N"},
        {"overlap", 0, POPT_ARG_DOUBLE, &a.overlap, 0,
         "percent of the speech in which two or more speak [the target's way]", "PERCENT"},
        {"seed", 's', POPT_ARG_LONGLONG, &a.seed, 0, "another seed, other meetings [0]", "N"},
        {"format", 0, POPT_ARG_STRING, &a.format, 0, "flac or wav [flac]", "NAME"},
        {"like", 0, POPT_ARG_STRING, &a.like, 0,
         "take turns like those in this RTTM [AMI's test set]", "FILE"},
        {"uem", 0, POPT_ARG_STRING, &a.uem, 0, "how long the recordings of --like are", "FILE"},
        {"fit", 0, POPT_ARG_NONE, &a.fit, 0, "print what --like was fitted to, and stop", NULL},
        {"threads", 'j', POPT_ARG_INT, &a.threads, 0, "[as many as processors]", "N"},
        POPT_TABLEEND,
    };
    struct options o;
    int status = STATUS_MISUSED;

    if (options_open(&o, argc, argv, table, &usage, err) == 0) {
        if (o.helped)
            status = STATUS_DONE;
        else if (options_expect(&o, 0, 0, &usage, err) == 0 && check_arguments(&a, err) == 0)
            status = simulate(&a, err);
    }
    options_close(&o);
    return status;
}
