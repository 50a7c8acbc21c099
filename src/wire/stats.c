#include "wire/stats.h"

const struct wire_stat wire_stats[] = {
    {WIRE_STAT_UPTIME_SECONDS, "uptime_seconds", "time since immured was ready", false},
    {WIRE_STAT_KEYS, "keys", "private keys held", false},
    {WIRE_STAT_SESSIONS, "sessions", "clients connected", false},
    {WIRE_STAT_SESSIONS_TOTAL, "sessions_total", "clients that ever connected", true},
    {WIRE_STAT_SESSIONS_REFUSED_TOTAL, "sessions_refused_total", "clients refused at the door",
     true},
    {WIRE_STAT_PROTOCOL_ERRORS_TOTAL, "protocol_errors_total",
     "clients disconnected for a bad frame", true},
    {WIRE_STAT_SIGN_REQUESTS_TOTAL, "sign_requests_total", "SIGN requests", true},
    {WIRE_STAT_SIGNATURES_TOTAL, "signatures_total", "signatures released", true},
    {WIRE_STAT_REFUSED_TOTAL, "refused_total", "SIGN requests refused by key, scheme or policy",
     true},
    {WIRE_STAT_BUSY_TOTAL, "busy_total", "SIGN requests refused because the queue was full", true},
    {WIRE_STAT_EXPIRED_TOTAL, "expired_total", "SIGN requests dropped at their deadline", true},
    {WIRE_STAT_CANCELLED_TOTAL, "cancelled_total", "SIGN requests cancelled before they began",
     true},
    {WIRE_STAT_FAILED_TOTAL, "failed_total", "signatures that failed or did not verify", true},
    {WIRE_STAT_QUEUED, "queued", "SIGN requests waiting for a signer", false},
    {WIRE_STAT_BATCHES_TOTAL, "batches_total", "batches that were signed", true},
    {WIRE_STAT_QUEUE_AGE_US, "queue_age_microseconds",
     "how long the oldest SIGN request has waited", false},
    {WIRE_STAT_LANE_BATCHES_TOTAL, "lane_batches_total", "batches signed by a multi-lane backend",
     true},
    {WIRE_STAT_LANES_FILLED_TOTAL, "lanes_filled_total", "signatures made in such batches", true},
    {WIRE_STAT_SIGNED_AGAIN_TOTAL, "signed_again_total",
     "signatures that a backend failed to make and libcrypto made instead", true},
    {WIRE_STAT_SIGNATURES_OPENSSL_TOTAL, "signatures_" WIRE_NAME_OPENSSL "_total",
     "signatures by " WIRE_NAME_OPENSSL, true},
    {WIRE_STAT_SIGNATURES_MULTIBUFFER_TOTAL, "signatures_" WIRE_NAME_MULTIBUFFER "_total",
     "signatures by " WIRE_NAME_MULTIBUFFER, true},
    {WIRE_STAT_SIGNATURES_PROVIDER_TOTAL, "signatures_" WIRE_NAME_PROVIDER "_total",
     "signatures by " WIRE_NAME_PROVIDER, true},
    {WIRE_STAT_DECRYPTIONS_TOTAL, "decryptions_total", "premaster secrets released", true},
};

const size_t wire_stat_count = sizeof wire_stats / sizeof wire_stats[0];

const struct wire_stat *wire_stat_find(uint16_t number)
{
    for (size_t i = 0; i < wire_stat_count; i++)
        if (wire_stats[i].number == number)
            return &wire_stats[i];
    return NULL;
}

const char *wire_backend_name(uint8_t backend)
{
    switch (backend) {
    case WIRE_BACKEND_OPENSSL:
        return WIRE_NAME_OPENSSL;
    case WIRE_BACKEND_MULTIBUFFER:
        return WIRE_NAME_MULTIBUFFER;
    case WIRE_BACKEND_PROVIDER:
        return WIRE_NAME_PROVIDER;
    case WIRE_BACKEND_TEST:
        return "test";
    default:
        return "unknown";
    }
}
