#include "proxy/config/value.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/duration.h"
#include "proxy/config/address.h"
#include "proxy/config/config.h"

#define ALPN_NAME_MAX_BYTES 255    /* RFC 7301, section 3.1 */
#define ALPN_LIST_MAX_BYTES 0xffff /* the same */
#define VALUES_TEXT_SIZE 128

/* What each store function works with. */
struct store {
    const struct directive *directive;
    const struct value *values;
    size_t count;
    const char *directory;
    char *field;
    size_t *list_count;
    int *line;
    char *reason;
    size_t size;
};

static bool refuse_memory(struct store *store)
{
    snprintf(store->reason, store->size, "out of memory");
    return false;
}

static bool refuse_value(struct store *store)
{
    char allowed[VALUES_TEXT_SIZE];
    directive_describe_values(store->directive, allowed, sizeof allowed);
    const char *text = store->values[0].text;
    bool bare = store->directive->type == TYPE_DURATION && text[strspn(text, "0123456789")] == '\0';
    snprintf(store->reason, store->size, "%s must be %s, not '%s'%s", store->directive->name,
             allowed, text, bare ? "; it needs a unit: ms, s, m or h" : "");
    return false;
}

/* The fields are unsigned numbers, enums, int and bool: none is negative, so widths are all that
 * differs. */
static void set_number(struct store *store, uint64_t number)
{
    switch (store->directive->size) {
    case sizeof(uint8_t):
        *(uint8_t *)store->field = (uint8_t)number;
        break;
    case sizeof(uint32_t):
        *(uint32_t *)(void *)store->field = (uint32_t)number;
        break;
    default:
        *(uint64_t *)(void *)store->field = number;
        break;
    }
}

static const struct choice *find_choice(const struct store *store)
{
    for (const struct choice *choice = store->directive->choices;
         choice != NULL && choice->name != NULL; choice++)
        if (strcmp(choice->name, store->values[0].text) == 0)
            return choice;
    return NULL;
}

static bool store_choice(struct store *store)
{
    const struct choice *choice = find_choice(store);
    if (choice == NULL)
        return refuse_value(store);
    set_number(store, (uint64_t)choice->value);
    return true;
}

static bool store_number(struct store *store)
{
    const char *text = store->values[0].text;
    if (find_choice(store) != NULL)
        return store_choice(store);
    char *end;
    errno = 0;
    uint64_t number = strtoull(text, &end, 10);
    if (!isdigit((unsigned char)text[0]) || *end != '\0' || errno != 0 ||
        number < store->directive->least || number > store->directive->most)
        return refuse_value(store);
    set_number(store, number);
    return true;
}

static bool store_duration(struct store *store)
{
    uint64_t ns;
    if (!duration_parse(store->values[0].text, &ns) || ns < store->directive->least ||
        ns > store->directive->most)
        return refuse_value(store);
    set_number(store, ns);
    return true;
}

static bool set_text(struct store *store, char *text)
{
    *(char **)(void *)store->field = text;
    return text != NULL || refuse_memory(store);
}

static bool store_text(struct store *store)
{
    if (store->directive->choices != NULL && find_choice(store) == NULL)
        return refuse_value(store);
    if (store->values[0].text[0] == '\0') {
        snprintf(store->reason, store->size, "%s is empty", store->directive->name);
        return false;
    }
    return set_text(store, strdup(store->values[0].text));
}

static bool store_path(struct store *store)
{
    if (store->values[0].text[0] == '\0')
        return store_text(store);
    return set_text(store, path_within(store->directory, store->values[0].text));
}

static bool store_file(struct store *store)
{
    if (!store_path(store))
        return false;
    const char *path = *(char **)(void *)store->field;
    struct stat status;
    bool there = access(path, R_OK) == 0 && stat(path, &status) == 0;
    if (there && S_ISREG(status.st_mode))
        return true;
    snprintf(store->reason, store->size, "%s %s: %s", store->directive->name, path,
             there ? "not a file" : strerror(errno));
    return false;
}

/* Parses values[i] into *address. */
static bool store_one_address(struct store *store, size_t i, enum address_use use,
                              struct address *address)
{
    char reason[256];
    *store->line = store->values[i].line;
    if (!address_parse(store->values[i].text, use, store->directory, address, reason,
                       sizeof reason)) {
        snprintf(store->reason, store->size, "%s: %s", store->directive->name, reason);
        return false;
    }
    address->line = store->values[i].line;
    return true;
}

static bool store_address(struct store *store)
{
    return store_one_address(store, 0, ADDRESS_CONNECT, (struct address *)(void *)store->field);
}

static bool store_listen(struct store *store)
{
    return store_one_address(store, 0, ADDRESS_LISTEN, (struct address *)(void *)store->field);
}

static bool store_listen_list(struct store *store)
{
    struct address *list = calloc(store->count, sizeof *list);
    if (list == NULL)
        return refuse_memory(store);
    *(struct address **)(void *)store->field = list;
    for (; *store->list_count < store->count; ++*store->list_count)
        if (!store_one_address(store, *store->list_count, ADDRESS_LISTEN,
                               &list[*store->list_count]))
            return false;
    return true;
}

static bool store_alpn_list(struct store *store)
{
    struct buffer list = BUFFER_INIT(ALPN_LIST_MAX_BYTES);
    for (size_t i = 0; i < store->count; i++) {
        const char *name = store->values[i].text;
        size_t length = strlen(name);
        *store->line = store->values[i].line;
        if (length == 0 || length > ALPN_NAME_MAX_BYTES) {
            snprintf(store->reason, store->size, "%s: '%.16s%s' is not a name of 1 to %d bytes",
                     store->directive->name, name, length > 16 ? "..." : "", ALPN_NAME_MAX_BYTES);
            buffer_release(&list);
            return false;
        }
        if (!buffer_append(&list, &(uint8_t){(uint8_t)length}, 1) ||
            !buffer_append(&list, name, length)) {
            snprintf(store->reason, store->size, "%s: the list is longer than %d bytes",
                     store->directive->name, ALPN_LIST_MAX_BYTES);
            buffer_release(&list);
            return false;
        }
    }
    *(uint8_t **)(void *)store->field = list.data;
    *store->list_count = list.end;
    return true;
}

/* A backend's index is for who knows the backends: config.c. */
static bool store_nothing(struct store *store)
{
    (void)store;
    return true;
}

static bool (*const store_functions[])(struct store *) = {
    [TYPE_NUMBER] = store_number,       [TYPE_DURATION] = store_duration,
    [TYPE_CHOICE] = store_choice,       [TYPE_TEXT] = store_text,
    [TYPE_PATH] = store_path,           [TYPE_FILE] = store_file,
    [TYPE_BACKEND] = store_nothing,     [TYPE_ADDRESS] = store_address,
    [TYPE_LISTEN] = store_listen,       [TYPE_LISTEN_LIST] = store_listen_list,
    [TYPE_ALPN_LIST] = store_alpn_list,
};

bool value_store(const struct directive *directive, const struct value *values, size_t count,
                 const char *directory, void *base, int *line, char *reason, size_t size)
{
    *line = values[0].line;
    struct store store = {.directive = directive,
                          .values = values,
                          .count = count,
                          .directory = directory,
                          .field = (char *)base + directive->offset,
                          .list_count = (size_t *)(void *)((char *)base + directive->count_offset),
                          .line = line,
                          .reason = reason,
                          .size = size};
    return store_functions[directive->type](&store);
}
