/* Addresses as the configuration writes them: "HOST:PORT", "[IPV6]:PORT", "*:PORT", "unix:PATH",
 * "systemd:NAME". */
#ifndef PROXY_CONFIG_ADDRESS_H
#define PROXY_CONFIG_ADDRESS_H

#include "proxy/config/config.h"

enum address_use {
    ADDRESS_LISTEN, /* numeric, "*" for all of IPv6 and IPv4, or a service manager's */
    ADDRESS_CONNECT /* a host name stays one */
};

/*
 * Relative socket paths are relative to `directory`. False with the reason, one line, in `reason`.
 * *address then holds nothing; otherwise its texts belong to the caller.
 */
bool address_parse(const char *text, enum address_use use, const char *directory,
                   struct address *address, char *reason, size_t size);

/* The name of a socket that a service manager passes; NULL: the address is none such. */
const char *address_activated(const struct address *address);
bool address_equal(const struct address *a, const struct address *b);
/* The address of a socket in the same form; of a unix socket without a name, "unix:". IPv4 within
 * IPv6 is told as IPv4. */
#define ADDRESS_TEXT_SIZE 128
void address_print(const struct sockaddr_storage *socket, char text[ADDRESS_TEXT_SIZE]);
/* Whether only this machine can reach it. */
bool address_is_local(const struct address *address);

/* `path` as it is if absolute, else within `directory`. To be freed; NULL on lack of memory. */
char *path_within(const char *directory, const char *path);

#endif
