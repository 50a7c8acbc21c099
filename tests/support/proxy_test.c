/*
 * immure-proxy-test: immure-proxy whose worker, when a client comes from the address 127.1.0.N,
 * makes the forbidden system call N. Built for tests, never installed.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "trespass.h"

#define NETWORK 0x7f010000u /* 127.1.0.0 */

/* The linker puts the second in the place of accept4() (--wrap). */
int __real_accept4(int listener, struct sockaddr *peer, socklen_t *length, int flags);
int __wrap_accept4(int listener, struct sockaddr *peer, socklen_t *length, int flags);

int __wrap_accept4(int listener, struct sockaddr *peer, socklen_t *length, int flags)
{
    int accepted = __real_accept4(listener, peer, length, flags);
    if (accepted >= 0 && peer->sa_family == AF_INET) {
        uint32_t address = ntohl(((const struct sockaddr_in *)peer)->sin_addr.s_addr);
        if ((address & 0xffff0000u) == NETWORK)
            trespass(address & 0xffffu);
    }
    return accepted;
}
