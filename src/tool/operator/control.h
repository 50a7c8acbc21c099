/* A request to immure-proxy on its control socket, and the answer (docs/control.md). */
#ifndef OPERATOR_CONTROL_H
#define OPERATOR_CONTROL_H

#include "operator/command.h"
#include "operator/json_read.h"

#define CONTROL_SOCKET_DEFAULT "/run/immure-proxy/control.sock"

struct control_answer {
    /* Is called for each line but the last. NULL: they are not looked at. */
    void (*line)(struct control_answer *answer, const struct json_object *object);
    /* Writes the head of a table: is called before the first line, or when there is none and the
     * result is "done". NULL: there is no table. */
    void (*head)(void);
    size_t count;           /* of the lines before this one */
    bool raw;               /* all lines are written to standard output as they come, too */
    char *last;             /* the memory of `end`; to be freed by control_free() */
    struct json_object end; /* the last line */
};

/* Sends the words, the verb first; the last of them is NULL. EXIT_GOOD: the result is "done".
 * Otherwise there is one line of complaint, which goes to `reason` unless that is NULL. */
enum exit_status control_ask_words(struct control_answer *answer, const char *socket,
                                   const char *const *words, char *reason, size_t size);
/* The same for a verb, and an argument unless that is NULL. */
enum exit_status control_ask(struct control_answer *answer, const char *socket, const char *verb,
                             const char *argument, char *reason, size_t size);
/* The same, for commands that print what they get, or with --json the lines as they come. */
enum exit_status
control_print(const struct tool_options *options, const char *verb, const char *argument,
              void (*line)(struct control_answer *answer, const struct json_object *object),
              void (*head)(void));
void control_free(struct control_answer *answer);

#endif
