/* What a key may sign: every rule, every length around it, every byte of the structure. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "keyd/policy.h"

#define SPACES 64
#define CONTEXT 33

struct message {
    uint8_t bytes[1024];
    size_t length;
};

static void put(struct message *message, const void *bytes, size_t length)
{
    assert_true(message->length + length <= sizeof message->bytes);
    memcpy(message->bytes + message->length, bytes, length);
    message->length += length;
}

static void put_byte(struct message *message, unsigned value, size_t times)
{
    while (times-- > 0)
        put(message, &(uint8_t){(uint8_t)value}, 1);
}

static struct message tls13(const char *who, size_t hash)
{
    struct message message = {.length = 0};
    put_byte(&message, ' ', SPACES);
    put(&message, "TLS 1.3, ", 9);
    put(&message, who, 6);
    put(&message, " CertificateVerify", 19);
    put_byte(&message, 0x5a, hash);
    return message;
}

static struct message tls12(unsigned group, size_t point, unsigned form)
{
    struct message message = {.length = 0};
    put_byte(&message, 0xa5, 64);
    put_byte(&message, 3, 1);
    put_byte(&message, 0, 1);
    put_byte(&message, group, 1);
    put_byte(&message, (unsigned)point, 1);
    put_byte(&message, form, 1);
    put_byte(&message, 0x77, point - 1);
    return message;
}

static void put_handshake(struct message *message, unsigned type, size_t length)
{
    put_byte(message, type, 1);
    put_byte(message, 0, 1);
    put_byte(message, (unsigned)length >> 8, 1);
    put_byte(message, (unsigned)length & 255, 1);
    put_byte(message, 0x33, length);
}

static struct message tls12_client(void)
{
    struct message message = {.length = 0};
    put_handshake(&message, 1, 200);
    put_handshake(&message, 2, 80);
    put_handshake(&message, 11, 300);
    put_handshake(&message, 13, 20);
    put_handshake(&message, 14, 0);
    put_handshake(&message, 11, 3);
    put_handshake(&message, 16, 33);
    return message;
}

static const char *check_scheme(enum policy policy, uint16_t scheme, const char *group,
                                const struct message *message)
{
    return policy_check(policy, wire_scheme_find(scheme), group, message->bytes, message->length);
}

static const char *check(enum policy policy, const struct message *message)
{
    return check_scheme(policy, IMMURE_ECDSA_SHA256, "P-256", message);
}

static const enum policy servers[] = {POLICY_TLS_SERVER, POLICY_TLS13_SERVER};

static void tls13_server_is_taken(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct message sha256 = tls13("server", 32), sha384 = tls13("server", 48);
        assert_int_equal(sha256.length, 130);
        assert_int_equal(sha384.length, 146);
        assert_null(check(servers[i], &sha256));
        assert_null(check(servers[i], &sha384));
    }
}

static void tls13_of_every_other_length_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct message message = tls13("server", 200);
        for (size_t length = 0; length <= SPACES + CONTEXT + 1 + 200; length++) {
            message.length = length;
            if (length == 130 || length == 146)
                assert_null(check(servers[i], &message));
            else
                assert_non_null(check(servers[i], &message));
        }
    }
}

static void every_byte_of_the_tls13_structure_counts(void **state)
{
    (void)state;
    for (size_t at = 0; at < SPACES + CONTEXT + 1; at++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            struct message message = tls13("server", 32);
            message.bytes[at] ^= (uint8_t)(1u << bit);
            for (size_t i = 0; i < 2; i++)
                assert_non_null(check(servers[i], &message));
        }
    }
    /* but the hash may be anything */
    for (size_t at = SPACES + CONTEXT + 1; at < 130; at++) {
        struct message message = tls13("server", 32);
        message.bytes[at] ^= 0xff;
        assert_null(check(POLICY_TLS_SERVER, &message));
    }
}

static void another_context_is_named(void **state)
{
    (void)state;
    struct message client = tls13("client", 32), server = tls13("server", 32);
    assert_string_equal(check(POLICY_TLS_SERVER, &client),
                        "not a TLS handshake signature: context string is not the server's");
    assert_string_equal(check(POLICY_TLS13_SERVER, &client),
                        "not a TLS handshake signature: context string is not the server's");
    assert_string_equal(check(POLICY_TLS_CLIENT, &server),
                        "not a TLS handshake signature: context string is not the client's");
    assert_null(check(POLICY_TLS_CLIENT, &client));
}

