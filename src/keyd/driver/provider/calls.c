#include "keyd/driver/provider/calls.h"

#include <seccomp.h>
#include <stdio.h>
#include <string.h>

#define NAME_SIZE 32

static const struct {
    const char *name, *calls;
} groups[] = {
    /* a token in files, like SoftHSM's */
    {"files", "openat newfstatat fstat lseek fcntl flock access readlink getdents64 getcwd mkdir "
              "unlink rename ftruncate fsync getuid geteuid umask"},
    /* a daemon behind a socket, like swtpm and many network devices */
    {"sockets", "socket connect shutdown sendmsg recvmsg getsockopt setsockopt getsockname "
                "getpeername fcntl"},
    /* a device file and the vendor's library in the process, like QAT's */
    {"devices", "ioctl openat fstat newfstatat lseek fcntl eventfd2 clock_nanosleep nanosleep "
                "sched_yield epoll_create1"},
};

static const struct {
    const char *module, *group;
} known[] = {
    {"pkcs11", "files"},
    {"tpm2", "sockets"},
    {"qatengine", "devices"},
    {"qatprovider", "devices"},
};

struct call_list {
    int *calls;
    size_t count;
    char *text;
    size_t text_size;
};

static bool add_call(struct call_list *list, const char *name)
{
    int number = seccomp_syscall_resolve_name(name);
    if (number == __NR_SCMP_ERROR)
        return false;
    for (size_t i = 0; i < list->count; i++)
        if (list->calls[i] == number)
            return true;
    if (list->count + 1 >= PROVIDER_CALLS_MAX)
        return false;
    list->calls[list->count++] = number;
    list->calls[list->count] = -1;
    size_t used = strlen(list->text);
    snprintf(list->text + used, list->text_size - used, used > 0 ? " %s" : "%s", name);
    return true;
}

static bool add_calls(struct call_list *list, const char *names)
{
    while (*names != '\0') {
        char name[NAME_SIZE];
        size_t length = strcspn(names, " ");
        snprintf(name, sizeof name, "%.*s", (int)length, names);
        if (!add_call(list, name))
            return false;
        names += length + (names[length] == ' ');
    }
    return true;
}

/* The calls of a group; any other name is itself a call. */
static const char *calls_of(const char *name)
{
    for (size_t i = 0; i < sizeof groups / sizeof groups[0]; i++)
        if (strcmp(groups[i].name, name) == 0)
            return groups[i].calls;
    return name;
}

static const char *group_for(const struct provider_config *config)
{
    const char *name = config->engine != NULL ? config->engine : config->module;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strcmp(known[i].module, name) == 0)
            return known[i].group;
    return NULL;
}

bool provider_calls(const struct provider_config *config, int calls[PROVIDER_CALLS_MAX], char *text,
                    size_t text_size, char *reason, size_t size)
{
    struct call_list list = {.calls = calls, .text = text, .text_size = text_size};
    const struct text_list *named = &config->system_calls;
    const char *standard = named->count == 0 ? group_for(config) : NULL;
    text[0] = '\0';
    if (!add_calls(&list, "poll ppoll") ||
        (standard != NULL && !add_calls(&list, calls_of(standard)))) {
        snprintf(reason, size, "too many system calls");
        return false;
    }
    for (size_t i = 0; i < named->count; i++) {
        if (add_calls(&list, calls_of(named->texts[i])))
            continue;
        snprintf(reason, size,
                 "system-calls: there is no system call \"%s\", or there are too many",
                 named->texts[i]);
        return false;
    }
    return true;
}
