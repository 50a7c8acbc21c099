/* Takes the input of the sessions: a few frames of one session, then it is the turn of the next. */
#ifndef KEYD_FRONT_INTAKE_H
#define KEYD_FRONT_INTAKE_H

#include "keyd/front/core.h"

/* Serves the accounts in line (line.h) for SERVER_INPUT_TIME. */
void intake_run(struct keyd_server *server);

#endif
