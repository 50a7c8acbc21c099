/*
 * How a key process gets its files: over one SOCK_SEQPACKET socket pair, from the supervisor that
 * has started it, and that opens each file only to hand it over.
 *
 *     supervisor                                        key process
 *       FILES  names, and their descriptors or errno -->  reads and closes each
 *              <-- TAKEN
 *       ... until there are no more names ...
 *       END    -->
 *              <-- VAULT  the key, and a descriptor of all that was read, sealed
 *
 * or, when a key process takes the place of one that has died, and shall have the very same:
 *
 *       VAULT  -->
 *
 * One message is on its way at a time, with at most DESCRIPTORS_MAX descriptors; so neither side
 * ever has more of them open, however many keys there are. The supervisor never waits: it is told
 * when the socket is readable, and by its own clock when it has been patient enough. The key
 * process waits for HAND_OVER_PATIENCE at most.
 *
 * The first byte of a message is its kind. FILES has behind it "ERRNO NAME" and a zero byte for
 * each file, ERRNO being 0 where a descriptor comes along, in that order; VAULT the key.
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
    HAND_OVER_VAULT = 'V'
};

/* The supervisor's side. */
struct hand_over {
    int socket;                     /* -1: none is under way */
    const struct name_table *names; /* of the files; those from `next` on are still to go */
    size_t next;
    bool ended;          /* END was sent */
    struct vault *vault; /* where what comes back belongs */
};

#define HAND_OVER_INIT ((struct hand_over){.socket = -1})

enum hand_over_state {
    HAND_OVER_GOES_ON,
    HAND_OVER_DONE,  /* the vault is filled */
    HAND_OVER_BROKEN /* errno: what the supervisor lacks; EPIPE: the key process has ended or
                        failed, and says why itself */
};

/* What a key process is started with; all descriptors stay the caller's. */
struct hand_over_process {
    const char *program; /* path of immured */
    const char *config;  /* the configuration's name, as messages have it */
    int text;            /* where it is open */
    int listener;
    int session; /* -1: none */
};

/*
 * Starts the key process and hands over what `vault` has, or, if that is empty, the files of these
 * names, and fills it, for which it must have room. Both are the caller's, and must stay until
 * hand_over_end(). False with errno: nothing was started.
 */
bool hand_over_start(struct hand_over *hand_over, const struct hand_over_process *process,
                     const struct name_table *names, struct vault *vault, pid_t *pid);
/* The socket is readable (or may be: never waits). When it does not go on, hand_over_end() is due.
 */
enum hand_over_state hand_over_ready(struct hand_over *hand_over);
/* Harmless when none is under way. */
void hand_over_end(struct hand_over *hand_over);

/* For a process that has nothing else to do: hands over all, waiting. False with errno; EPIPE: the
 * other side has had enough. */
bool hand_over_files(int socket, const struct name_table *names);

#endif
