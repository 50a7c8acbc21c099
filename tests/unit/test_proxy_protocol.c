/* Reading and writing PROXY headers: version 1, version 2 and its TLVs. */
#include "proxy/worker/route/server_name.h"
#include "proxy/worker/transport/proxy_protocol.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/x509v3.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include <cmocka.h>

#define V2_SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define IPV6_LONGEST "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"

struct text {
    const char *bytes;
    size_t length;
};
#define TEXT(literal)                                                                              \
    {                                                                                              \
        literal, sizeof(literal) - 1                                                               \
    }

/* Parses a copy of exactly this size, so that a sanitizer detects a read beyond its end. */
static enum proxy_header_result parse(const void *bytes, size_t length, enum proxy_protocol accept,
                                      struct proxy_addresses *addresses, size_t *used)
{
    uint8_t *copy = malloc(length > 0 ? length : 1);
    assert_non_null(copy);
    memcpy(copy, bytes, length);
    struct proxy_header header = {0};
    enum proxy_header_result result = proxy_header_parse(copy, length, accept, addresses, &header);
    *used = header.length;
    if (header.tlvs.length > 0)
        assert_ptr_equal(header.tlvs.bytes + header.tlvs.length, copy + header.length);
    free(copy);
    return result;
}

static void assert_address(const struct sockaddr_storage *address, const char *ip, uint16_t port)
{
    char text[INET6_ADDRSTRLEN];
    const struct sockaddr_in *in = (const struct sockaddr_in *)address;
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)address;
    bool v4 = address->ss_family == AF_INET;
    assert_true(v4 || address->ss_family == AF_INET6);
    inet_ntop(address->ss_family, v4 ? (const void *)&in->sin_addr : &in6->sin6_addr, text,
              sizeof text);
    assert_string_equal(text, ip);
    assert_int_equal(ntohs(v4 ? in->sin_port : in6->sin6_port), port);
}

static struct sockaddr_storage address_of(const char *ip, uint16_t port)
{
    struct sockaddr_storage address = {0};
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    if (inet_pton(AF_INET, ip, &in.sin_addr) == 1) {
        memcpy(&address, &in, sizeof in);
    } else {
        assert_int_equal(inet_pton(AF_INET6, ip, &in6.sin6_addr), 1);
        memcpy(&address, &in6, sizeof in6);
    }
    return address;
}

