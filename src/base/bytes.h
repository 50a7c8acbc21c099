/*
 * Reading and writing of flat binary data in network byte order (RFC 8446, section 3 style).
 *
 * A reader cannot overrun: reading past the end yields zero and marks the reader as failed, which
 * is checked once, at the end. So does a writer. A parser is therefore a straight list of fields.
 */
#ifndef BASE_BYTES_H
#define BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct reader {
    const uint8_t *next;
    size_t left;
    bool failed;
};

struct writer {
    uint8_t *next;
    size_t left;
    bool failed;
};

static inline struct reader reader_of(const void *bytes, size_t length)
{
    return (struct reader){.next = bytes, .left = length};
}

static inline struct writer writer_of(void *bytes, size_t length)
{
    return (struct writer){.next = bytes, .left = length};
}

uint8_t read_u8(struct reader *reader);
uint16_t read_u16(struct reader *reader);
uint32_t read_u24(struct reader *reader);
uint32_t read_u32(struct reader *reader);
uint64_t read_u64(struct reader *reader);
/* `length` bytes within the reader's input, or NULL, and the reader has failed. */
const uint8_t *read_bytes(struct reader *reader, size_t length);
/* Whether no read has failed and no input is left. */
bool reader_done(const struct reader *reader);

void write_u8(struct writer *writer, uint8_t value);
void write_u16(struct writer *writer, uint16_t value);
void write_u32(struct writer *writer, uint32_t value);
void write_u64(struct writer *writer, uint64_t value);
void write_bytes(struct writer *writer, const void *bytes, size_t length);

#endif
