// SPDX-License-Identifier: MIT
/* test_osc.c - what receivers get over UDP and TCP, receivers that are not
 * there, and what they may ask for. */
#include "check.h"

#include "stream/control.h"
#include "stream/sink.h"

#include <arpa/inet.h>
#include <lo/lo.h>
#include <math.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void nap(void)
{
    nanosleep(&(struct timespec){0, 5000000}, NULL);
}

static struct report start_report(void)
{
    struct report r = {.type = REPORT_START};

    r.start.rate_hz = 16000;
    r.start.block_ms = 320;
    r.start.wall = 1700000000.0;
    return r;
}

static struct report block_report(int number, int n_speakers)
{
    struct report r = {.type = REPORT_BLOCK, .time = 0.32 * (number + 1)};

    r.block.number = number;
    r.block.end = r.time;
    r.block.wall = 1700000000.5 + 0.32 * number;
    r.block.n_speakers = n_speakers;
    r.block.overlap = 1;
    for (int i = 0; i < n_speakers; i++)
        r.block.activity[i] = 0.5f;
    r.block.level_dbfs = -20.0f;
    r.block.load = 0.25f;
    r.block.dropped_samples = 7;
    r.block.overruns = 2;
    return r;
}

static struct report speaker_report(enum report_type type, int id, double wall)
{
    struct report r = {.type = type};

    r.speaker.id = id;
    r.speaker.start = 1.5;
    r.speaker.end = 2.25;
    r.speaker.wall = wall;
    snprintf(r.speaker.name, sizeof(r.speaker.name), "speaker %d", id);
    return r;
}

/* Everything a liblo server heard, a line a message. */
struct heard {
    char text[8192];
    size_t n;
    atomic_int messages; // counted last: what was heard before is there
    int wrong_tags;
};

static int on_message(const char *path, const char *types, lo_arg **argv, int argc,
                      lo_message message, void *user)
{
    struct heard *h = user;
    lo_timetag tag = lo_message_get_timestamp(message);
    double wall = tag.sec - 2208988800.0 + tag.frac / 4294967296.0;

    h->n += (size_t)snprintf(h->text + h->n, sizeof(h->text) - h->n, "%s %s", path, types);
    for (int i = 0; i < argc && h->n < sizeof(h->text) - 80; i++) {
        if (types[i] == 'i')
            h->n += (size_t)snprintf(h->text + h->n, sizeof(h->text) - h->n, " %d", argv[i]->i);
        else if (types[i] == 'f')
            h->n += (size_t)snprintf(h->text + h->n, sizeof(h->text) - h->n, " %g",
                                     (double)argv[i]->f);
        else
            h->n += (size_t)snprintf(h->text + h->n, sizeof(h->text) - h->n, " %s", &argv[i]->s);
    }
    h->n += (size_t)snprintf(h->text + h->n, sizeof(h->text) - h->n, "\n");
    h->wrong_tags += strcmp(path, "/antiphon/hello") && fabs(wall - 1700000000.5) > 1e-6;
    h->messages++;
    return 0;
}

static const char expected[] = "/antiphon/hello sii " ANTIPHON_VERSION " 16000 320\n"
                               "/antiphon/speaker/new is 1 speaker 1\n"
                               "/antiphon/speaker/on isf 1 speaker 1 1.5\n"
                               "/antiphon/speaker/off isff 1 speaker 1 1.5 2.25\n"
                               "/antiphon/speaker/merge ii 1 0\n"
                               "/antiphon/activity iff 0 0.5 0.5\n"
                               "/antiphon/overlap i 1\n"
                               "/antiphon/level f -20\n"
                               "/antiphon/status fiif 0.32 7 2 0.25\n"
                               "/antiphon/hello sii " ANTIPHON_VERSION " 16000 320\n";

static void play_one_block(struct sinks *s)
{
    static const enum report_type types[] = {REPORT_SPEAKER_NEW, REPORT_SPEAKER_ON,
                                             REPORT_SPEAKER_OFF, REPORT_SPEAKER_MERGE};
    struct report r = start_report(), hello = {.type = REPORT_HELLO}, end = {.type = REPORT_END};

    sinks_push(s, &r);
    for (int i = 0; i < 4; i++) {
        r = speaker_report(types[i], 1, 1700000000.5);
        sinks_push(s, &r);
    }
    r = block_report(0, 2);
    sinks_push(s, &r);
    sinks_push(s, &hello);
    sinks_push(s, &end);
}

