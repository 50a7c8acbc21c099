#include "conf/nesting.h"

#include <stddef.h>
#include <string.h>

/* Enough: no valid file nests deeper than three sections and a list. */
#define DEPTH_MAX 16

static const char blanks[] = " \t\r\n";

static const char no_environment[] =
    "nothing is taken from the environment here: '${' must be written as \"\\${\"";

/* Whether an escape stands for a zero byte. `at` follows the backslash, in a string in double
 * quotes, where an escape may be a number in octal or hexadecimal digits. */
static bool is_zero_escape(const char *at)
{
    if (*at == 'x')
        return at[1] == '0' && at[2] == '0';
    size_t zeros = strspn(at, "0");
    return zeros > 0 && (zeros >= 3 || strspn(at + zeros, "01234567") == 0);
}

static int count_lines(const char *from, const char *to)
{
    int lines = 0;
    for (; from < to; from++)
        lines += *from == '\n';
    return lines;
}

/* Returns the end of the quoted string that begins here; NULL with *reason if it is not valid. */
static const char *string_end(const char *at, bool environment, const char **reason)
{
    const char quote = *at++;
    for (*reason = NULL; *at != '\0' && *at != quote && *reason == NULL; at++) {
        if (quote == '"' && !environment && at[0] == '$' && at[1] == '{')
            *reason = no_environment;
        if (*at != '\\' || at[1] == '\0')
            continue;
        at++;
        if (quote == '"' && is_zero_escape(at))
            *reason = "this string has a zero byte in it";
    }
    if (*reason == NULL && *at == quote)
        return at + 1;
    if (*reason == NULL)
        *reason = "this string does not end";
    return NULL;
}

/* Empty lists are refused, because they leave no value in the tree: nobody would notice that the
 * directive is given twice. */
static bool is_empty_list(const char *text, const char *brace)
{
    const char *before = brace, *after = brace + 1;
    while (before > text && strchr(blanks, before[-1]) != NULL)
        before--;
    return before > text && before[-1] == '=' && after[strspn(after, blanks)] == '}';
}

bool nesting_check(const char *text, bool environment, int *line, const char **reason)
{
    int lines[DEPTH_MAX];
    size_t depth = 0;
    *line = 1;
    for (const char *at = text, *end; *at != '\0'; at = end) {
        end = at + 1;
        if (*at == '"' || *at == '\'') {
            end = string_end(at, environment, reason);
            if (end == NULL)
                return false;
        } else if (at[0] == '$' && at[1] == '{') { /* ${NAME} */
            *reason = no_environment;
            if (!environment)
                return false;
            end = at + strcspn(at, "}\n");
            end += *end == '}';
        } else if (*at == '{' && is_empty_list(text, at)) {
            *reason = "this list is empty";
            return false;
        } else if (*at == '{' && depth < DEPTH_MAX) {
            lines[depth++] = *line;
        } else if (*at == '}' && depth > 0) { /* libconfuse refuses one too many */
            depth--;
        } else if (at[0] == '/' && at[1] == '*' && strstr(at, "*/") == NULL &&
                   (at == text || strchr(blanks, at[-1]) != NULL)) {
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
