/* The files of unix sockets: made, given away, found again and removed, and no others touched. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "daemon/unix_socket.h"

static const struct unix_socket_access for_all = {
    .mode = 0666, .user = (uid_t)-1, .group = (gid_t)-1};

struct place {
    char folder[32], path[48], other[48];
    int socket;
};

static int set_up(void **state)
{
    struct place *place = calloc(1, sizeof *place);
    strcpy(place->folder, "/tmp/unix_socket.XXXXXX");
    if (mkdtemp(place->folder) == NULL)
        return -1;
    snprintf(place->path, sizeof place->path, "%s/socket", place->folder);
    snprintf(place->other, sizeof place->other, "%s/other", place->folder);
    place->socket = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    *state = place;
    return place->socket < 0;
}

static int tear_down(void **state)
{
    struct place *place = *state;
    if (place->socket >= 0)
        close(place->socket);
    unlink(place->path);
    unlink(place->other);
    int result = rmdir(place->folder);
    free(place);
    return result;
}

static void make_file(const char *path)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fclose(file);
    assert_int_equal(chmod(path, 0600), 0);
}

static mode_t mode_of(const char *path)
{
    struct stat status;
    assert_int_equal(lstat(path, &status), 0);
    return status.st_mode & 0777;
}

static void has_its_mode_from_the_beginning(void **state)
{
    struct place *place = *state;
    struct file_identity file;
    mode_t before = umask(0);
    assert_true(unix_socket_bind(place->socket, place->path, 0640));
    assert_int_equal(umask(before), 0);
    assert_int_equal(mode_of(place->path), 0640);
    assert_true(unix_socket_identify(place->path, &file));
    assert_true(unix_socket_is_there(place->path, &file));
    assert_true(unix_socket_set_access(place->path, &file, &for_all));
    assert_int_equal(mode_of(place->path), 0666);
    assert_true(unix_socket_remove(place->path, &file));
    assert_false(unix_socket_is_there(place->path, &file));
    assert_int_equal(errno, ENOENT);
}

static void only_what_nobody_serves_is_cleared(void **state)
{
    struct place *place = *state;
    assert_true(unix_socket_clear(place->path, 0));
    assert_true(unix_socket_bind(place->socket, place->path, 0600));
    assert_int_equal(listen(place->socket, 1), 0);
    uint64_t began = clock_now();
    assert_false(unix_socket_clear(place->path, 50 * NS_PER_MS));
    assert_int_equal(errno, EADDRINUSE);
    assert_true(clock_now() - began >= 50 * NS_PER_MS);
    close(place->socket);
    place->socket = -1;
    assert_int_equal(access(place->path, F_OK), 0);
    assert_true(unix_socket_clear(place->path, 0));
    assert_int_not_equal(access(place->path, F_OK), 0);
    make_file(place->path);
    assert_false(unix_socket_clear(place->path, 0));
    assert_int_equal(errno, ENOTSOCK);
    assert_int_equal(access(place->path, F_OK), 0);
}

/* What stands in its place is a file, a link to one, or another socket. */
static void another_file_is_left_alone(void **state)
{
    struct place *place = *state;
    struct file_identity file, none;
    assert_true(unix_socket_bind(place->socket, place->path, 0600));
    assert_true(unix_socket_identify(place->path, &file));
    assert_int_equal(rename(place->path, place->other), 0); /* so that its number stays taken */
    for (int i = 0; i < 3; i++) {
        int another = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (i == 0)
            make_file(place->path);
        else if (i == 1)
            assert_int_equal(symlink(place->other, place->path), 0);
        else
            assert_true(unix_socket_bind(another, place->path, 0600));
        mode_t mode = mode_of(place->path);
        assert_true(unix_socket_identify(place->path, &none) == (i == 2));
        assert_false(unix_socket_is_there(place->path, &file));
        assert_false(unix_socket_set_access(place->path, &file, &for_all));
        assert_int_equal(errno, ENOENT);
        assert_false(unix_socket_remove(place->path, &file));
        assert_int_equal(errno, ENOENT);
        assert_int_equal(mode_of(place->path), mode);
        assert_int_equal(mode_of(place->other), 0600);
        assert_int_equal(unlink(place->path), 0);
        close(another);
    }
}

static void a_path_has_a_length(void **state)
{
    struct place *place = *state;
    char path[200] = {0};
    memset(path, 'x', sizeof path - 1);
    assert_false(unix_socket_clear(path, 0));
    assert_int_equal(errno, ENAMETOOLONG);
    assert_false(unix_socket_bind(place->socket, path, 0600));
    assert_int_equal(errno, ENAMETOOLONG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(has_its_mode_from_the_beginning, set_up, tear_down),
        cmocka_unit_test_setup_teardown(only_what_nobody_serves_is_cleared, set_up, tear_down),
        cmocka_unit_test_setup_teardown(another_file_is_left_alone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_path_has_a_length, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
