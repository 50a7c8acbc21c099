/*
 * Who may use a key: users and groups, by their numbers, as the kernel names the process at the
 * other end of a socket.
 */
#ifndef KEYD_RULES_ALLOW_H
#define KEYD_RULES_ALLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* As they are configured: names or numbers. */
struct text_list {
    char **texts;
    size_t count;
};
struct access_config {
    struct text_list users, groups;
};

/* The process that connected, as it was then. */
struct peer {
    pid_t pid; /* 0: in a PID namespace that is not seen from here */
    uid_t uid;
    gid_t gid;
    gid_t *groups; /* supplementary ones; the peer's memory */
    size_t group_count;
};

/* Of a connected unix socket. False with errno. */
bool peer_read(struct peer *peer, int socket);
void peer_free(struct peer *peer);

/* What the kernel says of users and groups that have no number here, in a user namespace that does
 * not map them. It is nobody's: no peer is let in by it. */
#define ALLOW_UNMAPPED 65534

struct allow {
    bool given; /* somebody is named, be it that there is no such user; else it says nothing */
    uid_t *users;
    size_t user_count;
    gid_t *groups;
    size_t group_count;
};

/* Names to numbers: call it while there are a password and a group database. What these do not have
 * is left out with a warning, which begins with `where` as the reason does that is logged for
 * false. What there is of *allow then is to be freed as ever. */
bool allow_resolve(struct allow *allow, const struct access_config *config, const char *where);
void allow_free(struct allow *allow);

bool allow_equal(const struct allow *a, const struct allow *b);
/* Makes `allow` name whom `more` names, too. False: out of memory. */
bool allow_add(struct allow *allow, const struct allow *more);
bool allow_has(const struct allow *allow, const struct peer *peer);

#endif
