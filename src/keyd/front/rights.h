/* Who may connect, and who may use which key. */
#ifndef KEYD_FRONT_RIGHTS_H
#define KEYD_FRONT_RIGHTS_H

#include "keyd/front/core.h"

/* Whether the peer may use every key: the user who started immured and root may. */
bool rights_all(const struct keyd_server *server, const struct peer *peer);
/* Whether the peer may use a key that has this list. */
bool rights_allow(const struct keyd_server *server, const struct peer *peer,
                  const struct allow *allow);
/* Opens the door to everybody who may use any key. False: reason logged. */
bool rights_open_door(struct keyd_server *server);

#endif
