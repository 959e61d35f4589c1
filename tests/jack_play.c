// SPDX-License-Identifier: MIT
/* jack_play.c - a microphone without hardware: a JACK client whose outputs play
 * a WAV file, once, from the moment somebody has connected all of them.
 *
 *   jack_play CLIENT_NAME FILE
 *
 * Prints "ready" when its ports are there, and runs until it is terminated, which
 * it tells the server (that would wait a minute for it), or the server ends. The file must have the server's rate. */
#include <jack/jack.h>
#include <signal.h>
#include <sndfile.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_CHANNELS = 8 };

struct player {
    jack_port_t *ports[MAX_CHANNELS];
    float *ticks; // [n_ticks, channels]
    size_t n_ticks, at;
    size_t channels;
    atomic_int server_gone;
};

static int is_connected(const struct player *p)
{
    for (size_t c = 0; c < p->channels; c++) {
        if (jack_port_connected(p->ports[c]) == 0)
            return 0;
    }
    return 1;
}

/* Thread: JACK's, real-time. */
static int play(jack_nframes_t n, void *user)
{
    struct player *p = user;
    size_t left = p->n_ticks - p->at, m = n < left ? n : left;

    if (!is_connected(p))
        m = 0;
    for (size_t c = 0; c < p->channels; c++) {
        float *out = jack_port_get_buffer(p->ports[c], n);
        memset(out, 0, n * sizeof(float));
        for (size_t i = 0; i < m; i++)
            out[i] = p->ticks[(p->at + i) * p->channels + c];
    }
    p->at += m;
    return 0;
}

static void on_shutdown(void *user)
{
    struct player *p = user;

    atomic_store(&p->server_gone, 1);
}

static volatile sig_atomic_t terminated;

static void on_signal(int number)
{
    (void)number;
    terminated = 1;
}

static int load(struct player *p, int *rate_hz, const char *path)
{
    SF_INFO info = {0};
    SNDFILE *f = sf_open(path, SFM_READ, &info);

    if (!f || info.channels < 1 || info.channels > MAX_CHANNELS) {
        fprintf(stderr, "jack_play: %s: no WAV file of 1 to %d channels\n", path, MAX_CHANNELS);
        return -1;
    }
    p->channels = (size_t)info.channels;
    p->n_ticks = (size_t)info.frames;
    p->ticks = malloc(p->n_ticks * p->channels * sizeof(float));
    *rate_hz = info.samplerate;
    int status = p->ticks && sf_readf_float(f, p->ticks, info.frames) == info.frames ? 0 : -1;
    sf_close(f);
    return status;
}

int main(int argc, char **argv)
{
    static struct player p;
    int rate_hz;

    if (argc != 3 || load(&p, &rate_hz, argv[2]))
        return 2;
    jack_client_t *client = jack_client_open(argv[1], JackNoStartServer | JackUseExactName, NULL);
    if (!client) {
        fprintf(stderr, "jack_play: no JACK server\n");
        return 1;
    }
    if (jack_get_sample_rate(client) != (jack_nframes_t)rate_hz) {
        fprintf(stderr, "jack_play: the file has %d Hz, JACK %u\n", rate_hz,
                jack_get_sample_rate(client));
        return 1;
    }
    for (size_t c = 0; c < p.channels; c++) {
        char name[32];
        snprintf(name, sizeof(name), "out_%zu", c + 1);
        p.ports[c] = jack_port_register(client, name, JACK_DEFAULT_AUDIO_TYPE, JackPortIsOutput, 0);
        if (!p.ports[c])
            return 1;
    }
    jack_set_process_callback(client, play, &p);
    jack_on_shutdown(client, on_shutdown, &p);
    if (jack_activate(client) != 0)
        return 1;
    puts("ready");
    fflush(stdout);
    signal(SIGTERM, on_signal);
    while (!atomic_load(&p.server_gone) && !terminated)
        usleep(20000);
    if (terminated)
        jack_client_close(client);
    return 0;
}
