/* The admin pages over HTTP: what they say, and that they say it well-formed. */
#include "proxy/admin/admin.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "immure/scheme.h"
#include "notation.h"

#define WORKERS 2
#define ODD_NAME "odd \"\\<&>\n\x01\xff\xc3\xa9"

struct fixture {
    struct proxy_config config;
    struct metrics_history history;
    struct generation_metrics *metrics;
    struct certificate_info certificates[2];
    struct admin_setup setup;
    struct admin *admin;
    uint16_t port;
};

static int listener_open(uint16_t *port)
{
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(listener, 16), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &length), 0);
    *port = ntohs(address.sin_port);
    return listener;
}

/* Figures with sums that are easy to recognise in the pages. */
static void thread_fill(struct thread_metrics *thread, unsigned i)
{
    metric_add(&thread->handshakes[VERSION_TLS13][HANDSHAKE_FULL], 40);
    metric_add(&thread->handshakes[VERSION_TLS12][HANDSHAKE_RESUMED], 3);
    metric_add(&thread->connections, 7);
    metric_add(&thread->handshaking, 2);
    metric_add(&thread->bytes_in_total, 1000);
    metric_add(&thread->keyd_connected, 1);
    for (unsigned turn = 0; turn < 1000; turn++)
        histogram_record(&thread->turn, 20 * NS_PER_US);
    histogram_record(&thread->turn, 30 * NS_PER_MS);
    histogram_record(&thread->handshake, 2 * NS_PER_MS);
    struct sign_metrics *rsa = metrics_sign(thread, IMMURE_RSA_PSS_RSAE_SHA256, "openssl");
    metrics_signed(rsa, (500 + 100 * i) * NS_PER_US, 10 * NS_PER_US, 700 * NS_PER_US, 1000 - i);
    metric_add(&rsa->errors, 1);
    if (i == 1)
        metrics_signed(metrics_sign(thread, IMMURE_ECDSA_SHA256, "openssl"), 30 * NS_PER_US,
                       NS_PER_US, 90 * NS_PER_US, 2000);
}

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    fixture->config.workers = WORKERS;
    fixture->config.signing = SIGNING_ASYNC;
    fixture->config.admin.listen.text = (char *)"127.0.0.1";
    metrics_history_init(&fixture->history);
    fixture->metrics = generation_metrics_new(&fixture->history, WORKERS);
    assert_non_null(fixture->metrics);
    for (unsigned i = 0; i < WORKERS; i++)
        thread_fill(generation_metrics_thread(fixture->metrics, i), i);
    fixture->certificates[0] = (struct certificate_info){
        .frontend = "https",
        .names = ODD_NAME,
        .key_type = "RSA-2048",
        .file = "rsa.crt",
        .not_after = 1900000000,
        .key_id = "00ff",
    };
    fixture->certificates[1] = fixture->certificates[0]; /* the same one configured twice */
    fixture->setup = (struct admin_setup){
        .config = &fixture->config,
        .listener = listener_open(&fixture->port),
        .history = &fixture->history,
        .metrics = fixture->metrics,
        .certificates = fixture->certificates,
        .certificate_count = 2,
        .certificates_failed = 3,
        .started = 1700000000,
    };
    fixture->admin = admin_new(&fixture->setup);
    assert_non_null(fixture->admin);
    assert_true(admin_start(fixture->admin));
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    admin_stop(fixture->admin);
    close(fixture->setup.listener);
    generation_metrics_free(&fixture->history, fixture->metrics);
    metrics_sum_release(&fixture->history.past);
    free(fixture);
    return 0;
}

