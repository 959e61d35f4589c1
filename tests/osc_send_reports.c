// SPDX-License-Identifier: MIT
/* osc_send_reports.c URL - plays a short scripted conversation through the real OSC
 * sink, for receivers that other people wrote. Two speakers, one named, ten blocks;
 * status 0 if nothing went wrong on our side. */
#include "stream/sink.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static const double start_wall = 1700000000.0;

static void push_start(struct sinks *s)
{
    struct report r = {.type = REPORT_START};

    r.start.rate_hz = 16000;
    r.start.block_ms = 320;
    r.start.wall = start_wall;
    sinks_push(s, &r);
}

static void push_speaker(struct sinks *s, enum report_type type, int id, const char *name,
                         double start, double end, double wall)
{
    struct report r = {.type = type, .time = end > start ? end : start};

    r.speaker.id = id;
    r.speaker.merged_id = type == REPORT_SPEAKER_MERGE ? 3 : 0;
    r.speaker.start = start;
    r.speaker.end = end;
    r.speaker.wall = wall;
    snprintf(r.speaker.name, sizeof(r.speaker.name), "%s", name);
    sinks_push(s, &r);
}

static void push_block(struct sinks *s, int number)
{
    struct report r = {.type = REPORT_BLOCK, .time = 0.32 * (number + 1)};
    double wall = start_wall + 0.32 * number;

    if (number == 2) {
        push_speaker(s, REPORT_SPEAKER_NEW, 1, "speaker 1", 0.75, 0, wall);
        push_speaker(s, REPORT_SPEAKER_ON, 1, "speaker 1", 0.75, 0, wall);
    }
    if (number == 7) {
        push_speaker(s, REPORT_SPEAKER_OFF, 1, "Ada", 0.75, 2.5, wall);
        push_speaker(s, REPORT_SPEAKER_MERGE, 2, "speaker 2", 0, 0, wall);
    }
    r.block.number = number;
    r.block.end = r.time;
    r.block.wall = wall;
    r.block.n_speakers = number < 2 ? 0 : 2;
    r.block.overlap = number >= 2 && number < 7;
    r.block.activity[0] = 0.75f;
    r.block.activity[1] = 0.125f;
    r.block.level_dbfs = -20.5f;
    r.block.load = 0.25f;
    r.block.dropped_samples = 320;
    r.block.overruns = 1;
    sinks_push(s, &r);
}

int main(int argc, char **argv)
{
    struct sinks s = {.wait = 1};
    struct error err = {""};
    struct report end = {.type = REPORT_END, .time = 3.2};
    int troubles = 0;

    if (argc != 2) {
        fputs("usage: osc_send_reports URL\n", stderr);
        return 2;
    }
    if (sinks_add(&s, &sink_osc, argv[1], &err) || sinks_start(&s, &err)) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    push_start(&s);
    for (int b = 0; b < 10; b++) {
        push_block(&s, b);
        nanosleep(&(struct timespec){0, 20000000}, NULL);
    }
    sinks_push(&s, &end);
    nanosleep(&(struct timespec){0, 100000000}, NULL); // a refusal needs a moment
    while (sinks_next_trouble(&s, &err)) {
        fprintf(stderr, "%s\n", err.text);
        troubles++;
    }
    sinks_close(&s, &err);
    return troubles ? 1 : 0;
}
