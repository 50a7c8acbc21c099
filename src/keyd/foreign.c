#include "keyd/foreign.h"

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

/* Whether the length octets of X.690, section 8.1.3, say that the value ends where the message
 * does, or leave its end open. */
static bool der_ends_with_message(struct reader *reader)
{
    uint8_t first = read_u8(reader);
    if (first < 0x80)
        return !reader->failed && first == reader->left;
    if (first == 0x80)
        return true;
    if ((first & 0x7f) > sizeof(uint64_t))
        return false;
    uint64_t value = 0;
    for (unsigned count = first & 0x7f; count > 0; count--)
        value = value << 8 | read_u8(reader);
    return !reader->failed && value == reader->left;
}

#define DER_SEQUENCE 0x30
#define DER_SET 0x31

/*
 * A SEQUENCE or SET as long as the message that holds an OBJECT IDENTIFIER of the algorithms, names
 * and extensions of X.509. A certificate and a CRL name the algorithm they are signed by, a request
 * that of the key it is for, an OCSP response that of its hashes, and the signed attributes of CMS
 * are attributes of PKCS #9.
 */
static bool is_asn1(const uint8_t *message, size_t length)
{
    static const struct octets identifiers[] = {
        OCTETS("\x2a\x86\x48\x86\xf7\x0d"),             /* 1.2.840.113549: RSA, PKCS, MD5 */
        OCTETS("\x2a\x86\x48\xce\x3d"),                 /* 1.2.840.10045: EC, ECDSA */
        OCTETS("\x06\x03\x2b\x65\x70"),                 /* 1.3.101.112: Ed25519 */
        OCTETS("\x06\x05\x2b\x0e\x03\x02"),             /* 1.3.14.3.2: SHA-1 */
        OCTETS("\x60\x86\x48\x01\x65\x03\x04"),         /* 2.16.840.1.101.3.4: SHA-2, ML-DSA */
        OCTETS("\x06\x03\x55\x04"),                     /* 2.5.4: attributes of names */
        OCTETS("\x06\x03\x55\x1d"),                     /* 2.5.29: extensions */
        OCTETS("\x09\x92\x26\x89\x93\xf2\x2c\x64\x01"), /* 0.9.2342.19200300.100.1: domainComponent
                                                         */
    };
    struct reader reader = reader_of(message, length);
    uint8_t tag = read_u8(&reader);
    return (tag == DER_SEQUENCE || tag == DER_SET) && der_ends_with_message(&reader) &&
           contains_any(message, length, identifiers, sizeof identifiers / sizeof identifiers[0]);
}

/* RFC 4253, 4252, PROTOCOL.certkeys, PROTOCOL: a short string first, and one of these words. */
static bool is_ssh(const uint8_t *message, size_t length)
{
    static const struct octets words[] = {OCTETS("publickey"), OCTETS("-cert-v0"),
                                          OCTETS("hostkeys-prove")};
    return length > 3 && memcmp(message, "\0\0\0", 3) == 0 &&
           contains_any(message, length, words, sizeof words / sizeof words[0]);
}

/* Of the fixed text that some protocols begin with: PROTOCOL.sshsig; RFC 9052, section 4.4, behind
 * the header of an array and of a text; the drafts of QUIC crypto. */
static bool has_text(const uint8_t *message, size_t length)
{
    static const struct {
        size_t at;
        struct octets text;
    } texts[] = {{0, OCTETS("SSHSIG")},
                 {2, OCTETS("Signature")},
                 {2, OCTETS("CounterSignature")},
                 {0, OCTETS("QUIC ")}};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        if (length >= texts[i].at + texts[i].text.length &&
            memcmp(message + texts[i].at, texts[i].text.bytes, texts[i].text.length) == 0)
            return true;
    return false;
}

/* RFC 7296, section 2.15: AUTH begins with the whole IKE_SA_INIT message of its sender. */
static bool is_ikev2(const uint8_t *message, size_t length)
{
    enum { VERSION_AT = 17, IKE_SA_INIT = 34, VERSION_2 = 2 };
    return length > VERSION_AT + 6 && message[VERSION_AT] >> 4 == VERSION_2 &&
           message[VERSION_AT + 1] == IKE_SA_INIT &&
           memcmp(message + VERSION_AT + 3, "\0\0\0\0", 4) == 0; /* the message ID */
}

/* RFC 1035, section 3.1; in what is signed no name is compressed. */
static void read_domain_name(struct reader *reader)
{
    for (uint8_t length = read_u8(reader); length > 0 && !reader->failed; length = read_u8(reader))
        read_bytes(reader, length);
}

/* RFC 4034, section 3.1.8.1: RRSIG's RDATA, then records of the type covered and the original TTL,
 * up to the end. */
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

/* RFC 9580, section 5.2.4: behind the data a copy of the signature's first part, which begins with
 * the version, then version, 0xff and the length of that copy. */
static bool is_openpgp(const uint8_t *message, size_t length)
{
    enum { TRAILER = 6, LEAST = 6 };
    if (length < TRAILER + LEAST)
        return false;
    struct reader reader = reader_of(message + length - TRAILER, TRAILER);
    uint8_t version = read_u8(&reader), mark = read_u8(&reader);
    uint32_t copied = read_u32(&reader);
    return (version == 4 || version == 6) && mark == 0xff && copied >= LEAST &&
           copied <= length - TRAILER && message[length - TRAILER - copied] == version;
}

const char *foreign_find(const uint8_t *message, size_t length)
{
    static const struct {
        const char *reason;
        bool (*has_marks)(const uint8_t *message, size_t length);
    } structures[] = {
        {"could be a structure of X.509, PKCS #10, OCSP or CMS, too", is_asn1},
        {"could be a signature of SSH, too", is_ssh},
        {"could be a signature of SSH, COSE or QUIC, too", has_text},
        {"could be an AUTH of IKEv2, too", is_ikev2},
        {"could be an RRSIG of DNSSEC, too", is_rrsig},
        {"could be a signature of OpenPGP, too", is_openpgp},
    };
    for (size_t i = 0; i < sizeof structures / sizeof structures[0]; i++)
        if (structures[i].has_marks(message, length))
            return structures[i].reason;
    return NULL;
}
