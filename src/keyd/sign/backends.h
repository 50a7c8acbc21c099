/* The instances of what signs, through their life (keyd/sign/backend.h). */
#ifndef KEYD_SIGN_BACKENDS_H
#define KEYD_SIGN_BACKENDS_H

#include "keyd/sign/backend.h"

struct backends {
    struct backend *instances;
    size_t count;
    const struct backend **list; /* the same, ended by NULL; the first is libcrypto */
};

/* Room for so many. False: out of memory. */
bool backends_init(struct backends *backends, size_t most);
/* One instance more, not open yet. `section` NULL: it is for none. `settings` stay the caller's.
 * False: out of memory. */
bool backends_add(struct backends *backends, const struct backend *prototype, const char *section,
                  const void *settings);
/* Whether one of them may need root, and threads of others. */
bool backends_privileged(const struct backends *backends);
/* What cannot serve here is not used, and a key that asks for it is refused; but what has a section
 * must serve. False: reason logged. */
bool backends_open(struct backends *backends, const struct files *files);
/* The one so named; NULL: there is none. */
const struct backend *backends_find(const struct backends *backends, const char *name);
/* False: reason logged. */
bool backends_start(const struct backends *backends);
/* False: a thread of one hangs. */
bool backends_stop(const struct backends *backends);
/* Closes and frees all. */
void backends_close(struct backends *backends);

#endif
