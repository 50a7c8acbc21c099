/* Addresses as they are written in the configuration: "HOST:PORT", "[IPV6]:PORT", "*:PORT",
 * "unix:PATH", "systemd:NAME". */
#ifndef PROXY_CONFIG_ADDRESS_H
#define PROXY_CONFIG_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

struct address {
    char *text; /* as configured: "*:8443", "[::1]:80", "unix:/run/app.sock" */
    struct sockaddr_storage socket;
    socklen_t length;
    char *host; /* a server's name, which the resolver looks up; then `socket` is not set */
    uint16_t port;
    int line;
};

enum address_use {
    ADDRESS_LISTEN, /* numeric, "*" for all of IPv6 and IPv4, or a socket of the service manager */
    ADDRESS_CONNECT /* numeric, or a host name, which is not looked up */
};

/*
 * Relative socket paths are relative to `directory`. False with one line in `reason`; *address then
 * holds nothing. Otherwise its texts belong to the caller.
 */
bool address_parse(const char *text, enum address_use use, const char *directory,
                   struct address *address, char *reason, size_t size);

/* The name of a socket that the service manager passes; NULL: the address is of another form. */
const char *address_activated(const struct address *address);
bool address_equal(const struct address *a, const struct address *b);
/* Prints the address of a socket in the same form: a unix socket without a name as "unix:", an IPv4
 * address within an IPv6 address as IPv4. */
#define ADDRESS_TEXT_SIZE 128
void address_print(const struct sockaddr_storage *socket, char text[ADDRESS_TEXT_SIZE]);
/* Whether only processes of this machine can reach the address. */
bool address_is_local(const struct address *address);

/* Returns a copy of `path` if it is absolute, otherwise the path within `directory`. The caller
 * frees it. NULL: out of memory. */
char *path_within(const char *directory, const char *path);

#endif
