/* The secret memory: its pages, its blocks, its stacks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

#include "keyd/keys/arena.h"

#define SIZE ((size_t)7 * 1024 * 1024)
#define LARGEST (((size_t)1 << 22) - 16)

static struct arena arena;

static bool within(const void *address)
{
    return (const uint8_t *)address >= (uint8_t *)arena.memory &&
           (const uint8_t *)address < (uint8_t *)arena.memory + arena.size;
}

static bool all_are(const uint8_t *bytes, size_t length, uint8_t value)
{
    for (size_t i = 0; i < length; i++)
        if (bytes[i] != value)
            return false;
    return true;
}

/* ---- pages ---- */

/* The line of /proc/self/smaps that lists the kernel's flags of the mapping. */
static void flags_of(const void *address, char *flags, size_t size)
{
    FILE *maps = fopen("/proc/self/smaps", "r");
    char line[512];
    bool inside = false;
    flags[0] = '\0';
    while (fgets(line, sizeof line, maps) != NULL) {
        uintptr_t from, to;
        if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
            inside = from <= (uintptr_t)address && (uintptr_t)address < to;
        else if (inside && strncmp(line, "VmFlags:", 8) == 0)
            snprintf(flags, size, "%.*s", (int)size - 1, line + 8);
    }
    fclose(maps);
}

static void pages_are_not_in_cores_and_children(void **state)
{
    (void)state;
    char flags[256];
    flags_of(arena.memory, flags, sizeof flags);
    assert_non_null(strstr(flags, " dd")); /* not in core files */
    assert_non_null(strstr(flags, arena.kind == PAGES_SECRET ? " dc" : " wf"));
}

static void secret_pages_are_not_in_proc_mem(void **state)
{
    (void)state;
    if (arena.kind != PAGES_SECRET)
        skip();
    uint8_t *block = arena_alloc(100), byte;
    memset(block, 0x5a, 100);
    int memory = open("/proc/self/mem", O_RDONLY);
    assert_true(memory >= 0);
    assert_int_equal(pread(memory, &byte, 1, (off_t)(uintptr_t)&arena), 1);
    assert_int_equal(pread(memory, &byte, 1, (off_t)(uintptr_t)block), -1);
    close(memory);
    arena_free(block);
}

static void no_descriptor_leads_to_the_pages(void **state)
{
    (void)state;
    DIR *folder = opendir("/proc/self/fd");
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        char target[256];
        ssize_t length = readlinkat(dirfd(folder), entry->d_name, target, sizeof target - 1);
        if (length >= 0) {
            target[length] = '\0';
            assert_null(strstr(target, "secretmem"));
        }
    }
    closedir(folder);
}

static void there_is_one(void **state)
{
    (void)state;
    struct arena second;
    char reason[64];
    assert_false(arena_open(SIZE, &second, reason, sizeof reason));
    assert_int_equal(errno, EBUSY);
}

/* ---- blocks ---- */

static void blocks_of_every_size(void **state)
{
    (void)state;
    enum { COUNT = 600 };
    static uint8_t *blocks[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        blocks[i] = arena_alloc(i * 3);
        assert_true(within(blocks[i]));
        assert_int_equal((uintptr_t)blocks[i] % 16, 0);
        memset(blocks[i], (int)(i % 255 + 1), i * 3);
    }
    for (size_t i = 0; i < COUNT; i++)
        assert_true(all_are(blocks[i], i * 3, (uint8_t)(i % 255 + 1)));
    for (size_t i = 0; i < COUNT; i++)
        arena_free(blocks[i]);
    arena_free(NULL);
}

static void around_the_powers_of_two(void **state)
{
    (void)state;
    for (size_t power = 32; power <= 1 << 15; power *= 2)
        for (size_t size = power - 20; size <= power + 4; size++) {
            uint8_t *block = arena_alloc(size), *other = arena_alloc(1);
            memset(block, 0xaa, size);
            *other = 0xbb;
            assert_true(all_are(block, size, 0xaa));
            arena_free(block);
            assert_int_equal(*other, 0xbb);
            arena_free(other);
        }
}

static void what_is_given_back_is_wiped(void **state)
{
    (void)state;
    for (size_t size = 1; size < 100000; size = size * 3 + 1) {
        uint8_t *block = arena_alloc(size);
        memset(block, 0x5a, size);
        arena_free(block);
        uint8_t *again = arena_alloc(size);
        assert_ptr_equal(again, block);
        assert_true(all_are(again, size, 0));
        arena_free(again);
    }
}

static void blocks_grow_and_shrink(void **state)
{
    (void)state;
    uint8_t *block = arena_realloc(NULL, 10);
    memset(block, 1, 10);
    for (size_t size = 10; size < 100000; size += size / 3 + 1) {
        uint8_t *old = block;
        block = arena_realloc(block, size);
        assert_non_null(block);
        assert_true(all_are(block, 10, 1));
        memset(block + 10, 2, size - 10);
        if (block != old)
            assert_true(all_are(old + 8, 2, 0)); /* the first eight have the list's next */
    }
    block = arena_realloc(block, 5);
    assert_true(all_are(block, 5, 1));
    arena_free(block);
}

static void too_large_a_block(void **state)
{
    (void)state;
    errno = 0;
    assert_null(arena_alloc(LARGEST + 1));
    assert_int_equal(errno, ENOMEM);
    assert_null(arena_alloc(SIZE_MAX));
    assert_null(arena_alloc(SIZE_MAX - 15));
    uint8_t *block = arena_alloc(100);
    memset(block, 7, 100);
    assert_null(arena_realloc(block, SIZE_MAX));
    assert_true(all_are(block, 100, 7));
    arena_free(block);
}

