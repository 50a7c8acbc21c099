/*
 * Who signed what, and who was refused: one JSON object per line, on standard error beside the log.
 *
 * Like the log, the audit never waits, and lines that peers cause have a budget: one for each
 * account and kind of line, and one for all but the alarms together, so that a pipe has room for an
 * alarm. Lines beyond the budget, or for which standard error has no room, are counted by account
 * and kind, and the counts are written as lines of their own as soon as possible. docs/immured.md
 * lists the members.
 */
#ifndef KEYD_FRONT_AUDIT_H
#define KEYD_FRONT_AUDIT_H

#include "immure/error.h"
#include "keyd/rules/account.h"
#include "keyd/rules/allow.h"
#include "keyd/sign/job.h"
#include "loop/loop.h"

struct audit {
    bool all;       /* audit signatures too */
    uint64_t lines; /* bucket of all lines but alarms and signatures */
    struct loop *loop;
    struct list untold;  /* accounts whose lines were counted and not written */
    struct timer report; /* when these counts are to be written */
};

void audit_init(struct audit *audit, struct loop *loop, bool all);

/* What a refused request asked for. NULL and 0: nothing, or something that immured does not have.
 */
struct audit_request {
    const struct key *key;
    const uint8_t *key_id; /* used if `key` is NULL */
    uint16_t scheme;
    bool alarm; /* only a client that misbehaves sends such a request */
};

void audit_refused(struct audit *audit, struct account *account, const struct peer *peer,
                   const struct audit_request *request, enum immure_error error,
                   const char *reason);
/* Says, if `all` is set, that a signature or premaster secret was released to the peer. */
void audit_signed(struct audit *audit, struct account *account, const struct peer *peer,
                  const struct job *job);
/* Whether a line that the account has caused may be written; if not, it is counted. */
bool audit_admits(struct audit *audit, struct account *account, enum account_line kind);

#endif
