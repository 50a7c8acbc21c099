#include "base/buffer.h"

#include <stdlib.h>
#include <string.h>

#define CAPACITY_MIN 512

/* Bytes that have left the buffer must not remain readable in memory. */
static void wipe(const struct buffer *buffer, size_t from, size_t to)
{
    if (buffer->secret && buffer->data != NULL && to > from)
        explicit_bzero(buffer->data + from, to - from);
}

uint8_t *buffer_reserve(struct buffer *buffer, size_t length)
{
    size_t held = buffer_length(buffer);
    if (held > buffer->limit || length > buffer->limit - held)
        return NULL;
    if (length <= buffer->capacity - buffer->end && buffer->data != NULL)
        return buffer->data + buffer->end;

    size_t capacity = buffer->capacity > CAPACITY_MIN ? buffer->capacity : CAPACITY_MIN;
    while (capacity < held + length)
        capacity *= 2;
    if (capacity > buffer->capacity) {
        uint8_t *data = malloc(capacity);
        if (data == NULL)
            return NULL;
        if (held > 0)
            memcpy(data, buffer_bytes(buffer), held);
        wipe(buffer, buffer->start, buffer->end);
        free(buffer->data);
        buffer->data = data;
        buffer->capacity = capacity;
    } else if (buffer->data != NULL) {
        memmove(buffer->data, buffer_bytes(buffer), held);
        wipe(buffer, held > buffer->start ? held : buffer->start, buffer->end);
    }
    buffer->start = 0;
    buffer->end = held;
    return buffer->data + held;
}

void buffer_commit(struct buffer *buffer, size_t length)
{
    buffer->end += length;
}

bool buffer_append(struct buffer *buffer, const void *bytes, size_t length)
{
    uint8_t *room = buffer_reserve(buffer, length);
    if (room == NULL)
        return false;
    if (length > 0)
        memcpy(room, bytes, length);
    buffer_commit(buffer, length);
    return true;
}

void buffer_consume(struct buffer *buffer, size_t length)
{
    wipe(buffer, buffer->start, buffer->start + length);
    buffer->start += length;
    if (buffer->start == buffer->end)
        buffer_clear(buffer);
}

void buffer_clear(struct buffer *buffer)
{
    wipe(buffer, buffer->start, buffer->end);
    buffer->start = buffer->end = 0;
}

void buffer_release(struct buffer *buffer)
{
    buffer_clear(buffer);
    free(buffer->data);
    buffer->data = NULL;
    buffer->capacity = 0;
}
