/* Key references: there is only one encoding, and nothing else is accepted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "immure/reference.h"

#define SOCKET "/run/immured/immured.sock"
#define SPKI_HEADER 4 /* bytes: SEQUENCE, and a length that takes three */

/* A SEQUENCE of `length` bytes in all, at least 260, with something in it. */
static const uint8_t *make_spki(uint8_t *spki, size_t length)
{
    for (size_t i = 0; i < length; i++)
        spki[i] = (uint8_t)(i * 7);
    spki[0] = 0x30;
    spki[1] = 0x82;
    spki[2] = (uint8_t)((length - SPKI_HEADER) >> 8);
    spki[3] = (uint8_t)(length - SPKI_HEADER);
    return spki;
}

static uint8_t spki[IMMURE_SPKI_MAX + 1];

static struct immure_reference make_reference(size_t spki_length)
{
    struct immure_reference reference = {
        .socket = SOCKET, .spki = make_spki(spki, spki_length), .spki_length = spki_length};
    for (size_t i = 0; i < sizeof reference.key_id; i++)
        reference.key_id[i] = (uint8_t)(200 + i);
    return reference;
}

static void assert_same(const struct immure_reference *one, const struct immure_reference *other)
{
    assert_string_equal(one->socket, other->socket);
    assert_memory_equal(one->key_id, other->key_id, sizeof one->key_id);
    assert_int_equal(one->spki_length, other->spki_length);
    assert_memory_equal(one->spki, other->spki, one->spki_length);
}

/* Parses from memory of exactly this size, so that a sanitizer detects a read beyond its end. */
static enum immure_reference_error parse_der(const uint8_t *der, size_t length)
{
    uint8_t *copy = malloc(length > 0 ? length : 1), again[IMMURE_REFERENCE_DER_MAX];
    struct immure_reference reference;
    size_t again_length;
    assert_non_null(copy);
    memcpy(copy, der, length);
    enum immure_reference_error error = immure_reference_parse_der(&reference, copy, length);
    if (error == IMMURE_REFERENCE_OK) {
        /* writing what was accepted gives the same bytes */
        assert_int_equal(immure_reference_write_der(&reference, again, &again_length),
                         IMMURE_REFERENCE_OK);
        assert_int_equal(again_length, length);
        assert_memory_equal(again, der, length);
    }
    free(copy);
    return error;
}

static enum immure_reference_error parse_pem(struct immure_reference *reference, const char *text,
                                             size_t length, uint8_t *der)
{
    char *copy = malloc(length > 0 ? length : 1);
    assert_non_null(copy);
    memcpy(copy, text, length);
    enum immure_reference_error error = immure_reference_parse_pem(reference, copy, length, der);
    free(copy);
    return error;
}

static void test_what_is_written_is_read(void **state)
{
    (void)state;
    static const size_t lengths[] = {260, 294, 321, 322, 323, 550, IMMURE_SPKI_MAX};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        struct immure_reference written = make_reference(lengths[i]), read;
        uint8_t der[IMMURE_REFERENCE_DER_MAX];
        char pem[IMMURE_REFERENCE_PEM_SIZE];
        size_t length;
        assert_int_equal(immure_reference_write_der(&written, der, &length), IMMURE_REFERENCE_OK);
        assert_int_equal(immure_reference_parse_der(&read, der, length), IMMURE_REFERENCE_OK);
        assert_same(&written, &read);
        assert_int_equal(immure_reference_write_pem(&written, pem), IMMURE_REFERENCE_OK);
        memset(der, 0, sizeof der);
        assert_int_equal(parse_pem(&read, pem, strlen(pem), der), IMMURE_REFERENCE_OK);
        assert_same(&written, &read);
    }
}

