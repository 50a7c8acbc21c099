/* How a signature is waited for; the public half is immure/openssl.h. */
#ifndef PROVIDER_WAITER_H
#define PROVIDER_WAITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "immure/client.h"
#include "provider/provider.h"

/*
 * Has `request` signed through the waiter that the thread has entered: writes at most *length bytes
 * to `signature` and says how many. False: the reason is on the error queue. May pause the async
 * job it runs in.
 */
bool waiter_sign(const struct provider *provider, const struct immure_sign_request *request,
                 uint8_t *signature, size_t *length);

#endif
