#include "immure/reference.h"

#include <string.h>
#include <sys/un.h>

#include "base/bytes.h"
#include "wire/limits.h"

_Static_assert(IMMURE_SPKI_MAX == WIRE_SPKI_MAX, "one limit");
_Static_assert(IMMURE_SOCKET_PATH_MAX == sizeof((struct sockaddr_un *)0)->sun_path - 1,
               "one limit");

enum tag {
    TAG_INTEGER = 0x02,
    TAG_OCTET_STRING = 0x04,
    TAG_UTF8_STRING = 0x0c,
    TAG_SEQUENCE = 0x30
};

const char *immure_reference_error_text(enum immure_reference_error error)
{
    static const char *const texts[] = {
        [IMMURE_REFERENCE_OK] = "no error",
        [IMMURE_REFERENCE_E_ABSENT] = "there is no IMMURE KEY REFERENCE in it",
        [IMMURE_REFERENCE_E_BASE64] = "the key reference is cut off, or not base64",
        [IMMURE_REFERENCE_E_DER] = "the key reference does not parse",
        [IMMURE_REFERENCE_E_VERSION] = "the key reference is of a version that is not known here",
        [IMMURE_REFERENCE_E_SOCKET] =
            "the socket is not an absolute path or @name, is too long, or is not text",
        [IMMURE_REFERENCE_E_KEY_ID] = "the key id is not of 32 bytes",
        [IMMURE_REFERENCE_E_SPKI] = "the SubjectPublicKeyInfo does not parse, or is too long",
    };
    return error < sizeof texts / sizeof texts[0] ? texts[error] : "unknown error";
}

/* Reads a length in its shortest form. Two bytes are enough for the length of any key reference. */
static size_t read_length(struct reader *reader)
{
    uint8_t first = read_u8(reader);
    if (first < 0x80)
        return first;
    uint16_t length = 0;
    if (first == 0x81)
        length = read_u8(reader);
    else if (first == 0x82)
        length = read_u16(reader);
    if (length < (first == 0x81 ? 0x80 : 0x100))
        reader->failed = true;
    return length;
}

/* Returns the content of the next element. `reader` fails if the element has another type. */
static struct reader read_element(struct reader *reader, enum tag tag)
{
    if (read_u8(reader) != tag)
        reader->failed = true;
    size_t length = read_length(reader);
    const uint8_t *content = read_bytes(reader, length);
    return content != NULL ? reader_of(content, length) : reader_of(reader->next, 0);
}

/* An INTEGER begins with no more zeros or ones than its sign needs; a version is not negative. */
static enum immure_reference_error check_version(struct reader version)
{
    size_t length = version.left;
    uint8_t first = read_u8(&version);
    if (version.failed || first >= 0x80 || (length > 1 && first == 0 && read_u8(&version) < 0x80))
        return IMMURE_REFERENCE_E_DER;
    return length == 1 && first == IMMURE_REFERENCE_VERSION ? IMMURE_REFERENCE_OK
                                                            : IMMURE_REFERENCE_E_VERSION;
}

static enum immure_reference_error check_socket(const char *path, size_t length)
{
    if (length < 2 || length > IMMURE_SOCKET_PATH_MAX || (path[0] != '/' && path[0] != '@'))
        return IMMURE_REFERENCE_E_SOCKET;
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)path[i] < 0x20 || path[i] == 0x7f)
            return IMMURE_REFERENCE_E_SOCKET;
    return IMMURE_REFERENCE_OK;
}

static enum immure_reference_error check_spki(const uint8_t *spki, size_t length)
{
    struct reader reader = reader_of(spki, length);
    read_element(&reader, TAG_SEQUENCE);
    return length <= IMMURE_SPKI_MAX && reader_done(&reader) ? IMMURE_REFERENCE_OK
                                                             : IMMURE_REFERENCE_E_SPKI;
}

enum immure_reference_error immure_reference_parse_der(struct immure_reference *reference,
                                                       const uint8_t *der, size_t length)
{
    struct reader whole = reader_of(der, length);
    struct reader fields = read_element(&whole, TAG_SEQUENCE);
    struct reader version = read_element(&fields, TAG_INTEGER);
    if (!reader_done(&whole) || fields.failed)
        return IMMURE_REFERENCE_E_DER;
    enum immure_reference_error error = check_version(version);
    if (error != IMMURE_REFERENCE_OK)
        return error;

    struct reader socket = read_element(&fields, TAG_UTF8_STRING);
    struct reader key_id = read_element(&fields, TAG_OCTET_STRING);
    if (fields.failed)
        return IMMURE_REFERENCE_E_DER;
    error = check_socket((const char *)socket.next, socket.left);
    if (error != IMMURE_REFERENCE_OK)
        return error;
    if (key_id.left != IMMURE_KEY_ID_SIZE)
        return IMMURE_REFERENCE_E_KEY_ID;
    error = check_spki(fields.next, fields.left);
    if (error != IMMURE_REFERENCE_OK)
        return error;

    *reference = (struct immure_reference){.spki = fields.next, .spki_length = fields.left};
    memcpy(reference->socket, socket.next, socket.left);
    memcpy(reference->key_id, key_id.next, key_id.left);
    return IMMURE_REFERENCE_OK;
}

static size_t length_size(size_t length)
{
    return length < 0x80 ? 1 : length < 0x100 ? 2 : 3;
}

static void write_header(struct writer *writer, enum tag tag, size_t length)
{
    write_u8(writer, (uint8_t)tag);
    if (length >= 0x80)
        write_u8(writer, (uint8_t)(0x80 + length_size(length) - 1));
    if (length >= 0x100)
        write_u8(writer, (uint8_t)(length >> 8));
    write_u8(writer, (uint8_t)length);
}

static void write_element(struct writer *writer, enum tag tag, const void *content, size_t length)
{
    write_header(writer, tag, length);
    write_bytes(writer, content, length);
}

enum immure_reference_error immure_reference_write_der(const struct immure_reference *reference,
                                                       uint8_t der[IMMURE_REFERENCE_DER_MAX],
                                                       size_t *length)
{
    size_t path = strnlen(reference->socket, sizeof reference->socket);
    enum immure_reference_error error = check_socket(reference->socket, path);
    if (error == IMMURE_REFERENCE_OK)
        error = check_spki(reference->spki, reference->spki_length);
    if (error != IMMURE_REFERENCE_OK)
        return error;

    const uint8_t version = IMMURE_REFERENCE_VERSION;
    size_t fields = 1 + length_size(sizeof version) + sizeof version + 1 + length_size(path) +
                    path + 1 + length_size(IMMURE_KEY_ID_SIZE) + IMMURE_KEY_ID_SIZE +
                    reference->spki_length;
    struct writer writer = writer_of(der, IMMURE_REFERENCE_DER_MAX);
    write_header(&writer, TAG_SEQUENCE, fields);
    write_element(&writer, TAG_INTEGER, &version, sizeof version);
    write_element(&writer, TAG_UTF8_STRING, reference->socket, path);
    write_element(&writer, TAG_OCTET_STRING, reference->key_id, IMMURE_KEY_ID_SIZE);
    write_bytes(&writer, reference->spki, reference->spki_length);
    *length = (size_t)(writer.next - der);
    return IMMURE_REFERENCE_OK;
}
