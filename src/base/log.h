/*
 * Log lines on standard error, one write each: "2026-11-23T04:39:04.123Z immured warning: text", or
 * the same as a JSON object. Any thread.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* What a process has one of; set by main before threads start. `program` is a literal. */
void log_setup(const char *program, enum log_level most, bool json);

void log_write(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The time as log lines have it. Returns text. */
#define LOG_TIME_SIZE 64
char *log_time(char text[LOG_TIME_SIZE]);

#define log_error(...) log_write(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_write(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...) log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_write(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
