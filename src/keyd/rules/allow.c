#include "keyd/rules/allow.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/log.h"

#define GROUPS_FIRST 32 /* initial room; most processes have fewer */

static bool read_groups(struct peer *peer, int socket)
{
    for (socklen_t size = GROUPS_FIRST * sizeof(gid_t);;) {
        gid_t *groups = realloc(peer->groups, size);
        if (groups == NULL)
            return false;
        peer->groups = groups;
        /* with too little room, the kernel sets `size` to what it needs */
        if (getsockopt(socket, SOL_SOCKET, SO_PEERGROUPS, groups, &size) == 0) {
            peer->group_count = size / sizeof(gid_t);
            return true;
        }
        if (errno != ERANGE)
            return false;
    }
}

bool peer_read(struct peer *peer, int socket)
{
    struct ucred credentials;
    socklen_t size = sizeof credentials;
    *peer = (struct peer){.uid = (uid_t)-1, .gid = (gid_t)-1};
    if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0)
        return false;
    peer->pid = credentials.pid;
    peer->uid = credentials.uid;
    peer->gid = credentials.gid;
    return read_groups(peer, socket);
}

void peer_free(struct peer *peer)
{
    free(peer->groups);
    peer->groups = NULL;
    peer->group_count = 0;
}

/* One function treats both as id_t; -1 is no valid number. */
_Static_assert((uid_t)-1 == (gid_t)-1 && sizeof(uid_t) == sizeof(gid_t), "ids of one type");

static bool find_user(const char *name, uid_t *uid)
{
    const struct passwd *entry = getpwnam(name);
    if (entry != NULL)
        *uid = entry->pw_uid;
    return entry != NULL;
}

static bool find_group(const char *name, gid_t *gid)
{
    const struct group *entry = getgrnam(name);
    if (entry != NULL)
        *gid = entry->gr_gid;
    return entry != NULL;
}

static bool is_number(const char *text)
{
    text += *text == '-';
    return *text != '\0' && text[strspn(text, "0123456789")] == '\0';
}

static bool parse_id(const char *text, id_t *id)
{
    errno = 0;
    unsigned long number = strtoul(text, NULL, 10);
    *id = (id_t)number;
    return errno == 0 && text[0] != '-' && number < (id_t)-1;
}

struct database {
    const char *directive, *what;
    bool (*find)(const char *name, id_t *id);
};
static const struct database users = {"allow-users", "user", find_user};
static const struct database groups = {"allow-groups", "group", find_group};

/* A name that is not, or no longer, in the database allows nobody but is not an error: an account
 * that was deleted must not keep immured from starting. */
static bool resolve(const struct database *database, const struct text_list *names, id_t **ids,
                    size_t *count, const char *where)
{
    *ids = calloc(names->count + 1, sizeof(id_t));
    if (*ids == NULL) {
        log_error("%s: out of memory", where);
        return false;
    }
    *count = 0;
    for (size_t i = 0; i < names->count; i++) {
        const char *name = names->texts[i];
        id_t *id = &(*ids)[*count];
        if (is_number(name) && !parse_id(name, id)) {
            log_error("%s: %s: not a number of a %s: %s", where, database->directive,
                      database->what, name);
            return false;
        }
        if (!is_number(name) && !database->find(name, id))
            log_warning("%s: %s: no such %s, so that nobody is let in by it: %s", where,
                        database->directive, database->what, name);
        else if (*id == ALLOW_UNMAPPED)
            log_warning("%s: %s: %s lets nobody in: %d stands for every %s that has no number here",
                        where, database->directive, name, ALLOW_UNMAPPED, database->what);
        else
            ++*count;
    }
    return true;
}

bool allow_resolve(struct allow *allow, const struct access_config *config, const char *where)
{
    allow->given = config->users.count > 0 || config->groups.count > 0;
    return resolve(&users, &config->users, &allow->users, &allow->user_count, where) &&
           resolve(&groups, &config->groups, &allow->groups, &allow->group_count, where);
}

void allow_free(struct allow *allow)
{
    free(allow->users);
    free(allow->groups);
    *allow = (struct allow){0};
}

static bool holds(const id_t *ids, size_t count, id_t id)
{
    for (size_t i = 0; i < count && id != ALLOW_UNMAPPED; i++)
        if (ids[i] == id)
            return true;
    return false;
}

static bool holds_all(const id_t *ids, size_t count, const id_t *wanted, size_t wanted_count)
{
    for (size_t i = 0; i < wanted_count; i++)
        if (!holds(ids, count, wanted[i]))
            return false;
    return true;
}

bool allow_equal(const struct allow *a, const struct allow *b)
{
    return a->given == b->given && holds_all(a->users, a->user_count, b->users, b->user_count) &&
           holds_all(b->users, b->user_count, a->users, a->user_count) &&
           holds_all(a->groups, a->group_count, b->groups, b->group_count) &&
           holds_all(b->groups, b->group_count, a->groups, a->group_count);
}

static bool add(id_t **ids, size_t *count, const id_t *more, size_t more_count)
{
    id_t *all = realloc(*ids, (*count + more_count + 1) * sizeof(id_t));
    if (all == NULL)
        return false;
    *ids = all;
    for (size_t i = 0; i < more_count; i++)
        if (!holds(all, *count, more[i]))
            all[(*count)++] = more[i];
    return true;
}

bool allow_add(struct allow *allow, const struct allow *more)
{
    return add(&allow->users, &allow->user_count, more->users, more->user_count) &&
           add(&allow->groups, &allow->group_count, more->groups, more->group_count);
}

bool allow_has(const struct allow *allow, const struct peer *peer)
{
    if (holds(allow->users, allow->user_count, peer->uid) ||
        holds(allow->groups, allow->group_count, peer->gid))
        return true;
    for (size_t i = 0; i < allow->group_count; i++)
        if (holds(peer->groups, peer->group_count, allow->groups[i]))
            return true;
    return false;
}
