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
#include <sys/stat.h>
#include <unistd.h>

#include "keyd/secret.h"

#include "arena_fixture.h"
#include "file_fixture.h"

#define LONGEST ((size_t)10000)

static void write_file(size_t length)
{
    FILE *out = fopen(file, "w");
    for (size_t i = 0; i < length; i++)
        fputc((int)(i % 251), out);
    assert_int_equal(fclose(out), 0);
}

/* Without a table that lasts. */
static bool read_file(struct secret *secret, const char *name)
{
    struct file_table files = FILE_TABLE_INIT;
    assert_true(file_table_open(&files, name));
    bool good = secret_read(secret, &files, name, LONGEST);
    int reason = errno;
    file_table_close(&files);
    errno = reason;
    return good;
}

static void assert_content(struct secret *secret, size_t length)
{
    assert_int_equal(secret->length, length);
    for (size_t at = 0; at < length; at++)
        assert_int_equal(secret->bytes[at], at % 251);
    secret_free(secret);
    assert_null(secret->bytes);
}

static void assert_refused(const char *name, int reason)
{
    struct secret secret = SECRET_INIT;
    assert_false(read_file(&secret, name));
    assert_int_equal(errno, reason);
    assert_null(secret.bytes);
}

static void files_of_every_size(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 4095, 4096, 4097, 9999, LONGEST};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        write_file(sizes[i]);
        struct secret secret = SECRET_INIT;
        assert_true(read_file(&secret, file));
        assert_content(&secret, sizes[i]);
        secret_free(&secret);
    }
    write_file(LONGEST + 1);
    assert_refused(file, EFBIG);
    assert_int_equal(truncate(file, (off_t)1 << 40), 0);
    assert_refused(file, EFBIG);
}

static void what_is_no_file(void **state)
{
    (void)state;
    assert_refused("/nonexistent", ENOENT);
    assert_refused("/tmp", EISDIR);
    assert_refused("/dev/zero", ESPIPE);
    assert_int_equal(unlink(file), 0);
    assert_int_equal(mkfifo(file, 0600), 0);
    assert_refused(file, ESPIPE); /* and nobody waits for its writer */
    assert_int_equal(unlink(file), 0);
    assert_string_equal(file_table_reason(ESPIPE), "it is not a regular file");
    assert_string_equal(file_table_reason(ENOENT), "No such file or directory");
}

/* As when a key process is started again, and the file has another owner or has been replaced. */
static void what_is_open_can_be_read_again(void **state)
{
    (void)state;
    struct file_table files = FILE_TABLE_INIT;
    struct secret secret = SECRET_INIT;
    write_file(100);
    assert_true(file_table_open(&files, file));
    assert_int_equal(unlink(file), 0);
    write_file(200);
    for (int i = 0; i < 3; i++) {
        assert_true(secret_read(&secret, &files, file, LONGEST));
        assert_content(&secret, 100);
    }
    assert_true(file_table_open(&files, file)); /* it is there already */
    assert_true(secret_read(&secret, &files, file, LONGEST));
    assert_content(&secret, 100);
    file_table_close(&files);
    assert_true(read_file(&secret, file));
    assert_content(&secret, 200);
    assert_false(secret_read(&secret, &FILE_TABLE_INIT, file, LONGEST)); /* nothing by path */
    assert_int_equal(errno, ENOENT);
}

static int set_up(void **state)
{
    return arena_make(state) != 0 ? -1 : file_make(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_of_every_size),
        cmocka_unit_test(what_is_no_file),
        cmocka_unit_test(what_is_open_can_be_read_again),
    };
    return cmocka_run_group_tests(tests, set_up, file_remove);
}
