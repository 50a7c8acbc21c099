/* Paused async jobs of a server that knows nothing of immure. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <openssl/async.h>
#include <openssl/err.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "fake_immured.h"
#include "provider_fixture.h"

#define PATIENCE 10000 /* ms */

struct server {
    struct fake_immured immured;
    OSSL_LIB_CTX *context;
    EVP_PKEY *key;
    ASYNC_WAIT_CTX *waiting;
    ASYNC_JOB *job;
    int good; /* what the job returned */
};

static void server_begin(struct server *server, const char *settings)
{
    *server = (struct server){.good = -1};
    fake_immured_begin(&server->immured, keys, KEY_COUNT);
    server->context = context_with_settings(settings);
    server->key = key_from_reference(server->context, &keys[P_256], server->immured.path);
    server->waiting = ASYNC_WAIT_CTX_new();
}

static void server_end(struct server *server)
{
    ASYNC_WAIT_CTX_free(server->waiting);
    EVP_PKEY_free(server->key);
    OSSL_LIB_CTX_free(server->context);
    fake_immured_end(&server->immured);
}

static int sign_in_job(void *arg)
{
    const struct server *server = *(struct server **)arg;
    return signs_well(server->context, server->key, &keys[P_256]);
}

/* Starts the job, or goes on with it. True: it is paused. */
static bool run(struct server *server)
{
    int result = ASYNC_start_job(&server->job, server->waiting, &server->good, sign_in_job, &server,
                                 sizeof server);
    assert_true(result == ASYNC_PAUSE || result == ASYNC_FINISH);
    return result == ASYNC_PAUSE;
}

/* What the server would poll. */
static int descriptor_of(struct server *server)
{
    OSSL_ASYNC_FD descriptor;
    size_t count;
    assert_int_equal(ASYNC_WAIT_CTX_get_all_fds(server->waiting, NULL, &count), 1);
    assert_int_equal(count, 1);
    assert_int_equal(ASYNC_WAIT_CTX_get_all_fds(server->waiting, &descriptor, &count), 1);
    return descriptor;
}

static bool readable(int descriptor, int timeout)
{
    return poll(&(struct pollfd){.fd = descriptor, .events = POLLIN}, 1, timeout) == 1;
}

static void run_to_the_end(struct server *server)
{
    while (run(server))
        assert_true(readable(descriptor_of(server), PATIENCE));
}

static void test_pauses_until_the_answer(void **state)
{
    (void)state;
    struct server server;
    server_begin(&server, "asynchronous = yes");
    server.immured.silent = true;
    assert_true(run(&server));
    int descriptor = descriptor_of(&server);
    for (int i = 0; i < 3; i++)
        assert_true(run(&server)); /* resumed for nothing */
    server.immured.silent = false;
    /* The silent immured ends: the connection is lost, and the request is sent again. */
    fake_immured_end(&server.immured);
    fake_immured_begin(&server.immured, keys, KEY_COUNT);
    run_to_the_end(&server);
    assert_int_equal(server.good, 1);

    /* The next job of the same connection uses the same descriptor, which is not readable in
     * between. */
    assert_false(readable(descriptor, 50));
    run_to_the_end(&server);
    assert_int_equal(server.good, 1);
    assert_int_equal(descriptor_of(&server), descriptor);
    server_end(&server);
}

static void test_time_limit(void **state)
{
    (void)state;
    struct server server;
    server_begin(&server, "asynchronous = yes\ntimeout = 200ms");
    server.immured.silent = true;
    uint64_t begun = clock_now();
    run_to_the_end(&server);
    assert_true(clock_now() - begun >= 200 * NS_PER_MS);
    assert_int_equal(server.good, 0);
    assert_true(error_queue_has("immured did not answer in time"));
    server_end(&server);
}