static const struct accepted {
    struct text header;
    const char *source; /* NULL: the header changes no address */
    const char *destination;
    enum proxy_protocol version;
    uint16_t source_port, destination_port;
} accepted[] = {
    /* The longest line of each kind, from the specification, and its example. */
    {TEXT("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n"), "255.255.255.255",
     "255.255.255.255", PROXY_PROTOCOL_V1, 65535, 65535},
    {TEXT("PROXY TCP6 " IPV6_LONGEST " " IPV6_LONGEST " 65535 65535\r\n"), IPV6_LONGEST,
     IPV6_LONGEST, PROXY_PROTOCOL_V1, 65535, 65535},
    {TEXT("PROXY UNKNOWN\r\n"), NULL, NULL, PROXY_PROTOCOL_V1, 0, 0},
    {TEXT("PROXY UNKNOWN " IPV6_LONGEST " " IPV6_LONGEST " 65535 65535\r\n"), NULL, NULL,
     PROXY_PROTOCOL_V1, 0, 0},
    {TEXT("PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n"), "192.168.0.1", "192.168.0.11",
     PROXY_PROTOCOL_V1, 56324, 443},
    {TEXT("PROXY TCP6 ::1 2001:db8::2 0 1\r\n"), "::1", "2001:db8::2", PROXY_PROTOCOL_V1, 0, 1},
    {TEXT(V2_SIGNATURE "\x21\x11\x00\x0c\xc0\x00\x02\x01\xc0\x00\x02\x02\x9c\x40\x01\xbb"),
     "192.0.2.1", "192.0.2.2", PROXY_PROTOCOL_V2, 40000, 443},
    {TEXT(V2_SIGNATURE "\x21\x21\x00\x24"
                       "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01"
                       "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x02"
                       "\x9c\x40\x01\xbb"),
     "2001:db8::1", "2001:db8::2", PROXY_PROTOCOL_V2, 40000, 443},
    /* TLVs are skipped, including an unknown one and an empty one. */
    {TEXT(V2_SIGNATURE "\x21\x11\x00\x17\xc0\x00\x02\x01\xc0\x00\x02\x02\x9c\x40\x01\xbb"
                       "\x01\x00\x02h2\xe0\x00\x00\x04\x00\x00"),
     "192.0.2.1", "192.0.2.2", PROXY_PROTOCOL_V2, 40000, 443},
    /* A correct checksum between other TLVs. */
    {TEXT(V2_SIGNATURE "\x21\x11\x00\x1c\xc0\x00\x02\x01\xc0\x00\x02\x02\x9c\x40\x01\xbb"
                       "\xea\x00\x01x\x03\x00\x04\x04\x77\x76\x71\xe0\x00\x02yz"),
     "192.0.2.1", "192.0.2.2", PROXY_PROTOCOL_V2, 40000, 443},
    /* LOCAL, also with a family and a body, UNSPEC, and datagrams: UDP over both, and AF_UNIX. */
    {TEXT(V2_SIGNATURE "\x20\x00\x00\x00"), NULL, NULL, PROXY_PROTOCOL_V2, 0, 0},
    {TEXT(V2_SIGNATURE "\x20\x11\x00\x03\xff\xff\xff"), NULL, NULL, PROXY_PROTOCOL_V2, 0, 0},
    {TEXT(V2_SIGNATURE "\x21\x00\x00\x05\x01\x02\x03\x04\x05"), NULL, NULL, PROXY_PROTOCOL_V2, 0,
     0},
    {TEXT(V2_SIGNATURE "\x21\x12\x00\x0c\xc0\x00\x02\x01\xc0\x00\x02\x02\x9c\x40\x01\xbb"), NULL,
     NULL, PROXY_PROTOCOL_V2, 0, 0},
    {TEXT(V2_SIGNATURE "\x21\x22\x00\x00"), NULL, NULL, PROXY_PROTOCOL_V2, 0, 0},
    {TEXT(V2_SIGNATURE "\x21\x32\x00\x01\xff"), NULL, NULL, PROXY_PROTOCOL_V2, 0, 0},
};
#define ACCEPTED (sizeof accepted / sizeof accepted[0])

static void test_accepted(void **state)
{
    (void)state;
    for (size_t i = 0; i < ACCEPTED; i++) {
        const struct accepted *is = &accepted[i];
        uint8_t stream[512];
        memcpy(stream, is->header.bytes, is->header.length);
        static const uint8_t client_hello[] = {22, 3, 1, '\r', '\n'};
        memcpy(stream + is->header.length, client_hello, sizeof client_hello);
        enum proxy_protocol accept[] = {is->version, PROXY_PROTOCOL_ANY};
        for (size_t j = 0; j < 2; j++) {
            struct proxy_addresses addresses = {address_of("10.0.0.1", 1),
                                                address_of("10.0.0.2", 2)};
            size_t used = 0;
            assert_int_equal(parse(stream, is->header.length + sizeof client_hello, accept[j],
                                   &addresses, &used),
                             PROXY_HEADER_DONE);
            assert_int_equal(used, is->header.length);
            bool kept = is->source == NULL;
            assert_address(&addresses.source, kept ? "10.0.0.1" : is->source,
                           kept ? 1 : is->source_port);
            assert_address(&addresses.destination, kept ? "10.0.0.2" : is->destination,
                           kept ? 2 : is->destination_port);
        }
    }
}