static void test_the_longest_fits(void **state)
{
    (void)state;
    struct immure_reference reference = make_reference(IMMURE_SPKI_MAX);
    uint8_t der[IMMURE_REFERENCE_DER_MAX];
    char pem[IMMURE_REFERENCE_PEM_SIZE];
    size_t length;
    memset(reference.socket, 'a', IMMURE_SOCKET_PATH_MAX);
    reference.socket[0] = '/';
    reference.socket[IMMURE_SOCKET_PATH_MAX] = '\0';
    assert_int_equal(immure_reference_write_der(&reference, der, &length), IMMURE_REFERENCE_OK);
    assert_int_equal(length, IMMURE_REFERENCE_DER_MAX);
    assert_int_equal(parse_der(der, length), IMMURE_REFERENCE_OK);
    assert_int_equal(immure_reference_write_pem(&reference, pem), IMMURE_REFERENCE_OK);
    assert_in_range(strlen(pem), IMMURE_REFERENCE_BASE64_MAX, sizeof pem - 1);
    const char *last = "\n-----END IMMURE KEY REFERENCE-----\n";
    assert_string_equal(pem + strlen(pem) - strlen(last), last);
}

/* The exact bytes, so that no later version changes the encoding. */
static void test_bytes(void **state)
{
    (void)state;
    static const uint8_t tiny_spki[] = {0x30, 0x02, 0x05, 0x00};
    static const uint8_t expected[] = {
        0x30, 0x2e, 0x02, 0x01, 0x01, 0x0c, 0x03, '/', 'r', 'x', 0x04, 0x20, 1,    1,   1, 1, 1,
        1,    1,    1,    1,    1,    1,    1,    1,   1,   1,   1,    1,    1,    1,   1, 1, 1,
        1,    1,    1,    1,    1,    1,    1,    1,   1,   1,   0x30, 0x02, 0x05, 0x00};
    struct immure_reference reference = {
        .socket = "/rx", .spki = tiny_spki, .spki_length = sizeof tiny_spki};
    uint8_t der[IMMURE_REFERENCE_DER_MAX];
    char pem[IMMURE_REFERENCE_PEM_SIZE];
    size_t length;
    memset(reference.key_id, 1, sizeof reference.key_id);
    assert_int_equal(immure_reference_write_der(&reference, der, &length), IMMURE_REFERENCE_OK);
    assert_int_equal(length, sizeof expected);
    assert_memory_equal(der, expected, sizeof expected);
    assert_int_equal(immure_reference_write_pem(&reference, pem), IMMURE_REFERENCE_OK);
    assert_string_equal(pem, "-----BEGIN IMMURE KEY REFERENCE-----\n"
                             "MC4CAQEMAy9yeAQgAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEwAgUA\n"
                             "-----END IMMURE KEY REFERENCE-----\n");
}

static void test_every_cut_of_der(void **state)
{
    (void)state;
    struct immure_reference reference = make_reference(294);
    uint8_t der[IMMURE_REFERENCE_DER_MAX];
    size_t length;
    assert_int_equal(immure_reference_write_der(&reference, der, &length), IMMURE_REFERENCE_OK);
    for (size_t cut = 0; cut < length; cut++)
        assert_int_equal(parse_der(der, cut), IMMURE_REFERENCE_E_DER);
    der[length] = 0;
    assert_int_equal(parse_der(der, length + 1), IMMURE_REFERENCE_E_DER);
}

static void test_every_other_byte_of_der(void **state)
{
    (void)state;
    struct immure_reference reference = make_reference(294);
    uint8_t der[IMMURE_REFERENCE_DER_MAX];
    size_t length, refused = 0;
    assert_int_equal(immure_reference_write_der(&reference, der, &length), IMMURE_REFERENCE_OK);
    for (size_t i = 0; i < length; i++) {
        for (unsigned change = 1; change < 256; change++) {
            der[i] = (uint8_t)(der[i] ^ change);
            refused += parse_der(der, length) != IMMURE_REFERENCE_OK;
            der[i] = (uint8_t)(der[i] ^ change);
        }
    }
    /* all of the headers' bytes: SEQUENCE, INTEGER with its value, two short ones, SEQUENCE */
    assert_true(refused >= 255 * (4 + 3 + 2 + 2 + 4));
}

static void test_every_cut_of_pem(void **state)
{
    (void)state;
    struct immure_reference reference = make_reference(294), read;
    uint8_t der[IMMURE_REFERENCE_DER_MAX];
    char pem[IMMURE_REFERENCE_PEM_SIZE];
    assert_int_equal(immure_reference_write_pem(&reference, pem), IMMURE_REFERENCE_OK);
    size_t begin = strlen("-----BEGIN " IMMURE_REFERENCE_LABEL "-----");
    for (size_t cut = 0; cut < strlen(pem) - 1; cut++)
        assert_int_equal(parse_pem(&read, pem, cut, der),
                         cut < begin ? IMMURE_REFERENCE_E_ABSENT : IMMURE_REFERENCE_E_BASE64);
    /* the last line's end may be missing */
    assert_int_equal(parse_pem(&read, pem, strlen(pem) - 1, der), IMMURE_REFERENCE_OK);
}

