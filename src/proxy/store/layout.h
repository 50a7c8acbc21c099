/*
 * How a store lies in memory: a header, bytes of any length, then tables, each aligned to eight
 * bytes. All in the byte order of this machine, which is the only one that ever reads it. VERSION
 * changes with any of these structs, and with what is in them.
 */
#ifndef PROXY_STORE_LAYOUT_H
#define PROXY_STORE_LAYOUT_H

#include <fcntl.h>
#include <stdint.h>
#include <string.h>

#include "proxy/store/record.h"

#define STORE_MAGIC UINT64_C(0x65726f7473206d69) /* "im store" */
#define STORE_VERSION 3
#define STORE_ALIGNMENT 8
#define FAILURES_MAX 1000
#define STORE_SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL)

/* A name of a frontend. */
struct store_entry {
    uint32_t frontend;
    struct store_span name;
    uint32_t choice, choice_count;
};

struct store_table {
    uint64_t offset;
    uint64_t count; /* of elements */
};

enum store_table_name {
    TABLE_BYTES,
    TABLE_CERTIFICATES,       /* struct store_certificate */
    TABLE_CHAIN_CERTIFICATES, /* struct store_span: DER */
    TABLE_CHAINS,             /* uint32_t: numbers of chain certificates */
    TABLE_ENTRIES,            /* struct store_entry */
    TABLE_CHOICES,            /* struct store_choice */
    TABLE_DEFAULTS,           /* struct store_choice: one a route; all STORE_NONE: none */
    TABLE_SLOTS,              /* uint32_t: the number of an entry plus 1, or 0 */
    TABLE_FAILURES,           /* struct store_failure: the first FAILURES_MAX of them */
    TABLE_COUNT
};

static const size_t store_element_sizes[TABLE_COUNT] = {
    [TABLE_BYTES] = 1,
    [TABLE_CERTIFICATES] = sizeof(struct store_certificate),
    [TABLE_CHAIN_CERTIFICATES] = sizeof(struct store_span),
    [TABLE_CHAINS] = sizeof(uint32_t),
    [TABLE_ENTRIES] = sizeof(struct store_entry),
    [TABLE_CHOICES] = sizeof(struct store_choice),
    [TABLE_DEFAULTS] = sizeof(struct store_choice),
    [TABLE_SLOTS] = sizeof(uint32_t),
    [TABLE_FAILURES] = sizeof(struct store_failure)};

struct store_header {
    uint64_t magic;
    uint32_t version;
    uint32_t failed;
    uint64_t size;
    uint64_t seed;     /* of store_hash(), random */
    uint64_t checksum; /* of all but the header, in an index on disk; else 0 */
    struct store_table tables[TABLE_COUNT];
};

/* Multiplies and folds eight bytes at a time. The seed is secret, so that whoever chooses names
 * cannot make them collide. */
static inline uint64_t store_hash(uint64_t seed, const void *bytes, size_t length)
{
    uint64_t hash = seed ^ (length * UINT64_C(0x9e3779b97f4a7c15));
    for (size_t i = 0; i < length; i += sizeof hash) {
        uint64_t word = 0;
        memcpy(&word, (const char *)bytes + i, length - i < sizeof word ? length - i : sizeof word);
        hash = (hash ^ word) * UINT64_C(0xbf58476d1ce4e5b9);
        hash ^= hash >> 31;
    }
    hash = (hash ^ seed) * UINT64_C(0x94d049bb133111eb);
    return hash ^ hash >> 29;
}

static inline uint64_t store_name_hash(uint64_t seed, uint32_t frontend, const char *name)
{
    return store_hash(seed + frontend, name, strlen(name));
}

#endif
