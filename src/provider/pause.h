/*
 * Waits for immured within an async job (ASYNC_start_job(3)) of a server that knows nothing of
 * immure: the job is paused, and the server polls the descriptor in the job's wait context.
 */
#ifndef PROVIDER_PAUSE_H
#define PROVIDER_PAUSE_H

#include "client/exchange.h"

struct pause;

/* The pause of the current job's connection, which is freed with the connection's wait context.
 * NULL if the caller is not within a job, or no descriptors are left. */
struct pause *pause_of_job(void);
/* Like exchange_run(). The exchange is closed if the connection is freed during the wait. */
enum immure_error pause_run(struct pause *pause, struct immure_blocking *exchange, const bool *done,
                            immure_request_id id, uint64_t deadline);

#endif
