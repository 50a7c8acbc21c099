/*
 * The child that watches the folders of certificates (inotify), by the directive
 * `certificates-watch`. It reads no file. When something in a folder, or in a folder within it, has
 * changed and it is quiet again, the child tells the master, whose loader then looks.
 */
#ifndef PROXY_STORE_FOLDER_WATCH_H
#define PROXY_STORE_FOLDER_WATCH_H

#include "proxy/config/config.h"

/* Runs in the child until the socket's other end is closed; each message, of one byte, stands for a
 * change. Returns the exit status. */
int folder_watch_run(const struct proxy_config *config, int socket);

#endif
