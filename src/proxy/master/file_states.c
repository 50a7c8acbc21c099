#include "proxy/master/file_states.h"

#include <stdlib.h>

static struct file_state state_of(const char *name)
{
    struct stat status;
    if (stat(name, &status) != 0)
        return (struct file_state){.size = 0};
    return (struct file_state){.file = file_identity_of(&status),
                               .size = status.st_size,
                               .modified = status.st_mtim,
                               .changed = status.st_ctim};
}

static bool is_same_time(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

static bool is_same(const struct file_state *a, const struct file_state *b)
{
    return a->file.device == b->file.device && a->file.inode == b->file.inode &&
           a->size == b->size && is_same_time(&a->modified, &b->modified) &&
           is_same_time(&a->changed, &b->changed);
}

bool file_states_take(struct file_states *states, const struct name_table *names)
{
    *states = (struct file_states){.of = calloc(names->count + 1, sizeof *states->of),
                                   .count = names->count};
    for (size_t i = 0; states->of != NULL && i < names->count; i++)
        states->of[i] = state_of(names->names[i]);
    return states->of != NULL;
}

bool file_states_hold(const struct file_states *states, const struct name_table *names)
{
    bool same = states->count == names->count;
    for (size_t i = 0; same && i < names->count; i++) {
        const struct file_state now = state_of(names->names[i]);
        same = is_same(&states->of[i], &now);
    }
    return same;
}

void file_states_free(struct file_states *states)
{
    free(states->of);
    *states = (struct file_states){.of = NULL};
}
