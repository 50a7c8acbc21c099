/* Asking through the waiter that the thread has entered; the public half is immure/openssl.h. */
#ifndef PROVIDER_WAITER_H
#define PROVIDER_WAITER_H

#include "immure/openssl.h"
#include "provider/ask.h"

/* NULL: none was entered. */
struct immure_waiter *waiter_of_thread(void);
/* Pauses the async job it runs in, or blocks. False: it could not be tried, or not be waited for,
 * and the reason is on the error queue. */
bool waiter_ask(struct immure_waiter *waiter, struct ask *ask);

#endif
