/* The servers about which another process is owed something: those in a range of numbers, which is
 * cheap to keep and may take in some in between that have not changed. */
#ifndef PROXY_MASTER_OWED_H
#define PROXY_MASTER_OWED_H

#include <stdbool.h>
#include <stdint.h>

struct owed {
    uint32_t from, to; /* all zero: none */
};

static inline bool owed_any(const struct owed *owed)
{
    return owed->from < owed->to;
}

static inline void owed_add(struct owed *owed, uint32_t server)
{
    bool none = !owed_any(owed);
    if (none || server < owed->from)
        owed->from = server;
    if (none || server >= owed->to)
        owed->to = server + 1;
}

#endif
