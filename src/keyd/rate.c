#include "keyd/rate.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

#define RATE_MAX 1000000 /* requests in a unit of time; and of a burst */

/* A number from 1 to RATE_MAX at *text, which it is moved behind. */
static bool take_number(const char **text, uint64_t *number)
{
    char *end;
    if (!isdigit((unsigned char)**text))
        return false;
    errno = 0;
    *number = strtoull(*text, &end, 10);
    *text = end;
    return errno == 0 && *number >= 1 && *number <= RATE_MAX;
}

static bool take_word(const char **text, const char *word)
{
    size_t length = strlen(word);
    if (strncmp(*text, word, length) != 0)
        return false;
    *text += length;
    return true;
}

bool rate_parse(const char *text, struct rate *rate)
{
    uint64_t count, unit, burst;
    if (!take_number(&text, &count))
        return false;
    if (take_word(&text, "/s"))
        unit = NS_PER_S;
    else if (take_word(&text, "/m"))
        unit = 60 * NS_PER_S;
    else
        return false;
    rate->interval = unit / count;
    burst = NS_PER_S / rate->interval;
    if (take_word(&text, " burst ") && !take_number(&text, &burst))
        return false;
    rate->burst = (burst > 0 ? burst : 1) * rate->interval;
    return *text == '\0';
}

static uint64_t full_after(const struct rate *rate, uint64_t full, uint64_t now)
{
    return (full > now ? full : now) + rate->interval;
}

static bool admits(const struct rate *rate, uint64_t full, uint64_t now)
{
    return rate->interval == 0 || full_after(rate, full, now) - now <= rate->burst;
}

bool account_take(struct account *account, const struct rate *all, const struct rate *key,
                  size_t key_index, uint64_t now)
{
    uint64_t *of_key = &account->keys[key_index];
    if (!admits(all, account->all, now) || !admits(key, *of_key, now))
        return false;
    account->all = full_after(all, account->all, now);
    *of_key = full_after(key, *of_key, now);
    return true;
}

static bool at_rest(const struct account *account, size_t key_count, uint64_t now)
{
    if (account->sessions > 0 || account->all > now)
        return false;
    for (size_t i = 0; i < key_count; i++)
        if (account->keys[i] > now)
            return false;
    return true;
}

static void account_free(struct account *account)
{
    list_remove(&account->node);
    free(account);
}

struct account *account_open(struct list *accounts, uid_t uid, size_t key_count, uint64_t now)
{
    struct account *found = NULL;
    list_for_each(node, accounts)
    {
        struct account *account = list_entry(node, struct account, node);
        if (account->uid == uid)
            found = account;
        else if (at_rest(account, key_count, now))
            account_free(account);
    }
    if (found == NULL) {
        found = calloc(1, sizeof *found + key_count * sizeof found->keys[0]);
        if (found == NULL)
            return NULL;
        found->uid = uid;
        list_append(accounts, &found->node);
    }
    found->sessions++;
    return found;
}

void account_close(struct account *account)
{
    account->sessions--;
}

void accounts_free(struct list *accounts)
{
    list_for_each(node, accounts) account_free(list_entry(node, struct account, node));
}
