#include "keyd/rules/policy.h"

#include <string.h>

#include "base/bytes.h"
#include "keyd/rules/foreign.h"
#include "keyd/rules/transcript.h"

/* RFC 8446, section 4.4.3: spaces, context string, 0, transcript hash. */
#define TLS13_SPACES 64
#define TLS13_CONTEXT_SIZE 34 /* with the 0 that ends it, which a C string has anyway */
static const char server_context[TLS13_CONTEXT_SIZE] = "TLS 1.3, server CertificateVerify";
static const char client_context[TLS13_CONTEXT_SIZE] = "TLS 1.3, client CertificateVerify";

/* RFC 8422, section 5.4: client random, server random, ServerECDHParams. */
#define TLS12_RANDOMS 64
#define TLS12_NAMED_CURVE 3
#define POINT_UNCOMPRESSED 4
#define DHE_PRIME_LEAST 64 /* bytes; no library accepts a shorter prime */
/* RFC 8446, section 4.1.3: the server random of TLS 1.2 ends so if the server has TLS 1.3. */
#define SENTINEL_SIZE 8
static const uint8_t sentinel[SENTINEL_SIZE] = {'D', 'O', 'W', 'N', 'G', 'R', 'D', 1};

enum form {
    FORM_TLS13_SERVER,
    FORM_TLS13_CLIENT,
    FORM_TLS12_SERVER,
    FORM_TLS12_SERVER_ALONE, /* the server has no TLS 1.3 */
    FORM_TLS12_CLIENT,
    FORMS
};

/* The reasons to refuse a form that the key's policy does not allow. The client's configuration can
 * cause such a request, as can a stranger who has only TLS 1.2. */
static const char *const excluded[FORMS] = {
    [FORM_TLS13_SERVER] = "the policy has no signature of a TLS 1.3 server",
    [FORM_TLS13_CLIENT] = "the policy has no signature of a TLS 1.3 client",
    [FORM_TLS12_SERVER] = "the policy has no signature of a TLS 1.2 server",
    [FORM_TLS12_SERVER_ALONE] =
        ("the policy has no signature of a TLS 1.2 server whose random lacks the sentinel of RFC "
         "8446: a server without TLS 1.3 needs the policy tls12-server"),
    [FORM_TLS12_CLIENT] = "the policy has no signature of a TLS 1.2 client",
};

#define FORM(form) (1u << (form))

static const struct {
    const char *name;
    unsigned forms;
    bool pss_only_in_tls12; /* keys of type RSA-PSS may sign for TLS 1.2 */
    const char *warning;
} policies[POLICY_COUNT] = {
    [POLICY_TLS_SERVER] = {"tls-server", FORM(FORM_TLS13_SERVER) | FORM(FORM_TLS12_SERVER), false,
                           NULL},
    [POLICY_TLS13_SERVER] = {"tls13-server", FORM(FORM_TLS13_SERVER), false, NULL},
    [POLICY_TLS12_SERVER] =
        {"tls12-server",
         FORM(FORM_TLS13_SERVER) | FORM(FORM_TLS12_SERVER) | FORM(FORM_TLS12_SERVER_ALONE), true,
         "signs for a server without TLS 1.3 (policy = tls12-server): a message that it signs for "
         "TLS 1.2 has only 4 or 5 fixed bytes in a row, not 12 or 13"},
    [POLICY_TLS_CLIENT] = {"tls-client", FORM(FORM_TLS13_CLIENT) | FORM(FORM_TLS12_CLIENT), true,
                           NULL},
    [POLICY_ANY] = {"any", 0, true, "signs any message (policy = any)"},
};

bool policy_find(const char *name, enum policy *policy)
{
    for (size_t i = 0; i < POLICY_COUNT; i++) {
        if (strcmp(policies[i].name, name) == 0) {
            *policy = (enum policy)i;
            return true;
        }
    }
    return false;
}

bool policy_is_server(enum policy policy)
{
    return policy == POLICY_TLS_SERVER || policy == POLICY_TLS13_SERVER ||
           policy == POLICY_TLS12_SERVER;
}

