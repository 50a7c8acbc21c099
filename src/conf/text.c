#include "conf/text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/descriptor.h"

#define TEXT_FIRST 4096
#define TEXT_MAX (16u << 20)

static char *read_whole(int descriptor)
{
    size_t size = TEXT_FIRST, length = 0;
    char *text = malloc(size);
    while (text != NULL) {
        ssize_t got = read(descriptor, text + length, size - length - 1);
        if (got == 0)
            break;
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            goto failed;
        length += (size_t)got;
        if (length + 1 < size)
            continue;
        char *more = size < TEXT_MAX ? realloc(text, 2 * size) : NULL;
        if (more == NULL) {
            errno = size < TEXT_MAX ? ENOMEM : EFBIG;
            goto failed;
        }
        text = more;
        size *= 2;
    }
    if (text == NULL)
        return NULL;
    text[length] = '\0';
    if (strlen(text) == length)
        return text;
    errno = EINVAL;
failed:;
    int reason = errno;
    free(text);
    errno = reason;
    return NULL;
}

/* Returns the end of the quoted string that begins here. */
static char *skip_string(char *at)
{
    char quote = *at++;
    while (*at != '\0' && *at != quote)
        at += at[0] == '\\' && at[1] != '\0' ? 2 : 1;
    return *at == quote ? at + 1 : at;
}

static char *blank_until(char *at, const char *end)
{
    for (; at < end; at++)
        if (*at != '\n')
            *at = ' ';
    return at;
}

/* Returns the end of the comment that begins here; NULL: no comment begins here. */
static char *comment_end(char *at)
{
    if (*at == '#' || (at[0] == '/' && at[1] == '/'))
        return at + strcspn(at, "\n");
    if (at[0] != '/' || at[1] != '*')
        return NULL;
    char *end = strstr(at + 2, "*/");
    return end != NULL ? end + 2 : NULL; /* nesting.h refuses it without an end */
}

static void blank_comments(char *text)
{
    bool within_word = false; /* in an unquoted word, "//" may be part of a path */
    for (char *at = text; *at != '\0';) {
        char *end = within_word ? NULL : comment_end(at);
        if (end != NULL) {
            at = blank_until(at, end);
        } else if (*at == '"' || *at == '\'') {
            at = skip_string(at);
            within_word = false;
        } else {
            within_word = strchr(" \t\r\n={}(),+", *at) == NULL;
            at++;
        }
    }
}

char *conf_text_read_open(int descriptor)
{
    lseek(descriptor, 0, SEEK_SET); /* fails harmlessly for a pipe */
    char *text = read_whole(descriptor);
    if (text != NULL)
        blank_comments(text);
    return text;
}

char *conf_text_read(const char *file)
{
    int descriptor = open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (descriptor < 0)
        return NULL;
    char *text = conf_text_read_open(descriptor);
    int reason = errno;
    descriptor_close(&descriptor);
    errno = reason;
    return text;
}
