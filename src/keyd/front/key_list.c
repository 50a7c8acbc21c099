#include "keyd/front/key_list.h"

#include <string.h>

#include "keyd/front/rights.h"
#include "wire/message.h"

#define KEYS_AT_ONCE 1024 /* a frame never has room for more */
/* The low bits of a position are a place; the others are 0 for the keyring, else group + 1. */
#define PLACE_BITS KEY_GROUP_KEYS_BITS

_Static_assert(KEY_GROUPS_MAX < 1u << (32 - PLACE_BITS), "each group has positions");

struct page {
    struct wire_key keys[KEYS_AT_ONCE];
    size_t count, length;
};

static void add_kind(struct wire_key *row, const struct kind *kind)
{
    row->backend = kind->single->number;
    if (kind->batch == NULL)
        return;
    row->lanes_backend = kind->batch->number;
    row->lanes_from = (uint8_t)kind->threshold;
    row->lanes = (uint8_t)kind->width;
}

/* False: the frame has no room for the row. */
static bool add_row(struct page *page, const struct wire_key *row)
{
    size_t length = wire_key_size(row);
    if (page->count == KEYS_AT_ONCE || page->length + length > WIRE_PAYLOAD_MAX)
        return false;
    page->keys[page->count++] = *row;
    page->length += length;
    return true;
}

static bool add_key(struct page *page, const struct key *key)
{
    struct wire_key row = {.id = key->id,
                           .name = key->name,
                           .name_length = strlen(key->name),
                           .spki = key->spki,
                           .spki_length = key->spki_length,
                           .scheme_count = key->scheme_count};
    memcpy(row.schemes, key->schemes, sizeof row.schemes);
    add_kind(&row, key->kind);
    return add_row(page, &row);
}

/* The public half of a compact key is not at hand, and of a long path the end says most. */
static bool add_compact(struct page *page, const struct compact_key *key)
{
    struct key described = {.name = NULL};
    size_t length = strlen(key->name);
    size_t skip = length > WIRE_KEY_NAME_MAX ? length - WIRE_KEY_NAME_MAX : 0;
    key_describe(&described, (enum wire_key_type)key->type, key->bits);
    struct wire_key row = {.id = key->id,
                           .name = key->name + skip,
                           .name_length = length - skip,
                           .scheme_count = described.scheme_count};
    memcpy(row.schemes, described.schemes, sizeof row.schemes);
    add_kind(&row, key->kind);
    return add_row(page, &row);
}

/* Both fill the page from a place on, and return the place to go on with; `count`: it was the last.
 */
static size_t add_keyring(struct page *page, const struct session *session, size_t place)
{
    const struct keyring *keyring = session->server->keyring;
    for (; place < keyring->count; place++)
        if (rights_allow(session->server, &session->peer, &keyring->keys[place]->allow) &&
            !add_key(page, keyring->keys[place]))
            break;
    return place;
}

static bool is_listed(const struct compact_key *key)
{
    return key != NULL && !key->damaged && key->kind != NULL;
}

static size_t add_group(struct page *page, const struct session *session,
                        const struct key_group *group, size_t place)
{
    if (!rights_allow(session->server, &session->peer, &group->allow))
        return group->count;
    for (; place < group->count; place++)
        if (is_listed(group->keys[place]) && !add_compact(page, group->keys[place]))
            break;
    return place;
}

/* Fills the page from a position on. Returns the position to go on with; 0: there is none. */
static uint32_t fill(struct page *page, const struct session *session, uint32_t position)
{
    const struct keyring *keyring = session->server->keyring;
    const struct compact_keys *compact = &keyring->compact;
    size_t part = position >> PLACE_BITS, place = position & (KEY_GROUP_KEYS_MAX - 1);
    for (; part <= compact->group_count; part++, place = 0) {
        const struct key_group *group = part > 0 ? &compact->groups[part - 1] : NULL;
        size_t count = group != NULL ? group->count : keyring->count;
        place = group != NULL ? add_group(page, session, group, place)
                              : add_keyring(page, session, place);
        if (place < count)
            return (uint32_t)(part << PLACE_BITS | place);
    }
    return 0;
}

size_t key_list_most(size_t count)
{
    return count < KEYS_AT_ONCE ? count : KEYS_AT_ONCE;
}

enum immure_error key_list_answer(struct session *session, const struct wire_frame *frame)
{
    struct wire_list list;
    struct page page = {.count = 0, .length = WIRE_KEYS_FIELDS};
    enum immure_error error = wire_get_list(frame, &list);
    const struct keyring *keyring = session->server->keyring;
    size_t part = list.first >> PLACE_BITS;
    if (error != IMMURE_OK || part > keyring->compact.group_count ||
        (part == 0 && list.first > keyring->count))
        return IMMURE_E_MALFORMED;
    uint32_t next = fill(&page, session, list.first), total = next > 0 ? UINT32_MAX : 0;
    size_t put; /* all of them: the page has no more than a frame */
    session_schedule_flush(session,
                           wire_put_keys(&session->output, frame->id, page.keys, page.count,
                                         next - (uint32_t)page.count, total, &put));
    return IMMURE_OK;
}
