#include "wire/message.h"

#include <string.h>

#include "base/bytes.h"

static struct reader payload_of(const struct wire_frame *frame)
{
    return reader_of(frame->payload, frame->length);
}

static enum immure_error parsed(const struct reader *reader)
{
    return reader_done(reader) ? IMMURE_OK : IMMURE_E_MALFORMED;
}

/* Begins a frame and sets *writer to its payload. False: the type cannot have this length, or there
 * is no room. */
static bool begin(struct buffer *output, enum wire_type type, uint64_t id, size_t length,
                  struct writer *writer)
{
    uint8_t *room = wire_frame_begin(output, type, id, length);
    *writer = writer_of(room, room != NULL ? length : 0);
    return room != NULL;
}

const struct wire_hello wire_versions = {.lowest = WIRE_VERSION_LOWEST, .highest = WIRE_VERSION};

uint16_t wire_version_agree(const struct wire_hello *client)
{
    uint16_t version =
        client->highest < wire_versions.highest ? client->highest : wire_versions.highest;
    return version >= client->lowest && version >= wire_versions.lowest ? version : 0;
}

bool wire_put_hello(struct buffer *output, const struct wire_hello *hello)
{
    struct writer writer;
    if (!begin(output, WIRE_HELLO, 0, 8, &writer))
        return false;
    write_u32(&writer, WIRE_MAGIC);
    write_u16(&writer, hello->lowest);
    write_u16(&writer, hello->highest);
    return true;
}

enum immure_error wire_get_hello(const struct wire_frame *frame, struct wire_hello *hello)
{
    struct reader reader = payload_of(frame);
    read_u32(&reader); /* the magic number, which the decoder has checked */
    hello->lowest = read_u16(&reader);
    hello->highest = read_u16(&reader);
    return parsed(&reader);
}

bool wire_put_welcome(struct buffer *output, const struct wire_welcome *welcome)
{
    struct writer writer;
    if (!begin(output, WIRE_WELCOME, 0, 12, &writer))
        return false;
    write_u32(&writer, WIRE_MAGIC);
    write_u16(&writer, welcome->version);
    write_u16(&writer, welcome->in_flight);
    write_u32(&writer, welcome->started);
    return true;
}

enum immure_error wire_get_welcome(const struct wire_frame *frame, struct wire_welcome *welcome)
{
    struct reader reader = payload_of(frame);
    read_u32(&reader);
    welcome->version = read_u16(&reader);
    welcome->in_flight = read_u16(&reader);
    welcome->started = read_u32(&reader);
    return parsed(&reader);
}

bool wire_put_list(struct buffer *output, uint64_t id, const struct wire_list *list)
{
    struct writer writer;
    if (!begin(output, WIRE_LIST, id, 4, &writer))
        return false;
    write_u32(&writer, list->first);
    return true;
}

enum immure_error wire_get_list(const struct wire_frame *frame, struct wire_list *list)
{
    struct reader reader = payload_of(frame);
    list->first = read_u32(&reader);
    return parsed(&reader);
}

bool wire_put_request(struct buffer *output, const struct wire_request *request)
{
    struct writer writer;
    if (!begin(output, request->type, request->id, WIRE_REQUEST_FIELDS + request->input_length,
               &writer))
        return false;
    write_bytes(&writer, request->key_id, WIRE_KEY_ID_SIZE);
    write_u16(&writer, request->type == WIRE_SIGN ? request->scheme : request->client_version);
    write_u32(&writer, request->time_left);
    write_bytes(&writer, request->input, request->input_length);
    return true;
}

enum immure_error wire_get_request(const struct wire_frame *frame, struct wire_request *request)
{
    struct reader reader = payload_of(frame);
    *request = (struct wire_request){.type = frame->type, .id = frame->id};
    request->key_id = read_bytes(&reader, WIRE_KEY_ID_SIZE);
    *(frame->type == WIRE_SIGN ? &request->scheme : &request->client_version) = read_u16(&reader);
    request->time_left = read_u32(&reader);
    request->input_length = reader.left;
    request->input = read_bytes(&reader, reader.left);
    return parsed(&reader);
}

