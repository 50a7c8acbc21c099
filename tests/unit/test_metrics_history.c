/* Whatever generations of workers have counted stays in the sums, and is in them once. */
#include "proxy/shared/metrics_history.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "immure/scheme.h"

static int setup(void **state)
{
    struct metrics_history *history = malloc(sizeof *history);
    metrics_history_init(history);
    *state = history;
    return 0;
}

static int teardown(void **state)
{
    struct metrics_history *history = *state;
    assert_true(list_empty(&history->generations));
    metrics_sum_release(&history->past);
    free(history);
    return 0;
}

/* Adds one to every counter. */
static void count_one(struct thread_metrics *thread)
{
    metric_add(&thread->bytes_in_total, 1);
    metric_add(&thread->handshakes[VERSION_TLS13][HANDSHAKE_FULL], 1);
    metric_add(&thread->ends[END_CLEAN], 1);
    histogram_record(&thread->turn, 1000);
    histogram_record(&thread->turn_cpu, 1000);
    histogram_record(&thread->handshake, 1000);
    metrics_signed(metrics_sign(thread, IMMURE_ED25519, "openssl"), 1000, 1000, 1000, 1);
}

/* A generation of two threads; each has `count` connections, and `count` in every counter. */
static struct generation_metrics *generation(struct metrics_history *history, unsigned count)
{
    struct generation_metrics *metrics = generation_metrics_new(history, 2);
    assert_non_null(metrics);
    for (unsigned i = 0; i < 2; i++) {
        struct thread_metrics *thread = generation_metrics_thread(metrics, i);
        metric_add(&thread->connections, count);
        for (unsigned j = 0; j < count; j++)
            count_one(thread);
    }
    return metrics;
}

/* The value of every counter as shown by a worker of `own`. */
static uint64_t shown(const struct metrics_history *history, const struct generation_metrics *own)
{
    struct metrics_sum sum;
    assert_true(metrics_history_sum(history, own, &sum));
    uint64_t count = sum.counters[COUNTER_BYTES_IN];
    assert_int_equal(sum.handshakes[VERSION_TLS13][HANDSHAKE_FULL], count);
    assert_int_equal(sum.ends[END_CLEAN], count);
    assert_int_equal(histogram_count(&sum.turn), count);
    assert_int_equal(histogram_count(&sum.turn_cpu), count);
    assert_int_equal(histogram_count(&sum.handshake), count);
    assert_int_equal(sum.sign_count, 1);
    assert_int_equal(histogram_count(&sum.signs[0].sign), count);
    metrics_sum_release(&sum);
    return count;
}

static uint64_t connections(const struct metrics_history *history)
{
    struct metrics_sum sum;
    assert_true(metrics_history_sum(history, NULL, &sum));
    metrics_sum_release(&sum);
    return sum.gauges[GAUGE_CONNECTIONS];
}

static void test_ended_generations_stay_counted(void **state)
{
    struct metrics_history *history = *state;
    struct generation_metrics *first = generation(history, 1), *second = generation(history, 10);
    assert_int_equal(shown(history, second), 22);
    generation_metrics_free(history, first);
    assert_int_equal(shown(history, second), 22);
    struct generation_metrics *third = generation(history, 100);
    generation_metrics_free(history, second);
    assert_int_equal(shown(history, third), 222);
    generation_metrics_free(history, third);
    assert_int_equal(shown(history, NULL), 222);
}

static void test_gauges_end_with_the_worker(void **state)
{
    struct metrics_history *history = *state;
    struct generation_metrics *first = generation(history, 1), *second = generation(history, 10);
    assert_int_equal(connections(history), 22);
    generation_metrics_drain(first);
    assert_int_equal(metrics_history_draining(history).workers, 1);
    assert_int_equal(metrics_history_draining(history).connections, 2);
    generation_metrics_worker_ended(first);
    assert_int_equal(metrics_history_draining(history).workers, 0);
    assert_int_equal(connections(history), 20);
    assert_int_equal(shown(history, second), 22);
    generation_metrics_free(history, first);
    generation_metrics_free(history, second); /* without generation_metrics_worker_ended() before */
    assert_int_equal(connections(history), 0);
}

/* Runs in a child, which looks again when `go` is readable. */
static void watch(const struct metrics_history *history, const struct generation_metrics *own,
                  int go)
{
    char byte;
    bool good = true;
    for (uint64_t expected = 22; read(go, &byte, 1) == 1; expected++) {
        good = good && shown(history, own) == expected;
        good = write(go, &byte, 1) == 1 && good;
    }
    _exit(good ? 0 : 1);
}

