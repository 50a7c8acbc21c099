/* The hand-over of files to a key process: the messages on the socket, and the number of
 * descriptors. */
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
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/descriptor.h"
#include "base/log.h"
#include "daemon/hand_over.h"
#include "keyd/keys/intake.h"

#include "arena_fixture.h"
#include "file_fixture.h"

#define MANY 1000
#define FEW_DESCRIPTORS 64

static size_t open_descriptors(void)
{
    size_t count = 0;
    for (int number = 0; number < 1024; number++)
        count += fcntl(number, F_GETFD) >= 0;
    return count;
}

static void limit_descriptors(rlim_t most)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = most;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

/* Many names of one file, distinguished by the number of "./" or slashes. */
static void name_many(struct name_table *names)
{
    char name[MANY + 64];
    for (size_t i = 0; i < MANY; i++) {
        memset(name, '/', i + 1);
        strcpy(name + i, file);
        assert_true(name_table_add(names, name, NULL));
    }
    assert_int_equal(names->count, MANY);
}

static void assert_read(const struct files *files, const char *name, const char *text)
{
    struct secret secret;
    assert_true(files_read(files, name, 100, &secret));
    assert_int_equal(secret.length, strlen(text));
    assert_memory_equal(secret.bytes, text, secret.length);
    secret_free(&secret);
}

/* As a key process without sections `keys`. */
static bool receive(struct files *files, int socket)
{
    static const struct compact_config nothing = {.group_count = 0};
    struct compact_keys keys;
    struct key_intake intake;
    assert_true(compact_init(&keys, &nothing));
    assert_true(key_intake_begin(&intake, &keys));
    bool good = intake_receive(files, &intake, socket);
    close(socket);
    key_intake_end(&intake);
    compact_free(&keys);
    return good;
}

/* A child hands over the files, as for a key process without a supervisor. */
static void many_files_with_few_descriptors(void **state)
{
    (void)state;
    struct name_table names = NAME_TABLE_INIT;
    struct files files = FILES_INIT;
    pid_t child;
    int status;
    file_write("content", 7);
    name_many(&names);
    assert_true(name_table_add(&names, "/nonexistent", NULL));
    assert_true(name_table_add(&names, "/tmp", NULL));
    size_t before = open_descriptors();
    limit_descriptors(FEW_DESCRIPTORS);
    int socket = intake_open(&names, &child);
    assert_true(socket >= 0);
    assert_true(receive(&files, socket));
    limit_descriptors(1024);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    for (size_t i = 0; i < MANY; i++)
        assert_read(&files, names.names[i], "content");
    struct secret secret;
    assert_false(files_read(&files, "/nonexistent", 100, &secret));
    assert_int_equal(errno, ENOENT);
    assert_false(files_read(&files, "/tmp", 100, &secret));
    assert_int_equal(errno, EISDIR);
    files_close(&files);
    assert_int_equal(open_descriptors(), before);
    name_table_free(&names);
}

/* This program, started as immured, takes what is handed over and writes what it got. */
static int play_immured(char **argv)
{
    struct files files = FILES_INIT;
    void *no_state = NULL;
    int socket = -1, session = -1;
    for (; *argv != NULL; argv++) {
        if (strcmp(*argv, "--hand-over-fd") == 0)
            socket = atoi(argv[1]);
        else if (strcmp(*argv, "--listen-fd") == 0)
            session = atoi(argv[1]);
    }
    if (arena_make(&no_state) != 0 || !receive(&files, socket))
        return 1;
    for (size_t i = 0; i < files.names.count; i++) {
        struct secret secret;
        if (files_read(&files, files.names.names[i], 100, &secret)) {
            dprintf(session, "%.*s\n", (int)secret.length, (const char *)secret.bytes);
            secret_free(&secret);
        } else {
            dprintf(session, "%s\n", strerror(errno));
        }
    }
    files_close(&files);
    return 42;
}

