/*
 * USR2: a master starts the program again, which may be a newer one by now, as a master of its own
 * beside it, and gives it its listening sockets and ticket keys. When that one serves, this one
 * drains and ends; if it does not come to that, this one goes on as if nothing had been asked.
 *
 * Both are on one link, a SOCK_SEQPACKET socket pair. The old master's first and only message is
 * what it hands over; the sockets themselves are inherited. The new one's only message says that it
 * serves. Then the old one closes the link, when it has told the service manager who is the main
 * process now.
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
    pid_t pid;         /* the new master; 0 in itself */
    uint64_t deadline; /* when it is killed, CLOCK_MONOTONIC, ns; UINT64_MAX: no upgrade */
};

#define UPGRADE_INIT ((struct upgrade){.link = -1, .deadline = UINT64_MAX})

/* What one master leaves to the next, besides its sockets. */
struct heritage {
    struct ticket_keys tickets;
    uint64_t tickets_end; /* CLOCK_MONOTONIC, ns */
};

/* Starts `program` with the configuration `file`; `listening` and `activation` are all sockets.
 * False with errno. */
bool upgrade_start(struct upgrade *upgrade, const char *program, const char *file,
                   const struct list *listening, const struct activation *activation,
                   const struct heritage *heritage, const struct notify *notify);
/* The link is readable: whether the new master says that it serves. At its end it is closed. */
bool upgrade_heard(struct upgrade *upgrade);
/* Forgets the new master, which has ended, or serves. */
void upgrade_finish(struct upgrade *upgrade);

/* In the new master: takes what was left to it; the sockets come into the empty list `listening`
 * and the empty *activation. False with errno: EPROTO if the old master is one that it does not
 * understand. */
bool upgrade_take(struct upgrade *upgrade, struct list *listening, struct activation *activation,
                  struct heritage *heritage);
/* Tells the old one that this one serves. */
void upgrade_report(const struct upgrade *upgrade);

#endif
