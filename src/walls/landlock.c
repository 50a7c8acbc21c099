#include "walls/landlock.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The kernel's interface, after linux/landlock.h of ABI version 7; older headers lack half of
 * it. */
#define CREATE_RULESET 444
#define ADD_RULE 445
#define RESTRICT_SELF 446
#define CREATE_RULESET_VERSION 1u
#define RULE_NET_PORT 2
#define NET_BIND_TCP (1ull << 0)
#define NET_CONNECT_TCP (1ull << 1)
#define SCOPE_ABSTRACT_UNIX_SOCKET (1ull << 0)
#define SCOPE_SIGNAL (1ull << 1)

struct ruleset {
    uint64_t files, network, scoped; /* rights that are denied unless a rule allows them */
};

struct __attribute__((packed)) port_rule {
    uint64_t allowed, port;
};

/* The rights that each version of the interface added. */
static const struct level {
    long version;
    struct ruleset adds;
} levels[] = {
    {1, {.files = (1ull << 13) - 1}}, /* execute, write, read, list, remove and create */
    {2, {.files = 1ull << 13}},       /* move to another directory */
    {3, {.files = 1ull << 14}},       /* truncate */
    {4, {.network = NET_BIND_TCP | NET_CONNECT_TCP}},
    {5, {.files = 1ull << 15}}, /* ioctl on devices */
    {6, {.scoped = SCOPE_ABSTRACT_UNIX_SOCKET | SCOPE_SIGNAL}},
};

static struct ruleset ruleset_make(long version, const struct landlock_exceptions *exceptions)
{
    struct ruleset set = {0};
    for (size_t i = 0; i < sizeof levels / sizeof levels[0]; i++) {
        if (levels[i].version > version)
            break;
        set.files |= levels[i].adds.files;
        set.network |= levels[i].adds.network;
        set.scoped |= levels[i].adds.scoped;
    }
    if (exceptions->files)
        set.files = 0;
    if (exceptions->network) {
        set.network = 0;
        set.scoped &= ~SCOPE_ABSTRACT_UNIX_SOCKET;
    }
    return set;
}

static bool restrict_self(const struct ruleset *set, const struct landlock_exceptions *exceptions)
{
    int rules = (int)syscall(CREATE_RULESET, set, sizeof *set, 0);
    bool good = rules >= 0;
    for (size_t i = 0; good && set->network != 0 && i < exceptions->port_count; i++) {
        struct port_rule rule = {.allowed = NET_CONNECT_TCP, .port = exceptions->ports[i]};
        good = syscall(ADD_RULE, rules, RULE_NET_PORT, &rule, 0) == 0;
    }
    good = good && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           syscall(RESTRICT_SELF, rules, 0) == 0;
    int reason = errno;
    if (rules >= 0)
        close(rules);
    errno = reason;
    return good;
}

static const char *describe_network(const struct ruleset *set,
                                    const struct landlock_exceptions *exceptions)
{
    if (set->network == 0)
        return exceptions->network ? "TCP not restricted, because a provider needs it"
                                   : "TCP not restricted, because the kernel cannot do it";
    return exceptions->port_count > 0 ? "TCP to the configured ports only" : "no TCP";
}

void landlock_apply(const struct landlock_exceptions *exceptions, struct report *report)
{
    long version = syscall(CREATE_RULESET, NULL, 0, CREATE_RULESET_VERSION);
    if (version < 1) {
        report_note(report, "landlock", false, "the kernel has none: %s", strerror(errno));
        return;
    }
    struct ruleset set = ruleset_make(version, exceptions);
    if ((set.files | set.network | set.scoped) == 0) {
        report_note(report, "landlock", false,
                    "version %ld: a provider needs everything that it could forbid", version);
        return;
    }
    if (!restrict_self(&set, exceptions)) {
        report_note(report, "landlock", false, "version %ld: %s", version, strerror(errno));
        return;
    }
    report_note(report, "landlock", set.files != 0, "version %ld: %s; %s; %s", version,
                set.files != 0 ? "no files" : "files not restricted, because a provider needs them",
                describe_network(&set, exceptions),
                set.scoped & SCOPE_SIGNAL
                    ? "no signals to others"
                    : "signals not restricted, because the kernel cannot do it");
}
