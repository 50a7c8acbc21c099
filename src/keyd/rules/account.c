#include "keyd/rules/account.h"

#include <stdlib.h>

#define SHARE 3 /* a third of what is left */

static const struct rate asides = {.interval = NS_PER_S / ACCOUNT_ASIDES_A_SECOND,
                                   .burst = NS_PER_S};

static void open_account(struct accounts *accounts, struct account *account, uint64_t id)
{
    *account = (struct account){.accounts = accounts, .id = id};
    struct list *lists[] = {&account->node,   &account->sessions,   &account->input,
                            &account->paused, &account->input_node, &account->untold_node};
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
        list_init(lists[i]);
    account_share_open(&account->queue, accounts->all);
}

static void close_account(struct account *account)
{
    account_share_close(&account->queue);
    list_remove(&account->node);
    list_remove(&account->input_node);
    list_remove(&account->untold_node);
    free(account->keys);
}

void accounts_init(struct accounts *accounts, struct share *all, size_t most)
{
    *accounts = (struct accounts){.most = most, .all = all};
    list_init(&accounts->list);
    open_account(accounts, &accounts->shared, ACCOUNT_SHARED);
}

static void free_account(struct accounts *accounts, struct account *account)
{
    close_account(account);
    free(account);
    accounts->count--;
}

void accounts_free(struct accounts *accounts)
{
    list_for_each(node, &accounts->list)
        free_account(accounts, list_entry(node, struct account, node));
    close_account(&accounts->shared);
}

/* Whether freeing the account loses nothing. */
static bool is_at_rest(const struct account *account, uint64_t now)
{
    return account->session_count == 0 && account->bytes == 0 && account->rest <= now &&
           !list_linked(&account->untold_node);
}

static void forget_those_at_rest(struct accounts *accounts, uint64_t now)
{
    list_for_each(node, &accounts->list)
    {
        struct account *account = list_entry(node, struct account, node);
        if (is_at_rest(account, now))
            free_account(accounts, account);
    }
}

static struct account *find(const struct accounts *accounts, uint64_t id)
{
    list_for_each(node, &accounts->list)
    {
        struct account *account = list_entry(node, struct account, node);
        if (account->id == id)
            return account;
    }
    return NULL;
}

struct account *account_of(struct accounts *accounts, uint64_t id, uint64_t now)
{
    struct account *account = find(accounts, id);
    if (account == NULL) {
        forget_those_at_rest(accounts, now);
        if (accounts->count == accounts->most || (account = malloc(sizeof *account)) == NULL)
            return &accounts->shared;
        open_account(accounts, account, id);
        accounts->count++;
    }
    /* so that a user who connects again and again is found at once */
    list_remove(&account->node);
    list_prepend(&accounts->list, &account->node);
    return account;
}

/* The bytes that an account may hold. */
static size_t threshold(const struct accounts *accounts)
{
    return accounts->bytes < ACCOUNTS_BYTES_MAX ? (ACCOUNTS_BYTES_MAX - accounts->bytes) / SHARE
                                                : 0;
}

bool account_has_room(const struct account *account, size_t held, size_t bytes)
{
    if (account->bytes + bytes <= ACCOUNT_BYTES_LEAST)
        return true;
    size_t most = threshold(account->accounts);
    return account->bytes + bytes <= most && held + bytes <= (most - account->bytes) / SHARE;
}

bool account_reads(const struct account *account)
{
    return account->unread == 0 || account->unread <= threshold(account->accounts) / 2;
}

void account_hold(struct account *account, size_t *held, size_t bytes)
{
    *held += bytes;
    account->bytes += bytes;
    account->accounts->bytes += bytes;
}

void account_let_go(struct account *account, size_t *held, size_t bytes)
{
    *held -= bytes;
    account->bytes -= bytes;
    account->accounts->bytes -= bytes;
}

void account_take(struct account *account, const struct rate *rate, uint64_t *full, unsigned count,
                  uint64_t now)
{
    rate_take(rate, full, count, now);
    if (*full > account->rest)
        account->rest = *full;
}

bool account_may_ask(const struct account *account, const struct rate *all, struct key_limit limit,
                     uint64_t now)
{
    uint64_t of_key = account->keys != NULL ? account->keys[limit.bucket] : 0;
    return rate_admits(all, account->all, 1, now) &&
           (limit.rate == NULL || rate_admits(limit.rate, of_key, 1, now));
}

void account_charge(struct account *account, const struct rate *all, struct key_limit limit,
                    size_t bucket_count, uint64_t now)
{
    account_take(account, all, &account->all, 1, now);
    if (limit.rate == NULL || limit.rate->interval == 0)
        return;
    if (account->keys == NULL)
        account->keys = calloc(bucket_count, sizeof account->keys[0]);
    if (account->keys != NULL)
        account_take(account, limit.rate, &account->keys[limit.bucket], 1, now);
}

void account_give_back(struct account *account, const struct rate *all, struct key_limit limit)
{
    rate_give_back(all, &account->all);
    if (account->keys != NULL)
        rate_give_back(limit.rate, &account->keys[limit.bucket]);
}

bool account_take_aside(struct account *account, unsigned count, uint64_t now)
{
    if (!rate_admits(&asides, account->aside, count, now))
        return false;
    account_take(account, &asides, &account->aside, count, now);
    return true;
}
