#include "keyd/front/rights.h"

#include "base/log.h"

bool rights_all(const struct keyd_server *server, const struct peer *peer)
{
    return peer->uid == 0 || (peer->uid == server->starter && peer->uid != ALLOW_UNMAPPED);
}

bool rights_allow(const struct keyd_server *server, const struct peer *peer,
                  const struct allow *allow)
{
    return rights_all(server, peer) || allow_has(allow->given ? allow : &server->allow, peer);
}

bool rights_open_door(struct keyd_server *server)
{
    bool good = allow_add(&server->door, &server->allow);
    for (size_t i = 0; i < server->keyring->count && good; i++)
        good = allow_add(&server->door, &server->keyring->keys[i]->allow);
    for (size_t i = 0; i < server->keyring->compact.group_count && good; i++)
        good = allow_add(&server->door, &server->keyring->compact.groups[i].allow);
    if (!good)
        log_error("event loop: out of memory");
    return good;
}
