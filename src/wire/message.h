/*
 * The payloads, field by field. put: appends a whole frame to `output`; false if the limit of the
 * buffer or of the frame type would be exceeded, or out of memory. get: parses a frame of that
 * type; pointers lead into the frame. All sizes are checked.
 */
#ifndef WIRE_MESSAGE_H
#define WIRE_MESSAGE_H

#include "wire/frame.h"

/* HELLO: magic (4), lowest (2) and highest version (2) that the client speaks */
struct wire_hello {
    uint16_t lowest, highest;
};

/* The versions that this build speaks. */
extern const struct wire_hello wire_versions;
/* The highest version that both a client with this HELLO and this build speak; 0: none. */
uint16_t wire_version_agree(const struct wire_hello *client);

/* WELCOME: magic (4), agreed version (2), number of requests that may be in flight (2), start time
 * of immured in seconds since 1970 (4) */
struct wire_welcome {
    uint16_t version;
    uint16_t in_flight;
    uint32_t started;
};

/* LIST: position of the first key to list (4) */
struct wire_list {
    uint32_t first;
};

/* SIGN: key id (32), SignatureScheme (2), time left in us, 0 for no deadline (4), message (rest).
 * DECRYPT: the same, with the version of the ClientHello in place of the scheme and the ciphertext
 * in place of the message. */
struct wire_request {
    enum wire_type type; /* WIRE_SIGN or WIRE_DECRYPT */
    uint64_t id;
    const uint8_t *key_id;
    uint16_t scheme;         /* SIGN */
    uint16_t client_version; /* DECRYPT */
    uint32_t time_left;
    const uint8_t *input; /* message or ciphertext */
    size_t input_length;
};

/* SIGNED: signing backend (1), ns in the queue (8), ns that the batch took (8), both rounded by
 * immured, signature (rest) */
struct wire_signed {
    uint8_t backend;
    uint64_t queue_ns, sign_ns;
    const uint8_t *signature;
    size_t signature_length;
};

/* DECRYPTED: the same, with 0 for both times, and a premaster secret of WIRE_PREMASTER_SIZE bytes
 * in place of the signature */
struct wire_decrypted {
    uint8_t backend;
    uint64_t queue_ns, decrypt_ns;
    const uint8_t *premaster;
};

/* KEYS: index for the next LIST, 0 at the end (4), count (2), then for each key: key id (32),
 * length of its name (1), name, length of its SubjectPublicKeyInfo (2), SubjectPublicKeyInfo,
 * signing backend (1), signing backend with lanes (1; 0: none), the least number of waiting
 * requests that the latter signs (1), number of its lanes (1), number of schemes (1), schemes (2
 * each) */
struct wire_key {
    const uint8_t *id; /* it is sent because a client without libcrypto cannot compute it */
    const char *name;  /* not terminated */
    size_t name_length;
    const uint8_t *spki;
    size_t spki_length;
    uint8_t backend, lanes_backend; /* enum wire_backend */
    uint8_t lanes_from, lanes;
    uint16_t schemes[WIRE_SCHEMES_MAX];
    size_t scheme_count;
};

/* FIGURES: count (2), then for each figure: number in wire_stats (2), value (8) */
struct wire_figure {
    uint16_t number;
    uint64_t value;
};

/* TICKET_KEYS: length of an epoch in s (4), ms left of the current epoch (4), its number (8), then
 * the keys of the current and of the previous epoch, each: name (16), cipher key (32), MAC key (32)
 */
struct wire_ticket_keys {
    uint32_t epoch_seconds, time_left;
    uint64_t epoch;
    const uint8_t *current, *previous; /* WIRE_TICKET_KEY_SIZE bytes */
};

/* ERROR: enum immure_error (2), one line of text (rest). With id 0 it is about the stream, and ends
 * it. */
struct wire_error {
    enum immure_error error;
    const char *text; /* not terminated */
    size_t text_length;
};

bool wire_put_hello(struct buffer *output, const struct wire_hello *hello);
bool wire_put_welcome(struct buffer *output, const struct wire_welcome *welcome);
bool wire_put_list(struct buffer *output, uint64_t id, const struct wire_list *list);
bool wire_put_request(struct buffer *output, const struct wire_request *request);
bool wire_put_signed(struct buffer *output, uint64_t id, const struct wire_signed *answer);
bool wire_put_decrypted(struct buffer *output, uint64_t id, const struct wire_decrypted *answer);
bool wire_put_error(struct buffer *output, uint64_t id, const struct wire_error *error);
bool wire_put_figures(struct buffer *output, uint64_t id, const struct wire_figure *figures,
                      size_t count);
bool wire_put_ticket_keys(struct buffer *output, uint64_t id, const struct wire_ticket_keys *keys);
/* CANCEL, STATS, TICKETS, PING and PONG, whose payload is empty or bytes without meaning. */
bool wire_put_plain(struct buffer *output, enum wire_type type, uint64_t id, const void *payload,
                    size_t length);
/* The bytes of a key in KEYS, whose payload has WIRE_KEYS_FIELDS bytes before the keys. */
size_t wire_key_size(const struct wire_key *key);
/* Writes as many of `keys` as fit into one frame; *put is how many. `first` is the index of keys[0]
 * among all keys, of which there are `total`. */
bool wire_put_keys(struct buffer *output, uint64_t id, const struct wire_key *keys, size_t count,
                   uint32_t first, uint32_t total, size_t *put);

enum immure_error wire_get_hello(const struct wire_frame *frame, struct wire_hello *hello);
enum immure_error wire_get_welcome(const struct wire_frame *frame, struct wire_welcome *welcome);
enum immure_error wire_get_list(const struct wire_frame *frame, struct wire_list *list);
enum immure_error wire_get_request(const struct wire_frame *frame, struct wire_request *request);
enum immure_error wire_get_signed(const struct wire_frame *frame, struct wire_signed *answer);
enum immure_error wire_get_decrypted(const struct wire_frame *frame, struct wire_decrypted *answer);
enum immure_error wire_get_error(const struct wire_frame *frame, struct wire_error *error);
/* `figures` has room for WIRE_STATS_MAX. */
enum immure_error wire_get_figures(const struct wire_frame *frame, struct wire_figure *figures,
                                   size_t *count);

/* An epoch of length 0, or with more time left than its length, is malformed. */
enum immure_error wire_get_ticket_keys(const struct wire_frame *frame,
                                       struct wire_ticket_keys *keys);

/* KEYS is read one key at a time: begin, then next, until `left` is 0. */
struct wire_keys_reader {
    const uint8_t *rest;
    size_t rest_length;
    uint32_t next; /* index for the next LIST; 0: there are no more keys */
    size_t left;
};
enum immure_error wire_keys_begin(const struct wire_frame *frame, struct wire_keys_reader *keys);
enum immure_error wire_keys_next(struct wire_keys_reader *keys, struct wire_key *key);

#endif
