/* The files of a configuration, read once and sealed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/regular_file.h"
#include "keyd/keys/files.h"

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

static void add(struct files *files, const char *name)
{
    assert_true(files_add(files, name, regular_file_open(name)));
}

static bool read_file(struct secret *secret, const char *name)
{
    struct files files;
    assert_true(files_begin(&files));
    add(&files, name);
    assert_true(files_seal(&files));
    bool good = files_read(&files, name, LONGEST, secret);
    int reason = errno;
    files_close(&files);
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
    }
    write_file(LONGEST + 1);
    assert_refused(file, EFBIG);
    assert_int_equal(truncate(file, FILES_LONGEST + 1), 0);
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
    assert_refused(file, ESPIPE); /* and the test does not wait for a writer */
    assert_int_equal(unlink(file), 0);
    assert_string_equal(regular_file_reason(ESPIPE), "it is not a regular file");
    assert_string_equal(regular_file_reason(ENOENT), "No such file or directory");
}

static void first_lines(void **state)
{
    (void)state;
    static const char *const texts[] = {"phrase", "phrase\n", "phrase\r\nmore\n"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct files files;
        struct secret secret;
        file_write(texts[i], strlen(texts[i]));
        assert_true(files_begin(&files));
        add(&files, file);
        assert_true(files_read_line(&files, file, LONGEST, &secret));
        assert_int_equal(secret.length, 6);
        assert_memory_equal(secret.bytes, "phrase", 6);
        secret_free(&secret);
        files_close(&files);
    }
}

/* Makes a vault with two files and one that is missing. */
static void make(struct files *files)
{
    write_file(100);
    assert_true(files_begin(files));
    add(files, file);
    assert_true(files_add(files, "/missing", -EACCES));
    assert_int_equal(unlink(file), 0);
    write_file(LONGEST);
    assert_true(files_add(files, "/second", regular_file_open(file)));
    add(files, file); /* it was added before */
    assert_true(files_seal(files));
}

static void assert_made(const struct files *files)
{
    struct secret secret;
    for (int i = 0; i < 2; i++) {
        assert_true(files_read(files, file, LONGEST, &secret));
        assert_content(&secret, 100);
        assert_true(files_read(files, "/second", LONGEST, &secret));
        assert_content(&secret, LONGEST);
        assert_false(files_read(files, "/missing", LONGEST, &secret));
        assert_int_equal(errno, EACCES);
        assert_false(
            files_read(files, "/etc/passwd", LONGEST, &secret)); /* no file is opened by its path */
        assert_int_equal(errno, ENOENT);
    }
}

static void what_was_added_stays(void **state)
{
    (void)state;
    struct files files;
    make(&files);
    assert_made(&files);
    assert_false(files_add(&files, "/later", -ENOENT));
    files_close(&files);
}

static void the_next_process_finds_the_same(void **state)
{
    (void)state;
    struct files files, next;
    make(&files);
    int kept = dup(files.descriptor);
    uint8_t key[FILES_KEY_SIZE];
    memcpy(key, files.key.bytes, sizeof key);
    files_close(&files);
    assert_true(files_open(&next, kept, key));
    assert_made(&next);
    files_close(&next);
    assert_int_equal(fcntl(kept, F_GETFD), -1);
}

/* Copies the sealed content to ordinary memory. */
static uint8_t *bytes_of(const struct files *files, size_t *length)
{
    off_t size = lseek(files->descriptor, 0, SEEK_END);
    uint8_t *bytes = malloc((size_t)size);
    assert_int_equal(pread(files->descriptor, bytes, (size_t)size, 0), size);
    *length = (size_t)size;
    return bytes;
}

static void nothing_sealed_is_readable(void **state)
{
    (void)state;
    struct files files;
    size_t length;
    make(&files);
    uint8_t *bytes = bytes_of(&files, &length);
    static const uint8_t part[] = {10, 11, 12, 13, 14, 15, 16, 17};
    assert_null(memmem(bytes, length, part, sizeof part));
    assert_null(memmem(bytes, length, files.key.bytes, FILES_KEY_SIZE));
    assert_non_null(memmem(bytes, length, "/second", strlen("/second")));
    files_close(&files);
    free(bytes);
}

/* Whether these bytes still parse to what make() made, and nothing else. */
static bool opens(const uint8_t *bytes, size_t length, const uint8_t *key)
{
    struct files files;
    struct secret secret;
    int descriptor = memfd_create("changed", MFD_CLOEXEC);
    assert_int_equal(write(descriptor, bytes, length), length);
    bool good = files_open(&files, descriptor, key);
    if (good && files_read(&files, file, LONGEST, &secret))
        assert_content(&secret, 100);
    else
        good = false;
    if (good && files_read(&files, "/second", LONGEST, &secret))
        assert_content(&secret, LONGEST);
    else
        good = false;
    files_close(&files);
    return good;
}

static void what_was_changed_is_refused(void **state)
{
    (void)state;
    struct files files;
    size_t length;
    uint8_t key[FILES_KEY_SIZE];
    make(&files);
    memcpy(key, files.key.bytes, sizeof key);
    uint8_t *bytes = bytes_of(&files, &length);
    files_close(&files);
    assert_true(opens(bytes, length, key));
    const uint8_t *missing = memmem(bytes, length, "/missing", strlen("/missing"));
    for (size_t i = 0; i < length; i += i < 300 ? 1 : 97) {
        if (bytes + i >= missing - 12 && bytes + i < missing + strlen("/missing") + 16)
            continue; /* only the reason is read from that record */
        bytes[i] ^= 0x10;
        if (opens(bytes, length, key))
            fail_msg("byte %zu is not needed", i);
        bytes[i] ^= 0x10;
    }
    for (size_t shorter = 0; shorter < length; shorter += 37)
        assert_false(opens(bytes, shorter, key));
    key[31] ^= 1;
    assert_false(opens(bytes, length, key));
    free(bytes);
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
        cmocka_unit_test(first_lines),
        cmocka_unit_test(what_was_added_stays),
        cmocka_unit_test(the_next_process_finds_the_same),
        cmocka_unit_test(nothing_sealed_is_readable),
        cmocka_unit_test(what_was_changed_is_refused),
    };
    return cmocka_run_group_tests(tests, set_up, file_remove);
}
