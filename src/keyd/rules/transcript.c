#include "keyd/rules/transcript.h"

#include <string.h>

#include "base/bytes.h"

#define VERSION_TLS12 0x0303
#define RANDOM_SIZE 32
#define SESSION_ID_MAX 32
#define EXTENSION_HEADER 4
#define SUITE_SIZE 2
#define NAMED_CURVE 3
#define DER_SEQUENCE 0x30

/* The least and the greatest size of the modulus of a finite field or an RSA key, bytes. */
#define MODULUS_LEAST 128
#define MODULUS_MOST 1024

/* What a message determines for those after it. */
struct transcript {
    struct ecdhe *ecdhe;
    const uint8_t *spki;
    size_t spki_length;
    const struct ecdhe_group *group; /* of an ECDHE key exchange */
    size_t prime_size;               /* of a DHE key exchange; RSA has neither */
};

/* A reader of the vector whose length field has `size` bytes. */
static struct reader read_vector(struct reader *reader, unsigned size)
{
    size_t length = size == 1 ? read_u8(reader) : size == 2 ? read_u16(reader) : read_u24(reader);
    const uint8_t *bytes = read_bytes(reader, length);
    if (bytes != NULL)
        return reader_of(bytes, length);
    return (struct reader){.next = (const uint8_t *)"", .failed = true};
}

/* The rest of the body is empty or consists of extensions. */
static bool read_extensions(struct reader *body)
{
    if (body->left == 0)
        return !body->failed;
    struct reader extensions = read_vector(body, 2);
    while (!extensions.failed && extensions.left > 0) {
        read_u16(&extensions);
        read_vector(&extensions, 2);
    }
    return reader_done(&extensions) && reader_done(body);
}

static bool read_session_id(struct reader *body)
{
    return read_vector(body, 1).left <= SESSION_ID_MAX;
}

/* RFC 5246, section 7.4.1.2. Only null compression: no library supports another any more. */
static bool is_client_hello(struct transcript *transcript, struct reader *body)
{
    (void)transcript;
    bool good = read_u16(body) == VERSION_TLS12;
    read_bytes(body, RANDOM_SIZE);
    good &= read_session_id(body);
    struct reader suites = read_vector(body, 2);
    good &= suites.left > 0 && suites.left % SUITE_SIZE == 0;
    struct reader compressions = read_vector(body, 1);
    good &= read_u8(&compressions) == 0 && reader_done(&compressions);
    return good && read_extensions(body);
}

/* RFC 5246, section 7.4.1.3 */
static bool is_server_hello(struct transcript *transcript, struct reader *body)
{
    (void)transcript;
    bool good = read_u16(body) == VERSION_TLS12;
    read_bytes(body, RANDOM_SIZE);
    good &= read_session_id(body);
    read_bytes(body, SUITE_SIZE);
    good &= read_u8(body) == 0; /* compression */
    return good && read_extensions(body);
}

/* Whether it is one SEQUENCE in DER, with a length that fits. */
static bool is_sequence(struct reader der)
{
    uint8_t tag = read_u8(&der), first = read_u8(&der);
    size_t length = first < 0x80    ? first
                    : first == 0x81 ? read_u8(&der)
                    : first == 0x82 ? read_u16(&der)
                    : first == 0x83 ? read_u24(&der)
                                    : 0;
    return !der.failed && tag == DER_SEQUENCE && length > 0 && length == der.left;
}

/* RFC 5246, section 7.4.2. `first`, if not NULL, becomes a reader of the first certificate. */
static bool read_certificates(struct reader *body, struct reader *first)
{
    struct reader list = read_vector(body, 3);
    bool good = list.left > 0 && reader_done(body);
    for (bool at_first = true; good && list.left > 0; at_first = false) {
        struct reader certificate = read_vector(&list, 3);
        good = is_sequence(certificate);
        if (at_first && first != NULL)
            *first = certificate;
    }
    return good;
}

static bool is_server_certificate(struct transcript *transcript, struct reader *body)
{
    (void)transcript;
    return read_certificates(body, NULL);
}

static bool is_client_certificate(struct transcript *transcript, struct reader *body)
{
    struct reader own;
    return read_certificates(body, &own) &&
           memmem(own.next, own.left, transcript->spki, transcript->spki_length) != NULL;
}

/* RFC 6066, section 8 */
static bool is_certificate_status(struct transcript *transcript, struct reader *body)
{
    enum { OCSP = 1 };
    (void)transcript;
    bool good = read_u8(body) == OCSP;
    return good && is_sequence(read_vector(body, 3)) && reader_done(body);
}

