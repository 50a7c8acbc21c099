/* immure key test */
#include <string.h>

#include "base/clock.h"
#include "operator/json.h"
#include "operator/keys.h"
#include "operator/messages.h"

enum verdict { VERDICT_VERIFIED, VERDICT_REFUSED, VERDICT_WRONG, VERDICT_FAILED };

static const char *const verdict_names[] = {"verified", "refused", "wrong", "failed"};

/* The result for one scheme. */
struct trial {
    const char *scheme, *shape;
    enum verdict verdict;
    struct immure_signature reply;
    uint64_t round_trip; /* ns */
};

static enum verdict judge(const struct key *key, uint16_t scheme, const uint8_t *message,
                          size_t length, const struct immure_signature *reply)
{
    if (reply->error != IMMURE_OK)
        return reply->error == IMMURE_E_POLICY ? VERDICT_REFUSED : VERDICT_FAILED;
    return public_key_verifies(&key->public_key, scheme, message, length, reply->signature,
                               reply->signature_length)
               ? VERDICT_VERIFIED
               : VERDICT_WRONG;
}

/* Uses the first message that the key's policy allows, or the last one if it allows none. */
static void try_scheme(struct connection *connection, const struct key *key, uint16_t scheme,
                       struct trial *trial)
{
    uint8_t message[MESSAGE_SIZE], signature[IMMURE_SIGNATURE_MAX];
    struct immure_sign_request request = {.scheme = scheme, .message = message};
    memcpy(request.key_id, key->public_key.id, sizeof request.key_id);
    bool tls13 = public_key_takes_tls13(&key->public_key, scheme);
    *trial = (struct trial){.scheme = immure_scheme_name(scheme), .verdict = VERDICT_REFUSED};
    for (size_t i = 0; i < message_shape_count && trial->verdict == VERDICT_REFUSED; i++) {
        if (message_shapes[i].tls13 && !tls13)
            continue;
        request.message_length = message_make(&message_shapes[i], &key->public_key, message);
        uint64_t asked = clock_now();
        immure_blocking_sign(connection->blocking, &request, connection->timeout, signature,
                             &trial->reply);
        trial->round_trip = clock_now() - asked;
        trial->shape = message_shapes[i].name;
        trial->verdict = judge(key, scheme, message, request.message_length, &trial->reply);
    }
}

static double seconds(uint64_t ns)
{
    return (double)ns / (double)NS_PER_S;
}

static void write_json(const struct key *key, const struct trial *trial)
{
    bool done = trial->reply.error == IMMURE_OK;
    json_open(NULL, '{');
    json_text("key", key->name);
    json_text("key_id", key->id);
    json_text("scheme", trial->scheme);
    json_text("result", verdict_names[trial->verdict]);
    if (done) {
        json_text("message", trial->shape);
        json_text("backend", trial->reply.backend);
        json_number("queue_seconds", seconds(trial->reply.queue_ns));
        json_number("sign_seconds", seconds(trial->reply.sign_ns));
        json_number("answer_seconds", seconds(trial->round_trip));
    } else {
        json_text("reason", trial->reply.error_text);
    }
    json_close('}');
}

static void write_heading(const struct key *key)
{
    printf("%s, %s, %s\n\n", key->name, key->public_key.type, key->id);
    printf("%-22s  %-8s  %-14s  %-11s  %10s  %10s  %10s\n", "SCHEME", "RESULT", "MESSAGE",
           "BACKEND", "QUEUED ms", "SIGNED ms", "TOTAL ms");
}

static void write_row(const struct trial *trial)
{
    printf("%-22s  %-8s  ", trial->scheme, verdict_names[trial->verdict]);
    if (trial->reply.error == IMMURE_OK)
        printf("%-14s  %-11s  %10.3f  %10.3f  %10.3f\n", trial->shape, trial->reply.backend,
               1000 * seconds(trial->reply.queue_ns), 1000 * seconds(trial->reply.sign_ns),
               1000 * seconds(trial->round_trip));
    else
        printf("%s\n", trial->reply.error_text);
}

static enum exit_status try_all(struct connection *connection, const struct options *options,
                                const struct key *key)
{
    size_t count[sizeof verdict_names / sizeof verdict_names[0]] = {0};
    if (!options->json)
        write_heading(key);
    for (size_t i = 0; i < key->scheme_count; i++) {
        struct trial trial;
        try_scheme(connection, key, key->schemes[i], &trial);
        if (trial.verdict == VERDICT_FAILED) {
            enum exit_status status = connection_explain(connection, trial.reply.error);
            if (status == EXIT_UNREACHABLE) {
                complain("%s", connection->problem);
                return status;
            }
        }
        count[trial.verdict]++;
        if (options->json)
            write_json(key, &trial);
        else
            write_row(&trial);
    }
    if (count[VERDICT_WRONG] + count[VERDICT_FAILED] > 0)
        complain("%s: %zu signatures are wrong, %zu failed", key->name, count[VERDICT_WRONG],
                 count[VERDICT_FAILED]);
    else if (count[VERDICT_VERIFIED] == 0)
        complain("%s: nothing was signed", key->name);
    else
        return EXIT_GOOD;
    return EXIT_FAILED;
}

enum exit_status key_test_run(const struct options *options)
{
    struct connection connection;
    struct keys keys;
    const struct key *key;
    enum exit_status status = key_ask(&connection, options, &keys, &key);
    if (status != EXIT_GOOD)
        return status;
    status = try_all(&connection, options, key);
    keys_free(&keys);
    connection_close(&connection);
    return status;
}
