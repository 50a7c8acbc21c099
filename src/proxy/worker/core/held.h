/*
 * A handshake that admission may hold back (proxy/worker/admission). While it is held back, its
 * step is in no queue of the turn, and a timer of its own runs until the end of handshake-patience.
 */
#ifndef PROXY_WORKER_CORE_HELD_H
#define PROXY_WORKER_CORE_HELD_H

#include "proxy/worker/admission/admission.h"
#include "proxy/worker/core/turn.h"

/* Belongs to a connection. The owner sets `visit` by admission_enter(). */
struct held {
    struct admission *admission;
    struct visit visit;
    struct step *step; /* goes on with the handshake */
    struct timer patience;
    void (*shed)(struct held *held); /* the handshake is to be given up */
};

void held_init(struct held *held, struct admission *admission, struct step *step,
               void (*shed)(struct held *held));
/* The connection has ended. */
void held_release(struct held *held);

/* These two return whether the handshake is held back: before it begins, and before a signature. */
bool held_begin(struct held *held);
bool held_sign(struct held *held, struct signing_key key);

/* The step of the handshake that is next. NULL: there is none. */
struct step *held_take(struct admission *admission);
/* Gives up one, of a source that has cost much, so that a place is free. False: there is none. */
bool held_shed_one(struct admission *admission);

#endif
