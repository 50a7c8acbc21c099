/* What a key may sign: every rule, every length around it, every byte of the structure. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tls_messages.h"

#include "keyd/rules/policy.h"

#define SPACES 64
#define CONTEXT 33

static struct ecdhe ecdhe;

static int open_all(void **state)
{
    (void)state;
    return ecdhe_open(&ecdhe) ? 0 : -1;
}

static int close_all(void **state)
{
    (void)state;
    ecdhe_close(&ecdhe);
    return 0;
}

static struct policy_refusal judge(enum policy policy, bool every_group, uint16_t scheme,
                                   const char *curve, const struct message *message)
{
    const struct policy_request request = {.policy = policy,
                                           .every_group = every_group,
                                           .spki = client_spki,
                                           .spki_length = client_spki_length,
                                           .curve = curve,
                                           .scheme = wire_scheme_find(scheme),
                                           .message = message->bytes,
                                           .length = message->length};
    struct policy_refusal refusal = policy_check(&request, &ecdhe);
    assert_false(refusal.alarm && refusal.reason == NULL);
    return refusal;
}

static const char *check_scheme(enum policy policy, uint16_t scheme, const char *curve,
                                const struct message *message)
{
    return judge(policy, true, scheme, curve, message).reason;
}

static const char *check(enum policy policy, const struct message *message)
{
    return check_scheme(policy, IMMURE_ECDSA_SHA256, "P-256", message);
}

static const enum policy servers[] = {POLICY_TLS_SERVER, POLICY_TLS13_SERVER, POLICY_TLS12_SERVER};
#define SERVERS (sizeof servers / sizeof servers[0])

static void tls13_server_is_taken(void **state)
{
    (void)state;
    for (size_t i = 0; i < SERVERS; i++) {
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
    for (size_t i = 0; i < SERVERS; i++) {
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
            for (size_t i = 0; i < SERVERS; i++)
                assert_non_null(check(servers[i], &message));
        }
    }
    /* the hash may be anything */
    for (size_t at = SPACES + CONTEXT + 1; at < 130; at++) {
        struct message message = tls13("server", 32);
        message.bytes[at] ^= 0xff;
        assert_null(check(POLICY_TLS_SERVER, &message));
    }
}

static void each_side_has_its_context(void **state)
{
    (void)state;
    struct message client = tls13("client", 32), server = tls13("server", 32);
    for (size_t i = 0; i < SERVERS; i++)
        assert_string_equal(check(servers[i], &client),
                            "the policy has no signature of a TLS 1.3 client");
    assert_string_equal(check(POLICY_TLS_CLIENT, &server),
                        "the policy has no signature of a TLS 1.3 server");
    assert_null(check(POLICY_TLS_CLIENT, &client));
    struct message neither = tls13("Server", 32);
    assert_string_equal(check(POLICY_TLS_SERVER, &neither),
                        "not a TLS handshake signature: context string is neither the server's nor "
                        "the client's");
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
    struct message old = tls12(29, true);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_null(check_scheme(POLICY_TLS_SERVER, cases[i].scheme, cases[i].group, &old));
}

static void tls12_has_its_own_schemes(void **state)
{
    (void)state;
    struct message server = tls12(29, true);
    struct transcript_parts parts = tls12_client(KEY_EXCHANGE_ECDHE, 29);
    struct message client = joined(&parts);
    static const uint16_t pss[] = {IMMURE_RSA_PSS_PSS_SHA256, IMMURE_RSA_PSS_PSS_SHA384,
                                   IMMURE_RSA_PSS_PSS_SHA512},
                          mldsa[] = {IMMURE_MLDSA44, IMMURE_MLDSA65, IMMURE_MLDSA87};
    for (size_t i = 0; i < 3; i++) {
        assert_string_equal(check_scheme(POLICY_TLS_SERVER, pss[i], NULL, &server),
                            "keys of type RSA-PSS sign for TLS 1.2 only with the policy "
                            "tls12-server");
        assert_null(check_scheme(POLICY_TLS12_SERVER, pss[i], NULL, &server));
        assert_null(check_scheme(POLICY_TLS_CLIENT, pss[i], NULL, &client));
        assert_non_null(check_scheme(POLICY_TLS_SERVER, mldsa[i], NULL, &server));
        assert_non_null(check_scheme(POLICY_TLS12_SERVER, mldsa[i], NULL, &server));
        assert_non_null(check_scheme(POLICY_TLS_CLIENT, mldsa[i], NULL, &client));
        struct message new = tls13("server", 32);
        assert_null(check_scheme(POLICY_TLS_SERVER, pss[i], NULL, &new));
        assert_null(check_scheme(POLICY_TLS_SERVER, mldsa[i], NULL, &new));
    }
}

