/*
 * After USR2 a master starts the program, which may be a newer version by now, as another master,
 * and gives it the listening sockets and the ticket keys. When the new master serves, the old one
 * drains and ends. If the new one fails, the old one goes on as before.
 *
 * A link, a SOCK_SEQPACKET socket pair, connects both. The old master sends one message with what
 * it hands over; the sockets themselves are inherited. The new one sends one message when it
 * serves. Then the old one tells the service manager which process is the main one now, and closes
 * the link.
 */
#ifndef PROXY_MASTER_UPGRADE_H
#define PROXY_MASTER_UPGRADE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/activation.h"
#include "base/list.h"
#include "base/notify.h"
#include "proxy/shared/control.h"

/* One end of the link. */
struct upgrade {
    int link;          /* -1: no upgrade is under way */
    pid_t pid;         /* of the new master; 0 in the new master itself */
    uint64_t deadline; /* when it is killed if it does not serve (CLOCK_MONOTONIC, ns) */
};

#define UPGRADE_INIT ((struct upgrade){.link = -1, .deadline = UINT64_MAX})

/* What one master leaves to the next besides the sockets. */
struct heritage {
    struct ticket_keys tickets;
    uint64_t tickets_end; /* CLOCK_MONOTONIC, ns */
};

/* Starts `program` with the configuration `file`; `listening` and `activation` are all sockets, and
 * `settings` is what the operator has set (settings.h), which an older program does not take. False
 * with errno. */
bool upgrade_start(struct upgrade *upgrade, const char *program, const char *file,
                   const struct list *listening, const struct activation *activation,
                   const struct heritage *heritage, int settings, const struct notify *notify);
/* To be called when the link is readable. Returns whether the new master says that it serves.
 * Closes the link when the other end is closed. */
bool upgrade_heard(struct upgrade *upgrade);
/* Forgets the other master, which has ended or serves. */
void upgrade_finish(struct upgrade *upgrade);

/* In the new master: takes over what the old one has left. The sockets go into `listening` and
 * *activation, which must be empty; *settings is the caller's then, and -1 if there are none. False
 * with errno: EPROTO if the old master sends another layout. */
bool upgrade_take(struct upgrade *upgrade, struct list *listening, struct activation *activation,
                  struct heritage *heritage, int *settings);
/* Tells the old master that this one serves. */
void upgrade_report(const struct upgrade *upgrade);

#endif