static void test_cut_at_every_byte(void **state)
{
    (void)state;
    for (size_t i = 0; i < ACCEPTED; i++)
        for (size_t length = 0; length < accepted[i].header.length; length++) {
            struct proxy_addresses addresses = {0}, untouched = {0};
            size_t used = 0;
            assert_int_equal(
                parse(accepted[i].header.bytes, length, PROXY_PROTOCOL_ANY, &addresses, &used),
                PROXY_HEADER_MORE);
            assert_memory_equal(&addresses, &untouched, sizeof addresses);
        }
}

/* Whatever a single wrong byte does to a header: the result never points beyond the input, and the
 * header is never longer than the input. */
static void test_every_byte_corrupted(void **state)
{
    (void)state;
    for (size_t i = 0; i < ACCEPTED; i++)
        for (size_t at = 0; at < accepted[i].header.length; at++)
            for (unsigned value = 0; value < 256; value++) {
                uint8_t bytes[512];
                size_t length = accepted[i].header.length, used = 0;
                struct proxy_addresses addresses;
                memcpy(bytes, accepted[i].header.bytes, length);
                bytes[at] = (uint8_t)value;
                enum proxy_header_result result =
                    parse(bytes, length, PROXY_PROTOCOL_ANY, &addresses, &used);
                if (result == PROXY_HEADER_DONE)
                    assert_in_range(used, 1, length);
                bool signature = at < (accepted[i].version == PROXY_PROTOCOL_V1 ? 6 : 12);
                if (signature && value != (uint8_t)accepted[i].header.bytes[at])
                    assert_int_equal(result, PROXY_HEADER_BAD);
            }
}

