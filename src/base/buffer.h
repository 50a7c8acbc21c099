/*
 * A byte queue with a bound: written at the end, consumed at the front.
 *
 * It holds no memory while it is empty and released, so an idle connection costs none. A secret
 * buffer wipes the bytes that leave it, and its memory before giving it back.
 */
#ifndef BASE_BUFFER_H
#define BASE_BUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buffer {
    uint8_t *data;
    size_t start, end; /* the bytes held are data[start .. end) */
    size_t capacity;
    size_t limit; /* the most bytes that it may hold */
    bool secret;
};

#define BUFFER_INIT(limit_) ((struct buffer){.limit = (limit_)})
#define BUFFER_INIT_SECRET(limit_) ((struct buffer){.limit = (limit_), .secret = true})

static inline size_t buffer_length(const struct buffer *buffer)
{
    return buffer->end - buffer->start;
}

/* NULL if no memory is held: adding 0 to a null pointer is undefined. */
static inline const uint8_t *buffer_bytes(const struct buffer *buffer)
{
    return buffer->data != NULL ? buffer->data + buffer->start : NULL;
}

/* Room for `length` more bytes; NULL if that would exceed the limit or memory is short. */
uint8_t *buffer_reserve(struct buffer *buffer, size_t length);
/* `length` of the reserved bytes were written. */
void buffer_commit(struct buffer *buffer, size_t length);
bool buffer_append(struct buffer *buffer, const void *bytes, size_t length);
/* Drops `length` bytes from the front. */
void buffer_consume(struct buffer *buffer, size_t length);
void buffer_clear(struct buffer *buffer);
/* Gives the memory back; the buffer is empty and usable. */
void buffer_release(struct buffer *buffer);

#endif
