/* The marks of structures that other protocols sign: each is found, random bytes have none, and a
 * message that lacks one of the marks passes. system.policy_constructions makes whole structures.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/rand.h>

#include "keyd/rules/foreign.h"
#include "tls_messages.h"

#define TIMES 200000

static const char asn1[] = "could be a structure of X.509, PKCS #10, OCSP or CMS, too";
static const char ssh[] = "could be a signature of SSH, too";
static const char text[] = "could be a signature of SSH, COSE, QUIC or a TPM, too";
static const char jws[] = "could be a JWS of an unencoded payload, too";
static const char ikev2[] = "could be an AUTH of IKEv2, too";
static const char rrsig[] = "could be an RRSIG of DNSSEC, too";
static const char sig0[] = "could be a SIG(0) of DNS, too";
static const char openpgp[] = "could be a signature of OpenPGP, too";

static void assert_found(const struct message *message, const char *name)
{
    const char *found = foreign_find(message->bytes, message->length);
    if (name == NULL)
        assert_null(found);
    else
        assert_string_equal(found, name);
}

#define ED25519_OID "\x06\x03\x2b\x65\x70"

/* A header, an OBJECT IDENTIFIER, and `rest` more bytes. */
static struct message der(const char *header, size_t header_length, const char *oid,
                          size_t oid_length, size_t rest)
{
    struct message message = {.length = 0};
    put(&message, header, header_length);
    put(&message, oid, oid_length);
    put_byte(&message, 0x5a, rest);
    return message;
}

static void asn1_with_each_identifier(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t length;
    } oids[] = {
        {"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b", 11},
        {"\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02", 10},
        {ED25519_OID, 5},
        {"\x06\x05\x2b\x0e\x03\x02\x1a", 7},
        {"\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01", 11},
        {"\x06\x03\x55\x04\x03", 5},
        {"\x06\x03\x55\x1d\x11", 5},
        {"\x06\x0a\x09\x92\x26\x89\x93\xf2\x2c\x64\x01\x19", 12},
    };
    for (size_t i = 0; i < sizeof oids / sizeof oids[0]; i++) {
        for (unsigned tag = 0; tag < 256; tag++) {
            char header[] = {(char)tag, 100};
            struct message message =
                der(header, 2, oids[i].bytes, oids[i].length, 100 - oids[i].length);
            assert_found(&message, tag == 0x30 || tag == 0x31 ? asn1 : NULL);
        }
        for (size_t at = 0; at < oids[i].length - 1; at++) {
            struct message message =
                der("\x30\x64", 2, oids[i].bytes, oids[i].length, 100 - oids[i].length);
            message.bytes[2 + at] ^= 1;
            bool counts = oids[i].bytes[1] <= 5 ? at < 4 : at >= 2 && at < 7;
            if (counts)
                assert_found(&message, NULL);
        }
    }
}

static void asn1_with_each_form_of_length(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t length, said;
        bool taken;
    } headers[] = {
        {"\x30\x64", 2, 100, true},
        {"\x30\x63", 2, 100, false},
        {"\x30\x65", 2, 100, false},
        {"\x30\x7f", 2, 127, true},
        {"\x30\x80", 2, 100, true}, /* the indefinite form, up to its end-of-contents */
        {"\x30\x81\x64", 3, 100, true},
        {"\x30\x81\xc8", 3, 200, true},
        {"\x30\x82\x00\xc8", 4, 200, true},
        {"\x30\x84\x00\x00\x00\xc8", 6, 200, true},
        {"\x30\x88\x00\x00\x00\x00\x00\x00\x00\xc8", 10, 200, true},
        {"\x30\x89\x00\x00\x00\x00\x00\x00\x00\x00\xc8", 11, 200, true},
        {"\x3f\x10\x64", 3, 100, true},
        {"\x3f\x80\x80\x11\x81\xc8", 6, 200, true},
        {"\x30\x81\xc9", 3, 200, false},
        {"\x30\x89\x01\x00\x00\x00\x00\x00\x00\x00\xc8", 11, 200, false},
        {"\x3f\x30\x64", 3, 100, false},
        {"\x3f\x81\x10\x64", 4, 100, false},
        {"\x30\xff", 2, 200, false},
    };
    for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++) {
        struct message message =
            der(headers[i].bytes, headers[i].length, ED25519_OID, 5, headers[i].said - 5);
        assert_found(&message, headers[i].taken ? asn1 : NULL);
    }
}

