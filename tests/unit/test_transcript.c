/* The transcript that a TLS 1.2 client signs: every message of it, its place and its structure. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "keyd/rules/transcript.h"
#include "tls_messages.h"

static const unsigned groups[] = {23, 24, 25, 29, 30};
#define GROUPS (sizeof groups / sizeof groups[0])

static int open_all(void **state)
{
    static struct ecdhe ecdhe;
    *state = &ecdhe;
    return ecdhe_open(&ecdhe) ? 0 : -1;
}

static int close_all(void **state)
{
    ecdhe_close(*state);
    return 0;
}

static const char *fault(void **state, const struct message *message)
{
    return transcript_fault(*state, client_spki, client_spki_length, message->bytes,
                            message->length);
}

static const char *fault_of(void **state, const struct transcript_parts *transcript)
{
    struct message message = joined(transcript);
    return fault(state, &message);
}

/* Replaces the body of one part. */
static struct transcript_parts with_body(struct transcript_parts transcript, enum part part,
                                         const void *body, size_t length)
{
    struct message *message = &transcript.parts[part];
    message->length = 1;
    put(message, (uint8_t[]){0, (uint8_t)(length >> 8), (uint8_t)length}, 3);
    put(message, body, length);
    return transcript;
}

static void every_key_exchange(void **state)
{
    for (size_t i = 0; i < GROUPS; i++) {
        struct transcript_parts transcript = tls12_client(KEY_EXCHANGE_ECDHE, groups[i]);
        assert_null(fault_of(state, &transcript));
    }
    struct transcript_parts dhe = tls12_client(KEY_EXCHANGE_DHE, 0),
                            rsa = tls12_client(KEY_EXCHANGE_RSA, 0);
    assert_null(fault_of(state, &dhe));
    assert_null(fault_of(state, &rsa));
}

static void only_two_messages_may_be_missing(void **state)
{
    static const enum key_exchange exchanges[] = {KEY_EXCHANGE_ECDHE, KEY_EXCHANGE_DHE,
                                                  KEY_EXCHANGE_RSA};
    for (size_t i = 0; i < 3; i++)
        for (size_t part = 0; part < PARTS; part++) {
            struct transcript_parts transcript = tls12_client(exchanges[i], 29);
            transcript.parts[part].length = 0;
            bool good = part == PART_CERTIFICATE_STATUS ||
                        (exchanges[i] == KEY_EXCHANGE_RSA && part == PART_SERVER_KEY_EXCHANGE) ||
                        /* without it the key exchange is RSA */
                        (exchanges[i] == KEY_EXCHANGE_DHE && part == PART_SERVER_KEY_EXCHANGE);
            assert_int_equal(fault_of(state, &transcript) == NULL, good);
        }
}

static void none_comes_twice_or_elsewhere(void **state)
{
    struct transcript_parts whole = tls12_client(KEY_EXCHANGE_ECDHE, 23);
    for (size_t one = 0; one < PARTS; one++) {
        struct transcript_parts twice = whole;
        put(&twice.parts[one], whole.parts[one].bytes, whole.parts[one].length);
        assert_non_null(fault_of(state, &twice));
        for (size_t other = one + 1; other < PARTS; other++) {
            struct transcript_parts swapped = whole;
            swapped.parts[one] = whole.parts[other];
            swapped.parts[other] = whole.parts[one];
            assert_non_null(fault_of(state, &swapped));
        }
    }
}

static void every_type_counts(void **state)
{
    struct transcript_parts whole = tls12_client(KEY_EXCHANGE_ECDHE, 23);
    for (size_t part = 0; part < PARTS; part++)
        for (unsigned type = 0; type < 256; type++) {
            struct transcript_parts transcript = whole;
            transcript.parts[part].bytes[0] = (uint8_t)type;
            assert_int_equal(fault_of(state, &transcript) == NULL,
                             type == whole.parts[part].bytes[0]);
        }
}

