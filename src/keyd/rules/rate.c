#include "keyd/rules/rate.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

#define RATE_MAX 1000000 /* requests in a unit of time or in a burst */

/* Reads a number from 1 to RATE_MAX and moves *text behind it. */
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

static uint64_t full_after(const struct rate *rate, uint64_t full, unsigned count, uint64_t now)
{
    return (full > now ? full : now) + count * rate->interval;
}

bool rate_admits(const struct rate *rate, uint64_t full, unsigned count, uint64_t now)
{
    return rate->interval == 0 || full_after(rate, full, count, now) - now <= rate->burst;
}

void rate_take(const struct rate *rate, uint64_t *full, unsigned count, uint64_t now)
{
    if (rate->interval != 0)
        *full = full_after(rate, *full, count, now);
}

void rate_give_back(const struct rate *rate, uint64_t *full)
{
    if (*full >= rate->interval)
        *full -= rate->interval;
}
