#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_BYTES 1024

static struct {
    const char *program;
    enum log_level most;
    bool json;
} setup = {.program = "immure", .most = LOG_LEVEL_INFO};

static const char *const level_names[] = {"error", "warning", "info", "debug"};

void log_setup(const char *program, enum log_level most, bool json)
{
    setup.program = program;
    setup.most = most;
    setup.json = json;
    /* Even gmtime_r() opens the time zone file at its first call: now, and not behind immured's
     * closed doors. */
    tzset();
}

char *log_time(char text[LOG_TIME_SIZE])
{
    struct timespec now;
    struct tm utc;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    snprintf(text, LOG_TIME_SIZE, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", utc.tm_year + 1900,
             utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec,
             (int)(now.tv_nsec / 1000000));
    return text;
}

/* Control characters could forge lines: they become '?' in plain lines, \u00XX in JSON. */
static size_t escape(const char *from, char *to, size_t size)
{
    size_t length = 0;
    for (; *from != '\0' && length + 7 < size; from++) {
        unsigned char c = (unsigned char)*from;
        if (!setup.json)
            to[length++] = c < ' ' || c == 127 ? '?' : (char)c;
        else if (c < ' ' || c == 127)
            length += (size_t)snprintf(to + length, size - length, "\\u%04x", c);
        else {
            if (c == '"' || c == '\\')
                to[length++] = '\\';
            to[length++] = (char)c;
        }
    }
    to[length] = '\0';
    return length;
}

void log_write(enum log_level level, const char *format, ...)
{
    if (level > setup.most)
        return;
    char time[LOG_TIME_SIZE], text[LINE_MAX_BYTES / 2], safe[LINE_MAX_BYTES],
        line[LINE_MAX_BYTES + 256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    log_time(time);
    escape(text, safe, sizeof safe);
    int length = snprintf(
        line, sizeof line,
        setup.json
            ? "{\"time\":\"%s\",\"program\":\"%s\",\"pid\":%d,\"level\":\"%s\",\"text\":\"%s\"}\n"
            : "%s %s[%d] %s: %s\n",
        time, setup.program, (int)getpid(), level_names[level], safe);
    if (length > 0 && write(STDERR_FILENO, line, (size_t)length) < 0)
        return; /* nobody to tell */
}