static void look(int watcher)
{
    char byte = 0;
    assert_int_equal(write(watcher, &byte, 1), 1);
    assert_int_equal(read(watcher, &byte, 1), 1);
}

/* A worker that is forked while another generation is alive sees that generation's counts, and
 * still has them when that generation has ended. */
static void test_a_fork_sees_what_others_count(void **state)
{
    struct metrics_history *history = *state;
    struct generation_metrics *first = generation(history, 1), *second = generation(history, 10);
    int pair[2], status;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    pid_t child = fork();
    if (child == 0) {
        close(pair[0]);
        watch(history, second, pair[1]);
    }
    close(pair[1]);
    look(pair[0]);
    count_one(generation_metrics_thread(first, 0));
    look(pair[0]);
    count_one(generation_metrics_thread(second, 1));
    look(pair[0]);
    count_one(generation_metrics_thread(second, 1));
    generation_metrics_free(history, first);
    look(pair[0]);
    assert_int_equal(shown(history, second), 25);
    close(pair[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    generation_metrics_free(history, second);
}

/* Two workers show the same sums as long as the older one answers, which cannot see the counts of
 * the newer one. */
static void test_two_that_answer_agree(void **state)
{
    struct metrics_history *history = *state;
    struct generation_metrics *first = generation(history, 1);
    generation_metrics_shown(first, true);
    assert_int_equal(shown(history, first), 2);
    struct generation_metrics *second = generation(history, 10);
    generation_metrics_shown(second, true);
    assert_int_equal(shown(history, second), 2);
    assert_int_equal(shown(history, first), 2); /* as a restarted worker of `first` shows it */
    generation_metrics_shown(first, false);
    assert_int_equal(shown(history, second), 22);
    generation_metrics_shown(first, true);
    generation_metrics_worker_ended(first); /* the worker was killed */
    assert_int_equal(shown(history, second), 22);
    generation_metrics_free(history, first);
    generation_metrics_free(history, second);
}

/* The sums stay bounded, whatever a compromised worker writes. */
static void test_false_rows_are_bounded(void **state)
{
    struct metrics_history *history = *state;
    struct metrics_sum sum;
    for (unsigned round = 0; round < 8; round++) {
        struct generation_metrics *metrics = generation_metrics_new(history, 1);
        assert_non_null(metrics);
        struct thread_metrics *thread = generation_metrics_thread(metrics, 0);
        atomic_store(&thread->sign_count, UINT32_MAX);
        for (size_t i = 0; i < SIGN_METRICS_MAX; i++) {
            thread->sign[i].scheme = UINT16_MAX;
            memset(thread->sign[i].backend, '"', SIGN_BACKEND_SIZE);
            thread->sign[i].backend[0] = (char)('a' + i);
            thread->sign[i].backend[1] = (char)('a' + round);
        }
        assert_null(metrics_sign_row(thread, SIGN_METRICS_MAX));
        generation_metrics_free(history, metrics);
    }
    assert_true(metrics_history_sum(history, NULL, &sum));
    assert_int_equal(sum.sign_count, SIGN_SUMS_MAX);
    assert_string_equal(sum.signs[0].backend, "aa??????????????");
    assert_string_equal(sum.signs[0].algorithm, "unknown");
    metrics_sum_release(&sum);
}

static void test_rows_of_a_thread(void **state)
{
    (void)state;
    static struct thread_metrics metrics;
    struct sign_metrics *first = metrics_sign(&metrics, 0, "openssl");
    for (uint16_t scheme = 0; scheme < SIGN_METRICS_MAX; scheme++)
        assert_non_null(metrics_sign(&metrics, scheme, "openssl"));
    assert_null(metrics_sign(&metrics, SIGN_METRICS_MAX, "openssl"));
    assert_null(metrics_sign(&metrics, 0, "other"));
    assert_ptr_equal(metrics_sign(&metrics, 0, "openssl"), first);
    assert_null(metrics_sign_row(&metrics, SIGN_METRICS_MAX));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_ended_generations_stay_counted, setup, teardown),
        cmocka_unit_test_setup_teardown(test_gauges_end_with_the_worker, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_fork_sees_what_others_count, setup, teardown),
        cmocka_unit_test_setup_teardown(test_two_that_answer_agree, setup, teardown),
        cmocka_unit_test_setup_teardown(test_false_rows_are_bounded, setup, teardown),
        cmocka_unit_test(test_rows_of_a_thread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
