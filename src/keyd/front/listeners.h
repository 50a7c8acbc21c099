/* The listening sockets. */
#ifndef KEYD_FRONT_LISTENERS_H
#define KEYD_FRONT_LISTENERS_H

#include "keyd/front/core.h"

void listeners_init(struct keyd_server *server);
/* Accepting pauses for want of descriptors, for a while or until listeners_resume(). */
void listeners_pause(struct keyd_server *server);
/* Ends a pause of accepting, because a descriptor is free again. */
void listeners_resume(struct keyd_server *server);
/* The next immured may share the sockets, so they are closed but not shut down. */
void listeners_close(struct keyd_server *server);

#endif
