#include "operator/key_owner.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/descriptor.h"
#include "base/regular_file.h"
#include "immure/spawn.h"
#include "operator/immured_program.h"
#include "operator/keys.h"

#define ANSWER_LIMIT (20 * NS_PER_S)
#define KEY_NAME "key"

static const char config[] = "threads = 1\nbackend = openssl\nlog-level = error\n"
                             "key \"" KEY_NAME "\" { file = \"" KEY_NAME "\" }\n";

struct asked {
    pid_t pid;
    int socket; /* until the exchange takes it */
    int errors; /* what immured writes to standard error */
};

static int hand_socket(void *arg)
{
    struct asked *asked = arg;
    int socket = asked->socket;
    asked->socket = -1;
    errno = EACCES; /* there is no second one, and waiting does not change that */
    return socket;
}

/* The program inherits standard error, so for this moment it is a file in memory. */
static bool start(struct asked *asked, const char *program, int key)
{
    const struct immure_spawn_file file = {.name = KEY_NAME, .descriptor = key};
    const struct immure_spawn_options options = {.program = program,
                                                 .config = config,
                                                 .listener = -1,
                                                 .socket_pair = true,
                                                 .files = &file,
                                                 .file_count = 1};
    int own = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    asked->errors = memfd_create("errors of immured", MFD_CLOEXEC);
    bool good = own >= 0 && asked->errors >= 0 && dup2(asked->errors, STDERR_FILENO) >= 0 &&
                immure_spawn(&options, &asked->pid, &asked->socket) == IMMURE_OK;
    int reason = errno;
    if (own >= 0 && dup2(own, STDERR_FILENO) < 0)
        good = false;
    descriptor_close(&own);
    errno = reason;
    return good;
}

/* The first line of immured, from what is wrong on; it names the key by the file's name here. */
static void explain(const struct asked *asked, const char *key_file, char *reason, size_t size)
{
    static const char level[] = " error: ";
    char text[1024];
    ssize_t length = pread(asked->errors, text, sizeof text - 1, 0);
    text[length > 0 ? length : 0] = '\0';
    text[strcspn(text, "\n")] = '\0';
    const char *what = strstr(text, level);
    what = what != NULL ? what + strlen(level) : text;
    const char *own = strstr(what, KEY_NAME ": ");
    what = own != NULL ? own + strlen(KEY_NAME ": ") : what;
    snprintf(reason, size, "%s: %s", key_file,
             what[0] != '\0' ? what : "immured, which was started to read it, has not answered");
}

static bool compare(const struct chain_file *chain, const struct keys *keys, const char *key_file,
                    char *reason, size_t size)
{
    bool same = keys->count == 1 && public_key_same(&keys->list[0].public_key, &chain->key);
    if (!same)
        snprintf(reason, size, "%s: it is not the key of the certificate in %s", key_file,
                 chain->path);
    return same;
}

static bool ask(struct asked *asked, const struct chain_file *chain, const char *key_file,
                char *reason, size_t size)
{
    struct keys keys;
    struct tool_connection connection = {.socket = key_file, .timeout = ANSWER_LIMIT};
    bool good = false;
    connection.blocking = immure_blocking_new(hand_socket, asked);
    if (connection.blocking == NULL) {
        snprintf(reason, size, "%s: out of memory", key_file);
        return false;
    }
    if (keys_ask(&keys, &connection) == EXIT_GOOD) {
        good = compare(chain, &keys, key_file, reason, size);
        keys_free(&keys);
    } else {
        explain(asked, key_file, reason, size);
    }
    connection_close(&connection);
    return good;
}

static void end(struct asked *asked)
{
    descriptor_close(&asked->socket);
    descriptor_close(&asked->errors);
    if (asked->pid <= 0)
        return;
    kill(asked->pid, SIGTERM);
    while (waitpid(asked->pid, NULL, 0) < 0 && errno == EINTR)
        continue;
}

bool key_belongs(const char *key_file, const struct chain_file *chain, char *reason, size_t size)
{
    char program[PATH_MAX];
    struct asked asked = {.pid = 0, .socket = -1, .errors = -1};
    int key = regular_file_open(key_file);
    if (key < 0) {
        snprintf(reason, size, "%s: %s", key_file, regular_file_reason(-key));
        return false;
    }
    bool good = false;
    if (!immured_program_find(program, reason, size))
        good = false;
    else if (!start(&asked, program, key))
        snprintf(reason, size, "%s: %s", program, strerror(errno));
    else
        good = ask(&asked, chain, key_file, reason, size);
    end(&asked);
    close(key);
    return good;
}
