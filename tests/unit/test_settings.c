/* What the operator sets for servers: in one configuration, over to the next, and to the next
 * master. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/descriptor.h"
#include "proxy/master/settings.h"

/* A generation with two backends, of which the servers have the same addresses, and no processes.
 */
struct fixture {
    struct server_config servers[4];
    struct backend_config backends[2];
    struct proxy_config config;
    struct generation_setup setup;
    struct control_end control;
    struct generation generation;
};

static void make(struct fixture *fixture)
{
    static char *const addresses[] = {"127.0.0.1:1", "unix:/run/app"};
    static char *const names[] = {"app", "web"};
    *fixture = (struct fixture){.config = {.backends = fixture->backends,
                                           .backend_count = 2,
                                           .servers = fixture->servers,
                                           .server_count = 4}};
    for (size_t i = 0; i < 4; i++)
        fixture->servers[i] =
            (struct server_config){.address.text = addresses[i % 2], .weight = 2, .backend = i / 2};
    for (size_t i = 0; i < 2; i++)
        fixture->backends[i] = (struct backend_config){
            .name = names[i], .servers = &fixture->servers[2 * i], .server_count = 2};
    fixture->generation = (struct generation){.setup = &fixture->setup,
                                              .config = &fixture->config,
                                              .controls = &fixture->control,
                                              .control_count = 1};
    watch_init(&fixture->generation.health, NULL);
    fixture->generation.health.descriptor = -1;
}

static bool set_mode(struct fixture *fixture, const char *backend, const char *server,
                     enum server_mode mode)
{
    const struct setting_change change = {
        .backend = backend, .server = server, .kind = SETTING_MODE, .mode = mode};
    return settings_change(&fixture->generation, &change);
}

static bool set_weight(struct fixture *fixture, const char *backend, const char *server,
                       uint32_t weight)
{
    const struct setting_change change = {
        .backend = backend, .server = server, .kind = SETTING_WEIGHT, .weight = weight};
    return settings_change(&fixture->generation, &change);
}

static void a_change_is_one_of_one_server(void **state)
{
    (void)state;
    struct fixture fixture;
    make(&fixture);
    assert_true(set_mode(&fixture, "web", "unix:/run/app", MODE_DRAINED));
    assert_false(set_mode(&fixture, "web", "unix:/run/app", MODE_DRAINED));
    assert_true(set_weight(&fixture, "web", "unix:/run/app", 7));
    assert_true(set_mode(&fixture, "web", "unix:/run/app", MODE_DISABLED));
    assert_false(set_mode(&fixture, "web", "unix:/run/other", MODE_DRAINED));
    assert_false(set_mode(&fixture, "other", "unix:/run/app", MODE_DRAINED));
    const struct server_setting *setting = &fixture.servers[3].setting;
    assert_int_equal(setting->mode, MODE_DISABLED);
    assert_int_equal(setting->weight, 7);
    assert_int_equal(setting->changes, 3);
    assert_int_equal(server_weight(&fixture.servers[3], setting), 7);
    assert_int_equal(settings_count_enabled(&fixture.backends[0]), 2);
    assert_int_equal(settings_count_enabled(&fixture.backends[1]), 1);
    assert_true(set_weight(&fixture, "web", "unix:/run/app", 0));
    assert_int_equal(server_weight(&fixture.servers[3], setting), 2);
}

static void source_has_no_room_for_higher_weights(void **state)
{
    (void)state;
    struct fixture before, next;
    make(&before);
    make(&next);
    next.backends[0].balance = BALANCE_SOURCE;
    assert_int_equal(settings_weight_max(&before.backends[0], &before.servers[0]),
                     SERVER_WEIGHT_MAX);
    assert_int_equal(settings_weight_max(&next.backends[0], &next.servers[0]), 2);
    set_mode(&before, "app", "127.0.0.1:1", MODE_DRAINED);
    set_weight(&before, "app", "127.0.0.1:1", 3);
    set_weight(&before, "app", "unix:/run/app", 1);
    settings_inherit(&next.generation, NULL);
    assert_int_equal(next.servers[0].setting.mode, MODE_ENABLED);
    settings_inherit(&next.generation, &before.generation);
    assert_int_equal(next.servers[2].setting.mode, MODE_ENABLED); /* of another backend */
    assert_int_equal(next.servers[0].setting.mode, MODE_DRAINED);
    assert_int_equal(next.servers[0].setting.weight, 0);
    assert_int_equal(next.servers[1].setting.weight, 1);
}

static void the_next_master_gets_all(void **state)
{
    (void)state;
    struct fixture old, new;
    bool good = false;
    make(&old);
    make(&new);
    assert_int_equal(settings_to_memory(&old.generation, &good), -1);
    assert_true(good);
    set_mode(&old, "app", "unix:/run/app", MODE_DISABLED);
    set_mode(&old, "web", "127.0.0.1:1", MODE_DRAINED);
    set_weight(&old, "web", "127.0.0.1:1", 256);
    int memory = settings_to_memory(&old.generation, &good);
    assert_true(good && memory >= 0);
    new.backends[0].name = "another"; /* which has nothing to do with it */
    assert_true(settings_from_memory(&new.generation, memory));
    descriptor_close(&memory);
    for (size_t i = 0; i < 4; i++) {
        bool set = i == 2;
        assert_int_equal(new.servers[i].setting.mode, set ? MODE_DRAINED : MODE_ENABLED);
        assert_int_equal(new.servers[i].setting.weight, set ? 256 : 0);
    }
}

static void what_is_no_file_of_settings(void **state)
{
    (void)state;
    static const char *const texts[] = {"app",
                                        "app\0",
                                        "app\0x\0",
                                        "app\0x\0"
                                        "1 0",
                                        "a\0x\0\0",
                                        "a\0x\0"
                                        "3 0\0",
                                        "a\0x\0"
                                        "1 257\0",
                                        "a\0x\0"
                                        "1 0 0\0",
                                        "a\0x\0"
                                        "-1 0\0",
                                        "a\0x\0"
                                        "x\0"};
    static const size_t lengths[] = {3, 4, 6, 9, 5, 8, 10, 10, 9, 6};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct fixture fixture;
        make(&fixture);
        int memory = descriptor_of_bytes("settings", texts[i], lengths[i]);
        assert_false(settings_from_memory(&fixture.generation, memory));
        assert_int_equal(errno, EPROTO);
        descriptor_close(&memory);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_change_is_one_of_one_server),
        cmocka_unit_test(source_has_no_room_for_higher_weights),
        cmocka_unit_test(the_next_master_gets_all),
        cmocka_unit_test(what_is_no_file_of_settings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
