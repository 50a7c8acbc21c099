#include "conf/nesting.h"

#include <stddef.h>
#include <string.h>

/* Two sections and a list are the deepest that any file can mean. */
#define DEPTH_MAX 16

static int count_lines(const char *from, const char *to)
{
    int lines = 0;
    for (; from < to; from++)
        lines += *from == '\n';
    return lines;
}

/* The end of the quoted string that begins here, or NULL. */
static const char *string_end(const char *at)
{
    char quote = *at++;
    while (*at != '\0' && *at != quote)
        at += at[0] == '\\' && at[1] != '\0' ? 2 : 1;
    return *at == quote ? at + 1 : NULL;
}

bool nesting_check(const char *text, int *line, const char **reason)
{
    int lines[DEPTH_MAX];
    size_t depth = 0;
    *line = 1;
    for (const char *at = text, *end; *at != '\0'; at = end) {
        end = at + 1;
        if (*at == '"' || *at == '\'') {
            end = string_end(at);
            *reason = "this string does not end";
            if (end == NULL)
                return false;
        } else if (at[0] == '$' && at[1] == '{') { /* ${NAME}, from the environment */
            end = at + strcspn(at, "}\n");
            end += *end == '}';
        } else if (*at == '{' && depth < DEPTH_MAX) {
            lines[depth++] = *line;
        } else if (*at == '}' && depth > 0) { /* one too many is for libconfuse to refuse */
            depth--;
        } else if (at[0] == '/' && at[1] == '*' && strstr(at, "*/") == NULL &&
                   (at == text || strchr(" \t\n", at[-1]) != NULL)) {
            *reason = "this comment does not end";
            return false;
        }
        *line += count_lines(at, end);
    }
    *reason = "this '{' is not closed";
    if (depth > 0)
        *line = lines[depth - 1];
    return depth == 0;
}
