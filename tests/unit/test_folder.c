/*
 * The changes of a folder of certificates. A test of a program that is killed goes through all
 * places where that may happen: a child changes the folder and ends at its Nth change of a name;
 * then another one finds the folder as it is left.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "operator/folder.h"

static int steps_left = -1; /* changes of names until the process ends; negative: it does not */

static void step(void)
{
    if (steps_left >= 0 && steps_left-- == 0)
        _exit(9);
}

int __real_renameat(int from_folder, const char *from, int to_folder, const char *to);
int __wrap_renameat(int from_folder, const char *from, int to_folder, const char *to);
int __wrap_renameat(int from_folder, const char *from, int to_folder, const char *to)
{
    step();
    return __real_renameat(from_folder, from, to_folder, to);
}

int __real_linkat(int from_folder, const char *from, int to_folder, const char *to, int flags);
int __wrap_linkat(int from_folder, const char *from, int to_folder, const char *to, int flags);
int __wrap_linkat(int from_folder, const char *from, int to_folder, const char *to, int flags)
{
    step();
    return __real_linkat(from_folder, from, to_folder, to, flags);
}

int __real_unlinkat(int folder, const char *name, int flags);
int __wrap_unlinkat(int folder, const char *name, int flags);
int __wrap_unlinkat(int folder, const char *name, int flags)
{
    step();
    return __real_unlinkat(folder, name, flags);
}

/* ---- a folder ---- */

static char path[64];
static const struct folder_pair pair = {.name = "a"}, both = {.name = "a", .one_file = true};

static void join(char *full, const char *name)
{
    snprintf(full, 512, "%s/%s", path, name);
}

