/*
 * A request on the control socket: one line, a verb and its arguments, separated by spaces. In an
 * argument, %20 stands for a space, and so on for all bytes that are not printable (RFC 3986,
 * section 2.1). The line ends with a line feed.
 */
#ifndef PROXY_MASTER_COMMAND_REQUEST_H
#define PROXY_MASTER_COMMAND_REQUEST_H

#include <stddef.h>

#define COMMAND_REQUEST_MAX 4096 /* bytes, without the line feed */
#define COMMAND_WORDS_MAX 4

struct command_request {
    const char *words[COMMAND_WORDS_MAX]; /* the verb first; within the line */
    size_t count;
};

/* Takes the line apart, which is changed and must outlive *request. NULL, or what is wrong with the
 * line. */
const char *command_request_parse(struct command_request *request, char *line, size_t length);

#endif
