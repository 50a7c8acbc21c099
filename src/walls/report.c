#include "walls/report.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "base/log.h"

bool report_note(struct report *report, const char *wall, bool stands, const char *format, ...)
{
    if (report->count == REPORT_ROWS_MAX)
        return stands;
    struct report_row *row = &report->rows[report->count++];
    va_list arguments;
    row->wall = wall;
    row->stands = stands;
    va_start(arguments, format);
    vsnprintf(row->text, sizeof row->text, format, arguments);
    va_end(arguments);
    return stands;
}

void report_log(const struct report *report)
{
    for (size_t i = 0; i < report->count; i++) {
        const struct report_row *row = &report->rows[i];
        if (row->stands)
            log_debug("wall: %s: %s", row->wall, row->text);
        else
            log_info("wall not there: %s: %s", row->wall, row->text);
    }
}

/* Not with stdio, which calls fstat() on the descriptor: a system call filter may be in force
 * already. */
void report_print(const struct report *report)
{
    for (size_t i = 0; i < report->count; i++) {
        const struct report_row *row = &report->rows[i];
        char line[REPORT_TEXT_SIZE + 64];
        int length = snprintf(line, sizeof line, "%-3s  %-13s  %s\n", row->stands ? "yes" : "no",
                              row->wall, row->text);
        if (write(STDOUT_FILENO, line, (size_t)length) != length)
            return; /* standard output is gone */
    }
}