static void asn1_with_each_form_of_identifier(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t length;
        bool taken;
    } oids[] = {
        {"\x06\x81\x03\x2b\x65\x70", 6, true},
        {"\x06\x84\x00\x00\x00\x03\x55\x1d\x11", 9, true},
        {"\x1f\x06\x03\x55\x04\x03", 6, true},
        {"\x1f\x80\x06\x81\x08\x2a\x86\x48\xce\x3d\x04\x03\x02", 12, true},
        {"\x06\x04\x2b\x65\x70\x01", 6, false},
        {"\x06\x02\x55\x04", 4, false},
        {"\x1f\x07\x03\x55\x04\x03", 6, false},
        {"\x06\x7f\x2a\x86\x48\x86\xf7\x0d\x01", 9, false}, /* longer than the message */
    };
    for (size_t i = 0; i < sizeof oids / sizeof oids[0]; i++) {
        struct message message =
            der("\x30\x64", 2, oids[i].bytes, oids[i].length, 100 - oids[i].length);
        assert_found(&message, oids[i].taken ? asn1 : NULL);
    }
    struct message at_the_end = {.length = 0};
    put(&at_the_end, "\x30\x06\x5a\x06\x03\x55\x04\x03", 8);
    assert_found(&at_the_end, asn1);
    at_the_end.bytes[1] = (uint8_t)(at_the_end.length -= 1) - 2;
    assert_found(&at_the_end, NULL);
}

static void ssh_by_its_words(void **state)
{
    (void)state;
    static const char *const words[] = {"publickey", "hostbased",
                                        "ssh-ed25519-cert-v01@openssh.com",
                                        "hostkeys-prove-00@openssh.com"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        struct message message = {.length = 0};
        put(&message, "\0\0\0\x20", 4);
        put_byte(&message, 0x5a, 40);
        put(&message, words[i], strlen(words[i]));
        assert_found(&message, ssh);
        message.bytes[2] = 1;
        assert_found(&message, NULL);
    }
}

static void texts_at_the_start(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t length;
    } starts[] = {{"SSHSIG", 6},
                  {"\x84\x6aSignature1", 12},
                  {"\x85\x69Signature", 11},
                  {"\x85\x70"
                   "CounterSignature",
                   18},
                  {"SSHKRL\n\0", 8},
                  {"QUIC server config signature", 28},
                  {"\xff"
                   "TCG\x80\x18",
                   6}};
    for (size_t i = 0; i < sizeof starts / sizeof starts[0]; i++) {
        struct message message = {.length = 0};
        put(&message, starts[i].bytes, starts[i].length);
        put_byte(&message, 0x5a, 80);
        assert_found(&message, text);
        message.bytes[3] ^= 1;
        assert_found(&message, NULL);
    }
}

static void jws_by_its_header(void **state)
{
    (void)state;
    static const char header[] = "eyJiNjQiOmZhbHNlLCJjcml0IjpbImI2NCJdfQ.";
    struct message whole = {.length = 0};
    put(&whole, header, strlen(header));
    put(&whole, "\0\x80\xff", 3);
    assert_found(&whole, jws);
    for (size_t at = 0; at < strlen(header); at++) {
        struct message message = whole;
        message.bytes[at] = '=';
        assert_found(&message, NULL);
    }
    struct message shortest = {.length = 0};
    put(&shortest, "eyJiNjQiOmZhbHNlfQ.\0", 20);
    assert_found(&shortest, jws);
    shortest.length = 18;
    assert_found(&shortest, NULL);
}

static void ikev2_by_its_header(void **state)
{
    (void)state;
    struct message whole = {.length = 0};
    put_byte(&whole, 0x11, 8); /* SPI */
    put_byte(&whole, 0, 8);    /* SPI of the responder */
    put(&whole, "\x21\x20\x22\x08\0\0\0\0\0\0\0\x80",
        12); /* SA, 2.0, IKE_SA_INIT, flags, 0, length */
    put_byte(&whole, 0x5a, 100);
    assert_found(&whole, ikev2);
    for (size_t at = 17; at < 24; at++) {
        struct message message = whole;
        message.bytes[at] ^= 0x10;
        assert_found(&message, at == 19 ? ikev2 : NULL);
    }
    whole.length = 23;
    assert_found(&whole, NULL);
}

static void put_name(struct message *message, const char *label)
{
    put_byte(message, (unsigned)strlen(label), 1);
    put(message, label, strlen(label));
    put_byte(message, 0, 1);
}