static void every_length_counts(void **state)
{
    struct transcript_parts transcript = tls12_client(KEY_EXCHANGE_ECDHE, 23);
    struct message message = joined(&transcript);
    size_t right = message.length;
    for (message.length = 0; message.length < right; message.length++)
        assert_non_null(fault(state, &message));
    message.length = right;
    put_byte(&message, 16, 1);
    assert_non_null(fault(state, &message));
    /* each message with one byte less or more, and with a header that fits */
    for (size_t part = 0; part < PARTS; part++)
        for (int more = -1; more <= 1; more += 2) {
            struct transcript_parts changed = transcript;
            struct message *one = &changed.parts[part];
            if (one->length == 4 && more < 0)
                continue; /* ServerHelloDone */
            one->bytes[one->length] = 0;
            one->length += (size_t)more;
            one->bytes[2] = (uint8_t)((one->length - 4) >> 8);
            one->bytes[3] = (uint8_t)(one->length - 4);
            assert_non_null(fault_of(state, &changed));
        }
}

/* Changes each byte in turn, and counts those that must not change. */
static void the_bytes_that_are_free(void **state)
{
    struct transcript_parts transcript = tls12_client(KEY_EXCHANGE_ECDHE, 23);
    struct message whole = joined(&transcript);
    size_t free_bytes = 0, fixed_bytes = 0;
    for (size_t at = 0; at < whole.length; at++) {
        struct message changed = whole;
        changed.bytes[at] ^= 0xff;
        *(fault(state, &changed) == NULL ? &free_bytes : &fixed_bytes) += 1;
    }
    /* The free bytes are randoms, session ids, suites, contents of extensions, certificates except
     * for the key, names, types and the server's signature. The two points take 130 bytes. */
    assert_int_equal(fixed_bytes, 275);
    assert_int_equal(free_bytes + fixed_bytes, whole.length);
}

static void the_certificate_is_of_the_key(void **state)
{
    struct transcript_parts transcript = tls12_client(KEY_EXCHANGE_ECDHE, 29);
    struct message message = joined(&transcript);
    for (size_t i = 0; i < client_spki_length; i++) {
        uint8_t other[64];
        memcpy(other, client_spki, client_spki_length);
        other[i] ^= 1;
        assert_string_equal(
            transcript_fault(*state, other, client_spki_length, message.bytes, message.length),
            "not a TLS handshake signature: the client's Certificate is not of this key");
    }
    /* the client's key is in the server's certificate, or in the client's second one */
    struct transcript_parts swapped = transcript;
    swapped.parts[PART_SERVER_CERTIFICATE] = transcript.parts[PART_CLIENT_CERTIFICATE];
    swapped.parts[PART_CLIENT_CERTIFICATE] = transcript.parts[PART_SERVER_CERTIFICATE];
    assert_non_null(fault_of(state, &swapped));
}

static void key_exchanges_fit_each_other(void **state)
{
    for (size_t i = 0; i < GROUPS; i++)
        for (size_t j = 0; j < GROUPS; j++) {
            struct transcript_parts one = tls12_client(KEY_EXCHANGE_ECDHE, groups[i]),
                                    other = tls12_client(KEY_EXCHANGE_ECDHE, groups[j]);
            one.parts[PART_CLIENT_KEY_EXCHANGE] = other.parts[PART_CLIENT_KEY_EXCHANGE];
            assert_int_equal(fault_of(state, &one) == NULL, i == j);
        }
    struct transcript_parts ecdhe = tls12_client(KEY_EXCHANGE_ECDHE, 23),
                            dhe = tls12_client(KEY_EXCHANGE_DHE, 0);
    struct transcript_parts mixed = ecdhe;
    mixed.parts[PART_CLIENT_KEY_EXCHANGE] = dhe.parts[PART_CLIENT_KEY_EXCHANGE];
    assert_non_null(fault_of(state, &mixed));
    mixed = dhe;
    mixed.parts[PART_CLIENT_KEY_EXCHANGE] = ecdhe.parts[PART_CLIENT_KEY_EXCHANGE];
    assert_non_null(fault_of(state, &mixed));
}