static void test_refused(void **state)
{
    (void)state;
    static const struct text refused[] = {
        TEXT("GET / HTTP/1.1\r\n"),
        TEXT("\x16\x03\x01\x02\x00"),
        TEXT("PROXY\r\n"),
        TEXT("PROXY \r\n"),
        TEXT("PROXY UNKNOWNX\r\n"),
        TEXT("PROXY UNKNOWN\n"),
        TEXT("PROXY TCP4\r\n"),
        TEXT("PROXY TCP5 192.0.2.1 192.0.2.2 1 2\r\n"),
        TEXT("PROXY tcp4 192.0.2.1 192.0.2.2 1 2\r\n"),
        TEXT("PROXY TCP4 192.0.2.1 192.0.2.2 1\r\n"),
        TEXT("PROXY TCP4 192.0.2.1 192.0.2.2 1 2 3\r\n"),
        TEXT("PROXY TCP4 192.0.2.1 192.0.2.2 1 2 \r\n"),
        TEXT("PROXY TCP4  192.0.2.1 192.0.2.2 1 2\r\n"),
        TEXT("PROXY TCP4 192.0.2.1 192.0.2.2 1 65536\r\n"),
        TEXT("PROXY TCP4 192.0.2.1 192.0.2.2 01 2\r\n"),
        TEXT("PROXY TCP4 192.0.2.1 192.0.2.2 +1 2\r\n"),
        TEXT("PROXY TCP4 192.0.2.1 192.0.2.2 -1 2\r\n"),
        TEXT("PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\r\n"),
        TEXT("PROXY TCP4 192.0.2.1 192.0.2.2 1 2\n"),
        TEXT("PROXY TCP4 192.0.2.1\0 192.0.2.2 1 2\r\n"),
        TEXT("PROXY TCP4 192.0.2 192.0.2.2 1 2\r\n"),
        TEXT("PROXY TCP4 ::1 ::2 1 2\r\n"),
        TEXT("PROXY TCP6 192.0.2.1 192.0.2.2 1 2\r\n"),
        /* 108 bytes are one too many. 107 bytes without CR LF leave no room for it. */
        TEXT("PROXY UNKNOWN " IPV6_LONGEST " " IPV6_LONGEST " 65535 65535 \r\n"),
        TEXT("PROXY UNKNOWN " IPV6_LONGEST " " IPV6_LONGEST " 65535 65535  "),
        /* Versions 1 and 3, command 2, families and protocols that do not exist. */
        TEXT(V2_SIGNATURE "\x11\x11\x00\x00"),
        TEXT(V2_SIGNATURE "\x31\x11\x00\x00"),
        TEXT(V2_SIGNATURE "\x22\x11\x00\x00"),
        TEXT(V2_SIGNATURE "\x21\x41\x00\x00"),
        TEXT(V2_SIGNATURE "\x21\x10\x00\x00"),
        TEXT(V2_SIGNATURE "\x21\x13\x00\x00"),
        TEXT(V2_SIGNATURE "\x21\x01\x00\x00"),
        /* A wrong checksum, one of three bytes, and a second one beside a correct one. */
        TEXT(V2_SIGNATURE "\x21\x11\x00\x1c\xc0\x00\x02\x01\xc0\x00\x02\x02\x9c\x40\x01\xbb"
                          "\xea\x00\x01x\x03\x00\x04\x04\x77\x76\x71\xe0\x00\x02yy"),
        TEXT(V2_SIGNATURE "\x21\x11\x00\x12\xc0\x00\x02\x01\xc0\x00\x02\x02\x9c\x40\x01\xbb"
                          "\x03\x00\x03\x00\x00\x00"),
        TEXT(V2_SIGNATURE "\x21\x11\x00\x1a\xc0\x00\x02\x01\xc0\x00\x02\x02\x9c\x40\x01\xbb"
                          "\x03\x00\x04\x3e\xc0\x44\xfc\x03\x00\x04\x00\x00\x00\x00"),
        /* An address block, a TLV header and a TLV value that go beyond the header's length. */
        TEXT(V2_SIGNATURE "\x21\x11\x00\x0b\xc0\x00\x02\x01\xc0\x00\x02\x02\x9c\x40\x01"),
        TEXT(V2_SIGNATURE "\x21\x11\x00\x0e\xc0\x00\x02\x01\xc0\x00\x02\x02\x9c\x40\x01\xbb\x01"
                          "\x00"),
        TEXT(V2_SIGNATURE "\x21\x11\x00\x10\xc0\x00\x02\x01\xc0\x00\x02\x02\x9c\x40\x01\xbb\x01"
                          "\x00\x02h"),
        /* Longer than PROXY_HEADER_MAX. */
        TEXT(V2_SIGNATURE "\x21\x11\x3f\xf1"),
        TEXT(V2_SIGNATURE "\x21\x11\xff\xff"),
    };
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        struct proxy_addresses addresses = {0}, untouched = {0};
        size_t used = 0;
        assert_int_equal(
            parse(refused[i].bytes, refused[i].length, PROXY_PROTOCOL_ANY, &addresses, &used),
            PROXY_HEADER_BAD);
        assert_memory_equal(&addresses, &untouched, sizeof addresses);
    }
}

static void test_only_the_version_asked_for(void **state)
{
    (void)state;
    for (size_t i = 0; i < ACCEPTED; i++) {
        struct proxy_addresses addresses;
        size_t used;
        enum proxy_protocol other =
            accepted[i].version == PROXY_PROTOCOL_V1 ? PROXY_PROTOCOL_V2 : PROXY_PROTOCOL_V1;
        for (size_t length = 1; length <= accepted[i].header.length; length++)
            assert_int_equal(parse(accepted[i].header.bytes, length, other, &addresses, &used),
                             PROXY_HEADER_BAD);
    }
}

/* The version is known as soon as one byte distinguishes it, whatever follows the signature. */
static void test_version_of_a_beginning(void **state)
{
    (void)state;
    static const uint8_t hello[] = {22, 3, 1, 0, 200};
    for (size_t i = 0; i < ACCEPTED; i++)
        for (size_t length = 1; length <= accepted[i].header.length; length++)
            assert_int_equal(
                proxy_header_version((const uint8_t *)accepted[i].header.bytes, length),
                accepted[i].version);
    assert_int_equal(proxy_header_version(hello, sizeof hello), PROXY_PROTOCOL_NONE);
    assert_int_equal(proxy_header_version((const uint8_t *)"PROXY", 5), PROXY_PROTOCOL_V1);
    assert_int_equal(proxy_header_version((const uint8_t *)"PRO3Y", 5), PROXY_PROTOCOL_NONE);
}

