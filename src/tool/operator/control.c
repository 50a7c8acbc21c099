#include "operator/control.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/descriptor.h"

/* Longer than any refresh takes, each of whose steps has a minute. */
#define PATIENCE_SECONDS 310

static int open_connection(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const struct timeval patience = {.tv_sec = PATIENCE_SECONDS};
    if (strlen(path) >= sizeof address.sun_path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(address.sun_path, path, strlen(path));
    int connection = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connection >= 0 &&
        setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) == 0 &&
        setsockopt(connection, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience) == 0 &&
        connect(connection, (const struct sockaddr *)&address, sizeof address) == 0)
        return connection;
    int reason = errno;
    descriptor_close(&connection);
    errno = reason;
    return -1;
}

static void write_argument(FILE *out, const char *text)
{
    for (; *text != '\0'; text++) {
        unsigned char byte = (unsigned char)*text;
        if (byte <= ' ' || byte == '%' || byte >= 0x7f)
            fprintf(out, "%%%02X", byte);
        else
            fputc(byte, out);
    }
}

/* False with errno. */
static bool send_request(int connection, const char *const *words)
{
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    if (out == NULL)
        return false;
    for (size_t i = 0; words[i] != NULL; i++) {
        if (i > 0)
            fputc(' ', out);
        write_argument(out, words[i]);
    }
    fputc('\n', out);
    bool good = fclose(out) == 0 && send(connection, text, length, MSG_NOSIGNAL) == (ssize_t)length;
    int reason = errno;
    free(text);
    errno = reason;
    return good;
}

/* Where a complaint goes. */
struct complaint {
    const char *socket;
    char *reason; /* NULL: to standard error */
    size_t size;
};

static enum exit_status fail(const struct complaint *complaint, enum exit_status status,
                             const char *what, const char *more)
{
    if (complaint->reason != NULL)
        snprintf(complaint->reason, complaint->size, "%s%s", what, more);
    else
        complain("%s: %s%s", complaint->socket, what, more);
    return status;
}

/* What the last line says. */
static enum exit_status conclude(const struct control_answer *answer,
                                 const struct complaint *complaint)
{
    static const struct {
        const char *result;
        enum exit_status status;
        const char *more;
    } results[] = {{"done", EXIT_GOOD, ""},
                   {"refused", EXIT_UNREACHABLE, ""},
                   {"reload", EXIT_FAILED, "; only HUP takes what has changed"},
                   {"busy", EXIT_FAILED, ""},
                   {"failed", EXIT_FAILED, ""}};
    const char *result = json_read_text(&answer->end, "result");
    const char *reason = json_read_text(&answer->end, "reason");
    for (size_t i = 0; i < sizeof results / sizeof results[0]; i++)
        if (strcmp(result, results[i].result) == 0)
            return results[i].status == EXIT_GOOD
                       ? EXIT_GOOD
                       : fail(complaint, results[i].status, reason != NULL ? reason : result,
                              complaint->reason == NULL ? results[i].more : "");
    return fail(complaint, EXIT_FAILED, "it answers in a way that this program does not know", "");
}

static void write_head(const struct control_answer *answer)
{
    if (answer->count == 0 && answer->head != NULL)
        answer->head();
}

static enum exit_status read_answer(struct control_answer *answer, FILE *in, char **line,
                                    const struct complaint *complaint)
{
    size_t room = 0;
    for (;;) {
        errno = 0;
        if (getline(line, &room, in) < 0)
            return fail(complaint, EXIT_UNREACHABLE,
                        errno == EAGAIN ? "there is no answer" : "the answer ends before its end",
                        "");
        if (answer->raw)
            fputs(*line, stdout);
        if (!json_read(&answer->end, *line))
            return fail(complaint, EXIT_UNREACHABLE, "what answers is not immure-proxy", "");
        if (json_read_text(&answer->end, "result") != NULL) {
            enum exit_status status = conclude(answer, complaint);
            if (status == EXIT_GOOD)
                write_head(answer);
            return status;
        }
        write_head(answer);
        if (answer->line != NULL)
            answer->line(answer, &answer->end);
        answer->count++;
    }
}

enum exit_status control_ask_words(struct control_answer *answer, const char *socket,
                                   const char *const *words, char *reason, size_t size)
{
    const struct complaint complaint = {socket, reason, size};
    answer->last = NULL;
    answer->end.count = 0;
    answer->count = 0;
    int connection = open_connection(socket);
    FILE *in = connection >= 0 ? fdopen(connection, "r") : NULL;
    enum exit_status status = EXIT_UNREACHABLE;
    if (in == NULL)
        fail(&complaint, status, strerror(errno),
             errno == ENOENT || errno == ECONNREFUSED
                 ? " (is immure-proxy running, with control-socket?)"
                 : "");
    else if (!send_request(connection, words) && errno != EPIPE)
        fail(&complaint, status, strerror(errno), "");
    else
        status = read_answer(answer, in, &answer->last, &complaint);
    if (in != NULL)
        fclose(in);
    else
        descriptor_close(&connection);
    return status;
}

enum exit_status control_ask(struct control_answer *answer, const char *socket, const char *verb,
                             const char *argument, char *reason, size_t size)
{
    const char *const words[] = {verb, argument, NULL};
    return control_ask_words(answer, socket, words, reason, size);
}

enum exit_status
control_print(const struct tool_options *options, const char *verb, const char *argument,
              void (*line)(struct control_answer *answer, const struct json_object *object),
              void (*head)(void))
{
    struct control_answer answer = {.raw = options->json};
    if (!options->json) {
        answer.line = line;
        answer.head = head;
    }
    enum exit_status status = control_ask(&answer, options->proxy, verb, argument, NULL, 0);
    control_free(&answer);
    return status;
}

void control_free(struct control_answer *answer)
{
    free(answer->last);
    answer->last = NULL;
}
