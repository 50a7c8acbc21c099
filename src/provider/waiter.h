/* Asks immured through the waiter that the thread has entered. Its public interface is in
 * immure/openssl.h. */
#ifndef PROVIDER_WAITER_H
#define PROVIDER_WAITER_H

#include "immure/openssl.h"
#include "provider/question.h"

/* NULL if none was entered. */
struct immure_waiter *waiter_of_thread(void);
/* Pauses the async job that it runs in, or blocks. False if it could not be sent or waited for,
 * with the reason on the error queue. */
bool waiter_ask(struct immure_waiter *waiter, struct question *question);

#endif
