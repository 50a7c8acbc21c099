/* What the master decides without a process: immured's configuration, and when to start again. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/log.h"
#include "conf/value.h"
#include "daemon/child.h"
#include "proxy/config/directives.h"
#include "proxy/master/keyd_text.h"

/* As waitpid() has them, see wait(2). */
#define EXITED(code) ((code) << 8)
#define KILLED(number) (number)

static void text_for_immured(void **state)
{
    (void)state;
    struct certificate_config first[] = {
        {.key = "/k/a.key", .policy = "tls12-server", .tls12_groups = "all", .line = 3},
        {.key = "/k/it's \\ here.key", .policy = "any", .pass_phrase_file = "/k/p", .line = 4},
    };
    struct certificate_config second[] = {
        {.key = "/k/a.key", .policy = "tls12-server", .tls12_groups = "all", .line = 9}};
    struct route_config routes[] = {{.certificates = first, .certificate_count = 2},
                                    {.certificates = second, .certificate_count = 1}};
    struct frontend_config frontends[] = {{.routes = &routes[0], .route_count = 1},
                                          {.routes = &routes[1], .route_count = 1}};
    struct proxy_config config = {.file = "x.conf",
                                  .log_json = true,
                                  .log_level = LOG_LEVEL_DEBUG,
                                  .frontends = frontends,
                                  .frontend_count = 2,
                                  .keys = {.threads = 3,
                                           .signing_backend = "slow",
                                           .key_cache = 50,
                                           .ticket_secret_file = (char *)"/k/secret",
                                           .ticket_epoch = 90 * NS_PER_S}};
    char *text = keyd_text(&config, NULL);
    assert_string_equal(text, "threads = '3'\n"
                              "backend = 'slow'\n"
                              "verify = 'all'\n"
                              "key-cache = '50'\n"
                              "ticket-secret-file = '/k/secret'\n"
                              "ticket-epoch = '90s'\n"
                              "log = 'json'\n"
                              "log-level = 'debug'\n"
                              "yield = 'yes'\n"
                              "key '/k/a.key' {\n"
                              "file = '/k/a.key'\n"
                              "policy = 'tls12-server'\n"
                              "tls12-groups = 'all'\n"
                              "location = 'x.conf:3'\n}\n"
                              "key '/k/it\\'s \\\\ here.key' {\n"
                              "file = '/k/it\\'s \\\\ here.key'\n"
                              "pass-phrase-file = '/k/p'\n"
                              "policy = 'any'\n"
                              "location = 'x.conf:4'\n}\n");
    free(text);
}

/* Of what is passed on, the files that immured reads, each once. */
static void files_for_immured(void **state)
{
    (void)state;
    struct certificate_config certificates[] = {
        {.chain = "/k/a.crt", .key = "/k/a.key", .pass_phrase_file = "/k/p"},
        {.chain = "/k/b.crt", .key = "/k/a.key", .pass_phrase_file = "/k/p"},
        {.chain = "/k/c.crt", .key = "/k/c.key"}};
    struct route_config route = {.certificates = certificates, .certificate_count = 3};
    struct frontend_config frontend = {.routes = &route, .route_count = 1};
    struct proxy_config config = {
        .frontends = &frontend,
        .frontend_count = 1,
        .keys = {.library = (char *)"/k/library", .ticket_secret_file = (char *)"/k/secret"}};
    const char *const expected[] = {"/k/secret", "/k/a.key", "/k/p", "/k/c.key"};
    struct name_table names = NAME_TABLE_INIT;
    assert_true(keyd_files(&config, &names));
    assert_int_equal(names.count, sizeof expected / sizeof *expected);
    for (size_t i = 0; i < names.count; i++)
        assert_string_equal(names.names[i], expected[i]);
    name_table_free(&names);
}

/* What is passed on can be written. */
static void what_is_passed_on_is_shown(void **state)
{
    (void)state;
    for (size_t i = 0; i < proxy_grammar.directive_count; i++) {
        const struct conf_directive *directive = &proxy_grammar.directives[i];
        assert_true(directive->passed_on_as == NULL ||
                    (directive->type->show != NULL && !directive->type->list));
    }
}

/* A key's name may have 255 bytes; a path more. */
static void long_path(void **state)
{
    (void)state;
    char path[301] = {0}, expected[512];
    memset(path, 'x', 300);
    memcpy(path + 45, "TAIL", 4);
    struct certificate_config certificate = {.key = path, .policy = "any"};
    struct route_config route = {.certificates = &certificate, .certificate_count = 1};
    struct frontend_config frontend = {.routes = &route, .route_count = 1};
    struct proxy_config config = {.file = "x.conf", .frontends = &frontend, .frontend_count = 1};
    char *text = keyd_text(&config, NULL);
    snprintf(expected, sizeof expected, "key '%s' {\n", path + 45);
    assert_non_null(strstr(text, expected));
    free(text);
}

static void pauses_double_up_to_a_second(void **state)
{
    (void)state;
    const uint64_t pauses[] = {10, 20, 40, 80, 160, 320, 640, 1000, 1000};
    struct loop loop;
    struct child child;
    assert_true(loop_open(&loop));
    child_init(&child, "worker", &loop, NULL);
    uint64_t now = loop.now;
    for (size_t i = 0; i < sizeof pauses / sizeof *pauses; i++) {
        child_started(&child, 42, now);
        assert_false(timer_is_running(&child.back_off.restart));
        now += NS_PER_MS;
        child_restart_later(&child, EXITED(1), now);
        assert_int_equal(child.pid, 0);
        assert_int_equal(child.back_off.restart.expires - now, pauses[i] * NS_PER_MS);
        now = child.back_off.restart.expires;
    }
    child_started(&child, 42, now);
    now += 500 * NS_PER_MS;
    child_restart_later(&child, KILLED(SIGKILL), now);
    assert_int_equal(child.back_off.restart.expires - now, 10 * NS_PER_MS);
    child_ended(&child);
    assert_false(timer_is_running(&child.back_off.restart));
    loop_close(&loop);
}

static void how_it_ended(void **state)
{
    (void)state;
    char text[64];
    assert_string_equal(child_describe(EXITED(3), text, sizeof text), "ended with status 3");
    assert_string_equal(child_describe(KILLED(SIGKILL), text, sizeof text),
                        "was killed by signal 9 (Killed)");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_for_immured),
        cmocka_unit_test(files_for_immured),
        cmocka_unit_test(what_is_passed_on_is_shown),
        cmocka_unit_test(long_path),
        cmocka_unit_test(pauses_double_up_to_a_second),
        cmocka_unit_test(how_it_ended),
    };
    log_setup("test_supervision", LOG_LEVEL_ERROR, false);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
