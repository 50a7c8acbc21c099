#include "keyd/sign/warm_up.h"

#include <poll.h>

#include "base/clock.h"
#include "base/log.h"
#include "keyd/sign/sample.h"

struct warm_up {
    struct crew *crew;
    size_t given; /* to members 0..given-1 */
    bool good;
};

/* Waits for the batches of the threads, and verifies them here. */
static void collect(struct warm_up *run)
{
    while (run->given > 0) {
        struct pollfd wake = {.fd = crew_wake(run->crew), .events = POLLIN};
        poll(&wake, 1, -1);
        crew_woken(run->crew);
        struct sample sample;
        uint64_t ns;
        while ((sample.count = crew_collect(run->crew, sample.jobs, &ns, clock_now())) > 0) {
            run->good &= sample_good(&sample);
            sample_free(&sample);
            run->given--;
        }
    }
}

/* Gives a batch to the next thread; when each has one, waits for all of them first. */
static void give(struct warm_up *run, const struct key *key, bool pss, size_t count)
{
    struct sample sample;
    if (!sample_make(&sample, key, pss, count)) {
        if (pss == (key->type == WIRE_KEY_RSA))
            run->good = false;
        return;
    }
    struct crew_member *member = crew_get(run->crew, run->given);
    if (member == NULL) {
        collect(run);
        member = crew_get(run->crew, 0);
    }
    crew_give(run->crew, member, sample.jobs, count, clock_now());
    run->given++;
}

static void try_alone_and_in_batches(struct warm_up *run, const struct key *key)
{
    const struct kind *kind = key->kind;
    for (int pss = 0; pss <= (key->type == WIRE_KEY_RSA); pss++) {
        give(run, key, pss, 1);
        if (kind->batch == NULL)
            continue;
        give(run, key, pss, kind->threshold);
        if (kind->threshold <= kind->small_width && kind->small_width < kind->width)
            give(run, key, pss, kind->width);
    }
}

bool warm_up(struct crew *crew, const struct keyring *keyring, const struct kinds *kinds)
{
    struct warm_up run = {.crew = crew, .good = true};
    for (size_t i = 0; i < keyring->count; i++)
        try_alone_and_in_batches(&run, keyring->keys[i]);
    for (size_t i = 0; i < kinds->count; i++)
        if (kinds->kinds[i].sample->borrowed)
            try_alone_and_in_batches(&run, kinds->kinds[i].sample);
    collect(&run);
    return run.good;
}

static bool try_key(struct signer *signer, const struct key *key)
{
    struct sample sample;
    bool pss = wire_scheme_find(key->schemes[0])->pss;
    if (!sample_make(&sample, key, pss, 1)) {
        log_error("warm-up: out of memory");
        return false;
    }
    signer_sign(signer, sample.jobs, 1);
    bool good = sample.jobs[0]->error == IMMURE_OK;
    sample_free(&sample);
    if (!good)
        log_error("%s: key \"%s\": the backend %s signed with it, but not as immured's user",
                  key->location, key->name, key->kind->single->name);
    return good;
}

bool warm_up_devices(struct signer *signer, const struct keyring *keyring)
{
    bool good = true;
    for (size_t i = 0; i < keyring->count; i++)
        if (keyring->keys[i]->in_device)
            good &= try_key(signer, keyring->keys[i]);
    return good;
}