static void tls13_has_its_own_schemes(void **state)
{
    (void)state;
    struct message message = tls13("server", 32);
    static const struct {
        uint16_t scheme;
        const char *group;
        bool allowed;
    } cases[] = {
        {IMMURE_RSA_PKCS1_SHA256, NULL, false},
        {IMMURE_RSA_PKCS1_SHA384, NULL, false},
        {IMMURE_RSA_PKCS1_SHA512, NULL, false},
        {IMMURE_RSA_PSS_RSAE_SHA256, NULL, true},
        {IMMURE_RSA_PSS_RSAE_SHA384, NULL, true},
        {IMMURE_RSA_PSS_RSAE_SHA512, NULL, true},
        {IMMURE_ED25519, NULL, true},
        {IMMURE_ECDSA_SHA256, "P-256", true},
        {IMMURE_ECDSA_SHA256, "P-384", false},
        {IMMURE_ECDSA_SHA256, "P-521", false},
        {IMMURE_ECDSA_SHA384, "P-256", false},
        {IMMURE_ECDSA_SHA384, "P-384", true},
        {IMMURE_ECDSA_SHA384, "P-521", false},
        {IMMURE_ECDSA_SHA512, "P-256", false},
        {IMMURE_ECDSA_SHA512, "P-384", false},
        {IMMURE_ECDSA_SHA512, "P-521", true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *reason =
            check_scheme(POLICY_TLS_SERVER, cases[i].scheme, cases[i].group, &message);
        assert_int_equal(reason == NULL, cases[i].allowed);
    }
    /* TLS 1.2 does not bind the hash to the curve, and has PKCS #1 */
    struct message old = tls12(29, 32, 1);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_null(check_scheme(POLICY_TLS_SERVER, cases[i].scheme, cases[i].group, &old));
}

static const struct {
    unsigned group;
    size_t point;
    bool has_form;
} groups[] = {{23, 65, true}, {24, 97, true}, {25, 133, true}, {29, 32, false}, {30, 56, false}};
#define GROUPS (sizeof groups / sizeof groups[0])

static void tls12_server_is_taken(void **state)
{
    (void)state;
    for (size_t i = 0; i < GROUPS; i++) {
        struct message message = tls12(groups[i].group, groups[i].point, 4);
        assert_null(check(POLICY_TLS_SERVER, &message));
        assert_non_null(check(POLICY_TLS13_SERVER, &message));
        assert_non_null(check(POLICY_TLS_CLIENT, &message));
        assert_null(check(POLICY_ANY, &message));
    }
}

static void tls12_of_every_other_length_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < GROUPS; i++) {
        struct message message = tls12(groups[i].group, groups[i].point, 4);
        size_t right = message.length;
        put_byte(&message, 9, 40);
        for (size_t length = 0; length <= right + 40; length++) {
            message.length = length;
            assert_int_equal(check(POLICY_TLS_SERVER, &message) == NULL, length == right);
        }
        /* a point of another length that says so itself */
        for (size_t point = 1; point < 256; point++) {
            struct message other = tls12(groups[i].group, point, 4);
            assert_int_equal(check(POLICY_TLS_SERVER, &other) == NULL, point == groups[i].point);
        }
    }
}

static void every_value_of_the_ecdh_parameters_counts(void **state)
{
    (void)state;
    for (size_t i = 0; i < GROUPS; i++) {
        for (unsigned value = 0; value < 256; value++) {
            struct message message = tls12(groups[i].group, groups[i].point, 4);
            message.bytes[64] = (uint8_t)value; /* curve type */
            assert_int_equal(check(POLICY_TLS_SERVER, &message) == NULL, value == 3);
            message = tls12(groups[i].group, groups[i].point, 4);
            message.bytes[65] = (uint8_t)value; /* group, high byte */
            assert_int_equal(check(POLICY_TLS_SERVER, &message) == NULL, value == 0);
            message = tls12(groups[i].group, groups[i].point, 4);
            message.bytes[66] = (uint8_t)value; /* group, low byte */
            assert_int_equal(check(POLICY_TLS_SERVER, &message) == NULL, value == groups[i].group);
            message = tls12(groups[i].group, groups[i].point, value);
            assert_int_equal(check(POLICY_TLS_SERVER, &message) == NULL,
                             value == 4 || !groups[i].has_form);
        }
    }
}

