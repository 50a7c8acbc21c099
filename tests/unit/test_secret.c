/* Secrets from files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>

#include "keyd/secret.h"

#include "arena_fixture.h"
#include "file_fixture.h"

static void write_file(size_t length)
{
    FILE *out = fopen(file, "w");
    for (size_t i = 0; i < length; i++)
        fputc((int)(i % 251), out);
    assert_int_equal(fclose(out), 0);
}

static void files_of_every_size(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 4095, 4096, 4097, 9999, 10000};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        write_file(sizes[i]);
        struct secret secret = SECRET_INIT;
        assert_true(secret_read(&secret, file, 10000));
        assert_int_equal(secret.length, sizes[i]);
        for (size_t at = 0; at < sizes[i]; at++)
            assert_int_equal(secret.bytes[at], at % 251);
        secret_free(&secret);
        assert_null(secret.bytes);
        secret_free(&secret);
    }
    struct secret secret = SECRET_INIT;
    write_file(10001);
    assert_false(secret_read(&secret, file, 10000));
    assert_int_equal(errno, EFBIG);
    assert_null(secret.bytes);
    assert_false(secret_read(&secret, "/nonexistent", 10000));
    assert_int_equal(errno, ENOENT);
    assert_false(secret_read(&secret, "/tmp", 10000));
    assert_int_equal(errno, EISDIR);
}

static int set_up(void **state)
{
    return arena_make(state) != 0 ? -1 : file_make(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_of_every_size),
    };
    return cmocka_run_group_tests(tests, set_up, file_remove);
}
