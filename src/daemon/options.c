#include "daemon/options.h"

#include <stdlib.h>

#define EXIT_USAGE 2

static void refuse_word(struct command_line *line)
{
    snprintf(line->complaint, sizeof line->complaint, "unexpected argument '%s'", line->words[0]);
}

bool option_print(const struct option_row *row, const char *argument, void *field)
{
    (void)argument;
    (void)field;
    row->print(stdout);
    exit(EXIT_SUCCESS);
}

void daemon_options_parse(const struct daemon_program *program, int argc, char **argv,
                          void *options)
{
    struct command_line line = {.rows = program->rows, .count = program->count};
    switch (command_line_parse(&line, argc, argv, options)) {
    case COMMAND_LINE_HELP:
        fputs(program->usage, stdout);
        command_line_print(&line, 0, stdout);
        exit(EXIT_SUCCESS);
    case COMMAND_LINE_VERSION:
        puts(program->version);
        exit(EXIT_SUCCESS);
    case COMMAND_LINE_GOOD:
        if (line.word_count == 0)
            return;
        refuse_word(&line);
        break;
    case COMMAND_LINE_WRONG:
        break;
    }
    fprintf(stderr, "%s: %s\n", program->name, line.complaint);
    exit(EXIT_USAGE);
}
