#include "storm/cost.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

static uint64_t ns_of_ticks(uint64_t ticks)
{
    return ticks * (NS_PER_S / (uint64_t)sysconf(_SC_CLK_TCK));
}

/* Field numbers as in proc(5). */
enum {
    FIELD_PARENT = 4,
    FIELD_USER = 14,
    FIELD_SYSTEM,
    FIELD_CHILD_USER,
    FIELD_CHILD_SYSTEM,
    FIELD_STARTED = 22,
    FIELD_COUNT
};

bool process_parse(const char *line, struct process *process)
{
    /* A process name may contain parentheses and spaces, so it ends at the last ')'. */
    const char *open = strchr(line, '('), *close = strrchr(line, ')');
    long long fields[FIELD_COUNT] = {0};
    long pid = strtol(line, NULL, 10);
    if (open == NULL || close == NULL || close < open || pid < 1 || strlen(close) < 4)
        return false;
    const char *next = close + 3; /* ") S" */
    for (int i = FIELD_PARENT; i < FIELD_COUNT; i++) {
        char *end;
        fields[i] = strtoll(next, &end, 10);
        if (end == next)
            return false;
        next = end;
    }
    size_t length = (size_t)(close - open - 1);
    if (length >= sizeof process->name)
        length = sizeof process->name - 1;
    *process = (struct process){
        .pid = (pid_t)pid,
        .parent = (pid_t)fields[FIELD_PARENT],
        .ended = close[2] == 'Z' || close[2] == 'X',
        .own = ns_of_ticks((uint64_t)(fields[FIELD_USER] + fields[FIELD_SYSTEM])),
        .children = ns_of_ticks((uint64_t)(fields[FIELD_CHILD_USER] + fields[FIELD_CHILD_SYSTEM])),
        .started = (uint64_t)fields[FIELD_STARTED]};
    memcpy(process->name, open + 1, length);
    return true;
}

/* Reads the CPU time in ns instead of clock ticks, which is not available for a zombie. */
static void process_refine(struct process *process)
{
    clockid_t clock;
    struct timespec time;
    if (clock_getcpuclockid(process->pid, &clock) == 0 && clock_gettime(clock, &time) == 0)
        process->own = (uint64_t)time.tv_sec * NS_PER_S + (uint64_t)time.tv_nsec;
}

static bool process_read(int proc, const char *pid, struct process *process)
{
    char path[32], line[1024];
    snprintf(path, sizeof path, "%.16s/stat", pid);
    int fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
    if (fd == -1)
        return false;
    ssize_t length = read(fd, line, sizeof line - 1);
    close(fd);
    if (length <= 0)
        return false;
    line[length] = 0;
    return process_parse(line, process);
}

static bool append(struct cost_sample *sample, const struct process *process)
{
    /* The array doubles whenever the count is a power of two. */
    if ((sample->count & (sample->count - 1)) == 0) {
        size_t capacity = sample->count ? sample->count * 2 : 1;
        void *grown = reallocarray(sample->processes, capacity, sizeof *process);
        if (grown == NULL)
            return false;
        sample->processes = grown;
    }
    sample->processes[sample->count++] = *process;
    return true;
}

static bool read_all(struct cost_sample *sample)
{
    DIR *directory = opendir("/proc");
    bool good = directory != NULL;
    for (struct dirent *entry; good && (entry = readdir(directory));) {
        struct process process;
        if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9' &&
            process_read(dirfd(directory), entry->d_name, &process))
            good = append(sample, &process);
    }
    if (directory)
        closedir(directory);
    return good;
}

static const struct process *find(const struct cost_sample *sample, pid_t pid)
{
    for (size_t i = 0; i < sample->count; i++)
        if (sample->processes[i].pid == pid)
            return &sample->processes[i];
    return NULL;
}

static const struct process *find_same(const struct cost_sample *sample,
                                       const struct process *process)
{
    const struct process *found = find(sample, process->pid);
    return found && found->started == process->started ? found : NULL;
}

static bool is_root(const struct process *process, const pid_t *roots, size_t root_count,
                    const struct cost_sample *before)
{
    for (size_t i = 0; i < root_count; i++)
        if (process->pid == roots[i])
            return true;
    return before && find_same(before, process);
}

bool cost_take(struct cost_sample *sample, const pid_t *roots, size_t root_count,
               const struct cost_sample *before)
{
    struct cost_sample all = {0};
    *sample = (struct cost_sample){0};
    bool good = read_all(&all);
    for (size_t i = 0; good && i < all.count; i++)
        if (is_root(&all.processes[i], roots, root_count, before))
            good = append(sample, &all.processes[i]);
    /* The loop also visits the processes that it appends, so it finds all descendants. */
    for (size_t i = 0; good && i < sample->count; i++)
        for (size_t j = 0; good && j < all.count; j++)
            if (all.processes[j].parent == sample->processes[i].pid &&
                !find(sample, all.processes[j].pid))
                good = append(sample, &all.processes[j]);
    cost_free(&all);
    for (size_t i = 0; i < sample->count; i++)
        process_refine(&sample->processes[i]);
    if (!good)
        cost_free(sample);
    return good;
}

void cost_free(struct cost_sample *sample)
{
    free(sample->processes);
    *sample = (struct cost_sample){0};
}

bool cost_lives(const struct cost_sample *sample, pid_t pid)
{
    const struct process *process = find(sample, pid);
    return process && !process->ended;
}

static struct cost_line *line_of(struct cost_line *lines, size_t *count, const char *name)
{
    for (size_t i = 0; i < *count; i++)
        if (strcmp(lines[i].name, name) == 0)
            return &lines[i];
    if (*count == COST_LINES_MAX)
        return NULL;
    struct cost_line *line = &lines[(*count)++];
    *line = (struct cost_line){0};
    snprintf(line->name, sizeof line->name, "%s", name);
    return line;
}

static void add_time(struct cost_line *line, unsigned processes, uint64_t ns)
{
    if (line == NULL)
        return;
    line->processes += processes;
    line->ns += ns;
}

/* A zombie's time is only known in clock ticks, so it may seem to be less than before. */
static uint64_t since(uint64_t now, uint64_t before)
{
    return now > before ? now - before : 0;
}

size_t cost_between(const struct cost_sample *before, const struct cost_sample *after,
                    struct cost_line lines[COST_LINES_MAX], uint64_t *total)
{
    size_t count = 0;
    uint64_t living = 0, ended = 0, ended_before = 0;
    for (size_t i = 0; i < after->count; i++) {
        const struct process *now = &after->processes[i], *then = find_same(before, now);
        uint64_t own = since(now->own, then ? then->own : 0);
        add_time(line_of(lines, &count, now->name), 1, own);
        living += own;
        ended += since(now->children, then ? then->children : 0);
    }
    /* A parent's cutime covers the whole life of its child, so what the child used before is
     * subtracted. */
    unsigned gone = 0;
    for (size_t i = 0; i < before->count; i++) {
        if (find_same(after, &before->processes[i]))
            continue;
        gone++;
        ended_before += before->processes[i].own + before->processes[i].children;
    }
    uint64_t ended_now = since(ended, ended_before);
    if (ended_now > 0 || gone > 0)
        add_time(line_of(lines, &count, ""), gone, ended_now);
    *total = living + ended_now;
    return count;
}
