/* The instances of what signs, through their life (keyd/sign/driver.h). */
#ifndef KEYD_SIGN_DRIVERS_H
#define KEYD_SIGN_DRIVERS_H

#include "keyd/sign/driver.h"

struct drivers {
    struct driver *instances;
    size_t count;
    const struct driver **list; /* the same, ended by NULL; the first is libcrypto */
};

/* Room for so many. False: out of memory. */
bool drivers_init(struct drivers *drivers, size_t most);
/* One instance more, not open yet. `section` NULL: it is for none. `settings` stay the caller's.
 * False: out of memory. */
bool drivers_add(struct drivers *drivers, const struct driver *prototype, const char *section,
                 const void *settings);
/* Whether one of them may need root, and threads of others. */
bool drivers_privileged(const struct drivers *drivers);
/* What cannot serve here is not used, and a key that asks for it is refused; but what has a section
 * must serve. False: reason logged. */
bool drivers_open(struct drivers *drivers, const struct files *files);
/* The one so named; NULL: there is none. */
const struct driver *drivers_find(const struct drivers *drivers, const char *name);
/* False: reason logged. */
bool drivers_start(const struct drivers *drivers);
/* False: a thread of one hangs. */
bool drivers_stop(const struct drivers *drivers);
/* Closes and frees all. */
void drivers_close(struct drivers *drivers);

#endif
