/* Checks a key reference: its content, whether its immured has the key, and whether a certificate
 * matches. */
#include <stdarg.h>
#include <string.h>

#include "base/hex.h"
#include "immure/reference.h"
#include "operator/check.h"
#include "operator/json.h"
#include "operator/keys.h"

/* The checks so far; each is reported as soon as it is made. */
struct reference_report {
    const struct tool_options *options;
    enum exit_status status; /* of the first failed check */
};

static void __attribute__((format(printf, 3, 4)))
finding(struct reference_report *report, enum exit_status status, const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (report->status == EXIT_GOOD)
        report->status = status;
    if (report->options->json) {
        json_open(NULL, '{');
        json_bool("good", status == EXIT_GOOD);
        json_text("text", text);
        json_close('}');
    } else {
        printf("%-5s  %s\n", status == EXIT_GOOD ? "good" : "wrong", text);
    }
}

/* Checks the certificate given by --certificate, or the one in the same file, as HAProxy wants
 * it. */
static void check_certificate(struct reference_report *report, const struct public_key *key,
                              const char *text)
{
    const struct tool_options *options = report->options;
    const char *file = options->certificate;
    struct public_key other;
    if (file == NULL && strstr(text, "-----BEGIN CERTIFICATE-----") != NULL)
        file = options->operands[0];
    if (file == NULL)
        return;
    const char *problem = public_key_read(&other, file);
    if (problem != NULL) {
        finding(report, EXIT_FAILED, "%s: %s", file, problem);
        return;
    }
    if (public_key_same(key, &other))
        finding(report, EXIT_GOOD, "the certificate in %s is for this key", file);
    else
        finding(report, EXIT_FAILED, "the certificate in %s is for another key", file);
    public_key_free(&other);
}

static const struct listed_key *find_key(const struct keys *keys, const struct public_key *key)
{
    for (size_t i = 0; i < keys->count; i++)
        if (public_key_same(&keys->list[i].public_key, key))
            return &keys->list[i];
    return NULL;
}

static void check_immured(struct reference_report *report, const char *socket,
                          const struct public_key *key)
{
    struct tool_connection connection;
    struct keys keys;
    enum exit_status status = EXIT_UNREACHABLE;
    if (connection_open(&connection, socket, report->options->timeout)) {
        status = keys_ask(&keys, &connection);
        connection_close(&connection);
    }
    if (status != EXIT_GOOD) {
        finding(report, status, "%s", connection.problem);
        return;
    }
    finding(report, EXIT_GOOD, "immured answers at %s", socket);
    const struct listed_key *found = find_key(&keys, key);
    if (found != NULL)
        finding(report, EXIT_GOOD, "immured has the key, and calls it \"%s\"", found->name);
    else
        finding(report, EXIT_NO_KEY, "immured does not have this key");
    keys_free(&keys);
}

static void check_contents(struct reference_report *report,
                           const struct immure_reference *reference, const char *text)
{
    char id[KEY_ID_TEXT_SIZE];
    struct public_key key;
    if (!public_key_take(&key, reference->spki, reference->spki_length)) {
        finding(report, EXIT_FAILED, "out of memory");
        return;
    }
    finding(report, EXIT_GOOD, "it is a key reference: %s, %s, at %s", key.type,
            hex_encode(reference->key_id, sizeof reference->key_id, id), reference->socket);
    if (key.pkey == NULL)
        finding(report, EXIT_FAILED, "its public key is of an unknown type");
    else if (!public_key_is_taken(&key))
        finding(report, EXIT_FAILED, "its public key is %s; immured takes %s", key.type,
                public_keys_taken);
    if (memcmp(reference->key_id, key.id, sizeof key.id) == 0)
        finding(report, EXIT_GOOD, "the key id is that of its public key");
    else
        finding(report, EXIT_FAILED, "the key id is not that of its public key");
    check_certificate(report, &key, text);
    check_immured(report, reference->socket, &key);
    public_key_free(&key);
}

enum exit_status check_reference(const struct tool_options *options, const char *text,
                                 size_t length)
{
    struct reference_report report = {.options = options};
    struct immure_reference reference;
    uint8_t der[IMMURE_REFERENCE_DER_MAX];
    enum immure_reference_error error = immure_reference_parse_pem(&reference, text, length, der);
    if (options->json) {
        json_open(NULL, '{');
        json_text("file", options->operands[0]);
        json_text("kind", "key reference");
        json_open("findings", '[');
    }
    if (error == IMMURE_REFERENCE_OK)
        check_contents(&report, &reference, text);
    else if (error == IMMURE_REFERENCE_E_ABSENT && strstr(text, "PRIVATE KEY-----") != NULL)
        finding(&report, EXIT_FAILED, "it holds a private key, and no key reference");
    else
        finding(&report, EXIT_FAILED, "%s", immure_reference_error_text(error));
    if (options->json) {
        json_close(']');
        json_bool("good", report.status == EXIT_GOOD);
        json_close('}');
    }
    return report.status;
}
