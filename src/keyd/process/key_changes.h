/*
 * Changes of the compact keys at run time, which the supervisor asks for on the socket of the
 * hand-over (daemon/hand_over.h), one at a time. Each answer carries a record with which the
 * supervisor completes its vault, so that the next key process has the same keys.
 */
#ifndef KEYD_PROCESS_KEY_CHANGES_H
#define KEYD_PROCESS_KEY_CHANGES_H

#include "keyd/front/server.h"
#include "keyd/keys/key_intake.h"
#include "keyd/keys/key_records.h"
#include "keyd/sign/opener.h"

struct key_changes {
    struct watch watch; /* of the hand-over; no descriptor: the supervisor asks for no changes */
    struct keyd_server *server;
    struct key_intake intake;
    struct change_key change_key;
    struct kinds *kinds;
    struct opener opener;
    const struct driver *wanted; /* what signs with compact keys; NULL: auto */
};

/* Watches a socket, which it takes over; all other members are filled. False: reason logged. */
bool key_changes_open(struct key_changes *changes, struct keyd_server *server, int socket);
/* Harmless on an all-zero struct. */
void key_changes_close(struct key_changes *changes);

#endif
