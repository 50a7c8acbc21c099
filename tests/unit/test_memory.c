/* The memory that a process may have, by files as the kernel writes them. */
#include "proxy/config/memory.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define MIB ((uint64_t)1 << 20)
#define MEMINFO                                                                                    \
    "MemTotal:       24684096 kB\nMemFree:  1 kB\nMemAvailable:   2097152 kB\nBuffers: 3 kB\n"

static char root[64];

static void write_file(const char *path, const char *text)
{
    char full[512];
    snprintf(full, sizeof full, "%s%s", root, path);
    for (char *slash = strchr(full + strlen(root) + 1, '/'); slash != NULL;
         slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(full, 0700);
        *slash = '/';
    }
    FILE *file = fopen(full, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static int setup(void **state)
{
    (void)state;
    strcpy(root, "/tmp/immure-test-memory-XXXXXX");
    return mkdtemp(root) != NULL ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)status, (void)type, (void)walk;
    return remove(path);
}

static int teardown(void **state)
{
    (void)state;
    return nftw(root, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void test_nothing_says(void **state)
{
    (void)state;
    assert_true(memory_by_files(root) == UINT64_MAX);
    write_file("/proc/meminfo", "MemTotal: 5 kB\n");
    write_file("/proc/self/cgroup", "nonsense\n0:\n\n");
    assert_true(memory_by_files(root) == UINT64_MAX);
}

static void test_machine(void **state)
{
    (void)state;
    write_file("/proc/meminfo", MEMINFO);
    assert_int_equal(memory_by_files(root), 2048 * MIB);
}

/* The least of a group and those that it is within. */
static void test_version_2(void **state)
{
    (void)state;
    write_file("/proc/meminfo", MEMINFO);
    write_file("/proc/self/cgroup", "0::/system.slice/immure-proxy.service\n");
    write_file("/sys/fs/cgroup/system.slice/immure-proxy.service/memory.max", "max\n");
    assert_int_equal(memory_by_files(root), 2048 * MIB);
    write_file("/sys/fs/cgroup/system.slice/memory.max", "1073741824\n");
    assert_int_equal(memory_by_files(root), 1024 * MIB);
    write_file("/sys/fs/cgroup/system.slice/immure-proxy.service/memory.max", "536870912\n");
    assert_int_equal(memory_by_files(root), 512 * MIB);
}

/* A container sees its own group at the top, whatever its path is outside. */
static void test_container(void **state)
{
    (void)state;
    write_file("/proc/meminfo", MEMINFO);
    write_file("/proc/self/cgroup", "0::/\n");
    write_file("/sys/fs/cgroup/memory.max", "268435456\n");
    assert_int_equal(memory_by_files(root), 256 * MIB);
    write_file("/proc/self/cgroup", "0::/outside/of:it\n");
    assert_int_equal(memory_by_files(root), 256 * MIB);
}

static void test_version_1(void **state)
{
    (void)state;
    write_file("/proc/meminfo", MEMINFO);
    write_file("/proc/self/cgroup", "9:name=systemd:/\n4:hugetlb,memory:/box/one\n1:cpu:/\n0::/\n");
    write_file("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
    assert_int_equal(memory_by_files(root), 2048 * MIB);
    write_file("/sys/fs/cgroup/memory/box/memory.limit_in_bytes", "134217728\n");
    assert_int_equal(memory_by_files(root), 128 * MIB);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_nothing_says, setup, teardown),
        cmocka_unit_test_setup_teardown(test_machine, setup, teardown),
        cmocka_unit_test_setup_teardown(test_version_2, setup, teardown),
        cmocka_unit_test_setup_teardown(test_container, setup, teardown),
        cmocka_unit_test_setup_teardown(test_version_1, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