/* ---- threads ---- */

enum { THREADS = 4, SLOTS = 64, ROUNDS = 100000 };
static _Atomic(uint8_t *) slots[SLOTS];
static atomic_int damaged;

/* Each thread leaves blocks for others to free. A block's first byte gives its size and content. */
static void *exchange_blocks(void *arg)
{
    unsigned seed = (unsigned)(uintptr_t)arg;
    for (int i = 0; i < ROUNDS; i++) {
        uint8_t size = (uint8_t)(1 + rand_r(&seed) % 200);
        uint8_t *block = arena_alloc(size);
        if (block == NULL || !all_are(block, size, 0)) {
            atomic_fetch_add(&damaged, 1);
            break;
        }
        memset(block, size, size);
        block = atomic_exchange(&slots[rand_r(&seed) % SLOTS], block);
        if (block != NULL && !all_are(block, block[0], block[0]))
            atomic_fetch_add(&damaged, 1);
        arena_free(block);
    }
    return NULL;
}

/* The blocks are reused: 400,000 of them would not fit. */
static void threads_give_back_each_others_blocks(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, exchange_blocks, (void *)(i + 1)), 0);
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    for (size_t i = 0; i < SLOTS; i++)
        arena_free(atomic_exchange(&slots[i], NULL));
    assert_int_equal(damaged, 0);
}

static void *use_a_little(void *arg)
{
    (void)arg;
    void *block = arena_alloc(5000);
    arena_free(block);
    return block;
}

static void threads_come_and_go(void **state)
{
    (void)state;
    for (int i = 0; i < 2000; i++) {
        pthread_t thread;
        void *block;
        assert_int_equal(pthread_create(&thread, NULL, use_a_little, NULL), 0);
        assert_int_equal(pthread_join(thread, &block), 0);
        assert_non_null(block);
    }
}

/* ---- stacks ---- */

static uintptr_t left_behind; /* an address as a number, because the object is gone by then */
static bool nested;

static void leave_something(void *arg)
{
    volatile uint8_t secret[64];
    for (size_t i = 0; i < sizeof secret; i++)
        secret[i] = 0x5a;
    left_behind = (uintptr_t)secret;
    *(int *)arg += 1;
}

static void call_another(void *arg)
{
    nested = arena_call(ARENA_STACK_SIGNER, leave_something, arg);
    *(int *)arg += 10;
}

static void stacks_are_in_the_arena_and_wiped(void **state)
{
    (void)state;
    int calls = 0;
    assert_true(arena_call(ARENA_STACK_SIGNER, call_another, &calls));
    assert_true(nested);
    assert_int_equal(calls, 11);
#ifndef IMMURE_SANITIZE
    assert_true(within((const void *)left_behind));
    assert_true(all_are((const void *)left_behind, 64, 0));
#endif
}

/* ---- the end ---- */

/* Runs in a new program, because a child by fork() alone has no arena. */
static void give_back_twice(void)
{
    void *block = arena_alloc(100);
    arena_free(block);
    arena_free(block);
}

static void giving_back_twice_ends_the_process(void **state)
{
    (void)state;
    pid_t child = fork();
    if (child == 0) {
        execl("/proc/self/exe", "test_arena", "give-back-twice", (char *)NULL);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

static size_t fill(void **blocks, size_t most)
{
    size_t count = 0;
    while (count < most && (blocks[count] = arena_alloc(4000)) != NULL)
        count++;
    return count;
}

static void a_full_arena_says_so_and_recovers(void **state)
{
    (void)state;
    static void *blocks[SIZE / 4000];
    size_t count = fill(blocks, SIZE / 4000);
    assert_in_range(count, 100, SIZE / 4000 - 1);
    assert_int_equal(errno, ENOMEM);
#ifndef IMMURE_SANITIZE
    int calls = 0;
    assert_false(arena_call(ARENA_STACK_LARGE, leave_something, &calls));
    assert_int_equal(calls, 0);
#endif
    for (size_t i = 0; i < count; i++)
        arena_free(blocks[i]);
    assert_int_equal(fill(blocks, SIZE / 4000), count);
    for (size_t i = 0; i < count; i++)
        arena_free(blocks[i]);
}

static int open_arena(void **state)
{
    (void)state;
    char reason[128];
    return arena_open(SIZE, &arena, reason, sizeof reason) ? 0 : -1;
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "give-back-twice") == 0) {
        if (open_arena(NULL) == 0)
            give_back_twice();
        return 0;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pages_are_not_in_cores_and_children),
        cmocka_unit_test(secret_pages_are_not_in_proc_mem),
        cmocka_unit_test(no_descriptor_leads_to_the_pages),
        cmocka_unit_test(there_is_one),
        cmocka_unit_test(blocks_of_every_size),
        cmocka_unit_test(around_the_powers_of_two),
        cmocka_unit_test(what_is_given_back_is_wiped),
        cmocka_unit_test(blocks_grow_and_shrink),
        cmocka_unit_test(too_large_a_block),
        cmocka_unit_test(threads_give_back_each_others_blocks),
        cmocka_unit_test(threads_come_and_go),
        cmocka_unit_test(stacks_are_in_the_arena_and_wiped),
        cmocka_unit_test(giving_back_twice_ends_the_process),
        cmocka_unit_test(a_full_arena_says_so_and_recovers),
    };
    return cmocka_run_group_tests(tests, open_arena, NULL);
}
