/*
 * What an established connection does once it has a server: it carries bytes both ways.
 *
 * Back-pressure: a relay holds at most RELAY_PENDING_MAX bytes for each direction, and reads
 * nothing from the source until they have been sent. Half-close: the end of one direction
 * (close_notify, FIN) is passed on, and the other direction continues. A client's FIN without
 * close_notify is passed on, too, and noted. A failure is passed on as a failure, see relay_end().
 *
 * The connection owns the two ends and the timers; a relay only uses the ends.
 */
#ifndef PROXY_WORKER_RELAY_RELAY_H
#define PROXY_WORKER_RELAY_RELAY_H

#include "proxy/worker/relay/state.h"

enum relay_progress {
    RELAY_WAITS, /* waits for an event of either end */
    RELAY_MORE,  /* bytes are left that no event will announce: serve it again */
    RELAY_OVER   /* relay->end says how it ended: call relay_end() */
};

/* After this `up.pending` may be used. */
void relay_init(struct relay *relay, struct relays *relays);
/* To be called when the handshake is done, or with `ssl` NULL for a stream that is passed on as it
 * is. The server need not be connected yet; no events of the
 * client are watched until relay_serve(). The ends outlive the relay. */
void relay_begin(struct relay *relay, SSL *ssl, struct client_bio *client_bio,
                 struct server_connection *server);
/* Note an event of an end, so that the next relay_serve() reads from it. */
void relay_note_client(struct relay *relay, unsigned events); /* enum transport_event */
void relay_note_server(struct relay *relay, uint32_t events);
/* Carries as much as one step may. It reads a source only after an event, or when the last step
 * left some of its bytes unread. */
enum relay_progress relay_serve(struct relay *relay);
/* Whether neither a byte nor an end has gone to the server, nor a byte come from it. After
 * END_BACKEND_FAILED the relay may then go on with another server: it has kept what it has read
 * from the client. */
bool relay_untouched(const struct relay *relay);
/* Whether one direction has ended while the other continues. */
bool relay_half_closed(const struct relay *relay);
/* Tells the client and the server how the connection ends, before both are closed. Complete
 * directions end with close_notify and FIN. If bytes are cut off, both can see it: the client gets
 * no close_notify, the server a reset. */
void relay_end(struct relay *relay, enum connection_end end);
void relay_release(struct relay *relay);

#endif
