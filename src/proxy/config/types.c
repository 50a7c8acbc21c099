#include "proxy/config/types.h"

#include <assert.h>
#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buffer.h"
#include "conf/show.h"
#include "proxy/config/address.h"
#include "proxy/config/config.h"
#include "proxy/config/dns_name.h"
#include "proxy/config/network.h"

#define ALPN_NAME_MAX_BYTES 255    /* RFC 7301, section 3.1 */
#define ALPN_LIST_MAX_BYTES 0xffff /* the same */

static bool store_path(struct conf_store *store)
{
    if (store->values[0].text[0] == '\0')
        return conf_text.store(store);
    return conf_store_keep(store, path_within(store->context, store->values[0].text));
}

static bool store_file(struct conf_store *store)
{
    if (!store_path(store))
        return false;
    const char *path = *(char **)store->field;
    struct stat status;
    bool there = access(path, R_OK) == 0 && stat(path, &status) == 0;
    if (there && S_ISREG(status.st_mode))
        return true;
    return conf_store_refuse(store, store->values[0].line, "%s %s: %s", store->directive->name,
                             path, there ? "not a file" : strerror(errno));
}

/* Parses values[i] into *address. */
static bool store_one_address(struct conf_store *store, size_t i, enum address_use use,
                              struct address *address)
{
    char reason[256];
    if (!address_parse(store->values[i].text, use, store->context, address, reason, sizeof reason))
        return conf_store_refuse(store, store->values[i].line, "%s: %s", store->directive->name,
                                 reason);
    address->line = store->values[i].line;
    return true;
}

static bool store_address(struct conf_store *store)
{
    return store_one_address(store, 0, ADDRESS_CONNECT, store->field);
}

static bool store_listen(struct conf_store *store)
{
    return store_one_address(store, 0, ADDRESS_LISTEN, store->field);
}

static bool store_listen_list(struct conf_store *store)
{
    struct address *list = calloc(store->count, sizeof *list);
    *(struct address **)store->field = list;
    if (list == NULL)
        return conf_store_refuse_memory(store);
    for (; *store->list_count < store->count; ++*store->list_count)
        if (!store_one_address(store, *store->list_count, ADDRESS_LISTEN,
                               &list[*store->list_count]))
            return false;
    return true;
}

static void clear_addresses(void *field, size_t count)
{
    struct address *address = field;
    for (size_t i = 0; i < count; i++) {
        conf_clear_text(&address[i].text, 1);
        conf_clear_text(&address[i].host, 1);
    }
}

static void clear_listen_list(void *field, size_t count)
{
    struct address **list = field;
    clear_addresses(*list, count);
    free(*list);
    *list = NULL;
}

static bool append_name(struct conf_store *store, const struct conf_value *value,
                        struct buffer *list)
{
    size_t length = strlen(value->text);
    if (length == 0 || length > ALPN_NAME_MAX_BYTES)
        return conf_store_refuse(store, value->line, "%s: '%.16s%s' is not a name of 1 to %d bytes",
                                 store->directive->name, value->text, length > 16 ? "..." : "",
                                 ALPN_NAME_MAX_BYTES);
    if (!buffer_append(list, &(uint8_t){(uint8_t)length}, 1) ||
        !buffer_append(list, value->text, length))
        return conf_store_refuse(store, value->line, "%s: the list is longer than %d bytes",
                                 store->directive->name, ALPN_LIST_MAX_BYTES);
    return true;
}

static bool store_alpn_list(struct conf_store *store)
{
    struct buffer list = BUFFER_INIT(ALPN_LIST_MAX_BYTES);
    for (size_t i = 0; i < store->count; i++)
        if (!append_name(store, &store->values[i], &list)) {
            buffer_release(&list);
            return false;
        }
    *(uint8_t **)store->field = list.data;
    *store->list_count = list.end;
    return true;
}

static void clear_bytes(void *field, size_t length)
{
    (void)length;
    free(*(uint8_t **)field);
    *(uint8_t **)field = NULL;
}

static bool store_dns_names(struct conf_store *store)
{
    if (!conf_texts.store(store))
        return false;
    char **names = *(char ***)store->field;
    for (size_t i = 0; i < *store->list_count; i++) {
        char name[DNS_NAME_SIZE];
        const char *reason;
        if (!dns_name_fold(names[i], name, &reason))
            return conf_store_refuse(store, store->values[i].line, "%s: '%s' %s",
                                     store->directive->name, names[i], reason);
        memcpy(names[i], name, strlen(name));
    }
    return true;
}

static void clear_dns_names(void *field, size_t count)
{
    conf_texts.clear(field, count);
}

static bool store_networks(struct conf_store *store)
{
    struct network *networks = calloc(store->count, sizeof *networks);
    *(struct network **)store->field = networks;
    if (networks == NULL)
        return conf_store_refuse_memory(store);
    for (size_t i = 0; i < store->count; i++) {
        const char *reason;
        if (!network_parse(store->values[i].text, &networks[i], &reason))
            return conf_store_refuse(store, store->values[i].line, "%s: '%s' %s",
                                     store->directive->name, store->values[i].text, reason);
        ++*store->list_count;
    }
    return true;
}

static void clear_networks(void *field, size_t count)
{
    (void)count;
    free(*(struct network **)field);
    *(struct network **)field = NULL;
}