static void test_longest_v2(void **state)
{
    (void)state;
    uint8_t header[PROXY_HEADER_MAX] = V2_SIGNATURE "\x21\x00\x3f\xf0";
    struct proxy_addresses addresses;
    size_t used;
    assert_int_equal(parse(header, PROXY_HEADER_MAX, PROXY_PROTOCOL_V2, &addresses, &used),
                     PROXY_HEADER_DONE);
    assert_int_equal(used, PROXY_HEADER_MAX);
    assert_int_equal(parse(header, PROXY_HEADER_MAX - 1, PROXY_PROTOCOL_V2, &addresses, &used),
                     PROXY_HEADER_MORE);
}

/* A header that is made is as in the specification, and parsing it gives what it was made from. */
static void test_round_trip(void **state)
{
    (void)state;
    static const struct {
        const char *source, *destination;
        const char *told_source, *told_destination; /* NULL: unknown */
        const char *v1;
    } cases[] = {
        {"192.168.0.1", "192.168.0.11", "192.168.0.1", "192.168.0.11",
         "PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n"},
        {"2001:db8::1", "::1", "2001:db8::1", "::1", "PROXY TCP6 2001:db8::1 ::1 56324 443\r\n"},
        {"::ffff:192.0.2.1", "::ffff:192.0.2.2", "192.0.2.1", "192.0.2.2",
         "PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\n"},
        {"::ffff:192.0.2.1", "192.0.2.2", "192.0.2.1", "192.0.2.2",
         "PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\n"},
        {"192.0.2.1", "2001:db8::1", NULL, NULL, "PROXY UNKNOWN\r\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct proxy_addresses from = {address_of(cases[i].source, 56324),
                                       address_of(cases[i].destination, 443)};
        uint8_t room[PROXY_HEADER_MADE_MAX];
        size_t length = proxy_header_make(room, PROXY_PROTOCOL_V1, &from, NULL, false, NULL, NULL);
        assert_int_equal(length, strlen(cases[i].v1));
        assert_memory_equal(room, cases[i].v1, length);

        for (enum proxy_protocol version = PROXY_PROTOCOL_V1; version <= PROXY_PROTOCOL_V2;
             version++) {
            struct proxy_addresses to = {0};
            size_t used = 0;
            length = proxy_header_make(room, version, &from, NULL, false, NULL, NULL);
            assert_int_equal(parse(room, length, version, &to, &used), PROXY_HEADER_DONE);
            assert_int_equal(used, length);
            if (cases[i].told_source == NULL) {
                assert_int_equal(to.source.ss_family, AF_UNSPEC);
                continue;
            }
            assert_address(&to.source, cases[i].told_source, 56324);
            assert_address(&to.destination, cases[i].told_destination, 443);
        }
    }
}

static void test_unix_round_trip(void **state)
{
    (void)state;
    struct sockaddr_un source = {.sun_family = AF_UNIX, .sun_path = "/run/client.sock"};
    struct sockaddr_un destination = {.sun_family = AF_UNIX};
    memset(destination.sun_path, 'x', sizeof destination.sun_path);
    struct proxy_addresses from = {0}, to = {0};
    memcpy(&from.source, &source, sizeof source);
    memcpy(&from.destination, &destination, sizeof destination);

    uint8_t room[PROXY_HEADER_MADE_MAX];
    size_t used,
        length = proxy_header_make(room, PROXY_PROTOCOL_V2, &from, NULL, false, NULL, NULL);
    assert_int_equal(length, 16 + 216);
    assert_int_equal(parse(room, length, PROXY_PROTOCOL_V2, &to, &used), PROXY_HEADER_DONE);
    assert_memory_equal(&from, &to, sizeof from);

    length = proxy_header_make(room, PROXY_PROTOCOL_V1, &from, NULL, false, NULL, NULL);
    assert_memory_equal(room, "PROXY UNKNOWN\r\n", length);
}

