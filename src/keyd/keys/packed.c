#include "keyd/keys/packed.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "walls/seal.h"

#define CHUNK_SIZE ((size_t)1 << 20)

/* At the begin of its own memory. */
struct packed_chunk {
    struct packed_chunk *next;
    size_t filled; /* bytes, this header included */
};

#define HEADER_SIZE ((sizeof(struct packed_chunk) + PACKED_UNIT - 1) / PACKED_UNIT * PACKED_UNIT)

struct packed {
    struct packed_chunk *chunks; /* the newest is first */
    size_t chunk_count;
    bool reserved; /* no chunk is added any more */
    size_t used;
    enum secret_pages kind;
    char reason[128];
    uint8_t *free[PACKED_MOST / PACKED_UNIT + 1]; /* pieces by size; each begins with the next */
};

static size_t units_of(size_t length)
{
    return length > 0 ? (length + PACKED_UNIT - 1) / PACKED_UNIT : 1;
}

struct packed *packed_new(void)
{
    struct packed *packed = calloc(1, sizeof *packed);
    if (packed != NULL)
        packed->kind = PAGES_SECRET;
    return packed;
}

static struct packed_chunk *map_chunk(struct packed *packed)
{
    enum secret_pages kind;
    char reason[sizeof packed->reason] = "";
    struct packed_chunk *chunk = secret_pages_map(CHUNK_SIZE, &kind, reason, sizeof reason);
    if (chunk == NULL)
        return NULL;
    if (kind > packed->kind) {
        packed->kind = kind;
        memcpy(packed->reason, reason, sizeof reason);
    }
    chunk->filled = HEADER_SIZE;
    packed->chunk_count++;
    return chunk;
}

/* A chunk with room; NULL: there is none. */
static struct packed_chunk *find_chunk(struct packed *packed, size_t size)
{
    struct packed_chunk *chunk = packed->chunks;
    while (chunk != NULL && CHUNK_SIZE - chunk->filled < size)
        chunk = packed->reserved ? chunk->next : NULL;
    if (chunk != NULL || packed->reserved || (chunk = map_chunk(packed)) == NULL)
        return chunk;
    chunk->next = packed->chunks;
    packed->chunks = chunk;
    return chunk;
}

static uint8_t *take_free(struct packed *packed, size_t units)
{
    uint8_t *piece = packed->free[units];
    if (piece != NULL)
        memcpy(&packed->free[units], piece, sizeof(uint8_t *));
    return piece;
}

const uint8_t *packed_add(struct packed *packed, const void *bytes, size_t length)
{
    size_t units = units_of(length), size = units * PACKED_UNIT;
    if (length > PACKED_MOST)
        return NULL;
    uint8_t *piece = take_free(packed, units);
    if (piece == NULL) {
        struct packed_chunk *chunk = find_chunk(packed, size);
        if (chunk == NULL)
            return NULL;
        piece = (uint8_t *)chunk + chunk->filled;
        chunk->filled += size;
    }
    packed->used += size;
    memcpy(piece, bytes, length);
    return piece;
}

void packed_remove(struct packed *packed, const uint8_t *bytes, size_t length)
{
    size_t units = units_of(length);
    uint8_t *piece = (uint8_t *)bytes;
    OPENSSL_cleanse(piece, units * PACKED_UNIT);
    memcpy(piece, &packed->free[units], sizeof(uint8_t *));
    packed->free[units] = piece;
    packed->used -= units * PACKED_UNIT;
}

bool packed_reserve(struct packed *packed)
{
    size_t more = packed->chunk_count / 4 + 1;
    struct packed_chunk **last = &packed->chunks;
    while (*last != NULL)
        last = &(*last)->next;
    for (size_t i = 0; i < more; i++, last = &(*last)->next)
        if ((*last = map_chunk(packed)) == NULL)
            return false;
    packed->reserved = true;
    return true;
}

size_t packed_size(const struct packed *packed)
{
    return packed->chunk_count * CHUNK_SIZE;
}

size_t packed_used(const struct packed *packed)
{
    return packed->used;
}

enum secret_pages packed_kind(const struct packed *packed, const char **reason)
{
    *reason = packed->reason;
    return packed->kind;
}

void packed_seal(const struct packed *packed, struct report *report)
{
    bool sealed = true;
    for (struct packed_chunk *chunk = packed->chunks; chunk != NULL && sealed; chunk = chunk->next)
        sealed = seal_pages(chunk, CHUNK_SIZE);
    if (packed->chunks != NULL)
        report_note(report, "sealed keys", sealed, "%s",
                    sealed ? "can be neither unmapped nor remapped" : strerror(errno));
}

void packed_free(struct packed *packed)
{
    while (packed != NULL && packed->chunks != NULL) {
        struct packed_chunk *chunk = packed->chunks;
        packed->chunks = chunk->next;
        OPENSSL_cleanse(chunk, chunk->filled);
        munmap(chunk, CHUNK_SIZE); /* has no effect on sealed memory, which ends with the process */
    }
    free(packed);
}