static void test_nobody_listens(void **state)
{
    (void)state;
    struct server server;
    server_begin(&server, "asynchronous = yes\ntimeout = 200ms");
    fake_immured_end(&server.immured);
    run_to_the_end(&server);
    assert_int_equal(server.good, 0);
    assert_true(error_queue_has("no connection to immured"));
    fake_immured_begin(&server.immured, keys, KEY_COUNT);
    server_end(&server);
}

/* For a daemon that closes its standard streams and still writes to them. */
static void test_no_number_of_a_stream(void **state)
{
    (void)state;
    struct server server;
    server_begin(&server, "asynchronous = yes");
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        for (int stream = 0; stream <= STDERR_FILENO; stream++)
            close(stream);
        run_to_the_end(&server);
        bool good = server.good == 1;
        for (int stream = 0; stream <= STDERR_FILENO; stream++)
            good &= fcntl(stream, F_GETFD) < 0 && errno == EBADF;
        _exit(good ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    server_end(&server);
}

/* An application calls SSL_free() after unloading the provider. */
static void test_what_outlives_the_module(void **state)
{
    (void)state;
    struct server server = {.good = -1};
    fake_immured_begin(&server.immured, keys, KEY_COUNT);
    server.context = context_with_module(IMMURE_MODULE, "asynchronous = yes");
    server.key = key_from_reference(server.context, &keys[P_256], server.immured.path);
    server.waiting = ASYNC_WAIT_CTX_new();
    run_to_the_end(&server);
    assert_int_equal(server.good, 1);
    int descriptor = descriptor_of(&server);
    EVP_PKEY_free(server.key);
    OSSL_LIB_CTX_free(server.context);
    ASYNC_WAIT_CTX_free(server.waiting);
    assert_int_equal(fcntl(descriptor, F_GETFD), -1);
    fake_immured_end(&server.immured);
}

static void test_only_where_it_is_asked_for(void **state)
{
    (void)state;
    struct server server;
    server_begin(&server, "asynchronous = no");
    assert_false(run(&server));
    assert_int_equal(server.good, 1);
    server_end(&server);

    /* Outside of a job there is nothing to pause. */
    server_begin(&server, "asynchronous = yes");
    assert_true(signs_well(server.context, server.key, &keys[P_256]));
    server_end(&server);
}

/* Both descriptors were closed behind our back, and their numbers reused for files of the same
 * kinds. */
static void test_numbers_that_others_have(void **state)
{
    (void)state;
    struct server server;
    server_begin(&server, "asynchronous = yes");
    run_to_the_end(&server);
    assert_int_equal(server.good, 1);
    int epoll = descriptor_of(&server), timer = epoll + 1;
    struct itimerspec when = {.it_value = {.tv_sec = 5000}};
    assert_int_equal(timerfd_gettime(timer, &when), 0); /* it is the timer */
    when = (struct itimerspec){.it_value = {.tv_sec = 5000}};
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = 77};

    int mine = epoll_create1(EPOLL_CLOEXEC), clock = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
    assert_int_equal(dup2(mine, epoll), epoll);
    assert_int_equal(dup2(clock, timer), timer);
    assert_int_equal(timerfd_settime(timer, 0, &when, NULL), 0);
    assert_int_equal(epoll_ctl(epoll, EPOLL_CTL_ADD, timer, &event), 0);
    for (int i = 0; i < 3; i++) {
        run_to_the_end(&server);
        assert_int_equal(server.good, 1);
        assert_int_not_equal(descriptor_of(&server), epoll);
    }
    server_end(&server);
    assert_int_equal(timerfd_gettime(timer, &when), 0);
    assert_true(when.it_value.tv_sec > 4000 && when.it_interval.tv_sec == 0);
    assert_int_equal(epoll_wait(epoll, &event, 1, 0), 0);
    when.it_value.tv_sec = 0;
    when.it_value.tv_nsec = 1;
    assert_int_equal(timerfd_settime(timer, 0, &when, NULL), 0);
    assert_int_equal(epoll_wait(epoll, &event, 1, PATIENCE), 1);
    assert_int_equal(event.data.u64, 77);
    close(epoll);
    close(timer);
    close(mine);
    close(clock);
}