static void test_every_other_character_of_pem(void **state)
{
    (void)state;
    struct immure_reference reference = make_reference(295), read;
    uint8_t der[IMMURE_REFERENCE_DER_MAX], again[IMMURE_REFERENCE_DER_MAX];
    char pem[IMMURE_REFERENCE_PEM_SIZE];
    size_t length;
    assert_int_equal(immure_reference_write_pem(&reference, pem), IMMURE_REFERENCE_OK);
    for (size_t i = 0; i < strlen(pem); i++) {
        char was = pem[i];
        for (int other = 0; other < 256; other++) {
            pem[i] = (char)other;
            if (parse_pem(&read, pem, IMMURE_REFERENCE_PEM_SIZE - 1, der) != IMMURE_REFERENCE_OK)
                continue;
            assert_int_equal(immure_reference_write_der(&read, again, &length),
                             IMMURE_REFERENCE_OK);
            assert_memory_equal(again, der, length);
        }
        pem[i] = was;
    }
}

struct refusal {
    const char *what;
    const uint8_t *der;
    size_t length;
    enum immure_reference_error error;
};

#define ID                                                                                         \
    "\x04\x20"                                                                                     \
    "0123456789abcdef0123456789abcdef"
#define REFUSAL(what_, bytes, error_)                                                              \
    {                                                                                              \
        what_, (const uint8_t *)(bytes), sizeof(bytes) - 1, error_                                 \
    }

