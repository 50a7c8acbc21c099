#include "proxy/worker/transport/announced.h"

#include <openssl/ssl3.h>

#include "base/bytes.h"

static size_t lesser(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Adds the next byte to a header. Returns whether the header is complete. */
static bool collect(struct reader *input, uint8_t *header, size_t size, uint8_t *had)
{
    header[(*had)++] = read_u8(input);
    if (*had < size)
        return false;
    *had = 0;
    return true;
}

static void begin_record(struct announced *announced, struct reader *input)
{
    struct reader header = reader_of(announced->record, sizeof announced->record);
    if (!collect(input, announced->record, sizeof announced->record, &announced->record_had))
        return;
    announced->handshake = read_u8(&header) == SSL3_RT_HANDSHAKE;
    read_u16(&header); /* version */
    announced->record_left = read_u16(&header);
}

static bool begin_message(struct announced *announced, struct reader *content)
{
    struct reader header = reader_of(announced->message, sizeof announced->message);
    if (!collect(content, announced->message, sizeof announced->message, &announced->message_had))
        return true;
    read_u8(&header); /* type */
    announced->message_left = read_u24(&header);
    return announced->message_left <= ANNOUNCED_MAX;
}

static bool take_content(struct announced *announced, struct reader *content)
{
    while (content->left > 0) {
        size_t length = lesser(announced->message_left, content->left);
        if (length == 0 && !begin_message(announced, content))
            return false;
        read_bytes(content, length);
        announced->message_left -= length;
    }
    return true;
}

bool announced_take(struct announced *announced, const void *bytes, size_t length)
{
    struct reader input = reader_of(bytes, length);
    while (input.left > 0) {
        size_t part = lesser(announced->record_left, input.left);
        if (part == 0) {
            begin_record(announced, &input);
            continue;
        }
        struct reader content = reader_of(read_bytes(&input, part), part);
        announced->record_left -= part;
        if (announced->handshake && !take_content(announced, &content))
            return false;
    }
    return true;
}