static const struct {
    unsigned number;
    size_t size;
    bool has_form; /* whether the first byte of the value names its encoding */
    bool common;
} groups[] = {{23, 65, true, true},
              {24, 97, true, true},
              {25, 133, true, false},
              {29, 32, false, true},
              {30, 56, false, false}};
#define GROUPS (sizeof groups / sizeof groups[0])

static void tls12_server_is_taken(void **state)
{
    (void)state;
    for (size_t i = 0; i < GROUPS; i++) {
        struct message message = tls12(groups[i].number, true);
        assert_int_equal(message.length, 68 + groups[i].size);
        assert_null(check(POLICY_TLS_SERVER, &message));
        assert_null(check(POLICY_TLS12_SERVER, &message));
        assert_non_null(check(POLICY_TLS13_SERVER, &message));
        assert_non_null(check(POLICY_TLS_CLIENT, &message));
        assert_null(check(POLICY_ANY, &message));
    }
}

static void rare_groups_are_off_unless_asked_for(void **state)
{
    (void)state;
    for (size_t i = 0; i < GROUPS; i++) {
        struct message message = tls12(groups[i].number, true);
        const char *reason = judge(POLICY_TLS_SERVER, false, IMMURE_ED25519, NULL, &message).reason;
        if (groups[i].common)
            assert_null(reason);
        else
            assert_string_equal(reason, "ServerECDHParams name a group that is signed for only "
                                        "with tls12-groups = all");
    }
}

static void every_byte_of_the_sentinel_counts(void **state)
{
    (void)state;
    for (size_t at = 0; at < 64; at++)
        for (unsigned bit = 0; bit < 8; bit++) {
            struct message message = tls12(29, true);
            message.bytes[at] ^= (uint8_t)(1u << bit);
            assert_int_equal(check(POLICY_TLS_SERVER, &message) == NULL, at < 56);
            assert_null(check(POLICY_TLS12_SERVER, &message));
        }
    /* the sentinel of a server that negotiates TLS 1.1 does not count */
    struct message message = tls12(29, true);
    message.bytes[63] = 0;
    assert_non_null(check(POLICY_TLS_SERVER, &message));
}

static void servers_without_tls13_have_a_policy(void **state)
{
    (void)state;
    for (size_t i = 0; i < GROUPS; i++) {
        struct message message = tls12(groups[i].number, false);
        assert_string_equal(check(POLICY_TLS_SERVER, &message),
                            "the policy has no signature of a TLS 1.2 server whose random lacks "
                            "the sentinel of RFC 8446: a server without TLS 1.3 needs the policy "
                            "tls12-server");
        assert_null(check(POLICY_TLS12_SERVER, &message));
        assert_non_null(check(POLICY_TLS13_SERVER, &message));
        assert_non_null(check(POLICY_TLS_CLIENT, &message));
    }
    assert_non_null(policy_warning(POLICY_TLS12_SERVER));
    assert_non_null(policy_warning(POLICY_ANY));
    assert_null(policy_warning(POLICY_TLS_SERVER));
    assert_null(policy_warning(POLICY_TLS13_SERVER));
    assert_null(policy_warning(POLICY_TLS_CLIENT));
}

static void tls12_of_every_other_length_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < GROUPS; i++) {
        struct message message = tls12(groups[i].number, true);
        size_t right = message.length;
        put_byte(&message, 9, 40);
        for (size_t length = 0; length <= right + 40; length++) {
            message.length = length;
            assert_int_equal(check(POLICY_TLS_SERVER, &message) == NULL, length == right);
        }
        /* a value of another length, with a length field that fits */
        for (size_t size = 1; size < 256; size++) {
            struct message other = tls12(groups[i].number, true);
            put_byte(&other, 9, 256);
            other.bytes[67] = (uint8_t)size;
            other.length = 68 + size;
            assert_int_equal(check(POLICY_TLS_SERVER, &other) == NULL, size == groups[i].size);
        }
    }
}