/* A TLS connection in memory, for the TLVs. */

static X509 *self_signed(EVP_PKEY *key)
{
    X509 *certificate = X509_new();
    X509_set_version(certificate, X509_VERSION_3);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -60);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    X509_set_pubkey(certificate, key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_ASC,
                               (const unsigned char *)"localhost", -1, -1, 0);
    X509_set_issuer_name(certificate, X509_get_subject_name(certificate));
    const EVP_MD *digest = EVP_PKEY_is_a(key, "ED25519") ? NULL : EVP_sha256();
    assert_true(X509_sign(certificate, key, digest) > 0);
    return certificate;
}

static int take_name(SSL *ssl, int *alert, void *arg)
{
    (void)alert, (void)arg;
    server_name_take(ssl);
    return SSL_CLIENT_HELLO_SUCCESS;
}

static int choose_h2(SSL *ssl, const unsigned char **out, unsigned char *length,
                     const unsigned char *in, unsigned in_length, void *arg)
{
    (void)ssl, (void)arg;
    static unsigned char h2[] = "\x02h2";
    return SSL_select_next_proto((unsigned char **)out, length, h2, 3, in, in_length) ==
                   OPENSSL_NPN_NEGOTIATED
               ? SSL_TLSEXT_ERR_OK
               : SSL_TLSEXT_ERR_NOACK;
}

struct tls_pair {
    SSL_CTX *server_context, *client_context;
    SSL *server, *client;
};

static struct tls_pair tls_pair_new(EVP_PKEY *key, int version, bool names)
{
    struct tls_pair pair = {SSL_CTX_new(TLS_server_method()), SSL_CTX_new(TLS_client_method()),
                            NULL, NULL};
    X509 *certificate = self_signed(key);
    assert_int_equal(SSL_CTX_use_certificate(pair.server_context, certificate), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(pair.server_context, key), 1);
    SSL_CTX_set_max_proto_version(pair.server_context, version);
    SSL_CTX_set_alpn_select_cb(pair.server_context, choose_h2, NULL);
    assert_true(server_name_init());
    SSL_CTX_set_client_hello_cb(pair.server_context, take_name, NULL);
    X509_free(certificate);

    pair.server = SSL_new(pair.server_context);
    pair.client = SSL_new(pair.client_context);
    if (names) {
        SSL_set_tlsext_host_name(pair.client, "www.example.org");
        assert_int_equal(SSL_set_alpn_protos(pair.client, (const uint8_t *)"\x02h2", 3), 0);
    }
    BIO *server_bio, *client_bio;
    assert_int_equal(BIO_new_bio_pair(&server_bio, 0, &client_bio, 0), 1);
    SSL_set_bio(pair.server, server_bio, server_bio);
    SSL_set_bio(pair.client, client_bio, client_bio);
    SSL_set_accept_state(pair.server);
    SSL_set_connect_state(pair.client);
    for (int turn = 0; turn < 10; turn++) {
        SSL_do_handshake(pair.client);
        SSL_do_handshake(pair.server);
    }
    assert_true(SSL_is_init_finished(pair.server) && SSL_is_init_finished(pair.client));
    return pair;
}

static void tls_pair_free(struct tls_pair *pair)
{
    SSL_free(pair->client);
    SSL_free(pair->server);
    SSL_CTX_free(pair->client_context);
    SSL_CTX_free(pair->server_context);
}

