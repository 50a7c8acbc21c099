/* A client, its peer in memory, and callbacks that keep what they were told. */
#ifndef TESTS_LINK_H
#define TESTS_LINK_H

#include "immure/client.h"
#include "peer.h"

#define NOW UINT64_C(1000000)

/* What a callback was told last, and how often. */
struct told {
    size_t calls;
    size_t keys;
    size_t stats;
    enum immure_error error;
    char text[WIRE_ERROR_TEXT_MAX + 1];
    uint8_t signature[IMMURE_SIGNATURE_MAX];
    size_t signature_length;
    const char *backend;
    uint64_t queue_ns, sign_ns;
    /* What the callback does in its turn. */
    struct immure_client *client;
    immure_request_id cancels;
    struct told *asks;
};

struct link {
    struct immure_client *client;
    struct peer peer;
};

/* The set-up and tear-down of one test; its state is a link. */
int link_make(void **state);
int link_unmake(void **state);

#define LINK_TEST(name) cmocka_unit_test_setup_teardown(name, link_make, link_unmake)

/* What is asked to be signed; a deadline of 0 is none. */
#define MESSAGE_SIZE 18
extern const uint8_t message[MESSAGE_SIZE];
struct immure_request sign_request(struct told *told, uint64_t deadline);

void on_signed(void *arg, const struct immure_reply *reply);
/* Counts the calls, and keeps how it ended. */
void on_reply(void *arg, const struct immure_reply *reply);

/* A request without input. */
enum immure_error link_submit(struct link *link, enum immure_operation operation,
                              immure_callback *callback, struct told *told, immure_request_id *id);

immure_request_id link_ask(struct link *link, struct told *told, uint64_t deadline);
/* What the client says goes to the peer, what the peer says goes to the client. */
void link_take(struct link *link);
void link_give(struct link *link);
/* Both ends begin anew. */
void link_lose(struct link *link);
/* Frees the client while what the callbacks of pending requests write to is still there. */
void link_end(struct link *link);

/* Each request is answered with a signature of its own, and told of it once. */
void link_answer(struct link *link, size_t request);
void link_assert_signed(const struct told *told, immure_request_id id);

#endif