bool wire_put_signed(struct buffer *output, uint64_t id, const struct wire_signed *answer)
{
    struct writer writer;
    if (!begin(output, WIRE_SIGNED, id, WIRE_RESULT_FIELDS + answer->signature_length, &writer))
        return false;
    write_u8(&writer, answer->backend);
    write_u64(&writer, answer->queue_ns);
    write_u64(&writer, answer->sign_ns);
    write_bytes(&writer, answer->signature, answer->signature_length);
    return true;
}

enum immure_error wire_get_signed(const struct wire_frame *frame, struct wire_signed *answer)
{
    struct reader reader = payload_of(frame);
    answer->backend = read_u8(&reader);
    answer->queue_ns = read_u64(&reader);
    answer->sign_ns = read_u64(&reader);
    answer->signature_length = reader.left;
    answer->signature = read_bytes(&reader, reader.left);
    return parsed(&reader);
}

bool wire_put_decrypted(struct buffer *output, uint64_t id, const struct wire_decrypted *answer)
{
    struct writer writer;
    if (!begin(output, WIRE_DECRYPTED, id, WIRE_RESULT_FIELDS + WIRE_PREMASTER_SIZE, &writer))
        return false;
    write_u8(&writer, answer->backend);
    write_u64(&writer, answer->queue_ns);
    write_u64(&writer, answer->decrypt_ns);
    write_bytes(&writer, answer->premaster, WIRE_PREMASTER_SIZE);
    return true;
}

enum immure_error wire_get_decrypted(const struct wire_frame *frame, struct wire_decrypted *answer)
{
    struct reader reader = payload_of(frame);
    answer->backend = read_u8(&reader);
    answer->queue_ns = read_u64(&reader);
    answer->decrypt_ns = read_u64(&reader);
    answer->premaster = read_bytes(&reader, WIRE_PREMASTER_SIZE);
    return parsed(&reader);
}

bool wire_put_error(struct buffer *output, uint64_t id, const struct wire_error *error)
{
    struct writer writer;
    size_t length =
        error->text_length < WIRE_ERROR_TEXT_MAX ? error->text_length : WIRE_ERROR_TEXT_MAX;
    if (!begin(output, WIRE_ERROR, id, 2 + length, &writer))
        return false;
    write_u16(&writer, (uint16_t)error->error);
    write_bytes(&writer, error->text, length);
    return true;
}

enum immure_error wire_get_error(const struct wire_frame *frame, struct wire_error *error)
{
    struct reader reader = payload_of(frame);
    error->error = (enum immure_error)read_u16(&reader);
    error->text_length = reader.left;
    error->text = (const char *)read_bytes(&reader, reader.left);
    if (error->error == IMMURE_OK)
        return IMMURE_E_MALFORMED;
    return parsed(&reader);
}

bool wire_put_figures(struct buffer *output, uint64_t id, const struct wire_figure *figures,
                      size_t count)
{
    struct writer writer;
    if (count > WIRE_STATS_MAX ||
        !begin(output, WIRE_FIGURES, id, 2 + count * WIRE_FIGURE_SIZE, &writer))
        return false;
    write_u16(&writer, (uint16_t)count);
    for (size_t i = 0; i < count; i++) {
        write_u16(&writer, figures[i].number);
        write_u64(&writer, figures[i].value);
    }
    return true;
}

enum immure_error wire_get_figures(const struct wire_frame *frame, struct wire_figure *figures,
                                   size_t *count)
{
    struct reader reader = payload_of(frame);
    *count = read_u16(&reader);
    if (*count > WIRE_STATS_MAX)
        return IMMURE_E_MALFORMED;
    for (size_t i = 0; i < *count; i++) {
        figures[i].number = read_u16(&reader);
        figures[i].value = read_u64(&reader);
    }
    return parsed(&reader);
}

bool wire_put_ticket_keys(struct buffer *output, uint64_t id, const struct wire_ticket_keys *keys)
{
    struct writer writer;
    if (!begin(output, WIRE_TICKET_KEYS, id, 16 + 2 * WIRE_TICKET_KEY_SIZE, &writer))
        return false;
    write_u32(&writer, keys->epoch_seconds);
    write_u32(&writer, keys->time_left);
    write_u64(&writer, keys->epoch);
    write_bytes(&writer, keys->current, WIRE_TICKET_KEY_SIZE);
    write_bytes(&writer, keys->previous, WIRE_TICKET_KEY_SIZE);
    return true;
}