/* Returns the program's output and exit status. */
static int run(struct name_table *names, struct vault *vault, char *said, size_t size,
               enum hand_over_state *state)
{
    struct hand_over hand_over = HAND_OVER_INIT;
    int pipe_ends[2], status;
    pid_t pid;
    assert_int_equal(pipe(pipe_ends), 0);
    const struct hand_over_process process = {.program = "/proc/self/exe",
                                              .config = "a.conf",
                                              .text = STDIN_FILENO,
                                              .listener = pipe_ends[1],
                                              .session = -1};
    assert_true(hand_over_start(&hand_over, &process, names, vault, &pid));
    close(pipe_ends[1]);
    do {
        *state = hand_over_ready(&hand_over);
        usleep(1000);
    } while (*state == HAND_OVER_GOES_ON);
    hand_over_end(&hand_over);
    size_t length = 0;
    for (ssize_t got; (got = read(pipe_ends[0], said + length, size - 1 - length)) > 0;)
        length += (size_t)got;
    said[length] = '\0';
    close(pipe_ends[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void make_vault(struct vault *vault)
{
    char reason[128];
    *vault = VAULT_INIT;
    assert_true(vault_make_room(vault, reason, sizeof reason));
    assert_false(vault_filled(vault));
}

static void what_was_handed_over_is_kept(void **state)
{
    (void)state;
    struct name_table names = NAME_TABLE_INIT;
    struct vault vault;
    enum hand_over_state ended;
    char said[128];
    file_write("first", 5);
    assert_true(name_table_add(&names, file, NULL));
    assert_true(name_table_add(&names, "/nonexistent", NULL));
    size_t before = open_descriptors();
    make_vault(&vault);
    assert_int_equal(run(&names, &vault, said, sizeof said, &ended), 42);
    assert_int_equal(ended, HAND_OVER_DONE);
    assert_true(vault_filled(&vault));
    assert_string_equal(said, "first\nNo such file or directory\n");
    file_write("second", 6);
    for (int i = 0; i < 3; i++) { /* the same content, even though the file has changed */
        assert_int_equal(run(&names, &vault, said, sizeof said, &ended), 42);
        assert_int_equal(ended, HAND_OVER_DONE);
        assert_string_equal(said, "first\nNo such file or directory\n");
    }
    vault_drop(&vault);
    vault_drop(&vault);
    assert_int_equal(open_descriptors(), before);
    name_table_free(&names);
}

static void a_name_that_no_message_has_room_for(void **state)
{
    (void)state;
    static char name[HAND_OVER_MESSAGE_MAX + 1];
    struct name_table names = NAME_TABLE_INIT;
    struct hand_over hand_over = HAND_OVER_INIT;
    struct vault vault;
    pid_t pid;
    const struct hand_over_process process = {.program = "/proc/self/exe",
                                              .config = "a.conf",
                                              .text = STDIN_FILENO,
                                              .listener = STDIN_FILENO,
                                              .session = -1};
    memset(name, 'x', HAND_OVER_MESSAGE_MAX);
    assert_true(name_table_add(&names, name, NULL));
    make_vault(&vault);
    size_t before = open_descriptors();
    assert_false(hand_over_start(&hand_over, &process, &names, &vault, &pid));
    assert_int_equal(errno, ENAMETOOLONG);
    assert_int_equal(open_descriptors(), before);
    vault_drop(&vault);
    name_table_free(&names);
}

/* If the supervisor lacks descriptors, the hand-over fails, and no file is blamed. */
static void without_descriptors(void **state)
{
    (void)state;
    struct name_table names = NAME_TABLE_INIT;
    int ends[2];
    assert_true(name_table_add(&names, file, NULL));
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    limit_descriptors((rlim_t)ends[1] + 1);
    for (int number = 0; number < ends[1]; number++)
        if (fcntl(number, F_GETFD) < 0)
            assert_true(dup(ends[0]) >= 0);
    bool good = hand_over_files(ends[0], &names);
    int reason = errno;
    limit_descriptors(1024);
    assert_false(good);
    assert_int_equal(reason, EMFILE);
    name_table_free(&names);
}

/* Messages from a supervisor of another version, or a hostile one. */
static void messages_that_are_none(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t length;
    } messages[] = {{"X", 1},
                    {"F0 /a", 5},
                    {"F0 /a", 6},
                    {"F-1 /a", 7},
                    {"Fx /a", 6},
                    {"F1/a", 5},
                    {"F", 1},
                    {"V", 1},
                    {"F99999999999 /a", 16},
                    {"Vshort", 6},
                    {"K0 web 00 /a", 13}};
    for (size_t i = 0; i < sizeof messages / sizeof messages[0]; i++) {
        struct files files = FILES_INIT;
        int ends[2];
        assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
        assert_int_equal(send(ends[0], messages[i].bytes, messages[i].length, 0),
                         messages[i].length);
        shutdown(ends[0], SHUT_WR);
        if (receive(&files, ends[1]))
            fail_msg("message %zu is taken", i);
        assert_int_equal(fcntl(ends[1], F_GETFD), -1);
        files_close(&files);
        close(ends[0]);
    }
}

/* ---- changes at run time ---- */

struct changing {
    struct hand_over hand_over;
    struct vault vault;
    int immured; /* its end of the socket */
};

static struct changing begin_changing(void)
{
    struct changing changing = {.hand_over = HAND_OVER_INIT};
    int ends[2];
    make_vault(&changing.vault);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends),
                     0);
    changing.hand_over.socket = ends[0];
    changing.hand_over.done = changing.hand_over.lasts = true;
    changing.immured = ends[1];
    return changing;
}

static void end_changing(struct changing *changing)
{
    hand_over_end(&changing->hand_over);
    descriptor_close(&changing->immured);
    vault_drop(&changing->vault);
}

/* What immured receives: the message, and the content of the file that comes with it. */
static void assert_asked(const struct changing *changing, const char *message, const char *content)
{
    char got[1024], bytes[64];
    int descriptor;
    ssize_t length = descriptor_receive(changing->immured, got, sizeof got, &descriptor);
    assert_int_equal(length, strlen(message) + 1);
    assert_string_equal(got, message);
    assert_int_equal(descriptor >= 0, content != NULL);
    if (content == NULL)
        return;
    assert_int_equal(read(descriptor, bytes, sizeof bytes), strlen(content));
    assert_memory_equal(bytes, content, strlen(content));
    close(descriptor);
}

