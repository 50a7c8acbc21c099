#include "operator/json.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "base/escape.h"

/* The writer's state. It is global because a process has one standard output. */
static struct {
    unsigned depth;
    bool more; /* the next member needs a comma */
} state;

static void begin_value(const char *name)
{
    if (state.more)
        putchar(',');
    state.more = true;
    if (name == NULL)
        return;
    putchar('"');
    escape_write(stdout, ESCAPE_JSON, name);
    fputs("\":", stdout);
}

void json_open(const char *name, char bracket)
{
    begin_value(name);
    putchar(bracket);
    state.depth++;
    state.more = false;
}

void json_close(char bracket)
{
    putchar(bracket);
    state.depth--;
    state.more = state.depth > 0;
    if (state.depth == 0) {
        putchar('\n');
        fflush(stdout);
    }
}

void json_text(const char *name, const char *text)
{
    begin_value(name);
    if (text == NULL) {
        fputs("null", stdout);
        return;
    }
    putchar('"');
    escape_write(stdout, ESCAPE_JSON, text);
    putchar('"');
}

void json_bool(const char *name, bool value)
{
    begin_value(name);
    fputs(value ? "true" : "false", stdout);
}

void json_count(const char *name, uint64_t value)
{
    begin_value(name);
    printf("%" PRIu64, value);
}

void json_number(const char *name, double value)
{
    begin_value(name);
    if (isfinite(value))
        printf("%.9g", value);
    else
        fputs("null", stdout);
}
