#include "keyd/rules/foreign.h"

#include <stdbool.h>
#include <string.h>

#include "base/bytes.h"

struct octets {
    const char *bytes;
    size_t length;
};

#define OCTETS(literal)                                                                            \
    {                                                                                              \
        literal, sizeof(literal) - 1                                                               \
    }

static bool contains_any(const uint8_t *message, size_t length, const struct octets *any,
                         size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (memmem(message, length, any[i].bytes, any[i].length) != NULL)
            return true;
    return false;
}

#define DER_OBJECT_IDENTIFIER 0x06
#define DER_SEQUENCE 0x30
#define DER_SET 0x31

/*
 * Reads a tag as OpenSSL does (X.690, section 8.1.2): like the length, it may have more octets than
 * it needs, with zeros in front.
 */
static uint8_t read_tag(struct reader *reader)
{
    enum { NUMBER = 0x1f };
    uint8_t first = read_u8(reader);
    if ((first & NUMBER) != NUMBER)
        return first;
    uint8_t number;
    do
        number = read_u8(reader);
    while (number == 0x80);
    return number < NUMBER ? (uint8_t)((first & ~NUMBER) | number) : first;
}

/* X.690, section 8.1.3. A result above reader->left means that the element is cut off. */
static size_t read_length(struct reader *reader)
{
    uint8_t first = read_u8(reader);
    if (first < 0x80)
        return first;
    if (first == 0x80) /* the indefinite form */
        return reader->left;
    size_t length = 0;
    for (unsigned octets = first & 0x7f; octets > 0 && length <= reader->left; octets--)
        length = length << 8 | read_u8(reader);
    return length;
}

/* Whether it is an OBJECT IDENTIFIER of an algorithm, name or extension of X.509. */
static bool is_identifier(const uint8_t *value, size_t length)
{
    static const struct {
        struct octets start;
        size_t length; /* of the whole identifier; 0: any */
    } identifiers[] = {
        {OCTETS("\x2a\x86\x48\x86\xf7\x0d"), 0},             /* 1.2.840.113549: RSA, PKCS, MD5 */
        {OCTETS("\x2a\x86\x48\xce\x3d"), 0},                 /* 1.2.840.10045: EC, ECDSA */
        {OCTETS("\x2b\x65\x70"), 3},                         /* 1.3.101.112: Ed25519 */
        {OCTETS("\x2b\x0e\x03\x02"), 5},                     /* 1.3.14.3.2: SHA-1 */
        {OCTETS("\x60\x86\x48\x01\x65\x03\x04"), 0},         /* 2.16.840.1.101.3.4: SHA-2, ML-DSA */
        {OCTETS("\x55\x04"), 3},                             /* 2.5.4: attributes of names */
        {OCTETS("\x55\x1d"), 3},                             /* 2.5.29: extensions */
        {OCTETS("\x09\x92\x26\x89\x93\xf2\x2c\x64\x01"), 0}, /* 0.9.2342.19200300.100.1:
                                                               domainComponent */
    };
    for (size_t i = 0; i < sizeof identifiers / sizeof identifiers[0]; i++)
        if (length >= identifiers[i].start.length &&
            (identifiers[i].length == 0 || identifiers[i].length == length) &&
            memcmp(value, identifiers[i].start.bytes, identifiers[i].start.length) == 0)
            return true;
    return false;
}

static bool holds_identifier(const uint8_t *message, size_t length)
{
    for (size_t at = 0; at < length; at++) {
        struct reader reader = reader_of(message + at, length - at);
        if (read_tag(&reader) != DER_OBJECT_IDENTIFIER)
            continue;
        size_t size = read_length(&reader);
        const uint8_t *value = read_bytes(&reader, size);
        if (value != NULL && is_identifier(value, size))
            return true;
    }
    return false;
}

/*
 * A SEQUENCE or SET that is as long as the message and holds such an OBJECT IDENTIFIER. Each signed
 * structure has one: a certificate and a CRL name the signature algorithm, a certificate request
 * names the key's algorithm, an OCSP response names its hash algorithm, and the signed attributes
 * of CMS are attributes of PKCS #9.
 */
static bool is_asn1(const uint8_t *message, size_t length)
{
    struct reader reader = reader_of(message, length);
    uint8_t tag = read_tag(&reader);
    size_t size = read_length(&reader);
    return (tag == DER_SEQUENCE || tag == DER_SET) && size == reader.left && !reader.failed &&
           holds_identifier(reader.next, reader.left);
}

/* RFC 4252 and OpenSSH's PROTOCOL.certkeys and PROTOCOL: the message begins with a short string and
 * contains one of these words. */
static bool is_ssh(const uint8_t *message, size_t length)
{
    static const struct octets words[] = {OCTETS("publickey"), OCTETS("hostbased"),
                                          OCTETS("-cert-v0"), OCTETS("hostkeys-prove")};
    return length > 3 && memcmp(message, "\0\0\0", 3) == 0 &&
           contains_any(message, length, words, sizeof words / sizeof words[0]);
}

/* Some protocols begin with a fixed text: OpenSSH's PROTOCOL.sshsig and PROTOCOL.krl; COSE (RFC
 * 9052, section 4.4), after the headers of an array and a text; the drafts of QUIC crypto; and
 * TPMS_ATTEST of TPM 2.0 (part 2, section 10.12.12). */