enum immure_error wire_get_ticket_keys(const struct wire_frame *frame,
                                       struct wire_ticket_keys *keys)
{
    struct reader reader = payload_of(frame);
    keys->epoch_seconds = read_u32(&reader);
    keys->time_left = read_u32(&reader);
    keys->epoch = read_u64(&reader);
    keys->current = read_bytes(&reader, WIRE_TICKET_KEY_SIZE);
    keys->previous = read_bytes(&reader, WIRE_TICKET_KEY_SIZE);
    if (keys->epoch_seconds == 0 || keys->time_left > UINT64_C(1000) * keys->epoch_seconds)
        return IMMURE_E_MALFORMED;
    return parsed(&reader);
}

bool wire_put_plain(struct buffer *output, enum wire_type type, uint64_t id, const void *payload,
                    size_t length)
{
    struct writer writer;
    if (!begin(output, type, id, length, &writer))
        return false;
    write_bytes(&writer, payload, length);
    return true;
}

size_t wire_key_size(const struct wire_key *key)
{
    return WIRE_KEY_ID_SIZE + 1 + key->name_length + 2 + key->spki_length + 4 + 1 +
           2 * key->scheme_count;
}

static void write_key(struct writer *writer, const struct wire_key *key)
{
    write_bytes(writer, key->id, WIRE_KEY_ID_SIZE);
    write_u8(writer, (uint8_t)key->name_length);
    write_bytes(writer, key->name, key->name_length);
    write_u16(writer, (uint16_t)key->spki_length);
    write_bytes(writer, key->spki, key->spki_length);
    write_u8(writer, key->backend);
    write_u8(writer, key->lanes_backend);
    write_u8(writer, key->lanes_from);
    write_u8(writer, key->lanes);
    write_u8(writer, (uint8_t)key->scheme_count);
    for (size_t i = 0; i < key->scheme_count; i++)
        write_u16(writer, key->schemes[i]);
}

bool wire_put_keys(struct buffer *output, uint64_t id, const struct wire_key *keys, size_t count,
                   uint32_t first, uint32_t total, size_t *put)
{
    size_t length = WIRE_KEYS_FIELDS, fit = 0;
    while (fit < count && length + wire_key_size(&keys[fit]) <= WIRE_PAYLOAD_MAX)
        length += wire_key_size(&keys[fit++]);
    struct writer writer;
    if (!begin(output, WIRE_KEYS, id, length, &writer))
        return false;
    uint32_t next = first + (uint32_t)fit;
    write_u32(&writer, next < total ? next : 0);
    write_u16(&writer, (uint16_t)fit);
    for (size_t i = 0; i < fit; i++)
        write_key(&writer, &keys[i]);
    *put = fit;
    return !writer.failed;
}

enum immure_error wire_keys_begin(const struct wire_frame *frame, struct wire_keys_reader *keys)
{
    struct reader reader = payload_of(frame);
    keys->next = read_u32(&reader);
    keys->left = read_u16(&reader);
    keys->rest = reader.next;
    keys->rest_length = reader.left;
    bool lost = reader.failed || (keys->left == 0 && (reader.left != 0 || keys->next != 0));
    return lost ? IMMURE_E_MALFORMED : IMMURE_OK;
}

enum immure_error wire_keys_next(struct wire_keys_reader *keys, struct wire_key *key)
{
    struct reader reader = reader_of(keys->rest, keys->rest_length);
    key->id = read_bytes(&reader, WIRE_KEY_ID_SIZE);
    key->name_length = read_u8(&reader);
    key->name = (const char *)read_bytes(&reader, key->name_length);
    key->spki_length = read_u16(&reader);
    key->spki = read_bytes(&reader, key->spki_length);
    key->backend = read_u8(&reader);
    key->lanes_backend = read_u8(&reader);
    key->lanes_from = read_u8(&reader);
    key->lanes = read_u8(&reader);
    key->scheme_count = read_u8(&reader);
    if (reader.failed || key->spki_length > WIRE_SPKI_MAX || key->scheme_count > WIRE_SCHEMES_MAX)
        return IMMURE_E_MALFORMED;
    for (size_t i = 0; i < key->scheme_count; i++)
        key->schemes[i] = read_u16(&reader);
    keys->rest = reader.next;
    keys->rest_length = reader.left;
    keys->left--;
    if (reader.failed || (keys->left == 0 && reader.left != 0))
        return IMMURE_E_MALFORMED;
    return IMMURE_OK;
}
