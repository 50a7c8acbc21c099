/*
 * Small secrets that stay for long, such as the DER of a hundred thousand keys, packed into secret
 * memory of their own without a header for each: the owner keeps place and length. The memory grows
 * by whole chunks until packed_reserve(), because the sandbox allows no new ones. Pieces that are
 * freed are wiped, and serve others of the same size. Only one thread may use it at a time.
 */
#ifndef KEYD_KEYS_PACKED_H
#define KEYD_KEYS_PACKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "walls/report.h"
#include "walls/secret_pages.h"

#define PACKED_UNIT 16   /* pieces are multiples of it */
#define PACKED_MOST 8192 /* bytes of a piece: an RSA-8192 key in PKCS #8 has 4,700 */

struct packed;

/* NULL: out of memory. */
struct packed *packed_new(void);
/* Copies a secret. NULL: there is no room, or it is longer than PACKED_MOST. */
const uint8_t *packed_add(struct packed *packed, const void *bytes, size_t length);
/* Wipes and frees it. */
void packed_remove(struct packed *packed, const uint8_t *bytes, size_t length);
/* Takes the last memory: room for a quarter more than it has, and no less than one chunk. */
bool packed_reserve(struct packed *packed);
/* The bytes of all its chunks, and of what is in them, in units. */
size_t packed_size(const struct packed *packed);
size_t packed_used(const struct packed *packed);
/* The worst kind of its pages; *reason says why it is not PAGES_SECRET. */
enum secret_pages packed_kind(const struct packed *packed, const char **reason);
/* Makes its mappings unchangeable. */
void packed_seal(const struct packed *packed, struct report *report);
/* Wipes and unmaps everything. Harmless on NULL. */
void packed_free(struct packed *packed);

#endif