static void every_value_of_the_ecdh_parameters_counts(void **state)
{
    (void)state;
    for (size_t i = 0; i < GROUPS; i++) {
        struct message whole = tls12(groups[i].number, true);
        for (unsigned value = 0; value < 256; value++)
            for (size_t at = 64; at < 69; at++) {
                struct message message = whole;
                message.bytes[at] = (uint8_t)value;
                if (at < 68 || groups[i].has_form)
                    assert_int_equal(check(POLICY_TLS_SERVER, &message) == NULL,
                                     value == whole.bytes[at]);
            }
    }
}

static void public_values_are_of_their_group(void **state)
{
    (void)state;
    for (size_t i = 0; i < GROUPS; i++) {
        struct message message = tls12(groups[i].number, false);
        if (groups[i].has_form)
            message.bytes[message.length - 1] ^= 1;
        else
            memset(message.bytes + 68, 0, groups[i].size); /* of low order */
        assert_string_equal(check(POLICY_TLS_SERVER, &message),
                            "not a TLS handshake signature: public value of ServerECDHParams is "
                            "none of its group's");
        assert_string_equal(check(POLICY_TLS12_SERVER, &message),
                            check(POLICY_TLS_SERVER, &message));
    }
}

static void randoms_may_be_anything_but_spaces(void **state)
{
    (void)state;
    struct message message = tls12(29, false);
    memset(message.bytes, ' ', 64);
    assert_non_null(check(POLICY_TLS12_SERVER, &message));
    for (size_t at = 0; at < 64; at++) {
        memset(message.bytes, ' ', 64);
        message.bytes[at] = '!';
        assert_null(check(POLICY_TLS12_SERVER, &message));
    }
}

static void tls12_client_transcript(void **state)
{
    (void)state;
    struct transcript_parts parts = tls12_client(KEY_EXCHANGE_ECDHE, 24);
    struct message message = joined(&parts);
    assert_null(check(POLICY_TLS_CLIENT, &message));
    for (size_t i = 0; i < SERVERS; i++)
        assert_string_equal(check(servers[i], &message),
                            "the policy has no signature of a TLS 1.2 client");
    message.length--;
    assert_string_equal(check(POLICY_TLS_CLIENT, &message),
                        "not a TLS handshake signature: does not end with a ClientKeyExchange");
    struct message server = tls12(24, true);
    assert_string_equal(check(POLICY_TLS_CLIENT, &server),
                        "the policy has no signature of a TLS 1.2 server");
}

/* Valid messages, but their randoms hold the header of an IKE_SA_INIT message. */
static void what_could_be_something_else_is_refused(void **state)
{
    (void)state;
    struct transcript_parts parts = tls12_client(KEY_EXCHANGE_ECDHE, 24);
    struct message messages[] = {tls12(29, true), tls12(23, false), joined(&parts)};
    for (size_t i = 0; i < sizeof messages / sizeof messages[0]; i++) {
        static const enum policy policies[] = {POLICY_TLS_SERVER, POLICY_TLS12_SERVER,
                                               POLICY_TLS_CLIENT};
        assert_null(check(policies[i], &messages[i]));
        memcpy(messages[i].bytes + 16, "\x21\x20\x22\x08\0\0\0\0", 8);
        struct policy_refusal refusal =
            judge(policies[i], false, IMMURE_ECDSA_SHA256, "P-256", &messages[i]);
        assert_string_equal(refusal.reason, "could be an AUTH of IKEv2, too");
        assert_true(refusal.alarm);
    }
}

/* Requests that a stranger or a configuration can cause raise no alarm; those that only a
 * misbehaving client makes do. */
