#include "base/privilege.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Whether the id is mapped in this user namespace (user_namespaces(7)). Without /proc the answer is
 * yes, and a later system call fails if it is not. */
static bool is_mapped(const char *map, id_t id)
{
    char line[128]; /* "FIRST OUTSIDE COUNT" */
    FILE *ranges = fopen(map, "re");
    bool mapped = ranges == NULL;
    while (!mapped && fgets(line, sizeof line, ranges) != NULL) {
        char *rest;
        unsigned long long first = strtoull(line, &rest, 10);
        (void)strtoull(rest, &rest, 10);
        unsigned long long count = strtoull(rest, &rest, 10);
        mapped = id >= first && id - first < count;
    }
    if (ranges != NULL)
        fclose(ranges);
    return mapped;
}

static bool check_mapped(const char *user, const char *what, const char *map, id_t id, char *error,
                         size_t size)
{
    if (is_mapped(map, id))
        return true;
    snprintf(error, size, "user %s: %s %u is not mapped in this user namespace: %s lacks it", user,
             what, (unsigned)id, map);
    return false;
}

bool privilege_find(const char *user, struct identity *identity, char *error, size_t size)
{
    char *end;
    errno = 0;
    unsigned long number = strtoul(user, &end, 10);
    if (user[0] >= '0' && user[0] <= '9' && *end == '\0') {
        /* -1 means "leave unchanged" to the system calls */
        if (errno != 0 || number >= (uid_t)-1) {
            snprintf(error, size, "user %s: not a possible uid", user);
            return false;
        }
        *identity = (struct identity){.uid = (uid_t)number, .gid = (gid_t)number};
    } else {
        errno = 0;
        const struct passwd *entry = getpwnam(user);
        if (entry == NULL) {
            snprintf(error, size, "user %s: %s", user,
                     errno != 0 ? strerror(errno) : "no such user");
            return false;
        }
        *identity = (struct identity){.uid = entry->pw_uid, .gid = entry->pw_gid};
    }
    if (identity->uid == 0 || identity->gid == 0) {
        snprintf(error, size, "user %s: is root or in root's group", user);
        return false;
    }
    return check_mapped(user, "uid", "/proc/self/uid_map", identity->uid, error, size) &&
           check_mapped(user, "gid", "/proc/self/gid_map", identity->gid, error, size);
}

/* Whether all ids have changed, and the kernel refuses to change them back to root. */
static bool identity_holds(const struct identity *identity)
{
    uid_t real, effective, saved;
    gid_t real_group, effective_group, saved_group;
    if (getresuid(&real, &effective, &saved) != 0 ||
        getresgid(&real_group, &effective_group, &saved_group) != 0)
        return false;
    return real == identity->uid && effective == identity->uid && saved == identity->uid &&
           real_group == identity->gid && effective_group == identity->gid &&
           saved_group == identity->gid && setresuid(0, 0, 0) != 0 && setresgid(0, 0, 0) != 0;
}

bool privilege_become(const struct identity *identity, char *error, size_t size)
{
    unsigned uid = identity->uid;
    bool root = geteuid() == 0;
    if (root && setgroups(0, NULL) != 0) {
        snprintf(error, size, "uid %u: setgroups: %s", uid, strerror(errno));
        return false;
    }
    if (setresgid(identity->gid, identity->gid, identity->gid) != 0 ||
        setresuid(identity->uid, identity->uid, identity->uid) != 0) {
        snprintf(error, size, "uid %u: %s%s", uid, strerror(errno),
                 root ? "" : " (only root can change the user)");
        return false;
    }
    if (!identity_holds(identity) || (root && getgroups(0, NULL) != 0)) {
        snprintf(error, size, "uid %u: root was not given up for good", uid);
        return false;
    }
    return true;
}

bool privilege_drop(const char *user, char *error, size_t size)
{
    struct identity identity;
    return privilege_find(user, &identity, error, size) && privilege_become(&identity, error, size);
}
