/*
 * The memory of a store while it is being made: it grows. Header and bytes come first, then the
 * tables. The first failure is kept until the end, so that callers need not check each call.
 */
#ifndef PROXY_STORE_DRAFT_H
#define PROXY_STORE_DRAFT_H

#include <stdbool.h>

#include "proxy/store/array.h"
#include "proxy/store/layout.h"
#include "proxy/store/slots.h"

struct draft {
    int memory;
    char *base; /* the mapping of `memory`; it begins with the header */
    size_t used, room;
    size_t ready; /* bytes whose pages are there already */
    int reason;   /* errno of what has failed; 0: nothing */
    uint64_t seed;
};

/* Spans that are in the store once. */
struct shared_spans {
    struct array spans;
    struct slots slots;
};

#define SHARED_SPANS_INIT ((struct shared_spans){.spans = ARRAY_INIT(struct store_span)})

/* False: out of memory. It is to be closed in any case. */
bool draft_open(struct draft *draft);
void draft_close(struct draft *draft);
/* Notes that something has failed, for this errno. Returns false. */
bool draft_fail(struct draft *draft, int reason);

static inline struct store_header *draft_header(const struct draft *draft)
{
    return (struct store_header *)draft->base;
}

/* Adds bytes, and `zeros` zero bytes that the span does not include. */
struct store_span draft_put(struct draft *draft, const void *bytes, size_t length, size_t zeros);
/* The same unless they are there already. Returns the number of the span among the shared ones. */
uint32_t draft_share(struct draft *draft, struct shared_spans *shared, const void *bytes,
                     size_t length, size_t zeros);
void shared_spans_free(struct shared_spans *shared);
/* What the span holds; until the next call that adds bytes. */
const void *draft_peek(const struct draft *draft, struct store_span span);

/* Makes room for a table, and says in the header where it is; it may move all others. NULL: there
 * is none. */
void *draft_table(struct draft *draft, enum store_table_name name, size_t count);
bool draft_write_array(struct draft *draft, enum store_table_name name, const struct array *array);

/* Returns the descriptor, which is sealed now, or -1. */
int draft_seal(struct draft *draft);

#endif