static void check_messages(int protocol)
{
    static struct heard h;
    struct sinks s = {0};
    struct error err;
    lo_server_thread server = lo_server_thread_new_with_proto(NULL, protocol, NULL);
    char url[100];

    memset(&h, 0, sizeof(h));
    assert_non_null(server);
    /* Bundles are handed over when they come, whatever their tag. */
    lo_server_enable_queue(lo_server_thread_get_server(server), 0, 1);
    lo_server_thread_add_method(server, NULL, NULL, on_message, &h);
    lo_server_thread_start(server);
    snprintf(url, sizeof(url), "osc.%s://127.0.0.1:%d/", protocol == LO_TCP ? "tcp" : "udp",
             lo_server_thread_get_port(server));
    assert_int_equal(sinks_add(&s, &sink_osc, url, &err), 0);
    assert_int_equal(sinks_start(&s, &err), 0);
    play_one_block(&s);
    assert_int_equal(sinks_close(&s, &err), 0);
    for (int i = 0; i < 400 && h.messages < 10; i++)
        nap();
    lo_server_thread_stop(server);
    lo_server_thread_free(server);
    assert_string_equal(h.text, expected);
    assert_int_equal(h.wrong_tags, 0);
}

static void test_udp(void **state)
{
    (void)state;
    check_messages(LO_UDP);
}

static void test_tcp(void **state)
{
    (void)state;
    check_messages(LO_TCP);
}

static int udp_socket(int *port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval wait = {2, 0};
    socklen_t size = sizeof(at);
    int fd = socket(AF_INET, SOCK_DGRAM, 0);

    assert_true(fd >= 0 && bind(fd, (struct sockaddr *)&at, sizeof(at)) == 0);
    getsockname(fd, (struct sockaddr *)&at, &size);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
    *port = ntohs(at.sin_port);
    return fd;
}

static int is_bundle(const unsigned char *bytes, ssize_t n)
{
    return n > 16 && !memcmp(bytes, "#bundle", 8);
}

/* One bundle a block as long as it fits; a flood of events takes several with
 * the same tag, none above 1400 bytes. */
static void test_bundles(void **state)
{
    (void)state;
    unsigned char bytes[65536], tag[8];
    struct sinks s = {0};
    struct error err;
    struct report r = start_report();
    char url[64];
    int port, fd = udp_socket(&port), packets = 0;
    ssize_t n;

    snprintf(url, sizeof(url), "127.0.0.1:%d", port);
    assert_int_equal(sinks_add(&s, &sink_osc, url, &err), 0);
    assert_int_equal(sinks_start(&s, &err), 0);
    sinks_push(&s, &r);
    assert_true(is_bundle(bytes, recv(fd, bytes, sizeof(bytes), 0))); // hello
    for (int b = 0; b < 5; b++) {
        r = block_report(b, 128);
        sinks_push(&s, &r);
        n = recv(fd, bytes, sizeof(bytes), 0);
        assert_true(is_bundle(bytes, n) && n < 1400);
    }
    for (int i = 0; i < 100; i++) {
        r = speaker_report(REPORT_SPEAKER_ON, i + 1, 1700000002.1);
        sinks_push(&s, &r);
    }
    r = block_report(5, 128);
    r.block.wall = 1700000002.1;
    sinks_push(&s, &r);
    do {
        n = recv(fd, bytes, sizeof(bytes), 0);
        assert_true(is_bundle(bytes, n) && n <= 1400);
        if (packets++ == 0)
            memcpy(tag, bytes + 8, 8);
        assert_memory_equal(bytes + 8, tag, 8);
    } while (!memmem(bytes, (size_t)n, "/antiphon/status", 16));
    assert_true(packets >= 4);
    assert_int_equal(sinks_close(&s, &err), 0);
    close(fd);
}

/* Nobody there, nobody of that name, somebody who never reads: each is told of
 * at most once, and pushing never waits. */
static void test_receivers_in_trouble(void **state)
{
    (void)state;
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(at);
    int deaf = socket(AF_INET, SOCK_STREAM, 0);
    struct sinks s = {0};
    struct error err, trouble;
    struct report r = start_report();
    char url[64];
    int told = 0, unresolved = 0;

    assert_true(deaf >= 0 && bind(deaf, (struct sockaddr *)&at, sizeof(at)) == 0 &&
                listen(deaf, 1) == 0);
    getsockname(deaf, (struct sockaddr *)&at, &size);
    snprintf(url, sizeof(url), "osc.tcp://127.0.0.1:%d/", ntohs(at.sin_port));
    assert_int_equal(sinks_add(&s, &sink_osc, url, &err), 0);
    assert_int_equal(sinks_add(&s, &sink_osc, "osc.tcp://127.0.0.1:9/", &err), 0);
    assert_int_equal(sinks_add(&s, &sink_osc, "127.0.0.1:9", &err), 0);
    assert_int_equal(sinks_add(&s, &sink_osc, "no-such-host.invalid:9000", &err), 0);
    assert_int_equal(sinks_start(&s, &err), 0);
    double begin = now(), slowest = 0.0;
    sinks_push(&s, &r);
    for (int b = 0; b < 20000; b++) { // some MB: more than a deaf socket holds
        double before = now();
        r = block_report(b, 64);
        sinks_push(&s, &r);
        slowest = fmax(slowest, now() - before);
        if (b % 1000 == 0)
            nap();
    }
    assert_true(slowest < 1.0 && now() - begin < 10.0);
    for (int i = 0; i < 200; i++) {
        while (sinks_next_trouble(&s, &trouble)) {
            told++;
            unresolved += strstr(trouble.text, "no-such-host.invalid") != NULL;
        }
        nap();
    }
    assert_int_equal(unresolved, 1);
    assert_true(told >= 2 && told <= 3);
    assert_true(atomic_load(&s.list[0]->dropped) > 0);
    begin = now();
    assert_int_equal(sinks_close(&s, &err), 0);
    assert_true(now() - begin < 6.0);
    close(deaf);
}

