/*
 * The tests that every adapter must pass, for any TLS library: handshakes in memory between a
 * server whose key is in a fake immured, and an ordinary client.
 */
#ifndef TESTS_ADAPTER_SCENARIOS_H
#define TESTS_ADAPTER_SCENARIOS_H

#include <cmocka.h>

#include "immure/client.h"
#include "peer.h"

enum progress {
    PROGRESS_WAITS, /* the server waits for a signature */
    PROGRESS_DONE,  /* both ends are done */
    PROGRESS_FAILED /* one end has failed */
};

/* One handshake; the adapter's test has the library's objects behind it. */
struct pair {
    struct immure_client *client;
    uint64_t deadline;
    size_t woken;
    enum immure_error error; /* of the last reply */
};

struct adapter {
    size_t combinations; /* of key types and TLS versions; the first is P-256 with TLS 1.3 */
    uint16_t (*scheme)(size_t combination);
    struct pair *(*open)(size_t combination, struct immure_client *client, uint64_t deadline);
    enum progress (*run)(struct pair *pair);
    void (*close)(struct pair *pair); /* like a server whose client disconnects, at any time */
    /* Sends a valid signature. */
    void (*sign)(struct peer *peer, const struct peer_request *request);
};

extern const struct adapter adapter; /* each test program has one */

void scenario_every_combination(void **state);
void scenario_any_order(void **state);
void scenario_abandoned(void **state);
void scenario_connection_lost(void **state);
void scenario_deadline(void **state);
void scenario_false_replies(void **state);
void scenario_client_full(void **state);
void scenario_client_freed(void **state);
void scenario_two_threads(void **state);

#define SCENARIOS                                                                                  \
    cmocka_unit_test(scenario_every_combination), cmocka_unit_test(scenario_any_order),            \
        cmocka_unit_test(scenario_abandoned), cmocka_unit_test(scenario_connection_lost),          \
        cmocka_unit_test(scenario_deadline), cmocka_unit_test(scenario_false_replies),             \
        cmocka_unit_test(scenario_client_full), cmocka_unit_test(scenario_client_freed),           \
        cmocka_unit_test(scenario_two_threads)

#endif
