/* The instances of the drivers, through their life (keyd/sign/driver.h). */
#ifndef KEYD_SIGN_DRIVERS_H
#define KEYD_SIGN_DRIVERS_H

#include "keyd/sign/driver.h"

struct drivers {
    struct driver *instances;
    size_t count;
    const struct driver **list; /* the same, ended by NULL; the first is libcrypto */
};

/* Makes room for at most `most` instances. False: out of memory. */
bool drivers_init(struct drivers *drivers, size_t most);
/* Adds an instance that is not open yet. `section` is NULL if the configuration has none for it.
 * The caller keeps `settings`. False: out of memory. */
bool drivers_add(struct drivers *drivers, const struct driver *prototype, const char *section,
                 const void *settings);
/* Whether one of them is privileged (struct driver). */
bool drivers_privileged(const struct drivers *drivers);
/* A driver that cannot work here is not used, and a key that asks for it is refused; but one that
 * has a section in the configuration must work. False: reason logged. */
bool drivers_open(struct drivers *drivers, const struct files *files);
/* NULL: no driver has this name. */
const struct driver *drivers_find(const struct drivers *drivers, const char *name);
/* False: reason logged. */
bool drivers_start(const struct drivers *drivers);
/* False: a thread of a driver hangs. */
bool drivers_stop(const struct drivers *drivers);
/* Closes and frees all. */
void drivers_close(struct drivers *drivers);

#endif
