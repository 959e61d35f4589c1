// SPDX-License-Identifier: MIT
/* test_control.c - what receivers may ask for over OSC, and what they may not. */
#include "check.h"

#include "stream/control.h"

#include <arpa/inet.h>
#include <lo/lo.h>
#include <math.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static void nap(void)
{
    nanosleep(&(struct timespec){0, 5000000}, NULL);
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
    lo_send(a, "/antiphon/name", "is", 0, "nobody");
    lo_send(a, "/antiphon/name", "is", REPORT_MAX_SPEAKERS + 1, "nobody");
    lo_send(a, "/antiphon/name", "is", 1, " \n ");
    lo_send(a, "/antiphon/threshold", "f", NAN);
    lo_send(a, "/antiphon/reset", "i", 1);
    for (int i = 0; i < 200 && control_ignored(c) < 9; i++)
        nap();
    assert_int_equal(control_ignored(c), 9);
    assert_int_equal(control_next(c, &command), 0);

    struct control *second;
    assert_int_equal(control_open(&second, port, &err), -1);
    assert_non_null(strstr(err.text, "in use"));
    assert_int_equal(control_open(&second, 0, &err), -1);
    lo_address_free(a);
    control_close(&c);
}

/* A message in a bundle of a time to come holds now; patterns find their method. */
static void test_bundles_and_patterns(void **state)
{
    (void)state;
    struct control *c;
    struct control_command command;
    struct error err;
    char text[16];
    int port, fd = udp_socket(&port);
    lo_timetag now, future;

    close(fd);
    assert_int_equal(control_open(&c, port, &err), 0);
    snprintf(text, sizeof(text), "%d", port);
    lo_address a = lo_address_new("127.0.0.1", text);
    lo_timetag_now(&now);
    future = (lo_timetag){now.sec + 3600, 0};
    lo_bundle bundle = lo_bundle_new(future);
    lo_message m = lo_message_new();
    lo_message_add(m, "f", 0.25);
    lo_bundle_add_message(bundle, "/antiphon/threshold", m);
    lo_send_bundle(a, bundle);
    assert_true(next_command(c, &command) && command.type == CONTROL_THRESHOLD);
    lo_send(a, "/antiphon/res*", "");
    assert_true(next_command(c, &command) && command.type == CONTROL_RESET);
    lo_bundle_free_recursive(bundle);
    lo_address_free(a);
    control_close(&c);
}

/* Who pings is answered, from the port they asked. */
static void test_ping_is_answered(void **state)
{
    (void)state;
    static const char ping[] = "/antiphon/ping\0\0,\0\0"; // and the ending 0
    static const char hello[] = "/antiphon/hello\0,sii\0\0\0";
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct control *c;
    struct error err;
    char bytes[256];
    int own, port, fd = udp_socket(&port);

    close(fd);
    assert_int_equal(control_open(&c, port, &err), 0);
    control_set_hello(c, 16000, 320);
    fd = udp_socket(&own);
    to.sin_port = htons((uint16_t)port);
    sendto(fd, ping, sizeof(ping), 0, (struct sockaddr *)&to, sizeof(to));
    ssize_t n = recv(fd, bytes, sizeof(bytes), 0);
    assert_true(n > (ssize_t)sizeof(hello));
    assert_memory_equal(bytes, hello, sizeof(hello));
    assert_memory_equal(bytes + n - 8, "\0\0\x3e\x80\0\0\x01\x40", 8);
    close(fd);
    control_close(&c);
}

/* Names may be any bytes: they arrive as UTF-8 that is not cut in two. */
static void test_names(void **state)
{
    (void)state;
    static const struct {
        const char *sent, *got;
    } table[] = {
        {"  Ada  ", "Ada"},
        {"a\tb\x7f" "c", "a b c"},
        {"\xff" "A\xc3", "\xef\xbf\xbd" "A\xef\xbf\xbd"},
        {"\xc0\xaf", "\xef\xbf\xbd\xef\xbf\xbd"},             // an overlong '/'
        {"\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"}, // half a surrogate
        {"\xc2\x85x", "x"},                                        // a control beyond ASCII
        {"0123456789012345678901234567890123456789012345678901234567890\xe2\x82\xac",
         "0123456789012345678901234567890123456789012345678901234567890"}, // 61 and 3
        {"012345678901234567890123456789012345678901234567890123456789\xe2\x82\xac",
         "012345678901234567890123456789012345678901234567890123456789\xe2\x82\xac"},
    };
    struct control *c;
    struct control_command command;
    struct error err;
    char text[16];
    int port, fd = udp_socket(&port);

    close(fd);
    assert_int_equal(control_open(&c, port, &err), 0);
    snprintf(text, sizeof(text), "%d", port);
    lo_address a = lo_address_new("127.0.0.1", text);
    for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
        lo_send(a, "/antiphon/name", "is", 1, table[i].sent);
        assert_true(next_command(c, &command));
        assert_string_equal(command.name, table[i].got);
    }
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
        cmocka_unit_test(test_control),          cmocka_unit_test(test_bundles_and_patterns),
        cmocka_unit_test(test_ping_is_answered), cmocka_unit_test(test_names),
        cmocka_unit_test(test_garbage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
