/*
 * Which names the admin listener answers to. A page of a stranger's in somebody's browser can make
 * its own name stand for the address of this listener (DNS rebinding) and would then read the
 * answers; but the browser says that name in the Host header.
 */
#ifndef PROXY_ADMIN_HOST_H
#define PROXY_ADMIN_HOST_H

#include <stdbool.h>
#include <stddef.h>

/* Whether a Host header (RFC 9110, section 7.2) names localhost, an address in digits, or one of
 * `names`, with whatever port. */
bool host_allowed(const char *host, char *const *names, size_t count);

#endif
