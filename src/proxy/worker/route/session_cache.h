/*
 * Sessions of TLS 1.2 clients that take no tickets, by session id (RFC 5246, section 7.4.1.2), for
 * all threads of a worker.
 *
 * Of a fixed size: an id has its place in one small set of entries, and the oldest entry of a full
 * set gives way. No thread waits for another: a set that another thread uses at this moment is
 * passed over, and a client then makes a full handshake.
 */
#ifndef PROXY_WORKER_ROUTE_SESSION_CACHE_H
#define PROXY_WORKER_ROUTE_SESSION_CACHE_H

#include <stddef.h>
#include <stdint.h>

#define SESSION_ID_SIZE 32
#define SESSION_BYTES_MAX 456 /* as i2d_SSL_SESSION() writes it; a longer one is not kept */

struct session_cache;

/* Room for at least so many sessions. NULL: out of memory. */
struct session_cache *session_cache_new(size_t sessions);
/* Wipes what it holds. */
void session_cache_free(struct session_cache *cache);

/* Ids are random numbers that this server has made. */
void session_cache_put(struct session_cache *cache, const uint8_t id[static SESSION_ID_SIZE],
                       const uint8_t *bytes, size_t length);
/* Copies it. Returns its length; 0: there is none. */
size_t session_cache_get(struct session_cache *cache, const uint8_t id[static SESSION_ID_SIZE],
                         uint8_t bytes[static SESSION_BYTES_MAX]);
void session_cache_remove(struct session_cache *cache, const uint8_t id[static SESSION_ID_SIZE]);

#endif