static void public_values_are_of_their_group(void **state)
{
    static const enum part parts[] = {PART_SERVER_KEY_EXCHANGE, PART_CLIENT_KEY_EXCHANGE};
    static const size_t ends[] = {4 + 65, 1 + 65};
    for (size_t i = 0; i < 2; i++) {
        struct transcript_parts transcript = tls12_client(KEY_EXCHANGE_ECDHE, 23);
        transcript.parts[parts[i]].bytes[4 + ends[i] - 1] ^= 1; /* the last byte of y */
        assert_non_null(fault_of(state, &transcript));
    }
}

static void bodies_with_a_wrong_field(void **state)
{
    static const struct {
        enum part part;
        size_t length;
        const char *body;
    } cases[] = {
        {PART_CLIENT_HELLO, 0, ""},
        {PART_SERVER_HELLO_DONE, 1, "\0"},
        {PART_SERVER_CERTIFICATE, 3, "\0\0\0"},             /* no certificate at all */
        {PART_SERVER_CERTIFICATE, 6, "\0\0\3\0\0\0"},       /* an empty one */
        {PART_SERVER_CERTIFICATE, 8, "\0\0\5\0\0\2\x31\0"}, /* a SET */
        {PART_SERVER_CERTIFICATE, 8, "\0\0\5\0\0\2\x30\0"}, /* of nothing */
        {PART_SERVER_CERTIFICATE, 9, "\0\0\6\0\0\3\x30\2\0"},
        {PART_SERVER_CERTIFICATE, 10, "\0\0\7\0\0\4\x30\x80\0\0"}, /* no DER */
        {PART_CLIENT_CERTIFICATE, 3, "\0\0\0"},
        {PART_CERTIFICATE_STATUS, 9, "\2\0\0\5\x30\3\x0a\1\0"},
        {PART_CERTIFICATE_STATUS, 4, "\1\0\0\0"},
        {PART_CERTIFICATE_REQUEST, 7, "\0\0\2\4\3\0\0"},        /* no types */
        {PART_CERTIFICATE_REQUEST, 6, "\1\1\0\0\0\0"},          /* no schemes */
        {PART_CERTIFICATE_REQUEST, 9, "\1\1\0\3\4\3\4\0\0"},    /* one and a half */
        {PART_CERTIFICATE_REQUEST, 10, "\1\1\0\2\4\3\0\2\0\0"}, /* a name of nothing */
        {PART_CERTIFICATE_REQUEST, 11, "\1\1\0\2\4\3\0\3\0\1\x31"},
        {PART_SERVER_KEY_EXCHANGE, 4, "\3\0\x16\x41"}, /* secp256k1 */
        {PART_SERVER_KEY_EXCHANGE, 10, "\0\1\xfb\0\1\2\0\1\3\0"},
        {PART_SERVER_KEY_EXCHANGE, 0, ""},
        {PART_CLIENT_KEY_EXCHANGE, 0, ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct transcript_parts transcript = with_body(
            tls12_client(KEY_EXCHANGE_ECDHE, 29), cases[i].part, cases[i].body, cases[i].length);
        assert_non_null(fault_of(state, &transcript));
    }
    /* RSA key exchange: the modulus may be too short or too long */
    static const size_t sizes[] = {1, 127, 128, 1024, 1025};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        uint8_t body[2 + 1025] = {(uint8_t)(sizes[i] >> 8), (uint8_t)sizes[i]};
        struct transcript_parts transcript = with_body(
            tls12_client(KEY_EXCHANGE_RSA, 0), PART_CLIENT_KEY_EXCHANGE, body, 2 + sizes[i]);
        assert_int_equal(fault_of(state, &transcript) == NULL, sizes[i] >= 128 && sizes[i] <= 1024);
    }
    struct transcript_parts empty = {.parts = {{.length = 0}}};
    assert_non_null(fault_of(state, &empty));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_key_exchange),
        cmocka_unit_test(only_two_messages_may_be_missing),
        cmocka_unit_test(none_comes_twice_or_elsewhere),
        cmocka_unit_test(every_type_counts),
        cmocka_unit_test(every_length_counts),
        cmocka_unit_test(the_bytes_that_are_free),
        cmocka_unit_test(the_certificate_is_of_the_key),
        cmocka_unit_test(key_exchanges_fit_each_other),
        cmocka_unit_test(public_values_are_of_their_group),
        cmocka_unit_test(bodies_with_a_wrong_field),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
