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

/* What a process has one of; set by main before threads start. `program` is a literal. */
void log_setup(const char *program, enum log_level most, bool json);

/*
 * For a process that serves, while it may open files: from now on nobody waits for who reads the
 * log. A pipe or a terminal is opened anew as standard error, without blocking, so that others that
 * share it are left alone. A line that there is no room for at once is lost, and the next that
 * finds room says how many were.
 */
void log_never_wait(void);

/* A line as it is, of at most PIPE_BUF bytes with its end. False: it was lost, and is not counted.
 */
bool log_put_line(const char *line, size_t length);

void log_write(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* For a line that others can cause as often as they like, and that is logged once a second at most:
 * whether a second has passed since *last (0: it never was). If so, *last becomes `now`, and the
 * line is to be logged. ns. */
bool log_due(uint64_t *last, uint64_t now);

/* The time as log lines have it. Returns text. */
#define LOG_TIME_SIZE 64
char *log_time(char text[LOG_TIME_SIZE]);

#define log_error(...) log_write(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_write(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...) log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_write(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
