#include "proxy/store/names.h"

#include <errno.h>

struct named_choice {
    struct store_choice choice;
    uint32_t next; /* of the same entry; STORE_NONE: none */
};

void names_init(struct names *names, struct draft *draft)
{
    *names = (struct names){.draft = draft,
                            .entries = ARRAY_INIT(struct named_entry),
                            .choices = ARRAY_INIT(struct named_choice)};
}

void names_free(struct names *names)
{
    array_free(&names->entries);
    array_free(&names->choices);
    slots_free(&names->slots);
}

/* ---- entries ---- */

struct name_search {
    const struct names *names;
    uint32_t scope;
    const char *name;
    uint64_t hash;
};

static bool is_name(const void *context, uint32_t number)
{
    const struct name_search *search = context;
    const struct named_entry *entry = names_entry(search->names, number);
    return entry->hash == search->hash && entry->scope == search->scope &&
           strcmp(draft_peek(search->names->draft, entry->name), search->name) == 0;
}

static struct name_search search_for(const struct names *names, uint32_t scope, const char *name)
{
    return (struct name_search){names, scope, name,
                                store_name_hash(names->draft->seed, scope, name)};
}

static struct named_entry *find_entry(const struct name_search *search)
{
    uint32_t number = slots_find(&search->names->slots, search->hash, is_name, search);
    return number != STORE_NONE ? names_entry(search->names, number) : NULL;
}

/* NULL: out of memory. */
static struct named_entry *entry_for(struct names *names, uint32_t scope, const char *name)
{
    const struct name_search search = search_for(names, scope, name);
    struct named_entry *entry = find_entry(&search);
    if (entry != NULL)
        return entry;
    uint32_t number = (uint32_t)names->entries.count;
    struct named_entry made = {.scope = scope,
                               .name = draft_put(names->draft, name, strlen(name), 1),
                               .first = STORE_NONE,
                               .last = STORE_NONE,
                               .next = STORE_NONE,
                               .hash = search.hash};
    entry = array_add(&names->entries, &made);
    if (entry != NULL && slots_add(&names->slots, search.hash, number))
        return entry;
    draft_fail(names->draft, ENOMEM);
    return NULL;
}

struct named_entry *names_entry(const struct names *names, uint32_t number)
{
    return array_at(&names->entries, number);
}

/* ---- choices ---- */

static struct named_choice *choice_at(const struct names *names, uint32_t number)
{
    return array_at(&names->choices, number);
}

struct store_choice names_no_choice(uint32_t route)
{
    struct store_choice none = {.route = route};
    for (int kind = 0; kind < CERTIFICATE_KIND_COUNT; kind++)
        none.certificates[kind] = STORE_NONE;
    return none;
}

struct store_choice *names_choice_for(struct names *names, uint32_t scope, uint32_t route,
                                      const char *name)
{
    struct named_entry *entry = entry_for(names, scope, name);
    if (entry == NULL)
        return NULL;
    if (entry->last != STORE_NONE && choice_at(names, entry->last)->choice.route == route)
        return &choice_at(names, entry->last)->choice;
    uint32_t number = (uint32_t)names->choices.count;
    const struct named_choice made = {.choice = names_no_choice(route), .next = STORE_NONE};
    struct named_choice *added = array_add(&names->choices, &made);
    if (added == NULL) {
        draft_fail(names->draft, ENOMEM);
        return NULL;
    }
    if (entry->last != STORE_NONE)
        choice_at(names, entry->last)->next = number;
    else
        entry->first = number;
    entry->last = number;
    return &added->choice;
}

const struct store_choice *names_first(const struct names *names, uint32_t scope, const char *name)
{
    const struct name_search search = search_for(names, scope, name);
    const struct named_entry *entry = find_entry(&search);
    return entry != NULL && entry->first != STORE_NONE ? &choice_at(names, entry->first)->choice
                                                       : NULL;
}

const struct store_choice *names_last(const struct names *names, uint32_t scope, const char *name)
{
    const struct name_search search = search_for(names, scope, name);
    const struct named_entry *entry = find_entry(&search);
    return entry != NULL && entry->last != STORE_NONE ? &choice_at(names, entry->last)->choice
                                                      : NULL;
}

/* ---- the tables ---- */

static bool is_of_frontend(const struct named_entry *entry)
{
    return entry->scope < NAMES_FRONTENDS_MAX;
}

/* The choices of a name lie one behind the other. */
static void write_entry(const struct names *names, const struct named_entry *from,
                        struct store_entry *entry, struct store_choice *choices, uint32_t *count)
{
    *entry = (struct store_entry){.frontend = from->scope, .name = from->name, .choice = *count};
    for (uint32_t at = from->first; at != STORE_NONE; at = choice_at(names, at)->next)
        choices[(*count)++] = choice_at(names, at)->choice;
    entry->choice_count = *count - entry->choice;
}

static bool write_entries(const struct names *names)
{
    struct draft *draft = names->draft;
    uint32_t entry_count = 0, choice_count = 0;
    for (uint32_t i = 0; i < names->entries.count; i++)
        entry_count += is_of_frontend(names_entry(names, i));
    if (draft_table(draft, TABLE_CHOICES, names->choices.count) == NULL)
        return false;
    struct store_entry *entries = draft_table(draft, TABLE_ENTRIES, entry_count);
    if (entries == NULL)
        return false;
    struct store_table *table = &draft_header(draft)->tables[TABLE_CHOICES];
    struct store_choice *choices = (struct store_choice *)(draft->base + table->offset);
    for (uint32_t i = 0; i < names->entries.count; i++)
        if (is_of_frontend(names_entry(names, i)))
            write_entry(names, names_entry(names, i), entries++, choices, &choice_count);
    table->count = choice_count;
    return true;
}

static bool write_slots(const struct names *names)
{
    struct draft *draft = names->draft;
    const struct store_table entries = draft_header(draft)->tables[TABLE_ENTRIES];
    size_t count = STORE_ALIGNMENT;
    while (count < 2 * entries.count)
        count *= 2;
    uint32_t *slots = draft_table(draft, TABLE_SLOTS, count);
    if (slots == NULL)
        return false;
    memset(slots, 0, count * sizeof *slots);
    const struct store_entry *entry = (const struct store_entry *)(draft->base + entries.offset);
    for (uint32_t i = 0; i < entries.count; i++) {
        size_t at =
            store_name_hash(draft->seed, entry[i].frontend, draft_peek(draft, entry[i].name));
        while (slots[at & (count - 1)] != 0)
            at++;
        slots[at & (count - 1)] = i + 1;
    }
    return true;
}

bool names_write(const struct names *names)
{
    return write_entries(names) && write_slots(names);
}
