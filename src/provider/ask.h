#ifndef PROVIDER_ASK_H
#define PROVIDER_ASK_H

#include "provider/question.h"

/* Asks immured through the thread's waiter, or else over a connection of the provider's own. False:
 * the reason is on the error queue. May pause the async job that it runs in. */
bool ask_immured(struct question *question);

#endif
