#include "proxy/resolver/lookup.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "base/clock.h"

#define QUERY_TIMEOUT_MS 1000 /* for each server; doubled for each further try */
#define QUERY_TRIES 3
/* Bounds of an answer's time to live. Entries of the hosts file have none. */
#define LIFE_LEAST NS_PER_S
#define LIFE_MOST (3600 * NS_PER_S)
#define LIFE_UNKNOWN (30 * NS_PER_S)
#define PAUSE_LEAST NS_PER_S /* after a failed lookup, doubled each time */
#define PAUSE_MOST (30 * NS_PER_S)

void lookup_init(struct lookup *lookup, const char *host, uint16_t port)
{
    *lookup = (struct lookup){.host = host, .status = -1};
    snprintf(lookup->service, sizeof lookup->service, "%u", port);
}

static uint64_t life_of(const struct ares_addrinfo *found)
{
    uint64_t life = LIFE_MOST;
    for (const struct ares_addrinfo_node *node = found->nodes; node != NULL; node = node->ai_next) {
        uint64_t own = node->ai_ttl > 0 ? (uint64_t)node->ai_ttl * NS_PER_S : LIFE_UNKNOWN;
        life = own < life ? own : life;
    }
    return life > LIFE_LEAST ? life : LIFE_LEAST;
}

static void note_answer(struct lookup *lookup, const struct ares_addrinfo *found, uint64_t now)
{
    struct server_addresses addresses = {0};
    for (const struct ares_addrinfo_node *node = found->nodes; node != NULL; node = node->ai_next)
        server_addresses_add(&addresses, node->ai_addr, node->ai_addrlen);
    /* name servers rotate the order, which alone is not a change */
    if (!server_addresses_same(&addresses, &lookup->addresses)) {
        lookup->addresses = addresses;
        lookup->changed = true;
    }
    lookup->changed |= lookup->status != ARES_SUCCESS;
    lookup->status = ARES_SUCCESS;
    lookup->pause = 0;
    lookup->at = now + life_of(found);
}

/* The last good addresses are kept, because old addresses are better than none. */
static void note_failure(struct lookup *lookup, int status, uint64_t now)
{
    lookup->changed |= lookup->status != status;
    lookup->status = status;
    lookup->pause = lookup->pause == 0 ? PAUSE_LEAST : 2 * lookup->pause;
    if (lookup->pause > PAUSE_MOST)
        lookup->pause = PAUSE_MOST;
    lookup->at = now + lookup->pause;
}

static void answered(void *arg, int status, int timeouts, struct ares_addrinfo *found)
{
    (void)timeouts;
    struct lookup *lookup = arg;
    uint64_t now = clock_now();
    if (!lookup->under_way)
        return; /* the channel is being destroyed */
    lookup->under_way = false;
    if (status == ARES_SUCCESS && found->nodes != NULL)
        note_answer(lookup, found, now);
    else
        note_failure(lookup, status == ARES_SUCCESS ? ARES_ENODATA : status, now);
    if (found != NULL)
        ares_freeaddrinfo(found);
}

/* c-ares calls this when the events change that it waits for on a socket. Neither: it will be
 * closed. */
static void socket_changed(void *arg, ares_socket_t socket, int readable, int writable)
{
    struct lookup *lookup = arg;
    short events = (short)((readable ? POLLIN : 0) | (writable ? POLLOUT : 0));
    size_t i = 0;
    while (i < lookup->socket_count && lookup->sockets[i].fd != socket)
        i++;
    if (events == 0 && i < lookup->socket_count)
        lookup->sockets[i] = lookup->sockets[--lookup->socket_count];
    else if (events != 0 && i < LOOKUP_SOCKETS) {
        lookup->sockets[i] = (struct pollfd){.fd = socket, .events = events};
        lookup->socket_count += i == lookup->socket_count;
    }
}

static void close_channel(struct lookup *lookup)
{
    if (lookup->channel != NULL)
        ares_destroy(lookup->channel);
    lookup->channel = NULL;
}

void lookup_release(struct lookup *lookup)
{
    lookup->under_way = false; /* closing the channel calls answered() once more */
    close_channel(lookup);
}

/* Each lookup uses a new channel, which reads the current system settings. */
static void begin(struct lookup *lookup, uint64_t now)
{
    struct ares_options options = {.timeout = QUERY_TIMEOUT_MS,
                                   .tries = QUERY_TRIES,
                                   .sock_state_cb = socket_changed,
                                   .sock_state_cb_data = lookup};
    const int given = ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB;
    const struct ares_addrinfo_hints hints = {
        .ai_flags = ARES_AI_NUMERICSERV, .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    int status = ares_init_options(&lookup->channel, &options, given);
    if (status != ARES_SUCCESS) {
        lookup->channel = NULL;
        note_failure(lookup, status, now);
        return;
    }
    lookup->under_way = true;
    ares_getaddrinfo(lookup->channel, lookup->host, lookup->service, &hints, answered, lookup);
}

void lookup_tick(struct lookup *lookup, uint64_t now)
{
    if (lookup->under_way)
        ares_process_fd(lookup->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    if (lookup->under_way)
        return;
    close_channel(lookup);
    if (now >= lookup->at)
        begin(lookup, now);
}

size_t lookup_sockets(const struct lookup *lookup, struct pollfd *polls)
{
    if (!lookup->under_way)
        return 0;
    memcpy(polls, lookup->sockets, lookup->socket_count * sizeof *polls);
    return lookup->socket_count;
}

void lookup_ready(struct lookup *lookup, const struct pollfd *poll)
{
    if (!lookup->under_way || poll->revents == 0)
        return;
    bool writable = (poll->revents & POLLOUT) != 0;
    bool readable = (poll->revents & ~POLLOUT) != 0;
    ares_process_fd(lookup->channel, readable ? poll->fd : ARES_SOCKET_BAD,
                    writable ? poll->fd : ARES_SOCKET_BAD);
}

uint64_t lookup_deadline(const struct lookup *lookup, uint64_t now)
{
    struct timeval room;
    if (!lookup->under_way)
        return lookup->at;
    const struct timeval *left = ares_timeout(lookup->channel, NULL, &room);
    if (left == NULL)
        return UINT64_MAX;
    return now + (uint64_t)left->tv_sec * NS_PER_S + (uint64_t)left->tv_usec * NS_PER_US;
}

const char *lookup_reason(int status)
{
    switch (status) {
    case ARES_ENOTFOUND:
        return "there is no such name";
    case ARES_ENODATA:
        return "the name has no address";
    case ARES_ETIMEOUT:
        return "the name servers do not answer";
    case ARES_ECONNREFUSED:
        return "the name servers cannot be reached";
    default:
        return ares_strerror(status);
    }
}
