#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/descriptor.h"

#define LINE_MAX_BYTES 1024
/* A pipe takes at most PIPE_BUF bytes in whole or not at all. */
_Static_assert(LINE_MAX_BYTES + 256 <= PIPE_BUF, "a line is written whole");

static struct {
    const char *program;
    enum log_level most;
    bool json;
    int send_flags; /* 0: standard error is not a socket, or may block */
    atomic_uint lost;
} setup = {.program = "immure", .most = LOG_LEVEL_INFO};

static const char *const level_names[] = {"error", "warning", "info", "debug"};

void log_setup(const char *program, enum log_level most, bool json)
{
    setup.program = program;
    setup.most = most;
    setup.json = json;
    /* Even gmtime_r() opens the time zone file at its first call. Do that now: immured's sandbox
     * forbids it later. */
    tzset();
}

void log_never_wait(void)
{
    struct stat file = {.st_mode = 0};
    fstat(STDERR_FILENO, &file);
    if (S_ISSOCK(file.st_mode))
        setup.send_flags = MSG_DONTWAIT | MSG_NOSIGNAL;
    if (!S_ISFIFO(file.st_mode) && !isatty(STDERR_FILENO))
        return; /* writing to a file never waits for a reader */
    int output = open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    if (output < 0 || dup2(output, STDERR_FILENO) < 0)
        log_warning("standard error cannot be reopened (%s): writing to it may block",
                    strerror(errno));
    descriptor_close(&output);
}

bool log_put_line(const char *line, size_t length)
{
    ssize_t written = setup.send_flags != 0 ? send(STDERR_FILENO, line, length, setup.send_flags)
                                            : write(STDERR_FILENO, line, length);
    return written == (ssize_t)length;
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

/* Control characters could forge lines. They become '?' in plain lines and \u00XX in JSON. */
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

static bool put(enum log_level level, const char *text)
{
    char time[LOG_TIME_SIZE], safe[LINE_MAX_BYTES], line[LINE_MAX_BYTES + 256];
    log_time(time);
    escape(text, safe, sizeof safe);
    int length = snprintf(
        line, sizeof line,
        setup.json
            ? "{\"time\":\"%s\",\"program\":\"%s\",\"pid\":%d,\"level\":\"%s\",\"text\":\"%s\"}\n"
            : "%s %s[%d] %s: %s\n",
        time, setup.program, (int)getpid(), level_names[level], safe);
    return length > 0 && log_put_line(line, (size_t)length);
}

/* Reports how many lines were lost, if any. False if there is still no room. */
static bool tell_lost(void)
{
    unsigned lost = atomic_exchange(&setup.lost, 0);
    if (lost == 0)
        return true;
    char text[64];
    snprintf(text, sizeof text, "%u lines of the log were lost: nobody read them", lost);
    if (put(LOG_LEVEL_WARNING, text))
        return true;
    atomic_fetch_add(&setup.lost, lost);
    return false;
}

void log_write(enum log_level level, const char *format, ...)
{
    if (level > setup.most)
        return;
    char text[LINE_MAX_BYTES / 2];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (!tell_lost() || !put(level, text))
        atomic_fetch_add(&setup.lost, 1);
}

bool log_due(uint64_t *last, uint64_t now)
{
    if (*last != 0 && now - *last < NS_PER_S)
        return false;
    *last = now;
    return true;
}