static void randoms_may_be_anything_but_spaces(void **state)
{
    (void)state;
    struct message message = tls12(29, 32, 1);
    memset(message.bytes, ' ', 64);
    assert_non_null(check(POLICY_TLS_SERVER, &message));
    for (size_t at = 0; at < 64; at++) {
        memset(message.bytes, ' ', 64);
        message.bytes[at] = '!';
        assert_null(check(POLICY_TLS_SERVER, &message));
    }
}

static void tls12_client_transcript(void **state)
{
    (void)state;
    struct message message = tls12_client();
    assert_null(check(POLICY_TLS_CLIENT, &message));
    assert_non_null(check(POLICY_TLS_SERVER, &message));
    assert_non_null(check(POLICY_TLS13_SERVER, &message));

    size_t right = message.length;
    for (message.length = 0; message.length < right; message.length++)
        assert_non_null(check(POLICY_TLS_CLIENT, &message));
    for (size_t more = 1; more < 8; more++) {
        message = tls12_client();
        put_byte(&message, 16, more);
        assert_non_null(check(POLICY_TLS_CLIENT, &message));
    }
}

static void tls12_client_first_and_last_message_count(void **state)
{
    (void)state;
    size_t last = tls12_client().length - 4 - 33;
    for (unsigned type = 0; type < 256; type++) {
        struct message message = tls12_client();
        message.bytes[0] = (uint8_t)type;
        assert_int_equal(check(POLICY_TLS_CLIENT, &message) == NULL, type == 1);
        message = tls12_client();
        message.bytes[last] = (uint8_t)type;
        assert_int_equal(check(POLICY_TLS_CLIENT, &message) == NULL, type == 16);
    }
    struct message alone = {.length = 0};
    put_handshake(&alone, 1, 200);
    assert_non_null(check(POLICY_TLS_CLIENT, &alone));
    alone.length = 0;
    put_handshake(&alone, 16, 33);
    assert_non_null(check(POLICY_TLS_CLIENT, &alone));
}

static void every_length_within_the_transcript_counts(void **state)
{
    (void)state;
    struct message whole = tls12_client();
    for (size_t at = 0; at < whole.length;) {
        size_t length = (size_t)whole.bytes[at + 2] << 8 | whole.bytes[at + 3];
        for (size_t byte = 1; byte < 4; byte++) {
            struct message message = tls12_client();
            message.bytes[at + byte] ^= 0x80; /* past the end */
            assert_non_null(check(POLICY_TLS_CLIENT, &message));
        }
        at += 4 + length;
    }
}

static void any_is_any(void **state)
{
    (void)state;
    struct message message = {.bytes = {7}, .length = 1};
    assert_null(check(POLICY_ANY, &message));
    assert_non_null(check(POLICY_TLS_SERVER, &message));
    assert_non_null(check(POLICY_TLS13_SERVER, &message));
    assert_non_null(check(POLICY_TLS_CLIENT, &message));
}

static void names(void **state)
{
    (void)state;
    static const char *const all[] = {"tls-server", "tls13-server", "tls-client", "any"};
    for (size_t i = 0; i < 4; i++) {
        enum policy policy;
        assert_true(policy_find(all[i], &policy));
        assert_string_equal(policy_name(policy), all[i]);
    }
    enum policy policy;
    assert_false(policy_find("", &policy));
    assert_false(policy_find("TLS-SERVER", &policy));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tls13_server_is_taken),
        cmocka_unit_test(tls13_of_every_other_length_is_refused),
        cmocka_unit_test(every_byte_of_the_tls13_structure_counts),
        cmocka_unit_test(another_context_is_named),
        cmocka_unit_test(tls13_has_its_own_schemes),
        cmocka_unit_test(tls12_server_is_taken),
        cmocka_unit_test(tls12_of_every_other_length_is_refused),
        cmocka_unit_test(every_value_of_the_ecdh_parameters_counts),
        cmocka_unit_test(randoms_may_be_anything_but_spaces),
        cmocka_unit_test(tls12_client_transcript),
        cmocka_unit_test(tls12_client_first_and_last_message_count),
        cmocka_unit_test(every_length_within_the_transcript_counts),
        cmocka_unit_test(any_is_any),
        cmocka_unit_test(names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