static void write_file(const char *name, const char *text)
{
    char full[512];
    join(full, name);
    FILE *file = fopen(full, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

/* NULL: there is none. Static memory. */
static const char *read_file(const char *name)
{
    static char text[4][64];
    static unsigned next;
    char full[512];
    join(full, name);
    FILE *file = fopen(full, "r");
    if (file == NULL)
        return NULL;
    char *place = text[next++ % 4];
    place[fread(place, 1, 63, file)] = '\0';
    fclose(file);
    return place;
}

static bool has(const char *name, const char *text)
{
    const char *found = read_file(name);
    return text == NULL || found == NULL ? text == found : strcmp(text, found) == 0;
}

static unsigned count_hidden(bool remove)
{
    unsigned count = 0;
    DIR *stream = opendir(path);
    const struct dirent *entry;
    while ((entry = readdir(stream)) != NULL) {
        char full[512];
        join(full, entry->d_name);
        count += entry->d_name[0] == '.' && entry->d_name[1] != '.' && entry->d_name[1] != '\0';
        if (remove && strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            unlink(full);
    }
    closedir(stream);
    return count;
}

static int set_up(void **state)
{
    (void)state;
    strcpy(path, "/tmp/test-folder-XXXXXX");
    return mkdtemp(path) == NULL;
}

static int tear_down(void **state)
{
    (void)state;
    count_hidden(true);
    return rmdir(path);
}

static void begin(bool with_pair)
{
    count_hidden(true);
    write_file("next-key", "new key");
    if (!with_pair)
        return;
    write_file("a.crt", "old chain");
    write_file("a.key", "old key");
}

static struct folder_content chain_content(void)
{
    return (struct folder_content){.text = "new chain", .length = strlen("new chain")};
}

static bool put(struct folder *folder)
{
    char key[512];
    join(key, "next-key");
    const struct folder_content chain = chain_content(), from = {.copied_from = key};
    return folder_put(folder, &pair, &chain, &from);
}

/* ---- what is changed ---- */

static mode_t mode_of(const char *name)
{
    struct stat status;
    char full[512];
    join(full, name);
    assert_int_equal(stat(full, &status), 0);
    return status.st_mode & 0777;
}

static void new_files(void **state)
{
    (void)state;
    struct folder folder;
    begin(false);
    assert_true(folder_open(&folder, path));
    assert_false(folder_has(&folder, "a"));
    assert_true(put(&folder));
    assert_true(has("a.crt", "new chain") && has("a.key", "new key"));
    assert_int_equal(mode_of("a.key"), 0600);
    assert_int_equal(mode_of("a.crt"), 0644);
    assert_true(folder_has(&folder, "a") && folder_has_pair(&folder, &pair, true));
    assert_true(folder_settle(&folder, &pair));
    assert_int_equal(count_hidden(false), 0);
    folder_close(&folder);
}

static void replaced_and_put_back(void **state)
{
    (void)state;
    struct folder folder;
    char full[512];
    begin(true);
    join(full, "a.crt");
    chmod(full, 0640);
    assert_true(folder_open(&folder, path));
    assert_true(put(&folder));
    assert_true(has("a.crt", "new chain") && has("a.key", "new key"));
    assert_int_equal(mode_of("a.crt"), 0640);
    assert_int_equal(count_hidden(false), 2);
    assert_true(folder_restore(&folder, &pair));
    assert_true(has("a.crt", "old chain") && has("a.key", "old key"));
    assert_int_equal(count_hidden(false), 0);
    assert_true(put(&folder) && folder_settle(&folder, &pair));
    assert_true(has("a.crt", "new chain") && has("a.key", "new key"));
    assert_int_equal(count_hidden(false), 0);
    folder_close(&folder);
}

static void hidden_and_put_back(void **state)
{
    (void)state;
    struct folder folder;
    begin(true);
    write_file("a.ocsp", "response");
    assert_true(folder_open(&folder, path));
    assert_true(folder_hide(&folder, &pair));
    assert_true(has("a.crt", NULL) && has("a.key", NULL) && has("a.ocsp", NULL));
    assert_true(folder_restore(&folder, &pair));
    assert_true(has("a.crt", "old chain") && has("a.key", "old key") && has("a.ocsp", "response"));
    assert_true(folder_hide(&folder, &pair) && folder_settle(&folder, &pair));
    assert_false(folder_has(&folder, "a"));
    assert_int_equal(count_hidden(false), 0);
    folder_close(&folder);
}

static void one_file(void **state)
{
    (void)state;
    char key[512];
    struct folder folder;
    struct folder_content content = chain_content();
    begin(false);
    join(key, "next-key");
    content.copied_from = key;
    assert_true(folder_open(&folder, path));
    assert_true(folder_put(&folder, &both, &content, NULL));
    assert_true(has("a.pem", "new chainnew key"));
    assert_int_equal(mode_of("a.pem"), 0600);
    assert_true(folder_hide(&folder, &both));
    assert_true(has("a.pem", NULL));
    assert_true(folder_restore(&folder, &both) && has("a.pem", "new chainnew key"));
    folder_close(&folder);
}

/* Nothing is left of a change that fails. */
static void failures(void **state)
{
    (void)state;
    struct folder folder, other;
    const struct folder_content chain = chain_content(), none = {.copied_from = "/absent"};
    begin(true);
    assert_true(folder_open(&folder, path));
    assert_false(folder_open(&other, path));
    assert_non_null(strstr(other.problem, "another immure is changing it"));
    assert_false(folder_put(&folder, &pair, &chain, &none));
    assert_non_null(strstr(folder.problem, "No such file"));
    assert_true(has("a.crt", "old chain") && has("a.key", "old key"));
    assert_int_equal(count_hidden(false), 0);
    folder_close(&folder);
    assert_false(folder_open(&folder, "/absent"));
}

static void others_files(void **state)
{
    (void)state;
    char full[512], target[512];
    struct folder folder;
    begin(true);
    assert_true(folder_open(&folder, path));
    assert_null(folder_manager(&folder, &pair));
    write_file("a.json", "{}");
    assert_string_equal(folder_manager(&folder, &pair), "lego");
    join(full, "a.crt");
    join(target, "next-key");
    unlink(full);
    assert_int_equal(symlink(target, full), 0);
    assert_false(folder_has_pair(&folder, &pair, true));
    assert_non_null(strstr(folder.problem, "it is a link"));
    folder_close(&folder);
}

/* ---- killed ---- */

/* Runs it in a child that ends before its Nth change of a name. Whether the child has ended so. */
static bool run_killed(bool (*change)(struct folder *folder), int steps)
{
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        struct folder folder;
        steps_left = steps;
        _exit(folder_open(&folder, path) && change(&folder) ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) != 1);
    return WEXITSTATUS(status) == 9;
}

static bool is_old(void)
{
    return has("a.crt", "old chain") && has("a.key", "old key");
}

static bool is_new(void)
{
    return has("a.crt", "new chain") && has("a.key", "new key");
}

static bool is_none(void)
{
    return has("a.crt", NULL) && has("a.key", NULL);
}

static bool old_or_new(void)
{
    return is_old() || is_new();
}

static bool old_or_none(void)
{
    return is_old() || is_none();
}

static bool none_or_new(void)
{
    return is_none() || is_new();
}

static bool nothing(struct folder *folder)
{
    (void)folder;
    return true;
}

static bool put_and_settle(struct folder *folder)
{
    return put(folder) && folder_settle(folder, &pair);
}

static bool put_and_restore(struct folder *folder)
{
    return put(folder) && folder_restore(folder, &pair);
}

static bool hide_and_settle(struct folder *folder)
{
    return folder_hide(folder, &pair) && folder_settle(folder, &pair);
}

static bool hide_and_restore(struct folder *folder)
{
    return folder_hide(folder, &pair) && folder_restore(folder, &pair);
}

static bool put_hide_and_settle(struct folder *folder)
{
    return put(folder) && hide_and_settle(folder);
}

/* Kills the change at each of its steps, then the next program at each step of what it mends. */
static void kill_everywhere(bool with_pair, bool (*change)(struct folder *folder),
                            bool (*may_be)(void))
{
    bool killed = true;
    int steps = 0;
    for (; killed; steps++) {
        bool mending = true;
        for (int later = 0; mending; later++) {
            struct folder folder;
            begin(with_pair);
            killed = run_killed(change, steps);
            mending = run_killed(nothing, later);
            assert_true(folder_open(&folder, path));
            folder_close(&folder);
            assert_int_equal(count_hidden(false), 0);
            assert_true(may_be());
        }
    }
    assert_true(steps > 2);
}

static void killed(void **state)
{
    (void)state;
    kill_everywhere(true, put_and_settle, old_or_new);
    kill_everywhere(true, put_and_restore, old_or_new);
    kill_everywhere(true, hide_and_settle, old_or_none);
    kill_everywhere(true, hide_and_restore, old_or_none);
    kill_everywhere(false, put_and_settle, none_or_new);
    kill_everywhere(false, put_hide_and_settle, none_or_new);
}

/* Only what has been committed counts: a program that is killed before has changed nothing. */
static void killed_before_the_end_of_preparations(void **state)
{
    (void)state;
    struct folder folder;
    begin(true);
    assert_true(run_killed(put_and_settle, 0));
    assert_true(is_old());
    assert_true(folder_open(&folder, path));
    assert_true(is_old());
    folder_close(&folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(new_files),
        cmocka_unit_test(replaced_and_put_back),
        cmocka_unit_test(hidden_and_put_back),
        cmocka_unit_test(one_file),
        cmocka_unit_test(failures),
        cmocka_unit_test(others_files),
        cmocka_unit_test(killed),
        cmocka_unit_test(killed_before_the_end_of_preparations),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
