#include "keyd/rules/share.h"

#include "base/clock.h"

/* A share that comes back is owed something if it has received this much less than another, ns. */
#define OWED (200 * NS_PER_US)

void account_share_open(struct account_share *account, struct share *all)
{
    *account = (struct account_share){.share.parent = all};
}

void account_share_close(struct account_share *account)
{
    for (size_t i = 0; i < SHARE_LINES_MAX; i++)
        heap_release(&account->portions[i].flows);
}

void share_join(struct share *share, uint64_t work)
{
    for (; share != NULL; share = share->parent) {
        struct share *parent = share->parent;
        share->work += work;
        if (share->jobs++ > 0 || parent == NULL)
            continue;
        parent->active++;
        if (share->received < parent->now) /* an idle share saves nothing up */
            share->received = parent->now;
        share->owed = share->received + OWED < parent->most;
    }
}

void share_leave(struct share *share, uint64_t work)
{
    for (; share != NULL; share = share->parent) {
        share->work -= work;
        if (--share->jobs == 0 && share->parent != NULL)
            share->parent->active--;
    }
}

void share_serve(struct share *share)
{
    for (; share->parent != NULL; share = share->parent) {
        share->owed = false;
        if (share->received > share->parent->now)
            share->parent->now = share->received;
    }
}

void share_note_received(struct share *share)
{
    for (; share->parent != NULL; share = share->parent)
        if (share->received > share->parent->most)
            share->parent->most = share->received;
}

bool share_is_owed(const struct share *share)
{
    while (!share->owed && share->parent != NULL)
        share = share->parent;
    return share->owed;
}
