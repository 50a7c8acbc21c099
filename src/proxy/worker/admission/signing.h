/*
 * What signatures cost, and how many of them immured may have before it: while handshakes are held
 * back, no more than it makes within the target delay. The others wait here, where their order can
 * still change.
 */
#ifndef PROXY_WORKER_ADMISSION_SIGNING_H
#define PROXY_WORKER_ADMISSION_SIGNING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Keys whose signatures cost the same. */
struct signing_key {
    bool rsa;
    unsigned bits;
};

#define SIGNING_KEYS_MAX 16

struct signing {
    uint64_t target, interval; /* ns; the owner sets them */
    struct {
        struct signing_key key;
        uint64_t mean; /* ns */
    } costs[SIGNING_KEYS_MAX];
    size_t cost_count;
    unsigned asked;      /* signatures without an answer */
    uint64_t asked_cost; /* ns: of these */
    uint64_t allowed;    /* ns: the most for asked_cost */
    uint64_t done_cost;  /* ns: answered since `counted_at` */
    uint64_t counted_at; /* ns */
};

/* What a signature by such a key costs (ns): a guess before the first one has been measured. */
uint64_t signing_cost(const struct signing *signing, struct signing_key key);
/* A signature has taken so much of immured's time. */
void signing_measured(struct signing *signing, struct signing_key key, uint64_t work);

/* `cost` is the same at both times. */
void signing_asked(struct signing *signing, uint64_t cost);
void signing_over(struct signing *signing, uint64_t cost, uint64_t now);
/* Whether immured may be asked for another one. */
bool signing_open(const struct signing *signing);

#endif
