/* What a client may ask, in one table: frame type, handler. */
#ifndef KEYD_FRONT_DISPATCH_H
#define KEYD_FRONT_DISPATCH_H

#include "keyd/front/session.h"

/* Anything but IMMURE_OK is about the stream, which is to be ended. */
enum immure_error dispatch(struct session *session, const struct wire_frame *frame);
/* A job that is done: answers it, if somebody still waits, and frees it. */
void dispatch_done(struct server *server, struct job *job);

#endif
