/*
 * A refresh: other certificates and keys come into force in a generation that serves, without other
 * processes. It is for a configuration whose text has not changed.
 *
 *     READS    the loader makes the next store from the store in force and the files
 *     ADDS     immured gets the keys that it lacks; if it refuses some, the loader READS again
 *     OFFERS   the worker's main thread maps the store; from now on it is in force
 *     SWAPS    each thread takes it, and goes on when no handshake uses the store before
 *     REMOVES  immured forgets the keys that no certificate has any more
 *
 * If anything goes wrong before the store is in force, the one before goes on. Keys that were added
 * until then stay in immured; the next refresh finds them there.
 *
 * There is one at a time. Whoever asks while one is under way gets the next, which all share that
 * have asked until it begins. A trial READS, tells what it has found, and ends.
 */
#ifndef PROXY_MASTER_REFRESH_H
#define PROXY_MASTER_REFRESH_H

#include "proxy/master/core.h"

void refresh_init(struct generation *generation);
void refresh_end(struct generation *generation);

/* Begins, now or when the one that is under way has ended. */
void refresh_begin(struct generation *generation);
/* The same for a caller who wants the report. The request is the caller's, who may cancel it. It
 * can be done before this returns. What is too much for a refresh is left alone. */
void refresh_ask(struct generation *generation, struct refresh_request *request);
void refresh_cancel(struct refresh_request *request);
/* Returns how the refresh has ended, once. */
enum refresh_outcome refresh_outcome(struct generation *generation);

/* ---- what it is told ---- */

void refresh_running(struct generation *generation);
void refresh_folders_changed(struct generation *generation);
void refresh_read(struct generation *generation);
void refresh_key_changed(struct generation *generation, enum hand_over_state state);
void refresh_heard(struct control_end *control, enum control_type type);
void refresh_worker_ended(struct generation *generation);
void refresh_keyd_ended(struct generation *generation);
void refresh_loader_ended(struct generation *generation);

#endif
