/*
 * Waiting for immured within an async job (ASYNC_start_job(3)) of a server that knows nothing of
 * immure: the job is paused, and the server polls the descriptor that it finds in the job's wait
 * context.
 */
#ifndef PROVIDER_PAUSE_H
#define PROVIDER_PAUSE_H

#include "client/exchange.h"

struct pause;

/* That of the connection whose job the caller runs in; it ends with the connection's wait context.
 * NULL: not within a job, or no descriptors are left. */
struct pause *pause_of_job(void);
/* As exchange_run(); the exchange is closed if the connection is freed in the middle. */
enum immure_error pause_run(struct pause *pause, struct immure_blocking *exchange, const bool *done,
                            immure_request_id id, uint64_t deadline);

#endif
