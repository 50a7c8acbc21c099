#include "base/bytes.h"

#include <string.h>

const uint8_t *read_bytes(struct reader *reader, size_t length)
{
    if (reader->failed || length > reader->left) {
        reader->failed = true;
        return NULL;
    }
    const uint8_t *bytes = reader->next;
    reader->next += length;
    reader->left -= length;
    return bytes;
}

static uint64_t read_number(struct reader *reader, size_t size)
{
    const uint8_t *bytes = read_bytes(reader, size);
    uint64_t value = 0;
    for (size_t i = 0; bytes != NULL && i < size; i++)
        value = value << 8 | bytes[i];
    return value;
}

uint8_t read_u8(struct reader *reader)
{
    return (uint8_t)read_number(reader, 1);
}

uint16_t read_u16(struct reader *reader)
{
    return (uint16_t)read_number(reader, 2);
}

uint32_t read_u24(struct reader *reader)
{
    return (uint32_t)read_number(reader, 3);
}

uint32_t read_u32(struct reader *reader)
{
    return (uint32_t)read_number(reader, 4);
}

uint64_t read_u64(struct reader *reader)
{
    return read_number(reader, 8);
}

bool reader_done(const struct reader *reader)
{
    return !reader->failed && reader->left == 0;
}

static uint8_t *write_room(struct writer *writer, size_t length)
{
    if (writer->failed || length > writer->left) {
        writer->failed = true;
        return NULL;
    }
    uint8_t *room = writer->next;
    writer->next += length;
    writer->left -= length;
    return room;
}

void write_bytes(struct writer *writer, const void *bytes, size_t length)
{
    uint8_t *room = write_room(writer, length);
    if (room != NULL && length > 0)
        memcpy(room, bytes, length);
}

static void write_number(struct writer *writer, uint64_t value, size_t size)
{
    uint8_t *room = write_room(writer, size);
    for (size_t i = size; room != NULL && i > 0; i--) {
        room[i - 1] = (uint8_t)value;
        value >>= 8;
    }
}

void write_u8(struct writer *writer, uint8_t value)
{
    write_number(writer, value, 1);
}

void write_u16(struct writer *writer, uint16_t value)
{
    write_number(writer, value, 2);
}

void write_u32(struct writer *writer, uint32_t value)
{
    write_number(writer, value, 4);
}

void write_u64(struct writer *writer, uint64_t value)
{
    write_number(writer, value, 8);
}