static struct message signed_records(unsigned records)
{
    struct message message = {.length = 0};
    put(&message,
        "\0\x10\x0f\1\0\0\x0e\x10"
        "eeeeiiiitt",
        18); /* TXT, Ed25519, 1 label, 3600 s */
    put_name(&message, "example");
    while (records-- > 0) {
        put_name(&message, "example");
        put(&message, "\0\x10\0\1\0\0\x0e\x10\0\x14\x13", 11);
        put_byte(&message, 't', 0x13);
    }
    return message;
}

static void rrsig_with_its_records(void **state)
{
    (void)state;
    for (unsigned records = 1; records < 4; records++) {
        struct message message = signed_records(records);
        assert_found(&message, rrsig);
        message.length--;
        assert_found(&message, NULL);
        message.length += 2;
        message.bytes[message.length - 1] = 0;
        assert_found(&message, NULL);
    }
    struct message none = signed_records(0);
    assert_found(&none, NULL);
    size_t record = none.length + 9;
    for (size_t at = 0; at < 8; at++) {
        struct message message = signed_records(2);
        message.bytes[record + at] ^= 1;
        assert_found(&message, at == 2 || at == 3 ? rrsig : NULL); /* the class */
    }
}

static void sig0_with_its_message(void **state)
{
    (void)state;
    struct message whole = {.length = 0};
    put(&whole,
        "\0\0\x0f\0ttttee"
        "eeiiiikk",
        18); /* no type, Ed25519, no labels */
    put_name(&whole, "example");
    size_t header = whole.length;
    put(&whole, "id\x28\0\0\1\0\0\0\1\0\0", 12);
    struct message short_one = whole;
    put_byte(&whole, 0x5a, 60);
    assert_found(&whole, sig0);
    for (size_t at = 0; at < header + 12; at++) {
        struct message message = whole;
        message.bytes[at] ^= 0x01;
        bool in_name = at >= 18 && at < header;
        bool counts = at < 2 || at == 3 || (at >= header + 4 && (at - header) % 2 == 0);
        if (!in_name)
            assert_found(&message, counts ? NULL : sig0);
    }
    short_one.length--;
    assert_found(&short_one, NULL);
}

static void openpgp_by_its_trailer(void **state)
{
    (void)state;
    for (unsigned version = 0; version < 256; version++) {
        struct message message = {.length = 0};
        put_byte(&message, 0xa5, 80);
        put_byte(&message, version, 1);
        put_byte(&message, 0x5a, 11);
        put_byte(&message, version, 1);
        put(&message, "\xff\0\0\0\x0c", 5);
        assert_found(&message, version == 4 || version == 6 ? openpgp : NULL);
        message.bytes[80] ^= 1;
        assert_found(&message, NULL);
    }
    struct message fifth = {.length = 0};
    put_byte(&fifth, 0x5a, 80);
    put(&fifth, "\5\0\x13\x08\0\0\5\xff\0\0\0\0\0\0\0\6", 16);
    assert_found(&fifth, openpgp);
    for (size_t at = 0; at < 16; at++) {
        struct message message = fifth;
        message.bytes[80 + at] ^= 1;
        assert_found(&message, at >= 1 && at < 6 ? openpgp : NULL);
    }
    struct message short_one = {.length = 0};
    put(&short_one, "\4\xff\0\0\0\x0c", 6);
    assert_found(&short_one, NULL);
}

static void random_bytes_have_none(void **state)
{
    (void)state;
    for (unsigned i = 0; i < TIMES; i++) {
        struct message message = {.length = 64 + i % 140};
        assert_int_equal(RAND_bytes(message.bytes, (int)message.length), 1);
        message.bytes[0] = (uint8_t) "\x30\x31\x00S"[i % 4];
        message.bytes[1] = (uint8_t)(i % 8 < 4 ? message.length - 2 : message.bytes[1]);
        assert_found(&message, NULL);
    }
    struct message empty = {.length = 0};
    assert_found(&empty, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(asn1_with_each_identifier),
        cmocka_unit_test(asn1_with_each_form_of_length),
        cmocka_unit_test(asn1_with_each_form_of_identifier),
        cmocka_unit_test(ssh_by_its_words),
        cmocka_unit_test(texts_at_the_start),
        cmocka_unit_test(jws_by_its_header),
        cmocka_unit_test(ikev2_by_its_header),
        cmocka_unit_test(rrsig_with_its_records),
        cmocka_unit_test(sig0_with_its_message),
        cmocka_unit_test(openpgp_by_its_trailer),
        cmocka_unit_test(random_bytes_have_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