/* Sends these bytes on a new connection and returns the whole reply, which the caller frees. */
static char *ask(const struct fixture *fixture, const char *request)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(fixture->port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval limit = {.tv_sec = 20};
    size_t size = 1 << 20, length = 0;
    char *answer = malloc(size);
    int client = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(client, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    assert_int_equal(connect(client, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(send(client, request, strlen(request), MSG_NOSIGNAL), strlen(request));
    for (ssize_t got; (got = recv(client, answer + length, size - 1 - length, 0)) != 0;) {
        assert_true(got > 0);
        length += (size_t)got;
    }
    close(client);
    answer[length] = '\0';
    return answer;
}

static char *fetch(const struct fixture *fixture, const char *method, const char *path)
{
    char request[256];
    snprintf(request, sizeof request,
             "%s %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", method, path);
    return ask(fixture, request);
}

static const char *body_of(const char *answer)
{
    const char *end = strstr(answer, "\r\n\r\n");
    assert_non_null(end);
    return end + 4;
}

static void assert_has(const char *text, const char *part)
{
    if (strstr(text, part) == NULL)
        fail_msg("not found: %s", part);
}

static void test_status(void **state)
{
    char *answer = fetch(*state, "GET", "/status.json");
    const char *body = body_of(answer);
    assert_has(answer, "HTTP/1.1 200 OK\r\n");
    assert_has(answer, "Content-Type: application/json\r\n");
    assert_true(json_is_well_formed(body));
    char pid[32];
    snprintf(pid, sizeof pid, "\"pid\": %d,", getpid());
    const char *const parts[] = {
        pid,
        "\"signing\": \"async\"",
        "\"workers\": 2,",
        "\"started\": 1700000000",
        "\"held_by\": \"immured\"",
        "\"connected\": 2,",
        "\"handshaking\": 4, \"established\": 10,",
        "\"bytes_in\": 2000,",
        "\"none\": {\"full\": 0, \"resumed\": 0, \"failed\": 0, \"timeout\": 0, \"aborted\": 0, "
        "\"passed\": 0, \"shed\": 0, \"limited\": 0}",
        "\"TLSv1.2\": {\"full\": 0, \"resumed\": 6,",
        "\"TLSv1.3\": {\"full\": 80, \"resumed\": 0,",
        /* Of two threads, the later signature is the last one. */
        "\"rsa_pss_rsae_sha256\", \"backend\": \"openssl\", \"count\": 2, \"errors\": 2,",
        "\"errors\": 2, \"last_seconds\": 0.0005,",
        "\"ecdsa_secp256r1_sha256\", \"backend\": \"openssl\", \"count\": 1,",
        "\"errors\": 0, \"last_seconds\": 3e-05,",
        /* 1001 turns: ten lie beyond the 99th percentile, but not beyond the next. */
        "\"thread\": 1, \"turn_seconds\": {\"count\": 1001, \"sum\": 0.05,",
        "\"p999\": null, \"p9999\": null, \"p999999\": null, \"max\": 0.03}",
        "\"names\": \"odd \\\"\\\\<&>\\u000a\\u0001\xef\xbf\xbd\xc3\xa9\"",
        "\"not_after\": 1900000000",
    };
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        assert_has(body, parts[i]);
    const char *p99 = strstr(body, "\"p99\": 2");
    assert_non_null(p99);
    assert_float_equal(strtod(p99 + strlen("\"p99\": "), NULL), 20e-6, 0.2e-6);
    free(answer);
}

static void test_metrics(void **state)
{
    char *answer = fetch(*state, "GET", "/metrics");
    assert_has(answer, "HTTP/1.1 200 OK\r\n");
    assert_has(answer, "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n");
    static const char *const parts[] = {
        "\nimmure_build_info{version=\"",
        "\",openssl=\"3.",
        ",signing=\"async\"} 1\n",
        "\nimmure_workers 2\n",
        "\nimmure_handshakes_total{version=\"none\",result=\"full\"} 0\n",
        "\nimmure_handshakes_total{version=\"TLSv1.3\",result=\"full\"} 80\n",
        "\nimmure_handshake_seconds_bucket{le=\"0.001\"} 0\n",
        "\nimmure_handshake_seconds_bucket{le=\"0.0025\"} 2\n",
        "\nimmure_handshake_seconds_bucket{le=\"+Inf\"} 2\n",
        "\nimmure_handshake_seconds_sum 0.004\n",
        ",backend=\"openssl\",le=\"0.0005\"} 1\n",
        "\nimmure_sign_queue_seconds_sum{algorithm=\"rsa_pss_rsae_sha256\",",
        ",backend=\"openssl\"} 2e-05\n",
        "\nimmure_sign_round_trip_seconds_count{algorithm=\"ecdsa_secp256r1_sha256\",",
        "\nimmure_sign_errors_total{algorithm=\"rsa_pss_rsae_sha256\",backend=\"openssl\"} 2\n",
        "\nimmure_loop_turn_seconds{thread=\"0\",quantile=\"0.5\"} 2",
        "\nimmure_loop_turn_seconds{thread=\"0\",quantile=\"0.999\"} NaN\n",
        "\nimmure_loop_turn_seconds{thread=\"1\",quantile=\"0.999999\"} NaN\n",
        "\nimmure_loop_turn_seconds{thread=\"1\",quantile=\"1\"} 0.03\n",
        "\nimmure_loop_turn_seconds_count{thread=\"1\"} 1001\n",
        "\nimmure_loop_turn_max_seconds{thread=\"0\"} 0.03\n",
        "\nimmure_loop_turn_all_seconds_count 2002\n",
        "\nimmure_connections{state=\"established\"} 10\n",
        "\nimmure_relayed_bytes_total{direction=\"in\"} 2000\n",
        "\nimmure_certificate_not_after_seconds{frontend=\"https\",names=\"odd ",
        "=\"odd \\\"\\\\<&>\\n\x01\xef\xbf\xbd\xc3\xa9\",",
        "\nimmure_certificates 2\n",
        "\nimmure_certificates_failed 3\n",
        "\nimmure_certificates_next_expiry_seconds 1900000000\n",
        "\nprocess_resident_memory_bytes ",
        "\nprocess_open_fds ",
    };
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        assert_has(answer, parts[i]);
    exposition_check((char *)body_of(answer));
    free(answer);
}

static void test_page(void **state)
{
    char *answer = fetch(*state, "GET", "/");
    assert_has(answer, "HTTP/1.1 200 OK\r\n");
    assert_has(answer, "Content-Type: text/html; charset=utf-8\r\n");
    assert_has(answer, "Content-Security-Policy: default-src 'self';");
    assert_has(answer, "X-Content-Type-Options: nosniff\r\n");
    assert_has(answer, "Cache-Control: no-store\r\n");
    /* The page is complete without JavaScript, and names are escaped. */
    assert_has(answer, "Signing is <strong>async</strong>");
    assert_has(answer, "rsa_pss_rsae_sha256");
    assert_has(answer, "(2 of 2 event loops connected, 0 connections lost)");
    assert_has(answer, "<td>2030-03-17, in ");
    assert_has(answer, "odd &quot;\\&lt;&amp;&gt;");
    assert_has(answer, "</html>");
    assert_null(strstr(answer, "://")); /* nothing from elsewhere */
    free(answer);

    answer = fetch(*state, "GET", "/page.css");
    assert_has(answer, "Content-Type: text/css; charset=utf-8\r\n");
    free(answer);
    answer = fetch(*state, "GET", "/page.js");
    assert_has(answer, "Content-Type: text/javascript; charset=utf-8\r\n");
    free(answer);
    answer = fetch(*state, "GET", "/icon.svg");
    assert_has(answer, "Content-Type: image/svg+xml\r\n");
    assert_has(answer, "</svg>\n");
    free(answer);
}

static void test_refusals(void **state)
{
    static const struct {
        const char *method, *path, *status;
    } cases[] = {
        {"GET", "/favicon.ico", "HTTP/1.1 404 Not Found\r\n"},
        {"GET", "/../etc/passwd", "HTTP/1.1 404 Not Found\r\n"},
        {"POST", "/nothing", "HTTP/1.1 404 Not Found\r\n"},
        {"POST", "/", "HTTP/1.1 405 Method Not Allowed\r\n"},
        {"DELETE", "/metrics", "HTTP/1.1 405 Method Not Allowed\r\n"},
        {"OPTIONS", "/status.json", "HTTP/1.1 405 Method Not Allowed\r\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *answer = fetch(*state, cases[i].method, cases[i].path);
        assert_int_equal(strncmp(answer, cases[i].status, strlen(cases[i].status)), 0);
        assert_has(answer, "X-Content-Type-Options: nosniff\r\n");
        assert_int_equal(strstr(answer, "Allow: GET, HEAD\r\n") != NULL,
                         strstr(cases[i].status, "405") != NULL);
        free(answer);
    }
}

/* A page that uses DNS rebinding gets no figures. */
static void test_hosts(void **state)
{
    struct fixture *fixture = *state;
    static char *const names[] = {(char *)"status.example", (char *)"Other.Example"};
    static const struct {
        const char *host;
        bool allowed;
    } cases[] = {
        {"localhost", true},
        {"LocalHost:9443", true},
        {"127.0.0.1:9443", true},
        {"192.0.2.1", true},
        {"[::1]", true},
        {"[2001:db8::1]:9443", true},
        {"status.example", true},
        {"STATUS.example:80", true},
        {"other.example", true},
        {"rebound.example", false},
        {"", false},
        {":9443", false},
        {"localhost.example", false},
        {"localhost:9443x", false},
        {"xstatus.example", false},
        {"status.example.org", false},
        {"127.0.0.1.nip.io", false},
        {"2130706433", false},
        {"[::1", false},
        {"[localhost]", false},
        {"[::1]x", false},
        {"::1", false},
        {"127.1", false},
        {"localhost@x", false},
    };
    fixture->config.admin.hosts = (char **)names;
    fixture->config.admin.host_count = sizeof names / sizeof names[0];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char request[256];
        snprintf(request, sizeof request,
                 "GET /status.json HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n",
                 cases[i].host);
        char *answer = ask(fixture, request);
        const char *status = cases[i].allowed ? "HTTP/1.1 200 " : "HTTP/1.1 403 ";
        if (strncmp(answer, status, strlen(status)) != 0)
            fail_msg("'%s': %.40s", cases[i].host, answer);
        if (!cases[i].allowed)
            assert_has(answer, "admin { hosts = { \"NAME\" } }");
        assert_int_equal(strstr(answer, "\"pid\"") != NULL, cases[i].allowed);
        free(answer);
    }
    char *answer = ask(fixture, "GET /status.json HTTP/1.0\r\n\r\n");
    assert_has(answer, " 200 OK\r\n");
    free(answer);
}

static void test_head(void **state)
{
    static const char *const paths[] = {"/", "/metrics", "/status.json", "/page.js"};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        char *answer = fetch(*state, "HEAD", paths[i]);
        assert_has(answer, "HTTP/1.1 200 OK\r\n");
        assert_has(answer, "Content-Length: ");
        assert_string_equal(body_of(answer), "");
        free(answer);
    }
}

/* A loop thread keeps counting and adds rows while pages are read. */
struct counting {
    struct thread_metrics *thread;
    atomic_bool stop;
};

/* Of 2,500 certificates, a page has 100, and a search goes over all of them. */
static void test_many_certificates(void **state)
{
    struct fixture *fixture = *state;
    enum { COUNT = 2500 };
    static char names[COUNT][32];
    struct certificate_info *many = calloc(COUNT, sizeof *many);
    admin_stop(fixture->admin);
    for (size_t i = 0; i < COUNT; i++) {
        snprintf(names[i], sizeof names[i], "n%zu.example", i);
        memcpy(&many[i], &fixture->certificates[0], sizeof *many);
        many[i].names = names[i];
    }
    fixture->setup.certificates = many;
    fixture->setup.certificate_count = COUNT;
    fixture->admin = admin_new(&fixture->setup);
    assert_true(admin_start(fixture->admin));
    static const struct {
        const char *path, *has, *lacks;
    } requests[] = {
        {"/status.json", "\"n99.example\"", "\"n100.example\""},
        {"/status.json?page=2", "\"n100.example\"", "\"n99.example\""},
        {"/status.json?page=25", "\"n2499.example\"", "\"n2399.example\""},
        {"/status.json?page=26", "\"certificates\": []", "example"},
        {"/status.json?page=x", "\"n0.example\"", "\"n100.example\""},
        {"/status.json?page=99999999999999999999", "\"certificates_found\": 2500", "\"n100."},
        {"/status.json?search=N2345.", "\"certificates_found\": 1,", "\"n234.example\""},
        {"/status.json?search=n2345.", "\"n2345.example\"", "\"n234.example\""},
        {"/status.json?search=absent", "\"certificates_found\": 0,", "example"},
        {"/?search=n24&page=2", "<a href=\"?search=n24&amp;page=1\">previous</a>", "next</a>"},
        {"/?search=%22%3E%3Cb%3E", "value=\"&quot;&gt;&lt;b&gt;\"", "<b>"},
        {"/metrics", "\nimmure_certificates 2500\n", "immure_certificate_"},
    };
    for (size_t i = 0; i < sizeof requests / sizeof *requests; i++) {
        char *answer = fetch(fixture, "GET", requests[i].path);
        assert_has(answer, requests[i].has);
        assert_null(strstr(answer, requests[i].lacks));
        free(answer);
    }
    free(many);
}

static void *count(void *arg)
{
    struct counting *counting = arg;
    static const uint16_t schemes[] = {IMMURE_ED25519, IMMURE_ECDSA_SHA384,
                                       IMMURE_RSA_PKCS1_SHA256};
    for (uint64_t i = 0; !atomic_load(&counting->stop); i++) {
        histogram_record(&counting->thread->turn, i % NS_PER_MS);
        metric_add(&counting->thread->accepted_total, 1);
        metrics_signed(metrics_sign(counting->thread, schemes[i / 4096 % 3], "openssl"), i, i, i,
                       i);
    }
    return NULL;
}

static void test_read_while_counting(void **state)
{
    struct fixture *fixture = *state;
    struct counting counting = {.thread = generation_metrics_thread(fixture->metrics, 0)};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, count, &counting), 0);
    for (int i = 0; i < 5; i++) {
        char *answer = fetch(fixture, "GET", "/metrics");
        exposition_check((char *)body_of(answer));
        free(answer);
        answer = fetch(fixture, "GET", "/status.json");
        assert_true(json_is_well_formed(body_of(answer)));
        free(answer);
    }
    atomic_store(&counting.stop, true);
    pthread_join(thread, NULL);
}

static void test_stop_and_start_again(void **state)
{
    struct fixture *fixture = *state;
    for (int i = 0; i < 3; i++) {
        admin_stop(fixture->admin);
        assert_true(fcntl(fixture->setup.listener, F_GETFD) >= 0);
        fixture->admin = admin_new(&fixture->setup);
        assert_non_null(fixture->admin);
        assert_true(admin_start(fixture->admin));
        char *answer = fetch(fixture, "GET", "/");
        assert_has(answer, "HTTP/1.1 200 OK\r\n");
        free(answer);
    }
    fixture->config.signing = SIGNING_IN_PROCESS;
    char *answer = fetch(fixture, "GET", "/");
    assert_has(answer, "private keys are in the server");
    free(answer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_status, setup, teardown),
        cmocka_unit_test_setup_teardown(test_metrics, setup, teardown),
        cmocka_unit_test_setup_teardown(test_page, setup, teardown),
        cmocka_unit_test_setup_teardown(test_many_certificates, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refusals, setup, teardown),
        cmocka_unit_test_setup_teardown(test_hosts, setup, teardown),
        cmocka_unit_test_setup_teardown(test_head, setup, teardown),
        cmocka_unit_test_setup_teardown(test_read_while_counting, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stop_and_start_again, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
