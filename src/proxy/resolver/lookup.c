#include "proxy/resolver/lookup.h"

#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "base/clock.h"

#define QUERY_TIMEOUT_MS 1000 /* for each server; doubled for each further try */
#define QUERY_TRIES 3
/* Bounds for the time to live of an answer. Entries of the hosts file have none. */
#define LIFE_LEAST NS_PER_S
#define LIFE_MOST (3600 * NS_PER_S)
#define LIFE_UNKNOWN (30 * NS_PER_S)
#define PAUSE_LEAST NS_PER_S /* after a failed lookup, doubled each time */
#define PAUSE_MOST (30 * NS_PER_S)

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
    /* Name servers rotate the order of addresses; a new order alone is not a change. */
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

/* Returns the socket with this descriptor, or for -1 an unused one. NULL: there is none. */
static struct lookup_socket *socket_of(struct lookup *lookup, int descriptor)
{
    for (size_t i = 0; i < LOOKUP_SOCKETS; i++)
        if (lookup->sockets[i].watch.descriptor == descriptor)
            return &lookup->sockets[i];
    return NULL;
}

/* c-ares calls this with what it waits for from now on; with neither it is about to close the
 * socket. */
static void socket_changed(void *arg, ares_socket_t descriptor, int readable, int writable)
{
    struct lookup *lookup = arg;
    uint32_t events = (readable ? EPOLLIN : 0u) | (writable ? EPOLLOUT : 0u);
    struct lookup_socket *socket = socket_of(lookup, descriptor);
    if (socket == NULL && events != 0 && (socket = socket_of(lookup, -1)) != NULL)
        watch_open(&socket->watch, descriptor, WATCH_LEVEL);
    if (socket == NULL)
        return;
    if (events != 0)
        watch_want(lookup->loop, &socket->watch, events);
    else
        watch_release(lookup->loop, &socket->watch);
}

static void close_channel(struct lookup *lookup)
{
    if (lookup->channel != NULL)
        ares_destroy(lookup->channel);
    lookup->channel = NULL;
}

/* Each lookup has a new channel, because only a new one reads the system's current settings. */
static void look(struct lookup *lookup)
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
        note_failure(lookup, status, lookup->loop->now);
        return;
    }
    lookup->under_way = true;
    ares_getaddrinfo(lookup->channel, lookup->host, lookup->service, &hints, answered, lookup);
}

/* Returns when the next timeout of c-ares expires. */
static uint64_t next_limit(const struct lookup *lookup)
{
    struct timeval room;
    const struct timeval *left = ares_timeout(lookup->channel, NULL, &room);
    if (left == NULL)
        return UINT64_MAX;
    return clock_now() + (uint64_t)left->tv_sec * NS_PER_S + (uint64_t)left->tv_usec * NS_PER_US;
}

/* Called after each call of c-ares, which may have answered within it. */
static void go_on(struct lookup *lookup)
{
    if (!lookup->under_way)
        close_channel(lookup);
    timer_start_at(lookup->loop, &lookup->timer,
                   lookup->under_way ? next_limit(lookup) : lookup->at);
    if (lookup->changed)
        lookup->found(lookup);
    lookup->changed = false;
}

static void timer_expired(struct timer *timer)
{
    struct lookup *lookup = list_entry(timer, struct lookup, timer);
    if (lookup->under_way)
        ares_process_fd(lookup->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    else
        look(lookup);
    go_on(lookup);
}

static void socket_ready(struct watch *watch, uint32_t events)
{
    struct lookup *lookup = list_entry(watch, struct lookup_socket, watch)->lookup;
    int descriptor = watch->descriptor;
    bool writable = (events & EPOLLOUT) != 0;
    bool readable = (events & ~(uint32_t)EPOLLOUT) != 0;
    ares_process_fd(lookup->channel, readable ? descriptor : ARES_SOCKET_BAD,
                    writable ? descriptor : ARES_SOCKET_BAD);
    go_on(lookup);
}

void lookup_begin(struct lookup *lookup, struct loop *loop, const char *host, uint16_t port,
                  void (*found)(struct lookup *lookup))
{
    *lookup = (struct lookup){.loop = loop, .host = host, .status = -1, .found = found};
    snprintf(lookup->service, sizeof lookup->service, "%u", port);
    for (size_t i = 0; i < LOOKUP_SOCKETS; i++) {
        lookup->sockets[i].lookup = lookup;
        watch_init(&lookup->sockets[i].watch, socket_ready);
    }
    timer_init(&lookup->timer, timer_expired);
    timer_start(loop, &lookup->timer, 0);
}

void lookup_end(struct lookup *lookup)
{
    lookup->under_way = false; /* answered() is called once more */
    close_channel(lookup);
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
