/*
 * The names that the admin listener answers to, as protection against DNS rebinding: a hostile page
 * can let its own name resolve to the address of this listener, and could then read the replies in
 * the visitor's browser. But the browser sends that name in the Host header.
 */
#ifndef PROXY_ADMIN_HOST_H
#define PROXY_ADMIN_HOST_H

#include <stdbool.h>
#include <stddef.h>

/* Whether a Host header (RFC 9110, section 7.2) names localhost, a numeric address, or one of
 * `names`, with any port. */
bool host_allowed(const char *host, char *const *names, size_t count);

#endif
