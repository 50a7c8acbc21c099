/* The unix socket that clients connect to by its path. */
#ifndef KEYD_LISTEN_H
#define KEYD_LISTEN_H

#include <stdbool.h>

/*
 * Binds and listens; `everybody` may connect (mode 0666) or only the owner (0600). A file left by
 * an immured that is gone is replaced; one that somebody serves is not. -1: reason logged.
 */
int listen_unix(const char *path, bool everybody);

#endif
