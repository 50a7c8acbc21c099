#include "proxy/worker/core/accept_proxy.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "proxy/config/address.h"

/* The load balancer and the listener disagree about PROXY headers: the operator has to mend one of
 * the two configurations. */
static void log_header(struct accept_proxy *shared, const struct route *route,
                       const struct proxy_addresses *addresses, const char *came, uint64_t now)
{
    char peer[ADDRESS_TEXT_SIZE];
    if (!log_due(&shared->logged, now))
        return;
    address_print(&addresses->source, peer);
    log_warning("frontend \"%s\": %s sent %s; accept-proxy is %s", route->name, peer, came,
                proxy_protocol_name(route->accept_proxy));
}

static const char *unwanted_header(enum proxy_protocol version)
{
    return version == PROXY_PROTOCOL_V1 ? "a PROXY header of version 1"
                                        : "a PROXY header of version 2";
}

/* Describes what arrived in place of an acceptable header. */
static const char *refused_header(const uint8_t *bytes, size_t length, enum proxy_protocol accept)
{
    enum proxy_protocol version = proxy_header_version(bytes, length);
    if (version != PROXY_PROTOCOL_NONE && version != accept && accept != PROXY_PROTOCOL_ANY)
        return unwanted_header(version);
    if (version != PROXY_PROTOCOL_NONE)
        return "a malformed PROXY header";
    return bytes[0] == SSL3_RT_HANDSHAKE ? "TLS without a PROXY header"
                                         : "something that is no PROXY header";
}

static bool keep_tlvs(struct buffer *kept, const struct proxy_tlvs *tlvs, const struct route *route)
{
    if (tlvs->length == 0 || !route->keeps_tlvs)
        return true;
    uint8_t *room = buffer_reserve(kept, tlvs->length);
    if (room == NULL)
        return false;
    buffer_commit(kept, proxy_tlvs_pass(room, tlvs));
    if (buffer_length(kept) == 0)
        buffer_release(kept);
    return true;
}

/* Consumes bytes that have been peeked at. */
static bool take(struct transport *client, uint8_t *bytes, size_t length)
{
    struct iovec part = {.iov_base = bytes, .iov_len = length};
    return client->kind->read(client, &part, 1) == (ssize_t)length;
}

/*
 * The header is peeked at, so that no byte behind it is taken away from libssl. As long as it is
 * incomplete, everything that has arrived belongs to it, and is kept.
 */
enum accept_proxy_result accept_proxy_read(struct accept_proxy *shared, struct transport *client,
                                           const struct route *route, struct buffer *kept,
                                           struct proxy_addresses *addresses, uint64_t now)
{
    uint8_t *bytes = shared->scratch;
    size_t had = buffer_length(kept);
    if (had > 0)
        memcpy(bytes, buffer_bytes(kept), had);
    ssize_t length = client->kind->peek(client, bytes + had, PROXY_HEADER_MAX - had);
    if (length < 0 && (errno == EAGAIN || errno == EINTR))
        return ACCEPT_PROXY_MORE;
    if (length <= 0)
        return ACCEPT_PROXY_GONE;
    size_t have = had + (size_t)length;
    struct proxy_header header = {0};
    switch (proxy_header_parse(bytes, have, route->accept_proxy, addresses, &header)) {
    case PROXY_HEADER_MORE:
        return take(client, bytes + had, (size_t)length) &&
                       buffer_append(kept, bytes + had, (size_t)length)
                   ? ACCEPT_PROXY_MORE
                   : ACCEPT_PROXY_BAD;
    case PROXY_HEADER_DONE:
        buffer_release(kept);
        return take(client, bytes + had, header.length - had) &&
                       keep_tlvs(kept, &header.tlvs, route)
                   ? ACCEPT_PROXY_DONE
                   : ACCEPT_PROXY_BAD;
    case PROXY_HEADER_BAD:
    default:
        log_header(shared, route, addresses, refused_header(bytes, have, route->accept_proxy), now);
        return ACCEPT_PROXY_BAD;
    }
}

void accept_proxy_unwanted(struct accept_proxy *shared, const struct route *route,
                           const struct proxy_addresses *addresses, enum proxy_protocol version,
                           uint64_t now)
{
    log_header(shared, route, addresses, unwanted_header(version), now);
}
