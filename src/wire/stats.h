/*
 * The figures of a FIGURES frame and the signing backends of a SIGNED frame: number, name, meaning.
 * Numbers are never reused; a client ignores those that it does not know.
 */
#ifndef WIRE_STATS_H
#define WIRE_STATS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum wire_stat_number {
    WIRE_STAT_UPTIME_SECONDS = 1,
    WIRE_STAT_KEYS,
    WIRE_STAT_SESSIONS,
    WIRE_STAT_SESSIONS_TOTAL,
    WIRE_STAT_SESSIONS_REFUSED_TOTAL,
    WIRE_STAT_PROTOCOL_ERRORS_TOTAL,
    WIRE_STAT_SIGN_REQUESTS_TOTAL,
    WIRE_STAT_SIGNATURES_TOTAL,
    WIRE_STAT_REFUSED_TOTAL,
    WIRE_STAT_BUSY_TOTAL,
    WIRE_STAT_EXPIRED_TOTAL,
    WIRE_STAT_CANCELLED_TOTAL,
    WIRE_STAT_FAILED_TOTAL,
    WIRE_STAT_QUEUED,
    WIRE_STAT_BATCHES_TOTAL,
    WIRE_STAT_QUEUE_AGE_US,
    WIRE_STAT_LANE_BATCHES_TOTAL,
    WIRE_STAT_LANES_FILLED_TOTAL,
    WIRE_STAT_SIGNED_AGAIN_TOTAL,
    WIRE_STAT_SIGNATURES_OPENSSL_TOTAL,
    WIRE_STAT_SIGNATURES_MULTIBUFFER_TOTAL,
    WIRE_STAT_SIGNATURES_PROVIDER_TOTAL,
    WIRE_STAT_DECRYPTIONS_TOTAL
};

struct wire_stat {
    enum wire_stat_number number;
    const char *name;
    const char *help;
    bool counter;
};

extern const struct wire_stat wire_stats[];
extern const size_t wire_stat_count;
const struct wire_stat *wire_stat_find(uint16_t number);

/* The names of the backends, which the configuration of immured uses, too. */
#define WIRE_NAME_OPENSSL "openssl"
#define WIRE_NAME_MULTIBUFFER "multibuffer"
#define WIRE_NAME_PROVIDER "provider"

enum wire_backend {
    WIRE_BACKEND_OPENSSL = 1,
    WIRE_BACKEND_MULTIBUFFER = 2,
    WIRE_BACKEND_PROVIDER = 3,
    WIRE_BACKEND_TEST = 255
};

/* "openssl" and so on; "unknown" for a backend of a later version. */
const char *wire_backend_name(uint8_t backend);

#endif