const char *policy_name(enum policy policy)
{
    return policies[policy].name;
}

const char *policy_warning(enum policy policy)
{
    return policies[policy].warning;
}

static struct policy_refusal pass(void)
{
    return (struct policy_refusal){.reason = NULL};
}

/* For requests that a stranger or a configuration can cause. */
static struct policy_refusal refuse(const char *reason)
{
    return (struct policy_refusal){.reason = reason, .alarm = false};
}

/* For requests that nobody sends by mistake. A NULL reason passes the request. */
static struct policy_refusal alarm(const char *reason)
{
    return (struct policy_refusal){.reason = reason, .alarm = reason != NULL};
}

static bool begins_with_spaces(const uint8_t *message, size_t length)
{
    static const char spaces[TLS13_SPACES + 1] =
        "                                                                ";
    return length >= TLS13_SPACES && memcmp(message, spaces, TLS13_SPACES) == 0;
}

/* For a message that begins with the spaces. */
static struct policy_refusal recognise_tls13(const struct policy_request *request, enum form *form)
{
    struct reader reader = reader_of(request->message, request->length);
    read_bytes(&reader, TLS13_SPACES);
    const uint8_t *context = read_bytes(&reader, TLS13_CONTEXT_SIZE);
    if (context != NULL && memcmp(context, server_context, TLS13_CONTEXT_SIZE) == 0)
        *form = FORM_TLS13_SERVER;
    else if (context != NULL && memcmp(context, client_context, TLS13_CONTEXT_SIZE) == 0)
        *form = FORM_TLS13_CLIENT;
    else
        return alarm("not a TLS handshake signature: context string is neither the server's nor "
                     "the client's");
    return alarm(reader.left == 32 || reader.left == 48
                     ? NULL
                     : "not a TLS handshake signature: transcript hash is not of 32 or 48 bytes");
}

/* RFC 5246, section 7.4.3: randoms and ServerDHParams. */
static bool is_dhe(const struct policy_request *request)
{
    struct reader reader = reader_of(request->message, request->length);
    read_bytes(&reader, TLS12_RANDOMS);
    size_t prime_size = read_u16(&reader);
    read_bytes(&reader, prime_size);
    read_bytes(&reader, read_u16(&reader)); /* generator */
    read_bytes(&reader, read_u16(&reader)); /* public value */
    return reader_done(&reader) && prime_size >= DHE_PRIME_LEAST;
}

static struct policy_refusal recognise_tls12_server(const struct policy_request *request,
                                                    struct ecdhe *ecdhe, enum form *form)
{
    struct reader reader = reader_of(request->message, request->length);
    const uint8_t *randoms = read_bytes(&reader, TLS12_RANDOMS);
    unsigned curve_type = read_u8(&reader);
    uint16_t number = read_u16(&reader);
    size_t size = read_u8(&reader);
    if (reader.failed)
        return alarm("not a TLS handshake signature: too short for randoms and ServerECDHParams");
    if (is_dhe(request))
        return refuse("finite-field Diffie-Hellman is not signed for: give the server suites with "
                      "ECDHE only");
    if (curve_type != TLS12_NAMED_CURVE)
        return alarm("not a TLS handshake signature: ServerECDHParams do not name a curve");
    const uint8_t *value = read_bytes(&reader, size);
    const struct ecdhe_group *group = ecdhe_group_find(number);
    if (!reader_done(&reader) || (group != NULL && size != group->size))
        return alarm(
            "not a TLS handshake signature: ServerECDHParams are not as long as their group's");
    if (group == NULL)
        return refuse("ServerECDHParams name a group that is not signed for");
    if (group->curve != 0 && value[0] != POINT_UNCOMPRESSED)
        return alarm(
            "not a TLS handshake signature: point of ServerECDHParams is not uncompressed");
    if (!ecdhe_value_is_good(ecdhe, group, value))
        return alarm("not a TLS handshake signature: public value of ServerECDHParams is none of "
                     "its group's");
    *form = memcmp(randoms + TLS12_RANDOMS - SENTINEL_SIZE, sentinel, SENTINEL_SIZE) == 0
                ? FORM_TLS12_SERVER
                : FORM_TLS12_SERVER_ALONE;
    if (!group->common && !request->every_group)
        return refuse("ServerECDHParams name a group that is signed for only with tls12-groups = "
                      "all");
    return pass();
}