static void test_refusals(void **state)
{
    (void)state;
    static const struct refusal refusals[] = {
        REFUSAL("nothing", "", IMMURE_REFERENCE_E_DER),
        REFUSAL("good, to compare", "\x30\x2e\x02\x01\x01\x0c\x03/rx" ID "\x30\x02\x05\x00",
                IMMURE_REFERENCE_OK),
        REFUSAL("another type", "\x31\x2e\x02\x01\x01\x0c\x03/rx" ID "\x30\x02\x05\x00",
                IMMURE_REFERENCE_E_DER),
        REFUSAL("indefinite length", "\x30\x80\x02\x01\x01\x0c\x03/rx" ID "\x30\x02\x05\x00\0\0",
                IMMURE_REFERENCE_E_DER),
        REFUSAL("a length that needs one byte in two",
                "\x30\x81\x2e\x02\x01\x01\x0c\x03/rx" ID "\x30\x02\x05\x00",
                IMMURE_REFERENCE_E_DER),
        REFUSAL("a length that needs one byte in three",
                "\x30\x82\x00\x2e\x02\x01\x01\x0c\x03/rx" ID "\x30\x02\x05\x00",
                IMMURE_REFERENCE_E_DER),
        REFUSAL("a length of four bytes",
                "\x30\x84\x00\x00\x00\x2e\x02\x01\x01\x0c\x03/rx" ID "\x30\x02\x05\x00",
                IMMURE_REFERENCE_E_DER),
        REFUSAL("version 2", "\x30\x2e\x02\x01\x02\x0c\x03/rx" ID "\x30\x02\x05\x00",
                IMMURE_REFERENCE_E_VERSION),
        REFUSAL("version 2, with other fields", "\x30\x05\x02\x01\x02\x05\x00",
                IMMURE_REFERENCE_E_VERSION),
        REFUSAL("version 257", "\x30\x06\x02\x02\x01\x01\x05\x00", IMMURE_REFERENCE_E_VERSION),
        REFUSAL("version -127", "\x30\x2e\x02\x01\x81\x0c\x03/rx" ID "\x30\x02\x05\x00",
                IMMURE_REFERENCE_E_DER),
        REFUSAL("version 1 in two bytes",
                "\x30\x2f\x02\x02\x00\x01\x0c\x03/rx" ID "\x30\x02\x05\x00",
                IMMURE_REFERENCE_E_DER),
        REFUSAL("a version of no bytes", "\x30\x2d\x02\x00\x0c\x03/rx" ID "\x30\x02\x05\x00",
                IMMURE_REFERENCE_E_DER),
        REFUSAL("no socket", "\x30\x2b\x02\x01\x01\x0c\x00" ID "\x30\x02\x05\x00",
                IMMURE_REFERENCE_E_SOCKET),
        REFUSAL("a name in the abstract namespace",
                "\x30\x2e\x02\x01\x01\x0c\x03@rx" ID "\x30\x02\x05\x00", IMMURE_REFERENCE_OK),
        REFUSAL("the root, which is no socket",
                "\x30\x2c\x02\x01\x01\x0c\x01/" ID "\x30\x02\x05\x00", IMMURE_REFERENCE_E_SOCKET),
        REFUSAL("a relative path", "\x30\x2e\x02\x01\x01\x0c\x03./x" ID "\x30\x02\x05\x00",
                IMMURE_REFERENCE_E_SOCKET),
        REFUSAL("a zero in the path", "\x30\x2e\x02\x01\x01\x0c\x03/\x00x" ID "\x30\x02\x05\x00",
                IMMURE_REFERENCE_E_SOCKET),
        REFUSAL("a line's end in the path",
                "\x30\x2e\x02\x01\x01\x0c\x03/\nx" ID "\x30\x02\x05\x00",
                IMMURE_REFERENCE_E_SOCKET),
        REFUSAL("a path as OCTET STRING", "\x30\x2e\x02\x01\x01\x04\x03/rx" ID "\x30\x02\x05\x00",
                IMMURE_REFERENCE_E_DER),
        REFUSAL("a short key id",
                "\x30\x10\x02\x01\x01\x0c\x03/rx\x04\x02"
                "ab\x30\x02\x05\x00",
                IMMURE_REFERENCE_E_KEY_ID),
        REFUSAL("no SubjectPublicKeyInfo", "\x30\x2a\x02\x01\x01\x0c\x03/rx" ID,
                IMMURE_REFERENCE_E_SPKI),
        REFUSAL("a SubjectPublicKeyInfo that is none",
                "\x30\x2e\x02\x01\x01\x0c\x03/rx" ID "\x04\x02\x05\x00", IMMURE_REFERENCE_E_SPKI),
        REFUSAL("a field too many", "\x30\x30\x02\x01\x01\x0c\x03/rx" ID "\x30\x02\x05\x00\x05\x00",
                IMMURE_REFERENCE_E_SPKI),
        REFUSAL("bytes behind the end",
                "\x30\x2e\x02\x01\x01\x0c\x03/rx" ID "\x30\x02\x05\x00\x05\x00",
                IMMURE_REFERENCE_E_DER),
    };
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        enum immure_reference_error error = parse_der(refusals[i].der, refusals[i].length);
        if (error != refusals[i].error)
            fail_msg("%s: %s", refusals[i].what, immure_reference_error_text(error));
    }
}

/* References that could not be read are not written either. */
static void test_refused_to_write(void **state)
{
    (void)state;
    uint8_t der[IMMURE_REFERENCE_DER_MAX];
    char pem[IMMURE_REFERENCE_PEM_SIZE];
    size_t length;
    struct immure_reference reference = make_reference(IMMURE_SPKI_MAX + 1);
    assert_int_equal(immure_reference_write_der(&reference, der, &length), IMMURE_REFERENCE_E_SPKI);
    assert_int_equal(immure_reference_write_pem(&reference, pem), IMMURE_REFERENCE_E_SPKI);
    reference = make_reference(294);
    reference.spki_length--;
    assert_int_equal(immure_reference_write_der(&reference, der, &length), IMMURE_REFERENCE_E_SPKI);
    reference = make_reference(294);
    memset(reference.socket, '/', sizeof reference.socket);
    assert_int_equal(immure_reference_write_der(&reference, der, &length),
                     IMMURE_REFERENCE_E_SOCKET);
    strcpy(reference.socket, "immured.sock");
    assert_int_equal(immure_reference_write_der(&reference, der, &length),
                     IMMURE_REFERENCE_E_SOCKET);
}