static int next_command(struct control *c, struct control_command *command)
{
    for (int i = 0; i < 200; i++) {
        if (control_next(c, command))
            return 1;
        nap();
    }
    return 0;
}

static void test_control(void **state)
{
    (void)state;
    struct control *c;
    struct control_command command;
    struct error err;
    char text[16];
    int port, fd = udp_socket(&port);

    close(fd);
    if (control_open(&c, port, &err))
        check_fail("%s", err.text);
    snprintf(text, sizeof(text), "%d", port);
    lo_address a = lo_address_new("127.0.0.1", text);

    lo_send(a, "/antiphon/name", "is", 2, "Ada\n\x01L\xc3\xb6w");
    assert_true(next_command(c, &command));
    assert_int_equal(command.type, CONTROL_NAME);
    assert_int_equal(command.id, 2);
    assert_string_equal(command.name, "Ada  L\xc3\xb6w");
    lo_send(a, "/antiphon/reset", "");
    assert_true(next_command(c, &command) && command.type == CONTROL_RESET);
    lo_send(a, "/antiphon/threshold", "f", 0.7);
    assert_true(next_command(c, &command) && command.type == CONTROL_THRESHOLD);
    assert_true(fabsf(command.value - 0.7f) < 1e-6f);
    lo_send(a, "/antiphon/ping", "");
    assert_true(next_command(c, &command) && command.type == CONTROL_PING);

    lo_send(a, "/antiphon/name", "si", "Ada", 2);
    lo_send(a, "/antiphon/threshold", "f", 1.5);
    lo_send(a, "/antiphon/threshold", "i", 1);
    lo_send(a, "/antiphon/nothing", "");
    for (int i = 0; i < 200 && control_ignored(c) < 4; i++)
        nap();
    assert_int_equal(control_ignored(c), 4);
    assert_int_equal(control_next(c, &command), 0);

    struct control *second;
    assert_int_equal(control_open(&second, port, &err), -1);
    assert_non_null(strstr(err.text, "in use"));
    assert_int_equal(control_open(&second, 0, &err), -1);
    lo_address_free(a);
    control_close(&c);
}

/* Datagrams of garbage do not hurt, and what follows is still heard. */
static void test_garbage(void **state)
{
    (void)state;
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct control *c;
    struct control_command command;
    struct random rng;
    struct error err;
    char bytes[256], text[16];
    int port, fd = udp_socket(&port);

    close(fd);
    random_init(&rng, check_seed());
    assert_int_equal(control_open(&c, port, &err), 0);
    fd = socket(AF_INET, SOCK_DGRAM, 0);
    to.sin_port = htons((uint16_t)port);
    for (int i = 0; i < 500; i++) {
        size_t n = random_bits(&rng) % sizeof(bytes);
        for (size_t k = 0; k < n; k++)
            bytes[k] = (char)random_bits(&rng);
        if (i % 2 && n > 20)
            memcpy(bytes, i % 4 == 1 ? "/antiphon/name\0\0,is" : "#bundle\0", i % 4 == 1 ? 20 : 8);
        sendto(fd, bytes, n, 0, (struct sockaddr *)&to, sizeof(to));
        if (i % 50 == 0)
            nap();
    }
    nap();
    while (control_next(c, &command))
        ;
    snprintf(text, sizeof(text), "%d", port);
    lo_address a = lo_address_new("127.0.0.1", text);
    lo_send(a, "/antiphon/ping", "");
    do
        assert_true(next_command(c, &command));
    while (command.type != CONTROL_PING);
    lo_address_free(a);
    close(fd);
    control_close(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_udp),     cmocka_unit_test(test_tcp),
        cmocka_unit_test(test_bundles), cmocka_unit_test(test_receivers_in_trouble),
        cmocka_unit_test(test_control), cmocka_unit_test(test_garbage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
