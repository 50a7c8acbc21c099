#include "keyd/policy.h"

#include <string.h>

#include "base/bytes.h"

/* RFC 8446, section 4.4.3: spaces, context string, 0, transcript hash. */
#define TLS13_SPACES 64
#define TLS13_CONTEXT_SIZE 34 /* with the 0 that ends it, which a C string has anyway */
static const char server_context[TLS13_CONTEXT_SIZE] = "TLS 1.3, server CertificateVerify";
static const char client_context[TLS13_CONTEXT_SIZE] = "TLS 1.3, client CertificateVerify";

/* RFC 8422, section 5.4: client random, server random, ServerECDHParams. */
#define TLS12_RANDOMS 64
#define TLS12_NAMED_CURVE 3
#define POINT_UNCOMPRESSED 4
static const struct named_group {
    uint16_t number;
    uint8_t point_size;
    bool has_form; /* whether the first byte of the point says how it is written */
} named_groups[] = {
    {23, 65, true},  /* secp256r1 */
    {24, 97, true},  /* secp384r1 */
    {25, 133, true}, /* secp521r1 */
    {29, 32, false}, /* x25519 */
    {30, 56, false}, /* x448 */
};

/* RFC 5246, section 7.4 */
#define HANDSHAKE_CLIENT_HELLO 1
#define HANDSHAKE_CLIENT_KEY_EXCHANGE 16

static bool begins_with_spaces(const uint8_t *message, size_t length)
{
    static const char spaces[TLS13_SPACES + 1] =
        "                                                                ";
    return length >= TLS13_SPACES && memcmp(message, spaces, TLS13_SPACES) == 0;
}

static const char *check_tls13(const char *context, const char *wrong_context,
                               const struct wire_scheme *scheme, const char *group,
                               const uint8_t *message, size_t length)
{
    struct reader reader = reader_of(message, length);
    read_bytes(&reader, TLS13_SPACES);
    const uint8_t *said = read_bytes(&reader, TLS13_CONTEXT_SIZE);
    if (said == NULL || memcmp(said, context, TLS13_CONTEXT_SIZE) != 0)
        return wrong_context;
    if (reader.left != 32 && reader.left != 48)
        return "not a TLS handshake signature: transcript hash is not of 32 or 48 bytes";
    if (!scheme->tls13)
        return "not a TLS handshake signature: TLS 1.3 has no PKCS #1 v1.5";
    if (scheme->tls13_group != NULL && (group == NULL || strcmp(scheme->tls13_group, group) != 0))
        return "not a TLS handshake signature: TLS 1.3 binds this scheme to another curve";
    return NULL;
}

static const struct named_group *named_group_find(uint16_t number)
{
    for (size_t i = 0; i < sizeof named_groups / sizeof named_groups[0]; i++)
        if (named_groups[i].number == number)
            return &named_groups[i];
    return NULL;
}

static const char *check_tls12_server(const uint8_t *message, size_t length)
{
    struct reader reader = reader_of(message, length);
    read_bytes(&reader, TLS12_RANDOMS);
    unsigned curve_type = read_u8(&reader);
    uint16_t number = read_u16(&reader);
    size_t point_size = read_u8(&reader);
    if (reader.failed)
        return "not a TLS handshake signature: too short for randoms and ServerECDHParams";
    if (curve_type != TLS12_NAMED_CURVE)
        return "not a TLS handshake signature: ServerECDHParams do not name a curve";
    const struct named_group *group = named_group_find(number);
    if (group == NULL)
        return "not a TLS handshake signature: ServerECDHParams name a group that is not allowed";
    const uint8_t *point = read_bytes(&reader, point_size);
    if (point_size != group->point_size || !reader_done(&reader))
        return "not a TLS handshake signature: ServerECDHParams are not as long as their group's";
    if (group->has_form && point[0] != POINT_UNCOMPRESSED)
        return "not a TLS handshake signature: point of ServerECDHParams is not uncompressed";
    return NULL;
}

/* A client signs all handshake messages so far: ClientHello to its own ClientKeyExchange. */
static const char *check_tls12_client(const uint8_t *message, size_t length)
{
    struct reader reader = reader_of(message, length);
    unsigned type = read_u8(&reader);
    if (type != HANDSHAKE_CLIENT_HELLO)
        return "not a TLS handshake signature: does not begin with a ClientHello";
    read_bytes(&reader, read_u24(&reader));
    while (!reader.failed && reader.left > 0) {
        type = read_u8(&reader);
        read_bytes(&reader, read_u24(&reader));
    }
    if (reader.failed)
        return "not a TLS handshake signature: not a sequence of whole handshake messages";
    if (type != HANDSHAKE_CLIENT_KEY_EXCHANGE)
        return "not a TLS handshake signature: does not end with a ClientKeyExchange";
    return NULL;
}

static const char *check_tls13_server(const struct wire_scheme *scheme, const char *group,
                                      const uint8_t *message, size_t length)
{
    if (!begins_with_spaces(message, length))
        return "not a TLS handshake signature: does not begin with the 64 spaces of TLS 1.3";
    return check_tls13(server_context,
                       "not a TLS handshake signature: context string is not the server's", scheme,
                       group, message, length);
}

static const char *check_server(const struct wire_scheme *scheme, const char *group,
                                const uint8_t *message, size_t length)
{
    if (begins_with_spaces(message, length))
        return check_tls13_server(scheme, group, message, length);
    return check_tls12_server(message, length);
}

static const char *check_client(const struct wire_scheme *scheme, const char *group,
                                const uint8_t *message, size_t length)
{
    if (begins_with_spaces(message, length))
        return check_tls13(client_context,
                           "not a TLS handshake signature: context string is not the client's",
                           scheme, group, message, length);
    return check_tls12_client(message, length);
}

static const char *check_nothing(const struct wire_scheme *scheme, const char *group,
                                 const uint8_t *message, size_t length)
{
    (void)scheme, (void)group, (void)message, (void)length;
    return NULL;
}

static const struct {
    const char *name;
    const char *(*check)(const struct wire_scheme *scheme, const char *group,
                         const uint8_t *message, size_t length);
} policies[] = {
    [POLICY_TLS_SERVER] = {"tls-server", check_server},
    [POLICY_TLS13_SERVER] = {"tls13-server", check_tls13_server},
    [POLICY_TLS_CLIENT] = {"tls-client", check_client},
    [POLICY_ANY] = {"any", check_nothing},
};

bool policy_find(const char *name, enum policy *policy)
{
    for (size_t i = 0; i < sizeof policies / sizeof policies[0]; i++) {
        if (strcmp(policies[i].name, name) == 0) {
            *policy = (enum policy)i;
            return true;
        }
    }
    return false;
}

const char *policy_name(enum policy policy)
{
    return policies[policy].name;
}

const char *policy_check(enum policy policy, const struct wire_scheme *scheme, const char *group,
                         const uint8_t *message, size_t length)
{
    return policies[policy].check(scheme, group, message, length);
}
