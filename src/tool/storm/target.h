/* The server under test: its address, and connections and TLS objects according to the options. */
#ifndef STORM_TARGET_H
#define STORM_TARGET_H

#include <openssl/ssl.h>
#include <stddef.h>
#include <sys/socket.h>

#include "storm/failure.h"
#include "storm/names.h"
#include "storm/options.h"

struct target {
    const struct storm_options *options;
    struct sockaddr_storage address;
    socklen_t length;
    bool loopback;           /* IPv4 loopback, so all of 127/8 can be used as source addresses */
    const char *server_name; /* NULL: no SNI, or that of `names` */
    struct names names;      /* of --names */
    char error[256];         /* set by the functions that say so */
};

/* False with target->error. It is to be released in any case. */
bool target_init(struct target *target, const struct storm_options *options);
void target_release(struct target *target);
/* Configures a new SSL_CTX (NULL: out of memory) according to the options. Each thread has its own.
 * False with target->error. */
bool target_prepare(struct target *target, SSL_CTX *context);
/*
 * A non-blocking socket that is connecting. `number` counts the connections of the process (or of
 * one part of it) and spreads them over the source addresses, so that local ports do not run out.
 * -1 with *failure.
 */
int target_connect(const struct target *target, uint64_t number, enum failure *failure);
/* The client side of a handshake on the socket, which the caller still owns. `number` is that of
 * target_connect(). NULL: out of memory. */
SSL *target_tls(const struct target *target, SSL_CTX *context, uint64_t number, int socket);
/* Fetches a session to resume over a separate, blocking connection. NULL with target->error. */
SSL_SESSION *target_session(struct target *target, SSL_CTX *context);

/* "TLSv1.3, TLS_AES_256_GCM_SHA384, x25519, RSA-2048" of a finished handshake. */
void target_describe(SSL *ssl, char *text, size_t size);

#endif
