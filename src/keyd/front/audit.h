/*
 * Who signed what, and who was refused: a JSON object a line, on standard error beside the log.
 *
 * As the log it never waits, and lines that peers cause have a budget: of each account and kind of
 * line, and of all but the alarms together, so that in a pipe there is room for an alarm. What is
 * more, and what standard error has no room for at once, is counted for its account and kind, and
 * the count is a line of its own as soon as that may be. docs/immured.md lists the members.
 */
#ifndef KEYD_FRONT_AUDIT_H
#define KEYD_FRONT_AUDIT_H

#include "immure/error.h"
#include "keyd/rules/account.h"
#include "keyd/rules/allow.h"
#include "keyd/sign/job.h"
#include "loop/loop.h"

struct audit {
    bool all;       /* signatures too */
    uint64_t lines; /* bucket of all lines but alarms and signatures */
    struct loop *loop;
    struct list untold;  /* accounts of which lines were counted and not written */
    struct timer report; /* when these counts are offered */
};

void audit_init(struct audit *audit, struct loop *loop, bool all);

/* What a refused request asked for; NULL, 0: nothing, or nothing that immured has. */
struct audit_request {
    const struct key *key;
    const uint8_t *key_id; /* where `key` is NULL */
    uint16_t scheme;
    bool alarm; /* only a client that misbehaves asks for this */
};

void audit_refused(struct audit *audit, struct account *account, const struct peer *peer,
                   const struct audit_request *request, enum immure_error error,
                   const char *reason);
/* Where all is audited: the signature (or the premaster secret) was released to the peer. */
void audit_signed(struct audit *audit, struct account *account, const struct peer *peer,
                  const struct job *job);
/* Whether a line of the log that the account has caused may be written; if not, it is counted. */
bool audit_admits(struct audit *audit, struct account *account, enum account_line kind);

#endif