static struct policy_refusal recognise_tls12_client(const struct policy_request *request,
                                                    struct ecdhe *ecdhe, enum form *form)
{
    *form = FORM_TLS12_CLIENT;
    return alarm(transcript_fault(ecdhe, request->spki, request->spki_length, request->message,
                                  request->length));
}

/* Tries the side that the policy is for, then the other side: if the message fits that one, the
 * request is a mistake and not an alarm. */
static struct policy_refusal recognise(const struct policy_request *request, struct ecdhe *ecdhe,
                                       enum form *form)
{
    if (begins_with_spaces(request->message, request->length))
        return recognise_tls13(request, form);
    bool client = policies[request->policy].forms & FORM(FORM_TLS12_CLIENT);
    struct policy_refusal refusal = client ? recognise_tls12_client(request, ecdhe, form)
                                           : recognise_tls12_server(request, ecdhe, form);
    if (!refusal.alarm)
        return refusal;
    struct policy_refusal other = client ? recognise_tls12_server(request, ecdhe, form)
                                         : recognise_tls12_client(request, ecdhe, form);
    return other.alarm ? refusal : other;
}

/* Whether TLS of this version has the scheme with this key (RFC 8446, section 4.2.3). */
static struct policy_refusal check_scheme(const struct policy_request *request, enum form form)
{
    const struct wire_scheme *scheme = request->scheme;
    if (form == FORM_TLS13_SERVER || form == FORM_TLS13_CLIENT) {
        if (!scheme->tls13)
            return alarm("not a TLS handshake signature: TLS 1.3 has no PKCS #1 v1.5");
        if (scheme->tls13_group != NULL &&
            (request->curve == NULL || strcmp(scheme->tls13_group, request->curve) != 0))
            return alarm(
                "not a TLS handshake signature: TLS 1.3 binds this scheme to another curve");
        return pass();
    }
    if (!scheme->tls12)
        return alarm("not a TLS handshake signature: TLS 1.2 does not have this scheme");
    if (scheme->key_type == WIRE_KEY_RSA_PSS && !policies[request->policy].pss_only_in_tls12)
        return refuse("keys of type RSA-PSS sign for TLS 1.2 only with the policy tls12-server");
    return pass();
}

struct policy_refusal policy_check(const struct policy_request *request, struct ecdhe *ecdhe)
{
    enum form form;
    if (request->policy == POLICY_ANY)
        return pass();
    struct policy_refusal refusal = recognise(request, ecdhe, &form);
    if (refusal.reason != NULL)
        return refusal;
    if (!(policies[request->policy].forms & FORM(form)))
        return refuse(excluded[form]);
    refusal = check_scheme(request, form);
    return refusal.reason != NULL ? refusal
                                  : alarm(foreign_find(request->message, request->length));
}

struct policy_refusal policy_check_decrypt(bool allowed, size_t modulus_size,
                                           size_t ciphertext_length, uint16_t client_version)
{
    /* SSL 3.0 to TLS 1.2, then DTLS. A TLS 1.3 client sends 1.2 (RFC 8446, section 4.1.2). */
    static const uint16_t versions[] = {0x0300, 0x0301, 0x0302, 0x0303, 0xfeff, 0xfefd};
    if (!allowed)
        return refuse("the key's configuration does not allow decryption");
    if (ciphertext_length != modulus_size)
        return refuse("the ciphertext is not as long as the modulus");
    for (size_t i = 0; i < sizeof versions / sizeof versions[0]; i++)
        if (versions[i] == client_version)
            return pass();
    return refuse("the client version is of no TLS that has RSA key exchange");
}
