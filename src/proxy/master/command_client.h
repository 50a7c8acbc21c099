/*
 * A client of the control socket (command_socket.h), and what a verb does for it. The answer is
 * made in pieces, each when the client has read the ones before, so it takes no more memory than
 * ANSWER_MAX, however long it is.
 */
#ifndef PROXY_MASTER_COMMAND_CLIENT_H
#define PROXY_MASTER_COMMAND_CLIENT_H

#include <stdio.h>
#include <sys/socket.h>

#include "base/buffer.h"
#include "base/list.h"
#include "loop/loop.h"
#include "proxy/master/command_request.h"
#include "proxy/master/core.h"

/* No more is written once the answer is as long as this. */
#define ANSWER_PIECE ((size_t)64 << 10)
/* A piece and the longest line: four paths, of which each byte may be escaped, and names. */
#define ANSWER_MAX ((size_t)256 << 10)

/* The master as a verb sees it. */
struct command_view {
    struct generation *generation; /* in force; NULL: none */
    const char *busy;              /* why certificates cannot be changed now; NULL: they can */
    bool upgrades;                 /* another master is coming up, and knows what is set so far */
    struct generation *pending;    /* it is coming up; NULL: none */
    const struct list *leaving;    /* struct generation: they drain */
};

struct command_client;
struct command_socket;

struct command_verb {
    const char *name;
    size_t least, most; /* arguments */
    /* Starts the answer; it may end it, too. */
    void (*begin)(struct command_client *client, const struct command_view *view);
    /* Writes some more of the answer: a few lines, and at last the end. It is called while there is
     * room, unless the client `waits`. NULL: begin() ends the answer. */
    void (*go_on)(struct command_client *client);
};

struct command_client {
    struct list node;
    struct command_socket *owner;
    struct loop *loop;
    struct watch watch;
    struct timer limit; /* for the next progress */
    uint64_t deadline;  /* of the whole answer */
    struct ucred peer;
    char line[COMMAND_REQUEST_MAX + 2];
    size_t length; /* of what has come of the line */
    struct command_request request;
    const struct command_verb *verb; /* NULL: the request is not complete */
    struct buffer answer;
    bool waits; /* for something else than room */
    bool ended; /* the last line is written */

    /* What a verb is at. */
    struct generation *generation; /* NULL: it is not in force any more */
    struct store *store;           /* shared; NULL: none */
    uint32_t next;                 /* number of a certificate, a change, a failure or a route */
    size_t found;
    struct store_span names; /* of `named`, which are not written yet */
    struct refresh_request refresh;
    struct report *report; /* shared; NULL: none */
};

/* The answer is about the configuration in force. False: there is none, and the answer says so. */
bool command_begin(struct command_client *client, const struct command_view *view);
/* Whether the configuration of the answer is still in force; otherwise the answer ends, and says
 * so.
 */
bool command_is_in_force(struct command_client *client);

/* ---- the answer: JSON objects, one a line ---- */

struct answer_line {
    FILE *out;
    char *text;
    size_t length;
    bool more; /* the next member needs a comma */
};

/* False: memory is short, and the client gets no more. */
bool answer_begin(struct command_client *client, struct answer_line *line);
void answer_text(struct answer_line *line, const char *name, const char *text);
void answer_count(struct answer_line *line, const char *name, int64_t value);
void answer_word(struct answer_line *line, const char *name, const char *word);
/* A list of texts; answer_item() adds one. */
void answer_list(struct answer_line *line, const char *name);
void answer_item(struct answer_line *line, const char *text);
void answer_list_end(struct answer_line *line);
void answer_write(struct command_client *client, struct answer_line *line);

/* Begins the last line: {"result": RESULT. The caller may add members; then answer_write(). */
bool answer_end(struct command_client *client, struct answer_line *line, const char *result);
/* The whole last line. */
void answer_refuse(struct command_client *client, const char *result, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
