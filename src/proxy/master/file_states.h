/* The state of files at some time, to see later whether one has been changed or replaced. */
#ifndef PROXY_MASTER_FILE_STATES_H
#define PROXY_MASTER_FILE_STATES_H

#include <time.h>

#include "base/file_identity.h"
#include "base/name_table.h"

struct file_state {
    struct file_identity file; /* all zero: it could not be found */
    off_t size;
    struct timespec modified, changed;
};

struct file_states {
    struct file_state *of; /* as the names are ordered; NULL: never taken */
    size_t count;
};

/* False: out of memory. */
bool file_states_take(struct file_states *states, const struct name_table *names);
/* Whether all files of these names are as they were. */
bool file_states_hold(const struct file_states *states, const struct name_table *names);
void file_states_free(struct file_states *states);

#endif
