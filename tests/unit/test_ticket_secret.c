/* The secret of session tickets, and the keys that are derived from it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/regular_file.h"
#include "keyd/front/tickets.h"
#include "keyd/keys/files.h"

#include "arena_fixture.h"
#include "file_fixture.h"

static bool open_tickets(struct ticket_secret *tickets, size_t length, uint64_t epoch)
{
    const struct tickets_config config = {.secret_file = file, .epoch = epoch};
    FILE *out = fopen(file, "w");
    for (size_t i = 0; i < length; i++)
        fputc((int)(i % 256), out);
    assert_int_equal(fclose(out), 0);
    struct files files;
    assert_true(files_begin(&files));
    assert_true(files_add(&files, file, regular_file_open(file)));
    bool good = tickets_open(tickets, &config, &files);
    files_close(&files);
    return good;
}

/* The key of the fifth hour, derived from bytes 0 to 39 by another implementation of RFC 5869. */
static const uint8_t known[WIRE_TICKET_KEY_SIZE] = {
    0x47, 0xa0, 0xb3, 0x6d, 0xe3, 0x53, 0x95, 0xcf, 0xce, 0xbd, 0x3c, 0x28, 0x12, 0x32, 0x1c, 0x9e,
    0xa0, 0x26, 0xc9, 0x56, 0x9a, 0x87, 0xfb, 0x3e, 0x9e, 0xd4, 0x19, 0x55, 0xee, 0x9a, 0x6e, 0x5e,
    0xfb, 0xd0, 0x75, 0xfc, 0x73, 0x13, 0xb6, 0xc2, 0xab, 0xb0, 0xd6, 0xc9, 0x6a, 0x4e, 0xd4, 0x7a,
    0x97, 0x9c, 0x17, 0x94, 0x1a, 0xd7, 0xfb, 0x1c, 0xe5, 0x8c, 0x1e, 0x76, 0x68, 0xa7, 0x39, 0x5a,
    0xd5, 0x64, 0xed, 0x1b, 0x5e, 0xdb, 0xf4, 0xb1, 0x8f, 0x6c, 0x7a, 0x53, 0x6b, 0x9d, 0xf7, 0xb0};

static void known_answer(void **state)
{
    (void)state;
    struct ticket_secret tickets;
    uint8_t key[WIRE_TICKET_KEY_SIZE];
    assert_true(open_tickets(&tickets, 40, 3600 * NS_PER_S));
    assert_true(tickets_configured(&tickets));
    assert_true(tickets_derive(&tickets, 5, key));
    assert_memory_equal(key, known, sizeof key);
    tickets_close(&tickets);
    assert_false(tickets_configured(&tickets));
}

static void each_epoch_length_and_secret_has_its_own(void **state)
{
    (void)state;
    static const struct {
        size_t length;
        uint64_t epoch_length, epoch;
    } rows[] = {{40, 3600 * NS_PER_S, 5}, {40, 3600 * NS_PER_S, 6},
                {40, NS_PER_S, 5},        {41, 3600 * NS_PER_S, 5},
                {32, 3600 * NS_PER_S, 5}, {4096, 3600 * NS_PER_S, UINT64_MAX}};
    enum { COUNT = sizeof rows / sizeof rows[0] };
    uint8_t keys[COUNT][WIRE_TICKET_KEY_SIZE];
    for (size_t i = 0; i < COUNT; i++) {
        struct ticket_secret tickets;
        assert_true(open_tickets(&tickets, rows[i].length, rows[i].epoch_length));
        assert_true(tickets_derive(&tickets, rows[i].epoch, keys[i]));
        tickets_close(&tickets);
        for (size_t j = 0; j < i; j++)
            assert_memory_not_equal(keys[i], keys[j], WIRE_TICKET_NAME_SIZE);
    }
}

static void too_short_and_too_long(void **state)
{
    (void)state;
    static const size_t lengths[] = {0, 1, 31, 4097};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        struct ticket_secret tickets;
        assert_false(open_tickets(&tickets, lengths[i], 3600 * NS_PER_S));
        tickets_close(&tickets);
    }
}

static void none(void **state)
{
    (void)state;
    struct ticket_secret tickets;
    assert_true(tickets_open(&tickets, &(struct tickets_config){.epoch = NS_PER_S}, &FILES_INIT));
    assert_false(tickets_configured(&tickets));
    tickets_close(&tickets);
}

static int set_up(void **state)
{
    return arena_make(state) != 0 ? -1 : file_make(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_answer),
        cmocka_unit_test(each_epoch_length_and_secret_has_its_own),
        cmocka_unit_test(too_short_and_too_long),
        cmocka_unit_test(none),
    };
    return cmocka_run_group_tests(tests, set_up, file_remove);
}
