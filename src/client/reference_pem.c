/* The text form of a key reference (RFC 7468). libc has no base64, so it is here. */
#include <stdbool.h>
#include <string.h>

#include "base/bytes.h"
#include "immure/reference.h"

#define BEGIN "-----BEGIN " IMMURE_REFERENCE_LABEL "-----"
#define END "-----END " IMMURE_REFERENCE_LABEL "-----"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static bool is_blank(char character)
{
    return character == ' ' || character == '\t' || character == '\r';
}

/* Takes the next line, without its newline; NULL if there is none. */
static const char *next_line(const char **text, const char *end, size_t *length)
{
    const char *line = *text;
    if (line == end)
        return NULL;
    const char *newline = memchr(line, '\n', (size_t)(end - line));
    *text = newline != NULL ? newline + 1 : end;
    *length = (size_t)((newline != NULL ? newline : end) - line);
    while (*length > 0 && is_blank(line[*length - 1]))
        --*length;
    return line;
}

/* Moves *text behind the line. False: there is no such line. */
static bool skip_to_line(const char **text, const char *end, const char *wanted)
{
    size_t length;
    for (const char *line; (line = next_line(text, end, &length)) != NULL;)
        if (length == strlen(wanted) && memcmp(line, wanted, length) == 0)
            return true;
    return false;
}

/* Decodes four characters, a quantum, at a time. Characters after the padding are an error, and so
 * is an incomplete quantum. */
struct base64 {
    struct writer output;
    uint32_t bits;
    unsigned characters, padding; /* of the quantum that is being read */
    bool failed;
};

static void base64_end_quantum(struct base64 *base64)
{
    unsigned length = 3 - base64->padding;
    if (base64->padding > 2 || (base64->bits & ((1u << (8 * base64->padding)) - 1)) != 0)
        base64->failed = true;
    for (unsigned i = 0; i < length && !base64->failed; i++)
        write_u8(&base64->output, (uint8_t)(base64->bits >> (16 - 8 * i)));
    base64->bits = 0;
    base64->characters = 0;
}

static void base64_take(struct base64 *base64, char character)
{
    const char *place = character != '\0' ? strchr(alphabet, character) : NULL;
    if (character != '=' && (place == NULL || base64->padding > 0))
        base64->failed = true;
    if (base64->failed || (character == '=' && base64->padding == 2)) {
        base64->failed = true;
        return;
    }
    base64->padding += character == '=';
    base64->bits = base64->bits << 6 | (place != NULL ? (uint32_t)(place - alphabet) : 0);
    if (++base64->characters == 4)
        base64_end_quantum(base64);
}

enum immure_reference_error immure_reference_parse_pem(struct immure_reference *reference,
                                                       const char *text, size_t length,
                                                       uint8_t der[IMMURE_REFERENCE_DER_MAX])
{
    const char *end = text + length, *line;
    struct base64 base64 = {.output = writer_of(der, IMMURE_REFERENCE_DER_MAX)};
    if (!skip_to_line(&text, end, BEGIN))
        return IMMURE_REFERENCE_E_ABSENT;
    while ((line = next_line(&text, end, &length)) != NULL && line[0] != '-')
        for (size_t i = 0; i < length; i++)
            base64_take(&base64, line[i]);
    if (line == NULL || length != strlen(END) || memcmp(line, END, length) != 0)
        return IMMURE_REFERENCE_E_BASE64;
    if (base64.failed || base64.output.failed || base64.characters != 0)
        return IMMURE_REFERENCE_E_BASE64;
    return immure_reference_parse_der(reference, der, (size_t)(base64.output.next - der));
}

static void write_text(struct writer *writer, const char *text)
{
    write_bytes(writer, text, strlen(text));
}

static void write_quantum(struct writer *writer, const uint8_t *bytes, size_t length)
{
    uint32_t bits = 0;
    for (size_t i = 0; i < 3; i++)
        bits = bits << 8 | (i < length ? bytes[i] : 0);
    for (size_t i = 0; i < 4; i++)
        write_u8(writer, (uint8_t)(i <= length ? alphabet[bits >> (18 - 6 * i) & 63] : '='));
}

enum immure_reference_error immure_reference_write_pem(const struct immure_reference *reference,
                                                       char pem[IMMURE_REFERENCE_PEM_SIZE])
{
    enum { LINE_BYTES = IMMURE_REFERENCE_LINE / 4 * 3 };
    uint8_t der[IMMURE_REFERENCE_DER_MAX];
    size_t length;
    enum immure_reference_error error = immure_reference_write_der(reference, der, &length);
    if (error != IMMURE_REFERENCE_OK)
        return error;
    struct writer writer = writer_of(pem, IMMURE_REFERENCE_PEM_SIZE);
    write_text(&writer, BEGIN "\n");
    for (size_t at = 0; at < length; at += 3) {
        write_quantum(&writer, der + at, length - at < 3 ? length - at : 3);
        if ((at + 3) % LINE_BYTES == 0 || at + 3 >= length)
            write_u8(&writer, '\n');
    }
    write_text(&writer, END "\n");
    write_u8(&writer, '\0');
    return IMMURE_REFERENCE_OK;
}
