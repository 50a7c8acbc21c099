/*
 * Who may use a key: users and groups, by the numbers that the kernel reports for the process at
 * the other end of a socket.
 */
#ifndef KEYD_RULES_ALLOW_H
#define KEYD_RULES_ALLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Names or numbers, as configured. */
struct text_list {
    char **texts;
    size_t count;
};
struct access_config {
    struct text_list users, groups;
};

/* The process that connected, with the credentials that it had at that time. */
struct peer {
    pid_t pid; /* 0: its PID namespace is not visible from here */
    uid_t uid;
    gid_t gid;
    gid_t *groups; /* supplementary groups; owned by this struct */
    size_t group_count;
};

/* Reads the peer of a connected unix socket. False with errno. */
bool peer_read(struct peer *peer, int socket);
void peer_free(struct peer *peer);

/* The kernel reports this number for every user and group that our user namespace does not map. It
 * identifies nobody, so it never lets a peer in. */
#define ALLOW_UNMAPPED 65534

struct allow {
    bool given; /* somebody is named, even if no such user exists; else there is no restriction */
    uid_t *users;
    size_t user_count;
    gid_t *groups;
    size_t group_count;
};

/* Translates names to numbers; call it while the password and group databases are readable. Unknown
 * names are left out with a warning. False: the reason is logged, and the caller still frees
 * *allow. Each log line begins with `where`. */
bool allow_resolve(struct allow *allow, const struct access_config *config, const char *where);
void allow_free(struct allow *allow);

bool allow_equal(const struct allow *a, const struct allow *b);
/* Adds everybody that `more` names to `allow`. False: out of memory. */
bool allow_add(struct allow *allow, const struct allow *more);
bool allow_has(const struct allow *allow, const struct peer *peer);

#endif
