#include "base/pem_file.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * The bytes of a key lie between two lines, of which these are the shortest. Reading goes from both
 * ends towards them. A step is so short that it cannot go beyond such a line before the line has
 * been seen: as long as the whole line if none has begun, or as what is missing of it.
 */
static const char key_begins[] = "-----BEGIN PRIVATE KEY-----";
static const char key_ends[] = "-----END PRIVATE KEY-----";

static size_t step_after(size_t line_length, bool may_be_label, size_t label_length)
{
    if (!may_be_label)
        return label_length;
    return line_length < label_length ? label_length - line_length : 1;
}

static bool is_private_key(const char *label, size_t length, const char *before)
{
    static const char end[] = "PRIVATE KEY-----";
    return length >= strlen(before) + strlen(end) && memcmp(label, before, strlen(before)) == 0 &&
           memcmp(label + length - strlen(end), end, strlen(end)) == 0;
}

static bool read_at(int file, char *bytes, size_t length, size_t offset)
{
    while (length > 0) {
        ssize_t got = pread(file, bytes, length, (off_t)offset);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0) {
            errno = got == 0 ? EIO : errno; /* it has become shorter */
            return false;
        }
        bytes += got;
        offset += (size_t)got;
        length -= (size_t)got;
    }
    return true;
}

/* Reads up to the first line that begins a key, or the end of the file. *end is where that line
 * begins, and *from where it ends. */
static bool read_forward(int file, char *text, size_t size, size_t *end, size_t *from)
{
    size_t at = 0, line = 0;
    while (at < size) {
        size_t step = step_after(at - line, at > line && text[line] == '-', strlen(key_begins));
        step = step < size - at ? step : size - at;
        if (!read_at(file, text + at, step, at))
            return false;
        at += step;
        const char *newline = memrchr(text + at - step, '\n', step);
        if (newline != NULL)
            line = (size_t)(newline + 1 - text);
        if (is_private_key(text + line, at - line, "-----BEGIN ")) {
            *end = line;
            *from = at;
            return true;
        }
    }
    *end = *from = at;
    return true;
}

/* Reads from the end of the file back to the last line that ends a key, or to `from`. The text lies
 * where it lies in the file; *start is where it begins. */
static bool read_backward(int file, char *text, size_t size, size_t from, size_t *start)
{
    size_t at = size;
    while (at > from) {
        const char *newline = memchr(text + at, '\n', size - at);
        size_t length = newline != NULL ? (size_t)(newline - (text + at)) : size - at;
        size_t seen = length;
        while (seen > 0 && (text[at + seen - 1] == '\r' || text[at + seen - 1] == ' '))
            seen--;
        if (is_private_key(text + at, seen, "-----END ")) {
            *start = at + length;
            return true;
        }
        size_t step = step_after(seen, seen > 0 && text[at + seen - 1] == '-', strlen(key_ends));
        step = step < at - from ? step : at - from;
        if (!read_at(file, text + at - step, step, at - step))
            return false;
        at -= step;
    }
    *start = at;
    return true;
}

char *pem_file_read(int file, size_t *length)
{
    struct stat status;
    size_t end, from, start;
    if (fstat(file, &status) != 0)
        return NULL;
    if (status.st_size > PEM_FILE_MAX) {
        errno = EFBIG;
        return NULL;
    }
    size_t size = (size_t)status.st_size;
    char *text = malloc(size + 1);
    if (text == NULL)
        return NULL;
    if (!read_forward(file, text, size, &end, &from) ||
        !read_backward(file, text, size, from, &start)) {
        free(text);
        return NULL;
    }
    memmove(text + end, text + start, size - start);
    *length = end + size - start;
    text[*length] = '\0';
    return text;
}
