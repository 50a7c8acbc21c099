/* The listening sockets of a generation: those of each thread, and that of the admin page. */
#ifndef PROXY_MASTER_SOCKETS_H
#define PROXY_MASTER_SOCKETS_H

#include "proxy/master/core.h"

/* Opens the sockets, or takes those that another generation has. False with *error filled. */
bool sockets_open(struct generation *generation, struct conf_error *error);
/* They begin to listen. False with *error filled. */
bool sockets_listen(struct generation *generation, struct conf_error *error);
/* Those that no other generation has are closed. */
void sockets_release(struct generation *generation);

#endif
