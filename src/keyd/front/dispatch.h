/* Handles the frames of clients, by a table of frame types and handlers. */
#ifndef KEYD_FRONT_DISPATCH_H
#define KEYD_FRONT_DISPATCH_H

#include "keyd/front/session.h"

/* An error concerns the whole stream, which must be ended. */
enum immure_error dispatch(struct session *session, const struct wire_frame *frame);
/* Answers a finished job if its client still waits, and frees it. */
void dispatch_done(struct keyd_server *server, struct job *job);

#endif
