#include "proxy/store/draft.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/descriptor.h"

#define ROOM_FIRST ((size_t)1 << 20)
/* Pages are asked for by so many bytes: a fault for each would cost more than what is copied. */
#define READY_STEP ROOM_FIRST
/* Offsets are uint32_t. */
#define BYTES_MAX ((size_t)UINT32_MAX)

/* ---- life ---- */

bool draft_open(struct draft *draft)
{
    *draft = (struct draft){.memory = memfd_create("certificates", MFD_CLOEXEC | MFD_ALLOW_SEALING),
                            .used = sizeof(struct store_header) + 1, /* the empty text */
                            .room = ROOM_FIRST};
    if (draft->memory < 0 || ftruncate(draft->memory, (off_t)draft->room) != 0 ||
        getrandom(&draft->seed, sizeof draft->seed, 0) != sizeof draft->seed)
        return false;
    void *mapped = mmap(NULL, draft->room, PROT_READ | PROT_WRITE, MAP_SHARED, draft->memory, 0);
    if (mapped != MAP_FAILED)
        draft->base = mapped;
    return draft->base != NULL;
}

void draft_close(struct draft *draft)
{
    if (draft->base != NULL)
        munmap(draft->base, draft->room);
    draft->base = NULL;
    descriptor_close(&draft->memory);
}

bool draft_fail(struct draft *draft, int reason)
{
    if (draft->reason == 0)
        draft->reason = reason;
    return false;
}

int draft_seal(struct draft *draft)
{
    munmap(draft->base, draft->room);
    draft->base = NULL;
    if (ftruncate(draft->memory, (off_t)draft->used) != 0 ||
        fcntl(draft->memory, F_ADD_SEALS, STORE_SEALS) != 0) {
        draft_fail(draft, errno);
        return -1;
    }
    int memory = draft->memory;
    draft->memory = -1;
    return memory;
}

/* ---- bytes ---- */

/* That is for speed only, so a kernel without it (before 5.14) does no harm. */
static void make_ready(struct draft *draft, size_t end)
{
    while (draft->ready < end) {
        madvise(draft->base + draft->ready, READY_STEP, MADV_POPULATE_WRITE);
        draft->ready += READY_STEP;
    }
}

static bool grow(struct draft *draft, size_t length)
{
    size_t room = draft->room;
    while (room - draft->used < length)
        room *= 2;
    if (room == draft->room)
        return true;
    if (ftruncate(draft->memory, (off_t)room) != 0)
        return draft_fail(draft, errno);
    void *moved = mremap(draft->base, draft->room, room, MREMAP_MAYMOVE);
    if (moved == MAP_FAILED)
        return draft_fail(draft, errno);
    draft->base = moved;
    draft->room = room;
    return true;
}

static bool make_room(struct draft *draft, size_t length)
{
    if (!grow(draft, length))
        return false;
    make_ready(draft, draft->used + length);
    return true;
}

static char *bytes_at(const struct draft *draft, uint32_t offset)
{
    return draft->base + sizeof(struct store_header) + offset;
}

struct store_span draft_put(struct draft *draft, const void *bytes, size_t length, size_t zeros)
{
    size_t offset = draft->used - sizeof(struct store_header);
    if (length + zeros > BYTES_MAX - offset) {
        draft_fail(draft, EFBIG);
        return (struct store_span){0};
    }
    if (length == 0 || !make_room(draft, length + zeros))
        return (struct store_span){0};
    struct store_span span = {(uint32_t)offset, (uint32_t)length};
    memcpy(bytes_at(draft, span.offset), bytes, length);
    draft->used += length + zeros;
    return span;
}

const void *draft_peek(const struct draft *draft, struct store_span span)
{
    return bytes_at(draft, span.offset);
}

/* ---- bytes that are in the store once ---- */

struct shared_search {
    const struct draft *draft;
    const struct shared_spans *shared;
    const void *bytes;
    size_t length;
};

static bool is_span(const void *context, uint32_t number)
{
    const struct shared_search *search = context;
    const struct store_span *span = array_at(&search->shared->spans, number);
    return span->length == search->length &&
           memcmp(draft_peek(search->draft, *span), search->bytes, span->length) == 0;
}

uint32_t draft_share(struct draft *draft, struct shared_spans *shared, const void *bytes,
                     size_t length, size_t zeros)
{
    const struct shared_search search = {draft, shared, bytes, length};
    uint64_t hash = store_hash(draft->seed, bytes, length);
    uint32_t number = slots_find(&shared->slots, hash, is_span, &search);
    if (number != STORE_NONE)
        return number;
    struct store_span span = draft_put(draft, bytes, length, zeros);
    number = (uint32_t)shared->spans.count;
    if (array_add(&shared->spans, &span) == NULL || !slots_add(&shared->slots, hash, number)) {
        draft_fail(draft, ENOMEM);
        return 0;
    }
    return number;
}

void shared_spans_free(struct shared_spans *shared)
{
    array_free(&shared->spans);
    slots_free(&shared->slots);
}

/* ---- tables ---- */

void *draft_table(struct draft *draft, enum store_table_name name, size_t count)
{
    size_t start = (draft->used + STORE_ALIGNMENT - 1) / STORE_ALIGNMENT * STORE_ALIGNMENT;
    size_t size = count * store_element_sizes[name];
    if (!make_room(draft, start - draft->used + size))
        return NULL;
    draft->used = start + size;
    draft_header(draft)->tables[name] = (struct store_table){.offset = start, .count = count};
    return draft->base + start;
}

bool draft_write_array(struct draft *draft, enum store_table_name name, const struct array *array)
{
    void *table = draft_table(draft, name, array->count);
    if (table != NULL && array->count > 0)
        memcpy(table, array->items, array->count * array->item_size);
    return table != NULL;
}
