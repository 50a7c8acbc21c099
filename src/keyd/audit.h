/*
 * Who signed what, and who was refused: a JSON object a line, on standard error beside the log.
 *
 * As the log it never waits. A line that standard error has no room for at once is lost and
 * counted, and the count is a line of its own as soon as there is room. docs/immured.md lists the
 * members.
 */
#ifndef KEYD_AUDIT_H
#define KEYD_AUDIT_H

#include "immure/error.h"
#include "keyd/allow.h"
#include "keyd/job.h"

struct audit {
    bool all; /* signatures too */
    uint64_t lost;
    uint64_t try_again; /* when the count of those is offered again: CLOCK_MONOTONIC, ns */
};

void audit_init(struct audit *audit, bool all);

/* What a refused request asked for; NULL, 0: nothing, or nothing that immured has. */
struct audit_request {
    const struct key *key;
    const uint8_t *key_id; /* where `key` is NULL */
    uint16_t scheme;
    bool alarm; /* only a client that misbehaves asks for this */
};

void audit_refused(struct audit *audit, const struct peer *peer,
                   const struct audit_request *request, enum immure_error error,
                   const char *reason);
/* Where all is audited: the signature (or the premaster secret) was released to the peer. */
void audit_signed(struct audit *audit, const struct peer *peer, const struct job *job);

/* When to call audit_report() though nothing has happened; UINT64_MAX: never. */
uint64_t audit_deadline(const struct audit *audit);
/* Says how many lines were lost, if any and if it is time. */
void audit_report(struct audit *audit, uint64_t now);

#endif
