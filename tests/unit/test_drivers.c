/* The life of drivers: instances, drivers that cannot be opened, and the system calls that they
 * need. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "keyd/sign/drivers.h"
#include "keyd/sign/kind.h"

static char life[256]; /* the functions that were called, with their instances */

static void note(const char *call, const struct driver *driver)
{
    size_t used = strlen(life);
    snprintf(life + used, sizeof life - used, "%s %s\n", call, driver->name);
}

/* The settings become the state; without settings it cannot open. */
static bool open_it(struct driver *driver, const struct files *files, char *reason, size_t size)
{
    (void)files;
    note("open", driver);
    driver->state = (void *)driver->settings;
    if (driver->state == NULL)
        snprintf(reason, size, "it has no settings");
    return driver->state != NULL;
}

static bool start_it(const struct driver *driver)
{
    note("start", driver);
    return strcmp(driver->state, "bad") != 0;
}

static bool stop_it(const struct driver *driver)
{
    note("stop", driver);
    return strcmp(driver->state, "hangs") != 0;
}

static void close_it(struct driver *driver)
{
    note("close", driver);
    driver->state = NULL;
}

static const struct driver plain = {.name = "plain"};
static const struct driver one = {.name = "one", .open = open_it, .close = close_it};
static const struct driver each = {.name = "each",
                                   .sections = true,
                                   .privileged = true,
                                   .open = open_it,
                                   .start = start_it,
                                   .stop = stop_it,
                                   .close = close_it};

static void make(struct drivers *drivers, const char *settings_of_one, const char *settings_of_each)
{
    life[0] = '\0';
    assert_true(drivers_init(drivers, 4));
    assert_true(drivers_add(drivers, &plain, NULL, NULL));
    assert_false(drivers_privileged(drivers));
    assert_true(drivers_add(drivers, &one, NULL, settings_of_one));
    assert_true(drivers_add(drivers, &each, "a", "good"));
    assert_true(drivers_add(drivers, &each, "b", settings_of_each));
    assert_true(drivers_privileged(drivers));
}

static void each_instance_has_its_own_state(void **state)
{
    (void)state;
    struct drivers drivers;
    make(&drivers, "settings", "others");
    assert_true(drivers_open(&drivers, NULL));
    assert_ptr_equal(drivers_find(&drivers, "plain"), drivers.list[0]);
    assert_string_equal(drivers_find(&drivers, "each:a")->state, "good");
    assert_string_equal(drivers_find(&drivers, "each:b")->state, "others");
    assert_null(drivers_find(&drivers, "each"));
    assert_null(drivers_find(&drivers, "auto"));
    assert_null(drivers.list[4]);
    assert_true(drivers_start(&drivers));
    assert_true(drivers_stop(&drivers));
    drivers_close(&drivers);
    assert_string_equal(life, "open one\nopen each:a\nopen each:b\nstart each:a\nstart each:b\n"
                              "stop each:a\nstop each:b\nclose one\nclose each:a\nclose each:b\n");
}

static void only_what_has_a_section_must_serve(void **state)
{
    (void)state;
    struct drivers drivers;
    make(&drivers, NULL, "others");
    assert_true(drivers_open(&drivers, NULL));
    life[0] = '\0';
    drivers_close(&drivers);
    assert_string_equal(life, "close each:a\nclose each:b\n");
    make(&drivers, "settings", NULL);
    assert_false(drivers_open(&drivers, NULL));
    drivers_close(&drivers);
}

static void what_does_not_start_or_stop_is_told(void **state)
{
    (void)state;
    struct drivers drivers;
    make(&drivers, "settings", "bad");
    assert_true(drivers_open(&drivers, NULL));
    assert_false(drivers_start(&drivers));
    drivers_close(&drivers);
    make(&drivers, "settings", "hangs");
    assert_true(drivers_open(&drivers, NULL));
    assert_true(drivers_start(&drivers));
    assert_false(drivers_stop(&drivers));
    drivers_close(&drivers);
}

static void system_calls_of_all_that_sign(void **state)
{
    (void)state;
    static const int few[] = {3, 4, -1}, more[] = {4, 5, -1};
    static const struct driver single = {.calls = few}, batch = {.calls = more};
    struct kinds kinds = {.kinds = {{.single = &plain}, {.single = &single, .batch = &batch}},
                          .count = 2};
    int calls[8];
    kinds_gather_calls(&kinds, calls, 8);
    assert_memory_equal(calls, ((const int[]){3, 4, 5, -1}), 4 * sizeof calls[0]);
    kinds_gather_calls(&kinds, calls, 2); /* only as many as there is room for */
    assert_memory_equal(calls, ((const int[]){3, -1}), 2 * sizeof calls[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_instance_has_its_own_state),
        cmocka_unit_test(only_what_has_a_section_must_serve),
        cmocka_unit_test(what_does_not_start_or_stop_is_told),
        cmocka_unit_test(system_calls_of_all_that_sign),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