/* Permissions in octal, as for chmod(1). */
static bool store_mode(struct conf_store *store)
{
    const char *text = store->values[0].text;
    char *end;
    unsigned long mode = strtoul(text, &end, 8);
    if (text[0] < '0' || text[0] > '7' || *end != '\0' || mode > 0777)
        return conf_store_refuse_value(store);
    *(mode_t *)store->field = (mode_t)mode;
    return true;
}

/* Finds the number of a name in a local database. getpwnam(3) might ask a server, and the master
 * must not wait for one. */
static bool find_user(FILE *database, const char *name, unsigned *number)
{
    const struct passwd *entry;
    while ((entry = fgetpwent(database)) != NULL)
        if (strcmp(entry->pw_name, name) == 0) {
            *number = entry->pw_uid;
            return true;
        }
    return false;
}

static bool find_group(FILE *database, const char *name, unsigned *number)
{
    const struct group *entry;
    while ((entry = fgetgrent(database)) != NULL)
        if (strcmp(entry->gr_name, name) == 0) {
            *number = entry->gr_gid;
            return true;
        }
    return false;
}

/* The default, a word, stands for -1: no user in particular. */
static bool store_id(struct conf_store *store, const char *database,
                     bool (*find)(FILE *database, const char *name, unsigned *number))
{
    const char *text = store->values[0].text;
    unsigned *number = store->field;
    char *end;
    unsigned long given = strtoul(text, &end, 10);
    *number = strcmp(text, store->directive->standard) == 0 ? UINT_MAX : (unsigned)given;
    if (*number == UINT_MAX ||
        (text[0] >= '0' && text[0] <= '9' && *end == '\0' && given < UINT_MAX))
        return true;
    FILE *file = fopen(database, "re");
    bool found = file != NULL && find(file, text, number);
    if (file != NULL)
        fclose(file);
    return found || conf_store_refuse(store, store->values[0].line, "%s: %s has no '%s'",
                                      store->directive->name, database, text);
}

static bool store_user(struct conf_store *store)
{
    static_assert(sizeof(uid_t) == sizeof(unsigned), "as chown(2) has it");
    return store_id(store, "/etc/passwd", find_user);
}

static bool store_group(struct conf_store *store)
{
    static_assert(sizeof(gid_t) == sizeof(unsigned), "as chown(2) has it");
    return store_id(store, "/etc/group", find_group);
}

/* Neither blanks nor control characters, which would end it in the request. */
static bool is_visible(const char *text)
{
    for (; *text != '\0'; text++)
        if (*text <= ' ' || *text > '~')
            return false;
    return true;
}

static bool store_check_path(struct conf_store *store)
{
    const char *text = store->values[0].text;
    if (text[0] != '/' || !is_visible(text))
        return conf_store_refuse(store, store->values[0].line,
                                 "%s: '%s' is not a path such as /health", store->directive->name,
                                 text);
    return conf_text.store(store);
}

static bool store_check_host(struct conf_store *store)
{
    const char *text = store->values[0].text;
    if (!is_visible(text))
        return conf_store_refuse(store, store->values[0].line, "%s: '%s' is not the name of a host",
                                 store->directive->name, text);
    return conf_text.store(store);
}

/* "200", or "200-399". */
static bool store_statuses(struct conf_store *store)
{
    struct status_range *range = store->field;
    const char *text = store->values[0].text;
    char *end;
    range->least = range->most = (unsigned)strtoul(text, &end, 10);
    if (*end == '-')
        range->most = (unsigned)strtoul(end + 1, &end, 10);
    bool good = *end == '\0' && strspn(text, "0123456789-") == strlen(text) &&
                range->least >= 100 && range->most <= 599 && range->least <= range->most;
    return good || conf_store_refuse_value(store);
}

/* load.c, which knows the backends, sets the index. */
static bool store_nothing(struct conf_store *store)
{
    (void)store;
    return true;
}

const struct conf_type type_path = {
    .values = "path", .store = store_path, .clear = conf_clear_text, .show = conf_show_text};
const struct conf_type type_file = {
    .values = "file", .store = store_file, .clear = conf_clear_text, .show = conf_show_text};
const struct conf_type type_backend = {.values = "name", .store = store_nothing};
const struct conf_type type_address = {
    .values = "address", .store = store_address, .clear = clear_addresses};
const struct conf_type type_listen = {
    .values = "address", .store = store_listen, .clear = clear_addresses};
const struct conf_type type_listen_list = {.values = "list of addresses",
                                           .list = true,
                                           .store = store_listen_list,
                                           .clear = clear_listen_list};
const struct conf_type type_mode = {.values = "0 to 0777, octal", .store = store_mode};
const struct conf_type type_user = {.values = "user", .store = store_user};
const struct conf_type type_group = {.values = "group", .store = store_group};
const struct conf_type type_alpn_list = {
    .values = "list of names", .list = true, .store = store_alpn_list, .clear = clear_bytes};
const struct conf_type type_dns_names = {
    .values = "list of names", .list = true, .store = store_dns_names, .clear = clear_dns_names};
const struct conf_type type_networks = {
    .values = "list of networks", .list = true, .store = store_networks, .clear = clear_networks};
const struct conf_type type_check_path = {
    .values = "path", .store = store_check_path, .clear = conf_clear_text};
const struct conf_type type_check_host = {
    .values = "host", .store = store_check_host, .clear = conf_clear_text};
const struct conf_type type_statuses = {.values = "100 to 599, or a range",
                                        .store = store_statuses};
