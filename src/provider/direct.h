/* Asking over connections of the provider's own: for servers that know nothing of immure. */
#ifndef PROVIDER_DIRECT_H
#define PROVIDER_DIRECT_H

#include "provider/ask.h"

/*
 * Asks the immured of the key, and waits at most as long as the settings allow: within an async job
 * and with `asynchronous = yes` by pausing the job, else in poll(). False: it could not even be
 * tried, and the reason is on the error queue. Any thread, also after a fork().
 */
bool direct_ask(struct ask *ask);

#endif