/* Returns the value of the first TLV of this type, or NULL. Checks the lengths of all before it. */
static const uint8_t *tlv_find(const uint8_t *tlvs, size_t length, uint8_t type, size_t *found)
{
    while (length > 0) {
        assert_true(length >= 3);
        size_t value = (size_t)tlvs[1] << 8 | tlvs[2];
        assert_true(length >= 3 + value);
        if (tlvs[0] == type) {
            *found = value;
            return tlvs + 3;
        }
        tlvs += 3 + value;
        length -= 3 + value;
    }
    return NULL;
}

static void assert_tlv(const uint8_t *tlvs, size_t length, uint8_t type, const char *expected)
{
    size_t found = 0;
    const uint8_t *value = tlv_find(tlvs, length, type, &found);
    if (expected == NULL) {
        assert_null(value);
        return;
    }
    assert_non_null(value);
    assert_int_equal(found, strlen(expected));
    assert_memory_equal(value, expected, found);
}

static void check_tlvs(EVP_PKEY *key, int version, const char *version_name, bool names,
                       const char *digest, const char *key_name)
{
    assert_non_null(key);
    struct tls_pair pair = tls_pair_new(key, version, names);
    struct proxy_addresses from = {address_of("192.0.2.1", 1), address_of("192.0.2.2", 2)}, to;
    uint8_t room[PROXY_HEADER_MADE_MAX];
    size_t used, length = proxy_header_make(room, PROXY_PROTOCOL_V2, &from, pair.server, false,
                                            server_name_of(pair.server), NULL);
    assert_int_equal(parse(room, length, PROXY_PROTOCOL_V2, &to, &used), PROXY_HEADER_DONE);
    assert_int_equal(used, length);

    const uint8_t *tlvs = room + 16 + 12;
    size_t tlvs_length = length - 16 - 12, inner = 0;
    assert_tlv(tlvs, tlvs_length, 0x01, names ? "h2" : NULL);
    assert_tlv(tlvs, tlvs_length, 0x02, names ? "www.example.org" : NULL);
    const uint8_t *ssl = tlv_find(tlvs, tlvs_length, 0x20, &inner);
    assert_non_null(ssl);
    assert_true(inner > 5);
    assert_memory_equal(ssl, "\x01\x00\x00\x00\x01", 5); /* over TLS; no certificate verified */
    assert_tlv(ssl + 5, inner - 5, 0x21, version_name);
    assert_tlv(ssl + 5, inner - 5, 0x22, NULL);
    assert_tlv(ssl + 5, inner - 5, 0x23, SSL_get_cipher_name(pair.client));
    assert_tlv(ssl + 5, inner - 5, 0x24, digest);
    assert_tlv(ssl + 5, inner - 5, 0x25, key_name);
    tls_pair_free(&pair);
    EVP_PKEY_free(key);
}

static void test_tlvs(void **state)
{
    (void)state;
    check_tlvs(EVP_RSA_gen(2048), TLS1_3_VERSION, "TLSv1.3", true, "SHA256", "RSA2048");
    check_tlvs(EVP_EC_gen("P-256"), TLS1_2_VERSION, "TLSv1.2", true, "SHA256", "EC256");
    check_tlvs(EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"), TLS1_3_VERSION, "TLSv1.3", false, NULL,
               "ED25519");
}

/* Parses a header of version 2 with two IPv4 addresses and these TLVs, and makes one that passes
 * them on. */
