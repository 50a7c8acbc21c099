/*
 * The configuration of immure-proxy: the content of immure-proxy.conf, checked and complete.
 *
 * directives.c has the one table of directives; the rest of the program sees only these structs.
 * All strings and arrays belong to the struct proxy_config and are freed with it. Durations are in
 * nanoseconds, sizes in bytes.
 */
#ifndef PROXY_CONFIG_CONFIG_H
#define PROXY_CONFIG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "proxy/config/address.h"
#include "proxy/config/server_addresses.h"

enum signing_mode {
    SIGNING_ASYNC,     /* in immured, while the event loop goes on */
    SIGNING_SYNC,      /* in immured, while the event loop waits; for comparison */
    SIGNING_IN_PROCESS /* in the worker, which loads the key; for comparison */
};
const char *signing_mode_name(enum signing_mode mode); /* "async" ... */

enum proxy_protocol {
    PROXY_PROTOCOL_NONE,
    PROXY_PROTOCOL_V1,
    PROXY_PROTOCOL_V2,
    PROXY_PROTOCOL_ANY
};
const char *proxy_protocol_name(enum proxy_protocol protocol); /* "none" ... */

struct certificate_config {
    char *chain;       /* PEM: leaf first */
    char *chain_bytes; /* what that file held when the configuration was read */
    size_t chain_length;
    char *key; /* PEM private key; read by immured only (or by the worker, in-process) */
    char *pass_phrase_file; /* NULL: not encrypted */
    char *policy;           /* for immured: "tls-server" ... */
    char *tls12_groups;     /* for immured: "common" or "all" */
    int line;
};

struct frontend_config {
    char *name;
    struct address *listen;
    size_t listen_count;
    struct certificate_config *certificates;
    size_t certificate_count;
    uint8_t *alpn; /* in the form of SSL_CTX_set_alpn_protos(); NULL: none */
    size_t alpn_length;
    int tls_min, tls_max; /* TLS1_2_VERSION or TLS1_3_VERSION */
    char *ciphers;        /* TLS 1.2, OpenSSL's syntax */
    char *ciphersuites;   /* TLS 1.3 */
    char *groups;         /* NULL: OpenSSL's default */
    unsigned tickets;     /* session tickets in a TLS 1.3 handshake; 0: no resumption at all */
    mode_t socket_mode;   /* of the files of unix sockets, and their owner: */
    uid_t socket_user;    /* (uid_t)-1: the user of the master */
    gid_t socket_group;   /* (gid_t)-1: the group of the master */
    enum proxy_protocol accept_proxy; /* what a load balancer in front sends first */
    size_t backend;                   /* index into config.backends */
    int line;
};

struct backend_config {
    char *name;
    struct address address;
    struct server_addresses addresses; /* of a host name: none until the resolver has found some */
    char trouble[64]; /* why the last lookup of the host name failed; "": it did not */
    enum proxy_protocol proxy_protocol; /* NONE, V1 or V2: what is sent first */
    bool proxy_tlvs;                    /* with V2: it includes the TLVs of the accepted header */
    int line;
};

struct proxy_config {
    char *file;
    unsigned workers; /* event-loop threads */
    enum signing_mode signing;
    unsigned fast_handshake; /* enum fast_handshake_part, together */
    bool real_time;          /* the event loops run with real-time priority */
    char *user;              /* of the worker, if started as root: a name or a number */
    bool log_json;
    int log_level; /* enum log_level */
    unsigned max_connections;
    bool max_connections_given; /* by the file; otherwise the limit of descriptors sets it */
    size_t listen_backlog;
    unsigned session_cache;    /* TLS 1.2 sessions kept by id; 0: none */
    uint64_t handshake_budget; /* for handshakes in one turn of a loop */
    uint64_t handshake_timeout, connect_timeout, idle_timeout;
    uint64_t half_close_timeout;   /* after one direction has ended */
    uint64_t drain_timeout;        /* after TERM and USR2 */
    uint64_t reload_drain_timeout; /* for the old worker after HUP; 0: no limit */
    unsigned reload_workers;       /* how many old workers may drain at a time */

    struct frontend_config *frontends;
    size_t frontend_count;
    struct backend_config *backends;
    size_t backend_count;

    struct {
        bool enabled;
        struct address listen;
        char **hosts; /* names in Host headers that are answered, besides localhost */
        size_t host_count;
    } admin;
    struct {
        unsigned threads;         /* signer threads of our own immured */
        uid_t peer_user;          /* the user who must listen on `socket`; (uid_t)-1: any user */
        char *socket;             /* of a running immured; NULL: the master starts our own */
        char *program;            /* path of immured; NULL: it lies beside immure-proxy */
        char *signing_backend;    /* of our own immured; NULL: its default */
        char *library;            /* for its backend multibuffer; NULL: its default */
        bool ecdsa_unverified;    /* our own immured does not verify ECDSA signatures */
        char *ticket_secret_file; /* of our own immured; NULL: ticket keys are the master's */
        uint64_t ticket_epoch;    /* ns */
        char *user;               /* of our own immured, if started as root; NULL: its default */
    } keys;
};

#endif
