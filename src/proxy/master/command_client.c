#include "proxy/master/command_client.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>

#include "base/escape.h"

/* A client without its last line knows that it has not got the whole answer. */
static void give_up(struct command_client *client)
{
    client->ended = true;
}

bool answer_begin(struct command_client *client, struct answer_line *line)
{
    *line = (struct answer_line){.text = NULL};
    line->out = open_memstream(&line->text, &line->length);
    if (line->out != NULL)
        fputc('{', line->out);
    else
        give_up(client);
    return line->out != NULL;
}

static void begin_value(struct answer_line *line, const char *name)
{
    if (line->more)
        fputs(", ", line->out);
    line->more = true;
    if (name != NULL)
        fprintf(line->out, "\"%s\": ", name);
}

void answer_text(struct answer_line *line, const char *name, const char *text)
{
    begin_value(line, name);
    fputc('"', line->out);
    escape_write(line->out, ESCAPE_JSON, text);
    fputc('"', line->out);
}

void answer_count(struct answer_line *line, const char *name, int64_t value)
{
    begin_value(line, name);
    fprintf(line->out, "%" PRId64, value);
}

void answer_word(struct answer_line *line, const char *name, const char *word)
{
    begin_value(line, name);
    fputs(word, line->out);
}

void answer_list(struct answer_line *line, const char *name)
{
    begin_value(line, name);
    fputc('[', line->out);
    line->more = false;
}

void answer_item(struct answer_line *line, const char *text)
{
    answer_text(line, NULL, text);
}

void answer_list_end(struct answer_line *line)
{
    fputc(']', line->out);
    line->more = true;
}

void answer_write(struct command_client *client, struct answer_line *line)
{
    fputs("}\n", line->out);
    bool written = ferror(line->out) == 0;
    written = fclose(line->out) == 0 && written;
    if (!written || !buffer_append(&client->answer, line->text, line->length))
        give_up(client);
    free(line->text);
}

bool answer_end(struct command_client *client, struct answer_line *line, const char *result)
{
    bool begun = answer_begin(client, line);
    client->ended = true;
    if (begun)
        answer_text(line, "result", result);
    return begun;
}

void answer_refuse(struct command_client *client, const char *result, const char *format, ...)
{
    char reason[1024];
    struct answer_line line;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reason, sizeof reason, format, arguments);
    va_end(arguments);
    if (!answer_end(client, &line, result))
        return;
    answer_text(&line, "reason", reason);
    answer_write(client, &line);
}

bool command_begin(struct command_client *client, const struct command_view *view)
{
    client->generation = view->generation;
    if (view->generation == NULL)
        answer_refuse(client, "busy", "this immure-proxy is ending");
    return view->generation != NULL;
}

/* A configuration that comes into force has routes and backends of its own. */
bool command_is_in_force(struct command_client *client)
{
    if (client->generation == NULL)
        answer_refuse(client, "failed",
                      "another configuration has come into force, or none is any more; ask again");
    return client->generation != NULL;
}
