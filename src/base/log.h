/*
 * Log lines on standard error, one write each: "2026-11-23T04:39:04.123Z immured warning: text", or
 * the same as a JSON object. Any thread.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* The log is global to the process; main() sets it up before threads start. `program` is a
 * literal. */
void log_setup(const char *program, enum log_level most, bool json);

/*
 * From now on, writing to the log never waits for its reader. A server calls this while it may
 * still open files: a pipe or terminal is reopened as standard error, non-blocking, so that other
 * processes that share it are not affected. A line is lost if there is no room for it at once, and
 * the next line that is written reports how many were lost.
 */
void log_never_wait(void);

/* Writes a line as it is, of at most PIPE_BUF bytes including its end. False: it was lost, and is
 * not counted as such. */
bool log_put_line(const char *line, size_t length);

void log_write(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* For a line that others can cause as often as they like, and that is logged once a second at most:
 * whether a second has passed since *last (0: it never was). If so, *last becomes `now`, and the
 * line is to be logged. ns. */
bool log_due(uint64_t *last, uint64_t now);

/* The time in the format of log lines. Returns text. */
#define LOG_TIME_SIZE 64
char *log_time(char text[LOG_TIME_SIZE]);

#define log_error(...) log_write(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_write(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...) log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_write(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
