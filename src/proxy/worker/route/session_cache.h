/*
 * Sessions of TLS 1.2 clients that support no tickets, by session id (RFC 5246, section 7.4.1.2),
 * shared by all threads of a worker.
 *
 * The cache has a fixed size and is set-associative: an id belongs to one small set of entries, and
 * the oldest entry of a full set is replaced. No thread waits for another: a set that another
 * thread is using is skipped, and the client then makes a full handshake.
 */
#ifndef PROXY_WORKER_ROUTE_SESSION_CACHE_H
#define PROXY_WORKER_ROUTE_SESSION_CACHE_H

#include <stddef.h>
#include <stdint.h>

#define SESSION_ID_SIZE 32
#define SESSION_BYTES_MAX 456 /* as i2d_SSL_SESSION() writes it; longer ones are not stored */

struct session_cache;

/* The cache has room for at least this many sessions. NULL: out of memory. */
struct session_cache *session_cache_new(size_t sessions);
/* Wipes all sessions. */
void session_cache_free(struct session_cache *cache);

/* Ids have to be random: their first bytes choose the set. */
void session_cache_put(struct session_cache *cache, const uint8_t id[static SESSION_ID_SIZE],
                       const uint8_t *bytes, size_t length);
/* Copies the session. Returns its length; 0: not found. */
size_t session_cache_get(struct session_cache *cache, const uint8_t id[static SESSION_ID_SIZE],
                         uint8_t bytes[static SESSION_BYTES_MAX]);
void session_cache_remove(struct session_cache *cache, const uint8_t id[static SESSION_ID_SIZE]);

#endif