static bool has_text(const uint8_t *message, size_t length)
{
    static const struct {
        size_t at;
        struct octets text;
    } texts[] = {{0, OCTETS("SSHSIG")},    {0, OCTETS("SSHKRL")},
                 {2, OCTETS("Signature")}, {2, OCTETS("CounterSignature")},
                 {0, OCTETS("QUIC ")},     {0, OCTETS("\xffTCG\x80")}};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        if (length >= texts[i].at + texts[i].text.length &&
            memcmp(message + texts[i].at, texts[i].text.bytes, texts[i].text.length) == 0)
            return true;
    return false;
}

/* RFC 7797: a header in base64url that declares an unencoded payload, a dot, and any bytes. */
static bool is_unencoded_jws(const uint8_t *message, size_t length)
{
    static const char base64url[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    enum { LEAST = 18 }; /* {"b64":false} */
    size_t at = 0;
    while (at < length && memchr(base64url, message[at], sizeof base64url - 1) != NULL)
        at++;
    return at >= LEAST && at < length && message[at] == '.';
}

/* RFC 7296, section 2.15: AUTH begins with the whole IKE_SA_INIT message of its sender. */
static bool is_ikev2(const uint8_t *message, size_t length)
{
    enum { VERSION_AT = 17, IKE_SA_INIT = 34, VERSION_2 = 2 };
    return length > VERSION_AT + 6 && message[VERSION_AT] >> 4 == VERSION_2 &&
           message[VERSION_AT + 1] == IKE_SA_INIT &&
           memcmp(message + VERSION_AT + 3, "\0\0\0\0", 4) == 0; /* the message ID */
}

/* RFC 1035, section 3.1. Signed data has no compressed names. */
static void read_domain_name(struct reader *reader)
{
    for (uint8_t length = read_u8(reader); length > 0 && !reader->failed; length = read_u8(reader))
        read_bytes(reader, length);
}

/* RFC 4034, section 3.1.8.1: the RDATA of an RRSIG, then to the end records that have the covered
 * type and the original TTL. */
static bool is_rrsig(const uint8_t *message, size_t length)
{
    struct reader reader = reader_of(message, length);
    uint16_t type = read_u16(&reader);
    read_u16(&reader); /* algorithm, labels */
    uint32_t ttl = read_u32(&reader);
    read_bytes(&reader, 4 + 4 + 2); /* expiration, inception, key tag */
    read_domain_name(&reader);
    do {
        read_domain_name(&reader);
        bool same_type = read_u16(&reader) == type;
        read_u16(&reader); /* class */
        if (!same_type || read_u32(&reader) != ttl)
            return false;
        read_bytes(&reader, read_u16(&reader));
    } while (!reader.failed && reader.left > 0);
    return reader_done(&reader);
}

/* RFC 2931, section 3.1: the RDATA of a SIG that covers no type and no labels, up to the signer's
 * name, then a DNS message, which may have any ID and flags but has four small counts. */
static bool is_sig0(const uint8_t *message, size_t length)
{
    struct reader reader = reader_of(message, length);
    bool none = read_u16(&reader) == 0; /* type */
    read_u8(&reader);                   /* algorithm */
    none &= read_u8(&reader) == 0;      /* labels */
    read_bytes(&reader, 4 + 4 + 4 + 2); /* TTL, expiration, inception, key tag */
    read_domain_name(&reader);
    read_u32(&reader); /* ID and flags */
    for (unsigned counts = 4; counts > 0; counts--)
        none &= read_u16(&reader) <= UINT8_MAX;
    return none && !reader.failed;
}

/* RFC 9580, section 5.2.4, and draft-koch-librepgp for version 5: the data is followed by a copy of
 * the signature's first part, which begins with the version, then by the version, 0xff and the
 * length of that copy. */
static bool has_openpgp_trailer(const uint8_t *message, size_t length, unsigned version,
                                size_t length_size)
{
    enum { LEAST = 6 };
    size_t trailer = 2 + length_size;
    if (length < trailer + LEAST)
        return false;
    size_t before = length - trailer;
    struct reader reader = reader_of(message + before, trailer);
    bool marked = read_u8(&reader) == version && read_u8(&reader) == 0xff;
    uint64_t copied = length_size == 4 ? read_u32(&reader) : read_u64(&reader);
    return marked && copied >= LEAST && copied <= before && message[before - copied] == version;
}

static bool is_openpgp(const uint8_t *message, size_t length)
{
    return has_openpgp_trailer(message, length, 4, 4) ||
           has_openpgp_trailer(message, length, 5, 8) || has_openpgp_trailer(message, length, 6, 4);
}

const char *foreign_find(const uint8_t *message, size_t length)
{
    static const struct {
        const char *reason;
        bool (*has_marks)(const uint8_t *message, size_t length);
    } structures[] = {
        {"could be a structure of X.509, PKCS #10, OCSP or CMS, too", is_asn1},
        {"could be a signature of SSH, too", is_ssh},
        {"could be a signature of SSH, COSE, QUIC or a TPM, too", has_text},
        {"could be a JWS of an unencoded payload, too", is_unencoded_jws},
        {"could be an AUTH of IKEv2, too", is_ikev2},
        {"could be an RRSIG of DNSSEC, too", is_rrsig},
        {"could be a SIG(0) of DNS, too", is_sig0},
        {"could be a signature of OpenPGP, too", is_openpgp},
    };
    for (size_t i = 0; i < sizeof structures / sizeof structures[0]; i++)
        if (structures[i].has_marks(message, length))
            return structures[i].reason;
    return NULL;
}
