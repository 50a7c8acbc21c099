/*
 * How a key process gets its files. The supervisor that starts it opens each file, only to hand it
 * over through a SOCK_SEQPACKET socket pair.
 *
 *     supervisor                                        key process
 *       FILES  names, and their descriptors or errno -->  reads and closes each
 *              <-- TAKEN
 *       ... until there are no more names ...
 *       END    -->
 *              <-- VAULT  the key, and a descriptor of all that was read, sealed
 *
 * Between FILES and END, KEYS names key files that belong to a section `keys` of the configuration,
 * in messages of the same kind. There may be a hundred thousand of them; the key process keeps them
 * in compact form.
 *
 * A key process that replaces a dead one gets exactly the same files:
 *
 *       VAULT  -->   with what has changed since in a second descriptor, if anything has
 *
 * If the hand-over lasts, the socket stays open, and the keys of these sections change at run time:
 *
 *       ADD or REMOVE  -->  one at a time
 *              <-- CHANGED  what the supervisor adds to the vault, encrypted; or REFUSED  why
 *
 * Only one message is under way at a time, with at most DESCRIPTORS_MAX descriptors, so neither
 * side ever has more of them open, however many keys there are. The supervisor never waits: its
 * event loop tells it when the socket is readable, and a timer tells it when the key process has
 * had enough time. The key process waits for at most HAND_OVER_PATIENCE.
 *
 * The first byte of a message is its kind. In FILES, it is followed by "ERRNO NAME" and a zero byte
 * for each file. ERRNO is 0 for the files whose descriptors are attached, in the same order. In
 * VAULT, the kind is followed by the key. In KEYS, it is followed by "ERRNO SECTION ID NAME" and a
 * zero byte for each file; in ADD, by "SECTION ID NAME" and a zero byte, with a descriptor
 * attached; in REMOVE, by "ID" and a zero byte. ID is the id of a key in hexadecimal, as its
 * certificate says. In CHANGED, a record follows; in REFUSED, a text without a zero byte.
 */
#ifndef DAEMON_HAND_OVER_H
#define DAEMON_HAND_OVER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/name_table.h"
#include "daemon/vault.h"

#define HAND_OVER_MESSAGE_MAX 32768
#define HAND_OVER_PATIENCE 60 /* seconds */

enum hand_over_kind {
    HAND_OVER_FILES = 'F',
    HAND_OVER_TAKEN = 'T',
    HAND_OVER_END = 'E',
    HAND_OVER_VAULT = 'V',
    HAND_OVER_KEYS = 'K',
    HAND_OVER_ADD = 'A',
    HAND_OVER_REMOVE = 'R',
    HAND_OVER_CHANGED = 'C',
    HAND_OVER_REFUSED = 'N'
};

#define HAND_OVER_ID_SIZE 32 /* bytes: SHA-256 of a SubjectPublicKeyInfo */

/* A key file of a section `keys`. */
struct hand_over_key {
    const char *section; /* without spaces */
    const char *file;
    uint8_t id[HAND_OVER_ID_SIZE];
};

/* All of them. They must stay until hand_over_end(). */
struct hand_over_keys {
    size_t count;
    void (*get)(const void *list, size_t index, struct hand_over_key *key);
    const void *list;
};

/* The supervisor's side. */
struct hand_over {
    int socket;                     /* -1: no hand-over is under way */
    const struct name_table *names; /* of the files; those from `next` on have not been sent yet */
    size_t next;
    const struct hand_over_keys *keys; /* NULL: none */
    size_t next_key;
    bool ended;          /* whether END was sent */
    bool done;           /* whether the key process has everything */
    bool lasts;          /* whether the socket then stays open */
    bool asked;          /* whether ADD or REMOVE was sent and has not been answered yet */
    struct vault *vault; /* gets what the key process sends back */
    char reason[256];    /* of HAND_OVER_REFUSED */
};

#define HAND_OVER_INIT ((struct hand_over){.socket = -1})

enum hand_over_state {
    HAND_OVER_GOES_ON,
    HAND_OVER_DONE,           /* the vault is filled */
    HAND_OVER_CHANGED_KEYS,   /* the keys have changed as asked, and so has the vault */
    HAND_OVER_REFUSED_CHANGE, /* the keys have not changed; `reason` says why */
    HAND_OVER_BROKEN /* errno says what went wrong in the supervisor; EPIPE: the key process has
                        ended or failed, and has logged the reason itself */
};

/* What a key process is started with. All descriptors remain the caller's. */
struct hand_over_process {
    const char *program; /* path of immured */
    const char *config;  /* the configuration's name, for messages */
    int text;            /* a descriptor of the configuration */
    int listener;
    int session;                       /* -1: none */
    const struct hand_over_keys *keys; /* NULL: none */
    bool lasts;                        /* keys will be added and removed at run time */
};

/*
 * Starts the key process. If `vault` is filled, hands it over. Otherwise hands over the files of
 * these names, and fills the vault, which must have room for the key. `names` and `vault` must stay
 * valid until hand_over_end(). False with errno: nothing was started.
 */
bool hand_over_start(struct hand_over *hand_over, const struct hand_over_process *process,
                     const struct name_table *names, struct vault *vault, pid_t *pid);
/* To be called when the socket may be readable; never waits. When it is broken, or done and does
 * not last, the caller calls hand_over_end(). */
enum hand_over_state hand_over_ready(struct hand_over *hand_over);
/* Ask the key process for a change, once hand_over_ready() has returned HAND_OVER_DONE; that
 * function also brings the answer. False with errno: nothing was asked (EBUSY: the last change has
 * not been answered yet). */
bool hand_over_add(struct hand_over *hand_over, const struct hand_over_key *key);
bool hand_over_remove(struct hand_over *hand_over, const uint8_t id[static HAND_OVER_ID_SIZE]);
/* Ends the hand-over. Harmless if none is under way. */
void hand_over_end(struct hand_over *hand_over);

/* Hands over all files, and waits until they are taken. It is meant for a process that has nothing
 * else to do. False with errno; EPIPE: the other side has given up. */
bool hand_over_files(int socket, const struct name_table *names);

#endif
