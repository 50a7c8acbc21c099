/*
 * immured-test: immured with signing drivers that misbehave on purpose. Built for tests, never
 * installed.
 *
 *     backend = "delay"    every batch takes 50 ms more, without using a CPU
 *     backend = "corrupt"  every RSA signature for a client has one bit flipped
 *     backend = "trespass" signing the message "trespass N" makes the forbidden system call N
 *
 * It also logs who it is whenever it reads a secret from a file.
 */
#include <seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "keyd/keys/files.h"
#include "keyd/process/keyd.h"
#include "trespass.h"
#include "wire/stats.h"

#define DELAY_MS 50

static void *thread_new(const struct driver *driver)
{
    return driver_openssl.thread_new(driver);
}

static void thread_free(void *thread)
{
    driver_openssl.thread_free(thread);
}

static size_t delay_width(const struct driver *driver, const struct key *key)
{
    (void)driver, (void)key;
    return DRIVER_BATCH_MAX;
}

static void delay_sign(const struct driver *driver, void *thread, struct job *const *batch,
                       size_t count)
{
    struct timespec delay = {.tv_nsec = DELAY_MS * 1000000L};
    clock_nanosleep(CLOCK_MONOTONIC, 0, &delay, NULL);
    driver_openssl.sign(driver, thread, batch, count);
}

static size_t corrupt_width(const struct driver *driver, const struct key *key)
{
    return driver_openssl.width(driver, key);
}

static void corrupt_sign(const struct driver *driver, void *thread, struct job *const *batch,
                         size_t count)
{
    driver_openssl.sign(driver, thread, batch, count);
    for (size_t i = 0; i < count; i++)
        if (batch[i]->key->type == WIRE_KEY_RSA && batch[i]->id != 0) /* the warm-up has id 0 */
            batch[i]->result[batch[i]->result_length / 2] ^= 0x10;
}

static void trespass_sign(const struct driver *driver, void *thread, struct job *const *batch,
                          size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char text[32];
        unsigned number;
        snprintf(text, sizeof text, "%.*s", (int)batch[i]->message_length,
                 (const char *)batch[i]->message);
        if (sscanf(text, "trespass %u", &number) == 1)
            trespass(number);
    }
    driver_openssl.sign(driver, thread, batch, count);
}

static const int delay_calls[] = {SCMP_SYS(clock_nanosleep), -1};

static const struct driver delay = {.name = "delay",
                                    .number = WIRE_BACKEND_TEST,
                                    .calls = delay_calls,
                                    .waits = true,
                                    .width = delay_width,
                                    .thread_new = thread_new,
                                    .thread_free = thread_free,
                                    .sign = delay_sign};

static const struct driver corrupt = {.name = "corrupt",
                                      .number = WIRE_BACKEND_TEST,
                                      .width = corrupt_width,
                                      .thread_new = thread_new,
                                      .thread_free = thread_free,
                                      .sign = corrupt_sign};

static const struct driver trespassing = {.name = "trespass",
                                          .number = WIRE_BACKEND_TEST,
                                          .width = corrupt_width,
                                          .thread_new = thread_new,
                                          .thread_free = thread_free,
                                          .sign = trespass_sign};

/* The linker puts the second in the place of files_add() (--wrap). */
bool __real_files_add(struct files *files, const char *name, int descriptor);
bool __wrap_files_add(struct files *files, const char *name, int descriptor);

bool __wrap_files_add(struct files *files, const char *name, int descriptor)
{
    log_info("uid %u reads %s", (unsigned)geteuid(), name);
    return __real_files_add(files, name, descriptor);
}

int main(int argc, char **argv)
{
    static const struct driver *const drivers[] = {&driver_openssl,
                                                   &driver_multibuffer,
                                                   &driver_provider,
                                                   &delay,
                                                   &corrupt,
                                                   &trespassing,
                                                   NULL};
    return keyd_main(argc, argv, drivers);
}
