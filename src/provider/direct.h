/* Asks immured over connections of the provider's own, for servers that know nothing of immure. */
#ifndef PROVIDER_DIRECT_H
#define PROVIDER_DIRECT_H

#include "provider/question.h"

/*
 * Asks the key's immured, and waits at most for the configured timeout: by pausing the job within
 * an async job with `asynchronous = yes`, otherwise in poll(). False: it could not be sent, and the
 * reason is on the error queue. Safe in any thread, and after a fork().
 */
bool direct_ask(struct question *question);

#endif
