#include "storm/http.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static bool parse_status_line(struct http_reply *reply)
{
    if (strncmp(reply->line, "HTTP/1.", 7) != 0 || reply->line_length < 12)
        return false;
    reply->status = (unsigned)strtoul(reply->line + 9, NULL, 10);
    reply->close = reply->line[7] == '0';
    return reply->status >= 100 && reply->status <= 599;
}

/* The value of the header line if its name is `name`, otherwise NULL. */
static const char *header_value(const struct http_reply *reply, const char *name)
{
    size_t length = strlen(name);
    if (strncasecmp(reply->line, name, length) != 0 || reply->line[length] != ':')
        return NULL;
    return reply->line + length + 1 + strspn(reply->line + length + 1, " \t");
}

static void parse_header(struct http_reply *reply)
{
    const char *value;
    if ((value = header_value(reply, "Content-Length"))) {
        reply->left = strtoull(value, NULL, 10);
        reply->length_given = true;
    } else if ((value = header_value(reply, "Transfer-Encoding"))) {
        reply->chunked = strcasestr(value, "chunked") != NULL;
    } else if ((value = header_value(reply, "Connection"))) {
        reply->close = strcasestr(value, "close") != NULL;
    }
}

/* The state after the empty line that ends the headers (RFC 9112, section 6.3). */
static enum http_state body_state(struct http_reply *reply)
{
    if (reply->status < 200) {
        *reply = (struct http_reply){0};
        return HTTP_STATUS_LINE;
    }
    if (reply->status == 204 || reply->status == 304)
        return HTTP_DONE;
    if (reply->chunked)
        return HTTP_CHUNK_SIZE;
    if (reply->length_given)
        return reply->left == 0 ? HTTP_DONE : HTTP_BODY;
    reply->close = true;
    return HTTP_BODY_TO_END;
}

static enum http_state chunk_state(struct http_reply *reply)
{
    char *end;
    uint64_t size = strtoull(reply->line, &end, 16);
    if (end == reply->line || size > UINT64_MAX - 2)
        return HTTP_BAD;
    reply->left = size + 2; /* including its CRLF */
    return size == 0 ? HTTP_TRAILER : HTTP_CHUNK;
}

static enum http_state line_done(struct http_reply *reply)
{
    switch (reply->state) {
    case HTTP_STATUS_LINE:
        return parse_status_line(reply) ? HTTP_HEADER : HTTP_BAD;
    case HTTP_HEADER:
        if (reply->line_length == 0)
            return body_state(reply);
        parse_header(reply);
        return HTTP_HEADER;
    case HTTP_CHUNK_SIZE:
        return chunk_state(reply);
    case HTTP_TRAILER:
        return reply->line_length == 0 ? HTTP_DONE : HTTP_TRAILER;
    default:
        return HTTP_BAD;
    }
}

/* Returns how many bytes were consumed: up to the end of the line, or all. */
static size_t read_line(struct http_reply *reply, const char *bytes, size_t length)
{
    const char *end = memchr(bytes, '\n', length);
    size_t taken = end ? (size_t)(end - bytes) : length;
    size_t room = sizeof reply->line - 1 - reply->line_length;
    size_t kept = taken < room ? taken : room;
    memcpy(reply->line + reply->line_length, bytes, kept);
    reply->line_length += (unsigned)kept;
    if (end == NULL)
        return length;
    if (reply->line_length > 0 && reply->line[reply->line_length - 1] == '\r')
        reply->line_length--;
    reply->line[reply->line_length] = 0;
    reply->state = line_done(reply);
    reply->line_length = 0;
    return taken + 1;
}

static size_t read_body(struct http_reply *reply, size_t length)
{
    size_t taken = length < reply->left ? length : (size_t)reply->left;
    reply->left -= taken;
    if (reply->left == 0)
        reply->state = reply->state == HTTP_BODY ? HTTP_DONE : HTTP_CHUNK_SIZE;
    return taken;
}

enum http_state http_reply_read(struct http_reply *reply, const char *bytes, size_t length)
{
    while (length > 0 && reply->state < HTTP_DONE && reply->state != HTTP_BODY_TO_END) {
        bool body = reply->state == HTTP_BODY || reply->state == HTTP_CHUNK;
        size_t taken = body ? read_body(reply, length) : read_line(reply, bytes, length);
        bytes += taken;
        length -= taken;
    }
    return reply->state;
}

bool http_reply_end(struct http_reply *reply)
{
    if (reply->state == HTTP_BODY_TO_END)
        reply->state = HTTP_DONE;
    return reply->state == HTTP_DONE;
}
