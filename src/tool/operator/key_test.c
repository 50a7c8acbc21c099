/* immure key test */
#include <string.h>

#include "base/clock.h"
#include "operator/json.h"
#include "operator/keys.h"
#include "operator/messages.h"
#include "wire/limits.h"

enum verdict { VERDICT_VERIFIED, VERDICT_REFUSED, VERDICT_WRONG, VERDICT_FAILED };

static const char *const verdict_names[] = {"verified", "refused", "wrong", "failed"};

/* The result for one scheme. */
struct trial {
    const char *scheme, *shape;
    const struct listed_key *key;
    struct immure_request request;
    enum verdict verdict;
    enum immure_error error;
    char reason[WIRE_ERROR_TEXT_MAX + 1]; /* of the error */
    const char *backend;
    uint64_t queue, work, round_trip; /* ns */
};

static enum verdict judge(const struct trial *trial, const struct immure_reply *reply)
{
    if (reply->error != IMMURE_OK)
        return reply->error == IMMURE_E_POLICY ? VERDICT_REFUSED : VERDICT_FAILED;
    return public_key_verifies(&trial->key->public_key, trial->request.scheme, trial->request.input,
                               trial->request.input_length, reply->output, reply->output_length)
               ? VERDICT_VERIFIED
               : VERDICT_WRONG;
}

static void note(void *arg, const struct immure_reply *reply)
{
    struct trial *trial = arg;
    trial->verdict = judge(trial, reply);
    trial->error = reply->error;
    snprintf(trial->reason, sizeof trial->reason, "%s", reply->error_text);
    trial->backend = reply->backend;
    trial->queue = reply->queue_ns;
    trial->work = reply->work_ns;
}

/* Uses the first message that the key's policy allows, or the last one if it allows none. */
static void try_scheme(struct tool_connection *connection, const struct listed_key *key,
                       uint16_t scheme, struct trial *trial)
{
    uint8_t message[MESSAGE_SIZE];
    bool tls13 = public_key_takes_tls13(&key->public_key, scheme);
    *trial = (struct trial){.scheme = immure_scheme_name(scheme),
                            .key = key,
                            .request = {.operation = IMMURE_SIGN,
                                        .scheme = scheme,
                                        .input = message,
                                        .callback = note,
                                        .arg = trial},
                            .verdict = VERDICT_REFUSED};
    memcpy(trial->request.key_id, key->public_key.id, sizeof trial->request.key_id);
    for (size_t i = 0; i < message_shape_count && trial->verdict == VERDICT_REFUSED; i++) {
        if (message_shapes[i].tls13 && !tls13)
            continue;
        trial->request.input_length = message_make(&message_shapes[i], &key->public_key, message);
        trial->shape = message_shapes[i].name;
        uint64_t asked = clock_now();
        immure_blocking_request(connection->blocking, &trial->request, connection->timeout);
        trial->round_trip = clock_now() - asked;
    }
}

static double seconds(uint64_t ns)
{
    return (double)ns / (double)NS_PER_S;
}

static void write_json(const struct listed_key *key, const struct trial *trial)
{
    bool done = trial->error == IMMURE_OK;
    json_open(NULL, '{');
    json_text("key", key->name);
    json_text("key_id", key->id);
    json_text("scheme", trial->scheme);
    json_text("result", verdict_names[trial->verdict]);
    if (done) {
        json_text("message", trial->shape);
        json_text("backend", trial->backend);
        json_number("queue_seconds", seconds(trial->queue));
        json_number("sign_seconds", seconds(trial->work));
        json_number("answer_seconds", seconds(trial->round_trip));
    } else {
        json_text("reason", trial->reason);
    }
    json_close('}');
}

static void write_heading(const struct listed_key *key)
{
    printf("%s, %s, %s\n\n", key->name, key->public_key.type, key->id);
    printf("%-22s  %-8s  %-14s  %-11s  %10s  %10s  %10s\n", "SCHEME", "RESULT", "MESSAGE",
           "BACKEND", "QUEUED ms", "SIGNED ms", "TOTAL ms");
}

static void write_row(const struct trial *trial)
{
    printf("%-22s  %-8s  ", trial->scheme, verdict_names[trial->verdict]);
    if (trial->error == IMMURE_OK)
        printf("%-14s  %-11s  %10.3f  %10.3f  %10.3f\n", trial->shape, trial->backend,
               1000 * seconds(trial->queue), 1000 * seconds(trial->work),
               1000 * seconds(trial->round_trip));
    else
        printf("%s\n", trial->reason);
}

static enum exit_status try_all(struct tool_connection *connection,
                                const struct tool_options *options, const struct listed_key *key)
{
    size_t count[sizeof verdict_names / sizeof verdict_names[0]] = {0};
    if (!options->json)
        write_heading(key);
    for (size_t i = 0; i < key->scheme_count; i++) {
        struct trial trial;
        try_scheme(connection, key, key->schemes[i], &trial);
        if (trial.verdict == VERDICT_FAILED) {
            enum exit_status status = connection_explain(connection, trial.error);
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

enum exit_status key_test_run(const struct tool_options *options)
{
    struct tool_connection connection;
    struct keys keys;
    const struct listed_key *key;
    enum exit_status status = key_ask(&connection, options, &keys, &key);
    if (status != EXIT_GOOD)
        return status;
    status = try_all(&connection, options, key);
    keys_free(&keys);
    connection_close(&connection);
    return status;
}
