// SPDX-License-Identifier: MIT
/* frame_error.c - frame_error REF SYS SECONDS: the frame error of one RTTM file
 * against another, in percent of the reference's speech: 20 ms frames, no
 * collar, overlap counted, the best assignment of speakers. Prints the error,
 * missed, false alarm and confusion. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_SPEAKERS = 8, MAX_FRAMES = 100000 };

struct side {
    char names[MAX_SPEAKERS][64];
    int n;
    unsigned char active[MAX_SPEAKERS][MAX_FRAMES];
};

static int speaker(struct side *s, const char *name)
{
    for (int i = 0; i < s->n; i++) {
        if (!strcmp(s->names[i], name))
            return i;
    }
    if (s->n == MAX_SPEAKERS)
        exit(1);
    snprintf(s->names[s->n], sizeof(s->names[0]), "%s", name);
    return s->n++;
}

static void read_rttm(struct side *s, const char *path, int n_frames)
{
    FILE *f = fopen(path, "r");
    char line[1024], name[64];
    double start, duration;

    if (!f) {
        perror(path);
        exit(1);
    }
    while (fgets(line, sizeof(line), f)) {
        if (sscanf(line, "SPEAKER %*s %*s %lf %lf %*s %*s %63s", &start, &duration, name) != 3)
            continue;
        int who = speaker(s, name);
        for (int i = 0; i < n_frames; i++) {
            double middle = 0.02 * i + 0.0125;
            s->active[who][i] |= start <= middle && middle < start + duration;
        }
    }
    fclose(f);
}

/* The most frames that an assignment of the reference's speakers from `from` on agrees on. */
static int best(int shared[MAX_SPEAKERS][MAX_SPEAKERS], int n_ref, int n_sys, int from,
                unsigned taken)
{
    if (from >= n_ref || from >= MAX_SPEAKERS)
        return 0;
    int most = best(shared, n_ref, n_sys, from + 1, taken); // nobody
    for (int k = 0; k < n_sys && k < MAX_SPEAKERS; k++) {
        if (taken >> k & 1)
            continue;
        int n = shared[from][k] + best(shared, n_ref, n_sys, from + 1, taken | 1u << k);
        most = n > most ? n : most;
    }
    return most;
}

int main(int argc, char **argv)
{
    static struct side ref, sys;
    static int shared[MAX_SPEAKERS][MAX_SPEAKERS];
    int n = argc == 4 ? (int)((atof(argv[3]) - 0.0125) / 0.02) : 0;
    int speech = 0, missed = 0, false_alarm = 0, common = 0;

    if (n < 1 || n > MAX_FRAMES)
        return 2;
    read_rttm(&ref, argv[1], n);
    read_rttm(&sys, argv[2], n);
    for (int t = 0; t < n; t++) {
        int a = 0, b = 0;
        for (int i = 0; i < ref.n; i++)
            a += ref.active[i][t];
        for (int k = 0; k < sys.n; k++)
            b += sys.active[k][t];
        for (int i = 0; i < ref.n; i++)
            for (int k = 0; k < sys.n; k++)
                shared[i][k] += ref.active[i][t] && sys.active[k][t];
        speech += a;
        missed += a > b ? a - b : 0;
        false_alarm += b > a ? b - a : 0;
        common += a < b ? a : b;
    }
    int confusion = common - best(shared, ref.n, sys.n, 0, 0);
    double scale = speech ? 100.0 / speech : 0.0;
    printf("%.1f %.1f %.1f %.1f\n", scale * (missed + false_alarm + confusion), scale * missed,
           scale * false_alarm, scale * confusion);
    return 0;
}
