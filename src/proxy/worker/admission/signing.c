/*
 * Why the limit is what immured has done and not a number: by Little's law, what waits for the
 * target delay is what is done within it, whatever immured signs with and whoever else it signs
 * for. If the limit is too low, the answers come in less than the target, more is done in the next
 * interval than the limit was made for, and the limit grows.
 */
#include "proxy/worker/admission/signing.h"

#include "base/clock.h"

/* So many may always be asked for: two batches of crypto_mb. */
#define ASKED_LEAST 16
/* immured rounds times to 50 us, and tells 0 for less than half of that. */
#define COST_LEAST (25 * NS_PER_US)
/* One measurement counts for so much of the mean. */
#define MEAN_PART 8
/* The guess: the time of an RSA signature grows with the third power of the key's length. */
#define GUESS_RSA_2048 (700 * NS_PER_US)
#define GUESS_OTHER (50 * NS_PER_US)

static uint64_t guess(struct signing_key key)
{
    double of_2048 = (double)key.bits / 2048;
    return key.rsa ? (uint64_t)((double)GUESS_RSA_2048 * of_2048 * of_2048 * of_2048) : GUESS_OTHER;
}

static size_t find(const struct signing *signing, struct signing_key key)
{
    size_t i = 0;
    while (i < signing->cost_count &&
           (signing->costs[i].key.rsa != key.rsa || signing->costs[i].key.bits != key.bits))
        i++;
    return i;
}

uint64_t signing_cost(const struct signing *signing, struct signing_key key)
{
    size_t i = find(signing, key);
    return i < signing->cost_count ? signing->costs[i].mean : guess(key);
}

void signing_measured(struct signing *signing, struct signing_key key, uint64_t work)
{
    size_t i = find(signing, key);
    if (work < COST_LEAST)
        work = COST_LEAST;
    if (i < signing->cost_count) {
        uint64_t mean = signing->costs[i].mean;
        signing->costs[i].mean = mean - mean / MEAN_PART + work / MEAN_PART;
    } else if (i < SIGNING_KEYS_MAX) {
        signing->costs[i].key = key;
        signing->costs[i].mean = work;
        signing->cost_count++;
    }
}

void signing_asked(struct signing *signing, uint64_t cost)
{
    signing->asked++;
    signing->asked_cost += cost;
}

void signing_over(struct signing *signing, uint64_t cost, uint64_t now)
{
    signing->asked--;
    signing->asked_cost -= cost;
    signing->done_cost += cost;
    uint64_t passed = now - signing->counted_at;
    if (passed < signing->interval)
        return;
    signing->allowed =
        (uint64_t)((double)signing->done_cost * (double)signing->target / (double)passed);
    signing->done_cost = 0;
    signing->counted_at = now;
}

bool signing_open(const struct signing *signing)
{
    return signing->asked < ASKED_LEAST || signing->asked_cost < signing->allowed;
}