static void test_what_may_stand_around_it(void **state)
{
    (void)state;
#define TINY "MC4CAQEMAy9yeAQgAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEwAgUA"
#define FIRST "-----BEGIN IMMURE KEY REFERENCE-----"
#define LAST "-----END IMMURE KEY REFERENCE-----"
    static const struct {
        const char *text;
        enum immure_reference_error error;
    } texts[] = {
        {FIRST "\n" TINY "\n" LAST "\n", IMMURE_REFERENCE_OK},
        {FIRST "\r\n" TINY "\r\n" LAST "\r\n", IMMURE_REFERENCE_OK},
        {FIRST " \n\n" TINY " \t\n" LAST " ", IMMURE_REFERENCE_OK},
        {"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\nof the site:\n" FIRST
         "\n" TINY "\n" LAST "\n-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
         IMMURE_REFERENCE_OK},
        {"", IMMURE_REFERENCE_E_ABSENT},
        {" " FIRST "\n" TINY "\n" LAST "\n", IMMURE_REFERENCE_E_ABSENT},
        {"-----BEGIN PRIVATE KEY-----\n" TINY "\n-----END PRIVATE KEY-----\n",
         IMMURE_REFERENCE_E_ABSENT},
        {FIRST "\n" TINY "\n-----END CERTIFICATE-----\n", IMMURE_REFERENCE_E_BASE64},
        {FIRST "\n" TINY "=\n" LAST "\n", IMMURE_REFERENCE_E_BASE64},
        {FIRST "\n" TINY "====\n" LAST "\n", IMMURE_REFERENCE_E_BASE64},
        {FIRST "\n" TINY "AA==AAAA\n" LAST "\n", IMMURE_REFERENCE_E_BASE64},
        {FIRST "\n" TINY "AB==\n" LAST "\n", IMMURE_REFERENCE_E_BASE64},
        {FIRST "\n" TINY "AAA\n" LAST "\n", IMMURE_REFERENCE_E_BASE64},
        {FIRST "\n" TINY "AAA%\n" LAST "\n", IMMURE_REFERENCE_E_BASE64},
        {FIRST "\nComment: x\n\n" TINY "\n" LAST "\n", IMMURE_REFERENCE_E_BASE64},
        {FIRST "\n" TINY "AAAA\n" LAST "\n", IMMURE_REFERENCE_E_DER},
        {FIRST "\n" LAST "\n", IMMURE_REFERENCE_E_DER},
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct immure_reference reference;
        uint8_t der[IMMURE_REFERENCE_DER_MAX];
        enum immure_reference_error error =
            parse_pem(&reference, texts[i].text, strlen(texts[i].text), der);
        if (error != texts[i].error)
            fail_msg("%s: %s", texts[i].text, immure_reference_error_text(error));
        if (error == IMMURE_REFERENCE_OK)
            assert_string_equal(reference.socket, "/rx");
    }
}

/* However long a text is, no more than the length of a key reference is kept of it. */
static void test_a_text_without_an_end(void **state)
{
    (void)state;
    struct immure_reference reference;
    uint8_t der[IMMURE_REFERENCE_DER_MAX];
    static char text[1 << 16];
    memset(text, 'A', sizeof text);
    memcpy(text, FIRST "\n", strlen(FIRST "\n"));
    memcpy(text + sizeof text - strlen("\n" LAST), "\n" LAST, strlen("\n" LAST));
    assert_int_equal(parse_pem(&reference, text, sizeof text, der), IMMURE_REFERENCE_E_BASE64);
}

static void test_texts(void **state)
{
    (void)state;
    for (int error = IMMURE_REFERENCE_OK; error <= IMMURE_REFERENCE_E_SPKI; error++)
        assert_true(strlen(immure_reference_error_text((enum immure_reference_error)error)) > 0);
    assert_string_equal(immure_reference_error_text((enum immure_reference_error)99),
                        "unknown error");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_written_is_read),
        cmocka_unit_test(test_the_longest_fits),
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_every_cut_of_der),
        cmocka_unit_test(test_every_other_byte_of_der),
        cmocka_unit_test(test_every_cut_of_pem),
        cmocka_unit_test(test_every_other_character_of_pem),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_refused_to_write),
        cmocka_unit_test(test_what_may_stand_around_it),
        cmocka_unit_test(test_a_text_without_an_end),
        cmocka_unit_test(test_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
