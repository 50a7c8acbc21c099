#include "keyd/sign/kind.h"

#include <stdarg.h>
#include <stdio.h>

/* The drivers that sign with such keys. */
struct choice {
    const struct driver *single, *batch;
};

static bool refuse(char *reason, size_t size, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static bool refuse(char *reason, size_t size, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reason, size, format, arguments);
    va_end(arguments);
    return false;
}

static const struct driver *find_lanes(const struct kinds *kinds, const struct key *key)
{
    for (size_t i = 0; kinds->drivers[i] != NULL; i++)
        if (kinds->drivers[i]->lanes && kinds->drivers[i]->width(kinds->drivers[i], key) > 1)
            return kinds->drivers[i];
    return NULL;
}

static struct choice choose(const struct kinds *kinds, const struct key *key,
                            const struct driver *wanted)
{
    const struct driver *libcrypto = kinds->drivers[0];
    if (wanted == NULL)
        return (struct choice){libcrypto, find_lanes(kinds, key)};
    if (wanted->lanes)
        return (struct choice){libcrypto, wanted};
    return (struct choice){wanted, NULL};
}

static struct kind *find_or_make(struct kinds *kinds, const struct key *key,
                                 const struct driver *wanted, const struct choice *choice)
{
    for (size_t i = 0; i < kinds->count; i++) {
        struct kind *kind = &kinds->kinds[i];
        if (kind->type == key->type && kind->bits == key->bits && kind->wanted == wanted)
            return kind;
    }
    if (kinds->count == KINDS_MAX)
        return NULL;
    struct kind *kind = &kinds->kinds[kinds->count];
    *kind = (struct kind){.index = kinds->count++,
                          .sample = key,
                          .type = key->type,
                          .bits = key->bits,
                          .wanted = wanted,
                          .cost = COST_DEAR,
                          .single = choice->single,
                          .batch = choice->batch,
                          .single_width = choice->single->width(choice->single, key)};
    if (kind->batch == NULL)
        return kind;
    kind->threshold = kind->width = kind->hold_for = kind->batch->width(kind->batch, key);
    kind->small_width =
        kind->batch->small_width != NULL ? kind->batch->small_width(key) : kind->width;
    return kind;
}

bool kinds_add_key(struct kinds *kinds, struct key *key, const struct driver *wanted, char *reason,
                   size_t size)
{
    struct choice choice = choose(kinds, key, wanted);
    const struct driver *keeper = choice.batch != NULL ? choice.batch : choice.single;
    if (keeper->width(keeper, key) == 0)
        return refuse(reason, size, "the backend %s does not serve such keys here", keeper->name);
    if (keeper->key_prepare != NULL && !keeper->key_prepare(keeper, key)) {
        if (wanted == NULL && kinds->drivers[0] != NULL)
            return kinds_add_key(kinds, key, kinds->drivers[0], reason, size);
        return refuse(reason, size, "the backend %s does not serve this key", keeper->name);
    }
    key->kind = find_or_make(kinds, key, wanted, &choice);
    return key->kind != NULL ||
           refuse(reason, size, "more than %d kinds of keys are configured", KINDS_MAX);
}

const struct kind *kinds_find(const struct kinds *kinds, enum wire_key_type type, int bits,
                              const struct driver *wanted)
{
    for (size_t i = 0; i < kinds->count; i++) {
        const struct kind *kind = &kinds->kinds[i];
        if (kind->type == type && (bits == 0 || kind->bits == bits) &&
            (kind->wanted == wanted || (wanted == NULL && kind->wanted == kinds->drivers[0])))
            return kind;
    }
    return NULL;
}

#define UNMEASURED (2 * NS_PER_MS) /* as long as RSA-4096 takes */

const struct kind *kinds_add_unmeasured(struct kinds *kinds, enum wire_key_type type, int bits)
{
    if (kinds->count == KINDS_MAX)
        return NULL;
    struct kind *kind = &kinds->kinds[kinds->count];
    *kind = (struct kind){.index = kinds->count++,
                          .type = type,
                          .bits = bits,
                          .single = kinds->drivers[0],
                          .single_width = 1};
    kind_measured(kind, UNMEASURED);
    return kind;
}

static bool listed(const int *calls, size_t count, int call)
{
    while (count > 0 && calls[count - 1] != call)
        count--;
    return count > 0;
}

void kinds_gather_calls(const struct kinds *kinds, int *calls, size_t room)
{
    size_t count = 0;
    for (size_t i = 0; i < 2 * kinds->count; i++) {
        const struct kind *kind = &kinds->kinds[i / 2];
        const struct driver *driver = i % 2 == 0 ? kind->single : kind->batch;
        const int *call = driver != NULL ? driver->calls : NULL;
        for (; call != NULL && *call != -1 && count + 1 < room; call++)
            if (!listed(calls, count, *call))
                calls[count++] = *call;
    }
    calls[count] = -1;
}

void kind_measured(struct kind *kind, uint64_t single_ns)
{
    kind->single_ns = single_ns;
    kind->cost = single_ns <= KIND_QUICK   ? COST_QUICK
                 : single_ns <= KIND_CHEAP ? COST_CHEAP
                                           : COST_DEAR;
    if (kind->single->waits) { /* the event loop must not wait for a device */
        kind->cost = kind->cost == COST_QUICK ? COST_CHEAP : kind->cost;
        return;
    }
    /* a larger batch saves nothing when jobs are signed one by one, so it is kept short */
    size_t width = single_ns < KIND_CHEAP ? (size_t)(KIND_CHEAP / single_ns) : 1;
    kind->single_width = width < kind->single_width ? width : kind->single_width;
}

const struct driver *kind_driver(const struct kind *kind, size_t count)
{
    return kind->batch != NULL && count >= kind->threshold ? kind->batch : kind->single;
}

size_t kind_take(const struct kind *kind, size_t waiting)
{
    size_t width = kind_driver(kind, waiting) == kind->single ? kind->single_width
                   : waiting < kind->full_from                ? kind->small_width
                                                              : kind->width;
    return waiting < width ? waiting : width;
}

uint64_t kind_time(const struct kind *kind, size_t count)
{
    if (kind_driver(kind, count) == kind->single)
        return count * kind->single_ns;
    return count <= kind->small_width ? kind->small_ns : kind->batch_ns;
}

uint64_t kind_cost(const struct kind *kind)
{
    if (kind->batch != NULL)
        return kind->batch_ns / kind->width;
    /* a device works on a whole batch in parallel */
    return kind->single->waits ? kind->single_ns / kind->single_width : kind->single_ns;
}

void kind_describe(const struct kind *kind, char *text, size_t size)
{
    static const char *const names[] = {
        [WIRE_KEY_RSA] = "RSA",           [WIRE_KEY_EC] = "P",
        [WIRE_KEY_ED25519] = "Ed25519",   [WIRE_KEY_RSA_PSS] = "RSA-PSS",
        [WIRE_KEY_MLDSA44] = "ML-DSA-44", [WIRE_KEY_MLDSA65] = "ML-DSA-65",
        [WIRE_KEY_MLDSA87] = "ML-DSA-87"};
    bool sized =
        kind->type == WIRE_KEY_RSA || kind->type == WIRE_KEY_RSA_PSS || kind->type == WIRE_KEY_EC;
    snprintf(text, size, sized ? "%s-%d" : "%s", names[kind->type], kind->bits);
}