static enum hand_over_state answered(struct changing *changing, const char *answer)
{
    changing->hand_over.vault = &changing->vault;
    assert_int_equal(send(changing->immured, answer, strlen(answer), 0), strlen(answer));
    return hand_over_ready(&changing->hand_over);
}

#define ID "ab00000000000000000000000000000000000000000000000000000000000000"

static struct hand_over_key key_of(const char *path)
{
    return (struct hand_over_key){.section = "keys-0", .file = path, .id = {0xab}};
}

static void keys_are_added_and_removed(void **state)
{
    (void)state;
    char asked[256], kept[64];
    size_t before = open_descriptors();
    struct changing changing = begin_changing();
    const struct hand_over_key key = key_of(file);
    file_write("a key", 5);
    assert_true(hand_over_add(&changing.hand_over, &key));
    snprintf(asked, sizeof asked, "Akeys-0 " ID " %s", file);
    assert_asked(&changing, asked, "a key");
    assert_int_equal(hand_over_ready(&changing.hand_over), HAND_OVER_DONE); /* no answer yet */
    assert_int_equal(answered(&changing, "Cone"), HAND_OVER_CHANGED_KEYS);
    assert_true(hand_over_remove(&changing.hand_over, key.id));
    assert_asked(&changing, "R" ID, NULL);
    assert_int_equal(answered(&changing, "Cthree"), HAND_OVER_CHANGED_KEYS);
    /* the next key process gets both records */
    assert_int_equal(pread(changing.vault.changes, kept, sizeof kept, 0), 4 + 3 + 4 + 5);
    assert_memory_equal(kept, "\0\0\0\3one\0\0\0\5three", 16);
    end_changing(&changing);
    assert_int_equal(open_descriptors(), before);
}

static void a_change_that_is_refused(void **state)
{
    (void)state;
    struct changing changing = begin_changing();
    const struct hand_over_key key = key_of(file);
    file_write("no key", 6);
    assert_true(hand_over_add(&changing.hand_over, &key));
    assert_int_equal(answered(&changing, "Nit is damaged"), HAND_OVER_REFUSED_CHANGE);
    assert_string_equal(changing.hand_over.reason, "it is damaged");
    assert_int_equal(changing.vault.changes, -1);
    assert_true(hand_over_remove(&changing.hand_over, key.id)); /* the next one may be asked for */
    end_changing(&changing);
}

static void a_change_that_is_not_asked_for(void **state)
{
    (void)state;
    struct changing changing = begin_changing();
    const struct hand_over_key key = key_of(file), absent = key_of("/nonexistent");
    file_write("a key", 5);
    assert_false(hand_over_add(&changing.hand_over, &absent));
    assert_int_equal(errno, ENOENT);
    assert_true(hand_over_add(&changing.hand_over, &key));
    assert_false(hand_over_add(&changing.hand_over, &key));
    assert_int_equal(errno, EBUSY);
    assert_false(hand_over_remove(&changing.hand_over, key.id));
    assert_int_equal(errno, EBUSY);
    hand_over_end(&changing.hand_over);
    assert_false(hand_over_remove(&changing.hand_over, key.id));
    assert_int_equal(errno, ENOTCONN);
    end_changing(&changing);
}

/* From an immured of another version, or a hostile one. */
static void answers_that_are_none(void **state)
{
    (void)state;
    static const char *const answers[] = {"X", "T", "Vkey"};
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        struct changing changing = begin_changing();
        assert_int_equal(answered(&changing, "Cnobody asked"), HAND_OVER_BROKEN);
        assert_int_equal(errno, EPROTO);
        assert_true(hand_over_remove(&changing.hand_over, key_of(file).id));
        assert_int_equal(answered(&changing, answers[i]), HAND_OVER_BROKEN);
        descriptor_close(&changing.immured);
        assert_int_equal(hand_over_ready(&changing.hand_over), HAND_OVER_BROKEN);
        assert_int_equal(errno, EPIPE);
        end_changing(&changing);
    }
}

static int set_up(void **state)
{
    limit_descriptors(1024);
    return arena_make(state) != 0 ? -1 : file_make(state);
}

int main(int argc, char **argv)
{
    (void)argc;
    if (strcmp(argv[0], "immured") == 0)
        return play_immured(argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_files_with_few_descriptors),
        cmocka_unit_test(what_was_handed_over_is_kept),
        cmocka_unit_test(a_name_that_no_message_has_room_for),
        cmocka_unit_test(without_descriptors),
        cmocka_unit_test(messages_that_are_none),
        cmocka_unit_test(keys_are_added_and_removed),
        cmocka_unit_test(a_change_that_is_refused),
        cmocka_unit_test(a_change_that_is_not_asked_for),
        cmocka_unit_test(answers_that_are_none),
    };
    log_setup("test_hand_over", LOG_LEVEL_ERROR, false);
    return cmocka_run_group_tests(tests, set_up, file_remove);
}
