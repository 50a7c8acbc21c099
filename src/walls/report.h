/* The walls that a process has, one line for each: what it is, and how it works or why it is
 * missing. */
#ifndef WALLS_REPORT_H
#define WALLS_REPORT_H

#include <stdbool.h>
#include <stddef.h>

#define REPORT_ROWS_MAX 16
#define REPORT_TEXT_SIZE 200

struct report {
    struct report_row {
        const char *wall; /* a literal */
        bool stands;
        char text[REPORT_TEXT_SIZE];
    } rows[REPORT_ROWS_MAX];
    size_t count;
};

#define REPORT_INIT ((struct report){.count = 0})

/* Returns `stands`. */
bool report_note(struct report *report, const char *wall, bool stands, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* Logs the missing walls at level info, the others at level debug. */
void report_log(const struct report *report);
/* Prints all of them to standard output. */
void report_print(const struct report *report);

#endif
