#include "keyd/keys/secret_memory.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/log.h"
#include "keyd/keys/packed.h"
#include "wire/limits.h"

#define KIB ((size_t)1024)

/* What was measured, and about half as much again; unused pages cost nothing. */
#define OF_LIBRARY (1024 * KIB)
#define OF_KEY (48 * KIB)       /* of any kind up to RSA-4096, and ML-DSA */
#define OF_KEY_LEAST (12 * KIB) /* of RSA-2048, EC or Ed25519 */
#define OF_THREAD (256 * KIB)   /* without its stack; with the lanes of a batch */
#define OF_CONTEXT (4 * KIB)    /* one to sign and one to verify; keyd/sign/contexts.h */
#define CONTEXTS_MAX 256        /* the cache of a thread */
#define OF_PROVIDER (4096 * KIB)

static size_t size_for(const struct secret_memory_need *need, size_t of_key)
{
    size_t keys = need->keys + (need->cache != NULL ? (size_t)*need->cache : 0);
    size_t contexts = keys * WIRE_SCHEMES_MAX;
    if (contexts > CONTEXTS_MAX)
        contexts = CONTEXTS_MAX;
    return OF_LIBRARY + ARENA_STACK_LARGE + keys * of_key +
           need->signers * (ARENA_STACK_SIGNER + OF_THREAD + contexts * OF_CONTEXT) +
           need->device_threads * (OF_PROVIDER + ARENA_STACK_LARGE);
}

/* Raises RLIMIT_MEMLOCK as far as possible. Whether that is enough shows later. */
static void raise_limit(rlim_t size)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_MEMLOCK, &limit) != 0 || limit.rlim_cur >= size)
        return;
    struct rlimit more = {.rlim_cur = size,
                          .rlim_max = limit.rlim_max > size ? limit.rlim_max : size};
    if (setrlimit(RLIMIT_MEMLOCK, &more) == 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_MEMLOCK, &limit);
}

/* Whether so much secret memory is available. Pages that are not touched cost nothing. */
static bool there_is(size_t size)
{
    enum secret_pages kind;
    char reason[REPORT_TEXT_SIZE / 2];
    void *pages = secret_pages_map(size, &kind, reason, sizeof reason);
    if (pages != NULL)
        munmap(pages, size);
    return pages != NULL && kind == PAGES_SECRET;
}

#define CACHE_LEAST 16

/* For compact keys: a cache that leaves half of the limit to their DER. */
static size_t choose_cache(const struct secret_memory_need *need, size_t room)
{
    uint64_t wanted = *need->cache;
    while (size_for(need, OF_KEY_LEAST) > room / 2 && *need->cache > CACHE_LEAST)
        *need->cache /= 2;
    if (*need->cache < wanted)
        log_warning("key-cache: RLIMIT_MEMLOCK (%zu KiB) leaves room for %zu keys in place of %zu",
                    room / KIB, (size_t)*need->cache, (size_t)wanted);
    return size_for(need, OF_KEY_LEAST);
}

/* The size for keys of any kind if it is available, else what the limit allows if that is enough
 * for the usual kinds. Otherwise the former, so that secret_memory_open() reports the lack. */
static size_t choose_size(const struct secret_memory_need *need)
{
    struct rlimit limit;
    size_t page = (size_t)sysconf(_SC_PAGESIZE), size = size_for(need, OF_KEY);
    raise_limit(need->cache != NULL ? RLIM_INFINITY : size);
    if (there_is(size) || getrlimit(RLIMIT_MEMLOCK, &limit) != 0 || limit.rlim_cur >= size)
        return size;
    size_t room = (size_t)limit.rlim_cur / page * page;
    if (need->cache != NULL)
        return choose_cache(need, room);
    if (room < size_for(need, OF_KEY_LEAST) || !there_is(room))
        return size;
    log_warning(
        "secret memory: RLIMIT_MEMLOCK leaves room for %zu KiB; %zu keys of any kind need %zu KiB",
        room / KIB, need->keys, size / KIB);
    return room;
}

static bool judge(const struct secret_memory_need *need, const struct arena *arena,
                  const char *reason, struct report *report)
{
    size_t size = arena->size / KIB;
    if (arena->kind == PAGES_SECRET)
        return report_note(report, "secret memory", true,
                           "%zu KiB by memfd_secret, under libcrypto and all stacks that sign",
                           size);
    if (need->required) {
        log_error("require-secret-memory = yes, but there is none: %s", reason);
        return false;
    }
    bool locked = arena->kind == PAGES_LOCKED;
    if (locked)
        log_warning("KEY MEMORY IS ORDINARY MEMORY, locked: root's tools can read it. %s", reason);
    else
        log_warning("KEY MEMORY IS ORDINARY MEMORY, NOT EVEN LOCKED: root's tools can read it, and "
                    "it may be written to swap (raise RLIMIT_MEMLOCK to %zu KiB). %s",
                    size, reason);
    report_note(report, "secret memory", false, "%s. %zu KiB %s, not in core files", reason, size,
                locked ? "locked" : "not locked");
    return true;
}

bool secret_memory_open(const struct secret_memory_need *need, struct arena *arena,
                        struct report *report)
{
    char reason[REPORT_TEXT_SIZE / 2] = "";
    size_t size = choose_size(need);
    if (!arena_open(size, arena, reason, sizeof reason)) {
        log_error("secret memory: %zu KiB: %s", size / KIB, strerror(errno));
        return false;
    }
    if (!arena_serve_libcrypto()) {
        log_error("secret memory: libcrypto already uses other memory");
        return false;
    }
    return judge(need, arena, reason, report);
}

/* The size of all chunks besides the arena, and the limit that they met. */
static void describe_lack(const struct arena *arena, const struct compact_keys *keys,
                          const char *reason, char *text, size_t size)
{
    struct rlimit limit;
    size_t needed = (arena->size + packed_size(keys->packed)) / KIB;
    if (getrlimit(RLIMIT_MEMLOCK, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
        snprintf(text, size, "%s", reason);
    else
        snprintf(text, size, "%zu keys need a RLIMIT_MEMLOCK of %zu KiB; it is %llu KiB",
                 keys->count, needed, (unsigned long long)limit.rlim_cur / KIB);
}

bool secret_memory_judge_packed(bool required, const struct arena *arena,
                                const struct compact_keys *keys, struct report *report)
{
    static const char *const kinds[] = {[PAGES_SECRET] = "by memfd_secret",
                                        [PAGES_LOCKED] = "ordinary and locked",
                                        [PAGES_UNLOCKED] = "ordinary and not locked"};
    char lack[REPORT_TEXT_SIZE] = "";
    const char *reason;
    if (keys->group_count == 0)
        return true;
    enum secret_pages kind = packed_kind(keys->packed, &reason);
    if (kind != PAGES_SECRET)
        describe_lack(arena, keys, reason, lack, sizeof lack);
    if (kind != PAGES_SECRET && required)
        log_error("require-secret-memory = yes, but there is too little: %s", lack);
    else if (kind > arena->kind)
        log_warning("THE MEMORY OF COMPACT KEYS IS ORDINARY MEMORY: root's tools can read it%s. %s",
                    kind == PAGES_UNLOCKED ? ", and it may be written to swap" : "", lack);
    report_note(report, "compact keys", kind == PAGES_SECRET, "%zu KiB %s, for %zu keys",
                packed_size(keys->packed) / KIB, kinds[kind], keys->count);
    return kind == PAGES_SECRET || !required;
}