static int sign_without_pauses(void *arg)
{
    ASYNC_block_pause();
    int good = sign_in_job(arg);
    ASYNC_unblock_pause();
    return good;
}

static bool run_without_pauses(struct server *server)
{
    assert_int_equal(ASYNC_start_job(&server->job, server->waiting, &server->good,
                                     sign_without_pauses, &server, sizeof server),
                     ASYNC_FINISH);
    return server->good == 1;
}

static uint64_t cpu_time(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

/* Within ASYNC_block_pause() it waits in poll(). */
static void test_pauses_that_are_blocked(void **state)
{
    (void)state;
    struct server server;
    server_begin(&server, "asynchronous = yes\ntimeout = 1s");
    for (int i = 0; i < 3; i++)
        assert_true(run_without_pauses(&server));
    server.immured.silent = true;
    uint64_t begun = clock_now(), used = cpu_time();
    assert_false(run_without_pauses(&server));
    assert_true(clock_now() - begun >= NS_PER_S);
    assert_true(cpu_time() - used < NS_PER_S / 2);
    assert_true(error_queue_has("immured did not answer in time"));
    server_end(&server);
}

static void never_woken(struct immure_waiter *waiter)
{
    (void)waiter;
    fail();
}

/* A waiter's request is cancelled if its job cannot pause, because nobody would read the reply. */
static void test_waiter_that_cannot_pause(void **state)
{
    (void)state;
    struct server server;
    server_begin(&server, "timeout = 1s");
    struct immure_waiter waiter = {.client = immure_client_new(NULL), .wake = never_woken};
    for (int i = 0; i < 3; i++) {
        immure_waiter_enter(&waiter);
        assert_false(run_without_pauses(&server));
        immure_waiter_leave();
        assert_true(error_queue_has("the async job could not be paused"));
        assert_int_equal(immure_client_pending(waiter.client), 0);
    }
    immure_client_free(waiter.client);
    server_end(&server);
}

/* Many jobs at once, each with a connection of its own while it waits. */
static void test_many_jobs(void **state)
{
    (void)state;
    enum { JOBS = 20 };
    struct server server;
    server_begin(&server, "asynchronous = yes");
    ASYNC_WAIT_CTX *waiting[JOBS];
    ASYNC_JOB *jobs[JOBS] = {NULL};
    int good[JOBS], unfinished = JOBS;
    bool finished[JOBS] = {false};
    struct server *argument = &server;
    for (int i = 0; i < JOBS; i++)
        waiting[i] = ASYNC_WAIT_CTX_new();
    while (unfinished > 0) {
        for (int i = 0; i < JOBS; i++) {
            if (!finished[i] && ASYNC_start_job(&jobs[i], waiting[i], &good[i], sign_in_job,
                                                &argument, sizeof argument) == ASYNC_FINISH) {
                assert_int_equal(good[i], 1);
                finished[i] = true;
                unfinished--;
            }
        }
    }
    assert_int_equal(server.immured.requests, JOBS);
    for (int i = 0; i < JOBS; i++)
        ASYNC_WAIT_CTX_free(waiting[i]);
    server_end(&server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pauses_until_the_answer),
        cmocka_unit_test(test_time_limit),
        cmocka_unit_test(test_nobody_listens),
        cmocka_unit_test(test_no_number_of_a_stream),
        cmocka_unit_test(test_what_outlives_the_module),
        cmocka_unit_test(test_only_where_it_is_asked_for),
        cmocka_unit_test(test_numbers_that_others_have),
        cmocka_unit_test(test_pauses_that_are_blocked),
        cmocka_unit_test(test_waiter_that_cannot_pause),
        cmocka_unit_test(test_many_jobs),
    };
    return cmocka_run_group_tests(tests, fixture_make, fixture_free);
}