static void alarms(void **state)
{
    (void)state;
    struct message dhe = {.length = 0}, tiny = {.length = 0}, brainpool = {.length = 0};
    put_byte(&dhe, 0xa5, 64);
    put(&dhe, "\1\0", 2);
    put_byte(&dhe, 0xf1, 256);
    put(&dhe, "\0\1\2\1\0", 5);
    put_byte(&dhe, 0x51, 256);
    put_byte(&tiny, 0xa5, 64);
    put(&tiny, "\0\1\2\0\1\2\0\1\2", 9);
    put_byte(&brainpool, 0xa5, 64);
    put(&brainpool, "\3\0\x1a\x41", 4);
    put_byte(&brainpool, 4, 65);
    struct transcript_parts parts = tls12_client(KEY_EXCHANGE_RSA, 0);
    const struct {
        enum policy policy;
        struct message message;
        bool alarm;
    } cases[] = {
        {POLICY_TLS_SERVER, tls12(29, false), false},
        {POLICY_TLS_SERVER, tls12(25, true), false},
        {POLICY_TLS_SERVER, tls12(30, false), false},
        {POLICY_TLS_SERVER, dhe, false},
        {POLICY_TLS_SERVER, brainpool, false},
        {POLICY_TLS_SERVER, tls13("client", 32), false},
        {POLICY_TLS_SERVER, joined(&parts), false},
        {POLICY_TLS13_SERVER, tls12(23, true), false},
        {POLICY_TLS13_SERVER, dhe, false},
        {POLICY_TLS_CLIENT, tls13("server", 48), false},
        {POLICY_TLS_CLIENT, tls12(24, true), false},
        {POLICY_TLS_CLIENT, dhe, false},
        {POLICY_TLS_SERVER, tiny, true},
        {POLICY_TLS_SERVER, tls13("server", 33), true},
        {POLICY_TLS_SERVER, tls13("tyrant", 32), true},
        {POLICY_TLS_SERVER, {.bytes = "pay 1000 to Mallory", .length = 19}, true},
        {POLICY_TLS12_SERVER, {.length = 500}, true},
        {POLICY_TLS_CLIENT, {.length = 0}, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct policy_refusal refusal =
            judge(cases[i].policy, false, IMMURE_ECDSA_SHA256, "P-256", &cases[i].message);
        assert_non_null(refusal.reason);
        assert_int_equal(refusal.alarm, cases[i].alarm);
    }
}

static void decryption(void **state)
{
    (void)state;
    for (unsigned version = 0; version <= UINT16_MAX; version++) {
        bool good =
            (version >= 0x0300 && version <= 0x0303) || version == 0xfeff || version == 0xfefd;
        struct policy_refusal refusal = policy_check_decrypt(true, 256, 256, (uint16_t)version);
        assert_int_equal(refusal.reason == NULL, good);
        assert_false(refusal.alarm);
        assert_non_null(policy_check_decrypt(false, 256, 256, (uint16_t)version).reason);
    }
    for (size_t length = 0; length < 1100; length++)
        assert_int_equal(policy_check_decrypt(true, 256, length, 0x0303).reason == NULL,
                         length == 256);
    assert_false(policy_check_decrypt(false, 256, 256, 0x0303).alarm);
}

static void any_is_any(void **state)
{
    (void)state;
    struct message message = {.bytes = {7}, .length = 1};
    assert_null(check(POLICY_ANY, &message));
    for (size_t i = 0; i < SERVERS; i++)
        assert_non_null(check(servers[i], &message));
    assert_non_null(check(POLICY_TLS_CLIENT, &message));
}

static void names(void **state)
{
    (void)state;
    static const char *const all[] = {"tls-server", "tls13-server", "tls12-server", "tls-client",
                                      "any"};
    for (size_t i = 0; i < POLICY_COUNT; i++) {
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
        cmocka_unit_test(each_side_has_its_context),
        cmocka_unit_test(tls13_has_its_own_schemes),
        cmocka_unit_test(tls12_has_its_own_schemes),
        cmocka_unit_test(tls12_server_is_taken),
        cmocka_unit_test(rare_groups_are_off_unless_asked_for),
        cmocka_unit_test(every_byte_of_the_sentinel_counts),
        cmocka_unit_test(servers_without_tls13_have_a_policy),
        cmocka_unit_test(tls12_of_every_other_length_is_refused),
        cmocka_unit_test(every_value_of_the_ecdh_parameters_counts),
        cmocka_unit_test(public_values_are_of_their_group),
        cmocka_unit_test(randoms_may_be_anything_but_spaces),
        cmocka_unit_test(tls12_client_transcript),
        cmocka_unit_test(what_could_be_something_else_is_refused),
        cmocka_unit_test(alarms),
        cmocka_unit_test(decryption),
        cmocka_unit_test(any_is_any),
        cmocka_unit_test(names),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