static size_t pass(const struct text *tlvs, uint8_t *made, SSL *ssl)
{
    static const char fixed[] = V2_SIGNATURE "\x21\x11";
    static const char ends[] = "\xc0\x00\x02\x01\xc0\x00\x02\x02\x9c\x40\x01\xbb";
    size_t rest = sizeof ends - 1 + tlvs->length, length = 16 + rest;
    uint8_t *bytes = malloc(length), *room = malloc(tlvs->length + 1);
    const uint8_t size[] = {(uint8_t)(rest >> 8), (uint8_t)rest};
    struct proxy_addresses addresses = {0};
    struct proxy_header header = {0};
    memcpy(bytes, fixed, sizeof fixed - 1);
    memcpy(bytes + 14, size, sizeof size);
    memcpy(bytes + 16, ends, sizeof ends - 1);
    memcpy(bytes + 16 + sizeof ends - 1, tlvs->bytes, tlvs->length);
    assert_int_equal(proxy_header_parse(bytes, length, PROXY_PROTOCOL_V2, &addresses, &header),
                     PROXY_HEADER_DONE);
    struct proxy_tlvs passed = {room, proxy_tlvs_pass(room, &header.tlvs)};
    size_t made_length = proxy_header_make(made, PROXY_PROTOCOL_V2, &addresses, ssl, false,
                                           ssl != NULL ? server_name_of(ssl) : NULL, &passed);
    free(bytes);
    free(room);
    return made_length;
}

static void test_tlvs_passed_on(void **state)
{
    (void)state;
    static const struct {
        struct text came, went;
    } cases[] = {
        {TEXT(""), TEXT("")},
        /* UNIQUE_ID, NETNS, a cloud provider's, an experimental and an empty one, in order. */
        {TEXT("\x05\0\4uniq\x30\0\3net\xea\0\5\1vpce\xe0\0\0\xee\0\1\0"),
         TEXT("\x05\0\4uniq\x30\0\3net\xea\0\5\1vpce\xe0\0\0\xee\0\1\0")},
        /* The same TLV twice. */
        {TEXT("\xe1\0\1a\xe1\0\1b"), TEXT("\xe1\0\1a\xe1\0\1b")},
        /* ALPN, AUTHORITY, SSL and NOOP between others. */
        {TEXT("\x01\0\2h2\xe1\0\1a\x02\0\1x\x20\0\5\1\0\0\0\0\x04\0\2..\xe2\0\1b"),
         TEXT("\xe1\0\1a\xe2\0\1b")},
        {TEXT("\x02\0\1x"), TEXT("")},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t made[PROXY_HEADER_MADE_MAX];
        struct proxy_addresses to;
        size_t used, length = pass(&cases[i].came, made, NULL);
        assert_int_equal(length, 16 + 12 + cases[i].went.length);
        assert_memory_equal(made + 16 + 12, cases[i].went.bytes, cases[i].went.length);
        assert_int_equal(parse(made, length, PROXY_PROTOCOL_V2, &to, &used), PROXY_HEADER_DONE);
        assert_int_equal(used, length);
    }
}

/* Our own part of the header, followed by as many TLVs as the longest header can contain. */
static void test_longest_passed_on(void **state)
{
    (void)state;
    static char tlv[PROXY_HEADER_MAX - 16 - 12] = "\xe0\x3f\xe1";
    const struct text tlvs = {tlv, sizeof tlv};
    uint8_t made[PROXY_HEADER_MADE_MAX];
    memset(tlv + 3, 'x', sizeof tlv - 3);
    EVP_PKEY *key = EVP_EC_gen("P-256");
    struct tls_pair pair = tls_pair_new(key, TLS1_3_VERSION, true);
    size_t length = pass(&tlvs, made, pair.server);
    assert_in_range(length, PROXY_HEADER_MAX + 1, PROXY_HEADER_MADE_MAX);
    assert_memory_equal(made + length - sizeof tlv, tlv, sizeof tlv);
    assert_int_equal(made[14] << 8 | made[15], length - 16);
    assert_tlv(made + 28, length - 28, 0x02, "www.example.org");
    tls_pair_free(&pair);
    EVP_PKEY_free(key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accepted),
        cmocka_unit_test(test_cut_at_every_byte),
        cmocka_unit_test(test_every_byte_corrupted),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_only_the_version_asked_for),
        cmocka_unit_test(test_version_of_a_beginning),
        cmocka_unit_test(test_longest_v2),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_unix_round_trip),
        cmocka_unit_test(test_tlvs),
        cmocka_unit_test(test_tlvs_passed_on),
        cmocka_unit_test(test_longest_passed_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