static bool read_signature(struct reader *body)
{
    read_u16(body); /* SignatureScheme */
    return read_vector(body, 2).left > 0 && reader_done(body);
}

static bool read_ecdhe_value(struct transcript *transcript, struct reader *body)
{
    struct reader value = read_vector(body, 1);
    return value.left == transcript->group->size &&
           ecdhe_value_is_good(transcript->ecdhe, transcript->group, value.next);
}

static bool is_modulus(size_t size)
{
    return size >= MODULUS_LEAST && size <= MODULUS_MOST;
}

/* RFC 8422, section 5.4; RFC 5246, section 7.4.3 */
static bool is_server_key_exchange(struct transcript *transcript, struct reader *body)
{
    if (body->left > 0 && body->next[0] == NAMED_CURVE) {
        read_u8(body);
        transcript->group = ecdhe_group_find(read_u16(body));
        return transcript->group != NULL && read_ecdhe_value(transcript, body) &&
               read_signature(body);
    }
    size_t prime = read_vector(body, 2).left, generator = read_vector(body, 2).left,
           value = read_vector(body, 2).left;
    transcript->prime_size = prime;
    return is_modulus(prime) && generator > 0 && generator <= prime && value > 0 &&
           value <= prime && read_signature(body);
}

/* RFC 5246, section 7.4.4 */
static bool is_certificate_request(struct transcript *transcript, struct reader *body)
{
    (void)transcript;
    bool good = read_vector(body, 1).left > 0; /* types of certificates */
    struct reader schemes = read_vector(body, 2);
    good &= schemes.left > 0 && schemes.left % 2 == 0;
    struct reader names = read_vector(body, 2);
    while (good && names.left > 0) {
        struct reader name = read_vector(&names, 2);
        good = !name.failed && name.left > 0 && name.next[0] == DER_SEQUENCE;
    }
    return good && reader_done(body) && !names.failed;
}

static bool is_server_hello_done(struct transcript *transcript, struct reader *body)
{
    (void)transcript;
    return reader_done(body);
}

/* RFC 8422, section 5.7; RFC 5246, sections 7.4.7.2 and 7.4.7.1 */
static bool is_client_key_exchange(struct transcript *transcript, struct reader *body)
{
    if (transcript->group != NULL)
        return read_ecdhe_value(transcript, body) && reader_done(body);
    size_t size = read_vector(body, 2).left;
    return (transcript->prime_size > 0 ? size > 0 && size <= transcript->prime_size
                                       : is_modulus(size)) &&
           reader_done(body);
}

/* RFC 5246, section 7.3; RFC 6066, section 8. */
static const struct transcript_step {
    uint8_t type;
    bool optional;
    bool (*is_good)(struct transcript *transcript, struct reader *body);
    const char *fault;
} steps[] = {
    {1, false, is_client_hello, "not a TLS handshake signature: does not begin with a ClientHello"},
    {2, false, is_server_hello,
     "not a TLS handshake signature: no ServerHello follows the ClientHello"},
    {11, false, is_server_certificate,
     "not a TLS handshake signature: no Certificate follows the ServerHello"},
    {22, true, is_certificate_status,
     "not a TLS handshake signature: CertificateStatus is malformed"},
    {12, true, is_server_key_exchange,
     "not a TLS handshake signature: ServerKeyExchange is malformed or of a group that is not "
     "known"},
    {13, false, is_certificate_request,
     "not a TLS handshake signature: no CertificateRequest is where it belongs"},
    {14, false, is_server_hello_done,
     "not a TLS handshake signature: no ServerHelloDone follows the CertificateRequest"},
    {11, false, is_client_certificate,
     "not a TLS handshake signature: the client's Certificate is not of this key"},
    {16, false, is_client_key_exchange,
     "not a TLS handshake signature: does not end with a ClientKeyExchange"},
};

const char *transcript_fault(struct ecdhe *ecdhe, const uint8_t *spki, size_t spki_length,
                             const uint8_t *message, size_t length)
{
    struct transcript transcript = {.ecdhe = ecdhe, .spki = spki, .spki_length = spki_length};
    struct reader reader = reader_of(message, length);
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        const struct transcript_step *step = &steps[i];
        if (step->optional && (reader.left == 0 || reader.next[0] != step->type))
            continue;
        bool right = read_u8(&reader) == step->type;
        struct reader body = read_vector(&reader, 3);
        if (!right || body.failed || !step->is_good(&transcript, &body))
            return step->fault;
    }
    return reader_done(&reader)
               ? NULL
               : "not a TLS handshake signature: goes on after the ClientKeyExchange";
}
