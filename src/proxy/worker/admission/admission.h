/*
 * Which handshakes begin when not all can. There is one admission for each thread.
 *
 * While the event loop and immured keep up, it only notes what each source costs, and handshakes
 * begin in the order in which they come. When they wait too long somewhere (standing.h), they are
 * held back at two places, and order.h says which is next: before their first step, and when it is
 * known that they need a signature. Those that resume a session do not come to the second place.
 *
 *     admission_enter()      the client's address is known
 *     admission_hold()       its first bytes are there: it may begin, or is held back
 *     admission_begin()      it begins
 *     admission_hold_signature()  it needs a signature: it may go on, or is held back
 *     admission_ask()        immured has been asked, which is charged at once: whoever leaves then
 *     admission_answered()   has made it work all the same
 *     admission_leave()      the connection has ended, at whatever stage
 *
 * What has been charged for a signature is never thrown away; it waits no more.
 */
#ifndef PROXY_WORKER_ADMISSION_ADMISSION_H
#define PROXY_WORKER_ADMISSION_ADMISSION_H

#include "loop/loop.h"
#include "proxy/config/config.h"
#include "proxy/shared/metrics.h"
#include "proxy/worker/admission/journal.h"
#include "proxy/worker/admission/limits.h"
#include "proxy/worker/admission/order.h"
#include "proxy/worker/admission/signing.h"

struct admission {
    /* The owner sets these. */
    const struct proxy_config *config;
    struct loop *loop;
    struct thread_metrics *metrics;
    struct source_limits *limits; /* of all threads; NULL: there are none */
    unsigned thread;              /* its number, for the log */

    struct shares shares;
    struct order order;
    struct signing signing;
    struct standing delays[DELAY_COUNT];
    bool overload;       /* handshakes wait too long */
    uint64_t late_at;    /* ns: when something last came that had waited for longer than it may */
    struct timer relief; /* runs during overload: is it over? */
    struct journal journal;
};

/* False: out of memory. In both cases the caller closes it in the end. */
bool admission_open(struct admission *admission);
void admission_close(struct admission *admission);

/* The delay of a listener's backlog, which the listener owns: one that stands must not be hidden by
 * another one that does not. */
struct standing admission_backlog(const struct admission *admission);
/* A client was accepted that had been in the backlog for so long; 0: the backlog is empty. */
void admission_accepted(struct admission *admission, struct standing *backlog, uint64_t waited);
/* Whether such a client is to be shed, because it has waited for longer than clients wait. */
bool admission_too_late(const struct admission *admission, uint64_t waited,
                        const struct sockaddr_storage *address);
/* Sets *visit. False: its source has as many connections as it may, so this one is to be refused.
 */
bool admission_enter(struct admission *admission, struct visit *visit,
                     const struct sockaddr_storage *address);
/* Allowed for a visit that is exempt and all zero besides. */
void admission_leave(struct admission *admission, struct visit *visit);

/* These two return whether the handshake is held back until admission_next() returns its visit. It
 * is to be shed at admission_patience(). */
bool admission_hold(struct admission *admission, struct visit *visit);
bool admission_hold_signature(struct admission *admission, struct visit *visit,
                              struct signing_key key);
uint64_t admission_patience(const struct admission *admission, const struct visit *visit);
bool admission_holds(const struct visit *visit);
void admission_begin(struct admission *admission, const struct visit *visit);

/* Charges a part of the handshake that the loop has worked for (ns). */
void admission_charge(struct admission *admission, const struct visit *visit, uint64_t work);
void admission_ask(struct admission *admission, struct visit *visit, struct signing_key key);
/* There is no signature, and will be none. */
void admission_unanswered(struct admission *admission, struct visit *visit);
/* There is one. The times (ns) are those that immured has told. */
void admission_answered(struct admission *admission, struct visit *visit, struct signing_key key,
                        uint64_t queue, uint64_t work);

/* Whether there is one that may go on now, and the one that is next. NULL: there is none. */
bool admission_ready(const struct admission *admission);
struct visit *admission_next(struct admission *admission);
/* The one that gives up its place for others. NULL: there is none of a source that has cost much.
 */
struct visit *admission_worst(const struct admission *admission);
/* To be called before a handshake that was held back is shed. */
void admission_note_shed(struct admission *admission, bool for_room);

#endif
