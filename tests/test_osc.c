// SPDX-License-Identifier: MIT
/* test_osc.c - what receivers get over UDP and TCP, and receivers that are not there. */
#include "check.h"

#include "stream/osc_link.h"
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
        assert_true(is_bundle(bytes, n) && n < 1400);
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
    int told[5] = {0};

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
            told[0] += strstr(trouble.text, url) && strstr(trouble.text, "too long");
            told[1] += strstr(trouble.text, "osc.tcp://127.0.0.1:9/: Connection refused") != NULL;
            told[2] += strstr(trouble.text, "osc.udp://127.0.0.1:9/: nobody listens") != NULL;
            told[3] += strstr(trouble.text, "no-such-host.invalid:9000/: the host") != NULL;
            told[4] += strchr(trouble.text, '\n') != NULL;
        }
        nap();
    }
    for (int i = 0; i < 4; i++)
        assert_int_equal(told[i], 1);
    assert_int_equal(told[4], 0);
    assert_true(atomic_load(&s.list[0]->dropped) > 0);
    begin = now();
    assert_int_equal(sinks_close(&s, &err), 0);
    assert_true(now() - begin < 3.0); // a second for all of them, and what a look-up takes
    close(deaf);
}

/* Nobody listens at first. Who comes later gets what comes later: over UDP at once,
 * over TCP when the way is next tried. */
static void test_late_receivers(void **state)
{
    (void)state;
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const struct timeval wait = {10, 0};
    struct sinks s = {0};
    struct error err;
    struct report r = start_report();
    unsigned char bytes[2000];
    char url[64];
    int port, tcp_port, udp = udp_socket(&port), tcp = socket(AF_INET, SOCK_STREAM, 0), taken;
    socklen_t size = sizeof(at);

    close(udp);
    assert_true(bind(tcp, (struct sockaddr *)&at, sizeof(at)) == 0); // but it does not listen
    getsockname(tcp, (struct sockaddr *)&at, &size);
    tcp_port = ntohs(at.sin_port);
    snprintf(url, sizeof(url), "127.0.0.1:%d", port);
    assert_int_equal(sinks_add(&s, &sink_osc, url, &err), 0);
    snprintf(url, sizeof(url), "tcp://127.0.0.1:%d", tcp_port);
    assert_int_equal(sinks_add(&s, &sink_osc, url, &err), 0);
    assert_int_equal(sinks_start(&s, &err), 0);
    sinks_push(&s, &r);
    for (int n = 0, i = 0; n < 2; i++) {
        assert_true(i < 400);
        n += sinks_next_trouble(&s, &err);
        nap();
        r = block_report(i, 1);
        sinks_push(&s, &r);
    }

    at.sin_port = htons((uint16_t)port);
    udp = socket(AF_INET, SOCK_DGRAM, 0);
    setsockopt(udp, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
    assert_true(bind(udp, (struct sockaddr *)&at, sizeof(at)) == 0 && listen(tcp, 1) == 0);
    setsockopt(tcp, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
    for (int i = 0; i < 900; i++) { // 4.5 s of blocks: longer than the pause between two tries
        r = block_report(i, 1);
        sinks_push(&s, &r);
        nap();
    }
    assert_true(is_bundle(bytes, recv(udp, bytes, sizeof(bytes), 0)));
    taken = accept(tcp, NULL, NULL);
    assert_true(taken >= 0 && recv(taken, bytes, 20, MSG_WAITALL) == 20);
    assert_true(bytes[0] == 0 && bytes[1] == 0 && bytes[2] < 6); // a length below 1400
    assert_true(is_bundle(bytes + 4, 17));
    assert_int_equal(sinks_next_trouble(&s, &err), 0); // neither is told of again
    assert_int_equal(sinks_close(&s, &err), 0);
    close(taken);
    close(tcp);
    close(udp);
}

static void test_urls(void **state)
{
    (void)state;
    static const struct {
        const char *target, *url; // NULL: refused
    } table[] = {
        {"host:9000", "osc.udp://host:9000/"},
        {"osc.udp://host:1/", "osc.udp://host:1/"},
        {"udp://host:65535", "osc.udp://host:65535/"},
        {"tcp://10.0.0.7:80/", "osc.tcp://10.0.0.7:80/"},
        {"osc.tcp://[::1]:9000", "osc.tcp://[::1]:9000/"},
        {"[fe80::1%lo]:9000", "osc.udp://[fe80::1%lo]:9000/"},
        {"::1:9000", NULL},
        {"host:9000/path", NULL},
        {"host:", NULL},
        {"host", NULL},
        {"", NULL},
        {":", NULL},
        {"[]:9000", NULL},
        {"host:+90", NULL},
        {"host:99999999999999999999", NULL},
        {"a/b:9000", NULL},
        {"osc.http://host:80/", NULL},
    };

    for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
        struct osc_link l;
        struct error err = {""};
        char url[300] = "";
        int status = osc_link_parse(&l, table[i].target, -1, &err);

        if (status == 0)
            osc_link_url(&l, url, sizeof(url));
        const char *want = table[i].url ? table[i].url : "";
        if ((status == 0) != (table[i].url != NULL) || strcmp(url, want) ||
            (status && !strstr(err.text, "--osc ")))
            check_fail("%s: \"%s\" \"%s\"", table[i].target, url, err.text);
    }
}

/* What a reset ends belongs to the block before; the bundle has the next one's tag. */
static void test_after_reset(void **state)
{
    (void)state;
    static const unsigned char tag[] = {0xe8, 0xfe, 0x6f, 0x84, 0, 0, 0, 0}; // 1700000004
    struct sinks s = {0};
    struct error err;
    struct report r;
    unsigned char bytes[2000];
    char url[64];
    int port, fd = udp_socket(&port);
    ssize_t n;

    snprintf(url, sizeof(url), "127.0.0.1:%d", port);
    assert_int_equal(sinks_add(&s, &sink_osc, url, &err), 0);
    assert_int_equal(sinks_start(&s, &err), 0);
    r = speaker_report(REPORT_SPEAKER_OFF, 1, 1700000003.0);
    sinks_push(&s, &r);
    r = (struct report){.type = REPORT_RESET};
    sinks_push(&s, &r);
    r = (struct report){.type = REPORT_HELLO};
    sinks_push(&s, &r);
    r = block_report(9, 0);
    r.block.wall = 1700000004.0;
    sinks_push(&s, &r);
    n = recv(fd, bytes, sizeof(bytes), 0);
    assert_true(is_bundle(bytes, n) && memmem(bytes, (size_t)n, "/antiphon/hello", 15) &&
                !memmem(bytes, (size_t)n, "/antiphon/speaker", 17));
    n = recv(fd, bytes, sizeof(bytes), 0);
    assert_true(is_bundle(bytes, n) && memmem(bytes, (size_t)n, "/antiphon/speaker/off", 21));
    assert_memory_equal(bytes + 8, tag, sizeof(tag));
    assert_int_equal(sinks_close(&s, &err), 0);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_udp),     cmocka_unit_test(test_tcp),
        cmocka_unit_test(test_bundles), cmocka_unit_test(test_receivers_in_trouble),
        cmocka_unit_test(test_late_receivers), cmocka_unit_test(test_urls),
        cmocka_unit_test(test_after_reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
