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
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "conf/value.h"
#include "daemon/child.h"
#include "proxy/config/directives.h"
#include "proxy/master/keyd_text.h"
#include "proxy/store/builder.h"

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

/* ---- keys of directories and lists, from one store to the next ---- */

/* Each letter is a certificate with a key of that id; those in capitals have another policy. */
static struct store *store_of(const char *letters)
{
    struct conf_error error;
    struct store_builder *builder = store_builder_new();
    for (const char *letter = letters; *letter != '\0'; letter++) {
        bool other = *letter < 'a';
        struct store_certificate certificate = {
            .key_path = store_builder_text(builder, "/a.key"),
            .policy = store_builder_common_text(builder, other ? "tls12-server" : "tls-server"),
            .key_id = {(uint8_t)(other ? *letter + 'a' - 'A' : *letter)}};
        store_builder_add(builder, &certificate);
    }
    int memory = store_builder_seal(builder, 1);
    struct store *store = store_open(memory, &error);
    assert_non_null(store);
    close(memory);
    return store;
}

static int id_at(const struct keyd_keys *keys, uint32_t place)
{
    return store_certificate(keys->store, keys->keys[place].certificate)->key_id[0];
}

static void keys_that_are_missing(void **state)
{
    (void)state;
    static const struct {
        const char *before, *after, *added, *removed;
        size_t sections;
        bool moved;
    } rows[] = {
        {"abc", "cba", "", "", 1, false}, {"abc", "bcd", "d", "a", 1, false},
        {"", "abab", "ab", "", 1, false}, {"aab", "b", "", "a", 1, false},
        {"aB", "ab", "", "", 2, true},    {"aB", "Bca", "c", "", 2, false},
        {"ab", "aC", "c", "b", 2, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct name_table files = NAME_TABLE_INIT;
        struct store *stores[] = {store_of(rows[i].before), store_of(rows[i].after)};
        struct keyd_keys before, after;
        bool moved = false;
        size_t count;
        assert_true(keyd_keys_find(&before, NULL, stores[0], &files));
        assert_true(keyd_keys_find(&after, &before, stores[1], &files));
        assert_int_equal(after.settings.count, rows[i].sections);
        uint32_t *added = keyd_keys_missing(&after, &before, NULL, &count, &moved);
        assert_int_equal(count, strlen(rows[i].added));
        for (size_t j = 0; j < count; j++)
            assert_int_equal(id_at(&after, added[j]), rows[i].added[j]);
        assert_int_equal(moved, rows[i].moved);
        uint32_t *removed = keyd_keys_missing(&before, &after, NULL, &count, &moved);
        assert_int_equal(count, strlen(rows[i].removed));
        for (size_t j = 0; j < count; j++)
            assert_int_equal(id_at(&before, removed[j]), rows[i].removed[j]);
        free(added);
        free(removed);
        keyd_keys_free(&before);
        keyd_keys_free(&after);
        store_close(stores[0]);
        store_close(stores[1]);
        name_table_free(&files);
    }
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
        cmocka_unit_test(keys_that_are_missing),
        cmocka_unit_test(how_it_ended),
    };
    log_setup("test_supervision", LOG_LEVEL_ERROR, false);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
