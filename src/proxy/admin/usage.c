#include "proxy/admin/usage.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/descriptor.h"

struct usage_source {
    int statm;
    DIR *descriptors;
};

struct usage_source *usage_source_open(void)
{
    struct usage_source *source = calloc(1, sizeof *source);
    if (source == NULL)
        return NULL;
    source->statm = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    source->descriptors = opendir("/proc/self/fd");
    return source;
}

void usage_source_close(struct usage_source *source)
{
    if (source == NULL)
        return;
    descriptor_close(&source->statm);
    if (source->descriptors != NULL)
        closedir(source->descriptors);
    free(source);
}

/* /proc/self/statm: total and resident size in pages, and more (proc(5)). */
static uint64_t resident_bytes(int statm)
{
    char text[128];
    ssize_t length = statm < 0 ? -1 : pread(statm, text, sizeof text - 1, 0);
    if (length <= 0)
        return 0;
    text[length] = '\0';
    char *end;
    strtoull(text, &end, 10);
    return strtoull(end, NULL, 10) * (uint64_t)sysconf(_SC_PAGESIZE);
}

static uint64_t open_descriptors(DIR *directory)
{
    uint64_t count = 0;
    if (directory == NULL)
        return 0;
    rewinddir(directory);
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;)
        count += entry->d_name[0] != '.';
    return count;
}

struct usage usage_read(struct usage_source *source)
{
    struct rusage rusage = {0};
    getrusage(RUSAGE_SELF, &rusage);
    return (struct usage){
        .cpu_seconds = (double)(rusage.ru_utime.tv_sec + rusage.ru_stime.tv_sec) +
                       (double)(rusage.ru_utime.tv_usec + rusage.ru_stime.tv_usec) / 1e6,
        .resident_bytes = resident_bytes(source->statm),
        .open_descriptors = open_descriptors(source->descriptors),
    };
}
