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
#include "proxy/config/network.h"
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
    char *chain;  /* PEM: leaf first */
    char *key;    /* PEM private key; read by immured only (or by the worker, in-process) */
    char *staple; /* OCSP response, DER; NULL: none */
    char *pass_phrase_file; /* NULL: not encrypted */
    char *policy;           /* for immured: "tls-server" ... */
    char *tls12_groups;     /* for immured: "common" or "all" */
    int line;
};

enum client_certificate {
    CLIENT_CERTIFICATE_NONE, /* not asked for */
    CLIENT_CERTIFICATE_OPTIONAL,
    CLIENT_CERTIFICATE_REQUIRED
};

/* Who vouches for clients: what the files held when the configuration was read. Policies that name
 * the same files share one. */
struct authority_config {
    const char *file; /* of the configuration, and the line of its first use there */
    int line;
    char *ca_file; /* PEM */
    char *ca_bytes;
    size_t ca_length;
    char *crl; /* PEM: a file, or a folder of files; NULL: none */
    char *crl_bytes;
    size_t crl_length;
};

#define NO_AUTHORITY SIZE_MAX

/* A socket is made under its path with this end, then renamed. */
#define CONTROL_SOCKET_HIDDEN ".new"
#define CONTROL_SOCKET_PATH_MAX 103 /* with that end it still is the path of a unix socket */

struct client_policy_config {
    enum client_certificate wanted;
    char *ca_file, *crl; /* NULL: none */
    unsigned depth;      /* CA certificates between the client's and the root */
    bool tells_names;    /* of the CAs, to clients */
    size_t authority;    /* index into config.authorities, or NO_AUTHORITY */
};

struct tls_policy_config {
    uint8_t *alpn; /* in the form of SSL_CTX_set_alpn_protos(); NULL: none */
    size_t alpn_length;
    int tls_min, tls_max;       /* TLS1_2_VERSION or TLS1_3_VERSION */
    char *ciphers;              /* TLS 1.2, OpenSSL's syntax */
    char *ciphersuites;         /* TLS 1.3 */
    char *groups;               /* NULL: our default */
    char *signature_algorithms; /* NULL: OpenSSL's default */
    unsigned tickets; /* session tickets in a TLS 1.3 handshake; 0: no resumption at all */
    struct client_policy_config client;
};

/* Clients that a route is for; each of the two that is given must hold. */
struct route_conditions {
    uint8_t *alpn; /* it offers one of these, in the form of SSL_CTX_set_alpn_protos() */
    size_t alpn_length;
    struct network *networks; /* its address is in one of these */
    size_t network_count;
};

#define NO_BACKEND SIZE_MAX

/* How clients who ask for some names are served. */
struct route_config {
    char *name;    /* of a frontend's own route: the frontend's */
    bool own;      /* of the frontend itself */
    size_t number; /* over all frontends */
    char **names;  /* lower case, as dns_name.h has them; none: those in its certificates */
    size_t name_count;
    struct route_conditions conditions;
    struct certificate_config *certificates; /* none of either kind: those of the frontend */
    size_t certificate_count;
    char *directory; /* of further certificates; NULL: none */
    char *list;      /* file that lists further certificates; NULL: none */
    struct tls_policy_config policy;
    size_t backend;   /* index into config.backends; NO_BACKEND: clients are refused */
    bool passthrough; /* the stream is sent on as it is, TLS and all */
    int line;
};

struct frontend_config {
    char *name;
    struct address *listen;
    size_t listen_count;
    struct route_config *routes; /* the first is its own: for clients that no other route is for */
    size_t route_count;
    bool unknown_name_reject; /* a client that asks for a name that no route has gets an alert */
    mode_t socket_mode;       /* of the files of unix sockets, and their owner: */
    uid_t socket_user;        /* (uid_t)-1: the user of the master */
    gid_t socket_group;       /* (gid_t)-1: the group of the master */
    enum proxy_protocol accept_proxy; /* what a load balancer in front sends first */
    int line;
};

/* What the checks say of a server. The master keeps it up to date, and the pauses below too. */
enum server_health {
    HEALTH_UNKNOWN, /* it has not been checked: taken to be up */
    HEALTH_UP,
    HEALTH_DOWN
};

const char *server_health_name(enum server_health health); /* "unknown" ... */

#define VERDICT_REASON_SIZE 64

struct server_verdict {
    enum server_health health;
    uint32_t changes; /* a later verdict has a higher number, except that it wraps around */
    uint64_t since;   /* seconds since 1970; 0: it has not changed */
    char reason[VERDICT_REASON_SIZE]; /* "": none */
};

/* What the operator has set for a server at run time, over the control socket. The master keeps it,
 * too: over HUP for servers that stay. */
enum server_mode {
    MODE_ENABLED,  /* configuration and checks decide */
    MODE_DRAINED,  /* it gets no new connections */
    MODE_DISABLED, /* the same, and it is not checked */
    SERVER_MODE_COUNT
};
const char *server_mode_name(enum server_mode mode); /* "enabled" ... */

#define SERVER_WEIGHT_MAX 256

struct server_setting {
    enum server_mode mode;
    uint32_t weight;  /* 0: that of the configuration */
    uint32_t changes; /* as in a verdict */
};

struct server_config {
    struct address address;
    struct server_addresses addresses; /* of a host name: none until the resolver has found some */
    char trouble[64]; /* why the last lookup of the host name failed; "": it did not */
    struct server_verdict verdict;
    uint64_t
        trial_at;   /* CLOCK_MONOTONIC, ns: until then it is paused, a worker says; 0: it is not */
    uint64_t pause; /* ns: how long that pause is */
    struct server_setting setting;
    unsigned weight;          /* server_weight() has the present one */
    bool backup;              /* it gets connections only while no other server is up */
    unsigned max_connections; /* 0: no limit */
    size_t backend;           /* index into config.backends */
    int line;
};

/* How the server of a connection is chosen. */
enum balance { BALANCE_LEAST_CONNECTIONS, BALANCE_ROUND_ROBIN, BALANCE_SOURCE, BALANCE_RANDOM_TWO };
const char *balance_name(enum balance balance); /* "least-connections" ... */

/* How a server is checked. */
enum check_kind { CHECK_NONE, CHECK_TCP, CHECK_TLS, CHECK_HTTP };
const char *check_kind_name(enum check_kind kind); /* "none" ... */

struct check_config {
    enum check_kind kind;
    char *path, *host; /* of the request; host NULL: the address of the server */
    struct status_range {
        unsigned least, most;
    } status; /* of HTTP: what is expected */
    uint64_t interval, timeout;
    unsigned rise, fall; /* so many results in a row change the verdict */
};

struct backend_config {
    char *name;
    struct server_config *servers; /* within config.servers */
    size_t server_count;
    enum balance balance;
    struct check_config check;
    uint64_t slow_start; /* until a server that comes up has its whole weight; 0: at once */
    uint64_t failure_pause, failure_pause_max; /* after a connect that failed */
    size_t queue;                              /* connections that may wait, of all threads */
    uint64_t queue_timeout;
    enum proxy_protocol proxy_protocol; /* NONE, V1 or V2: what is sent first */
    bool proxy_tlvs;                    /* with V2: it includes the TLVs of the accepted header */
    bool proxy_client_certificate;      /* with V2: it includes the client's whole certificate */
    int line;
};

struct proxy_config {
    char *file, *text; /* text: of the file, without comments */
    unsigned workers;  /* event-loop threads */
    enum signing_mode signing;
    unsigned fast_handshake; /* enum fast_handshake_part, together */
    bool real_time;          /* the event loops run with real-time priority */
    char *control_socket;    /* for the operator's tool; NULL: none */
    char *user;              /* of the worker, if started as root: a name or a number */
    bool log_json;
    int log_level; /* enum log_level */
    unsigned max_connections;
    bool max_connections_given; /* by the file; otherwise the limit of descriptors sets it */
    size_t listen_backlog;
    char *certificate_index;    /* file; NULL: none */
    bool certificates_watch;    /* changes in folders of certificates are followed */
    unsigned certificate_cache; /* parsed certificates that a thread keeps */
    unsigned session_cache;     /* TLS 1.2 sessions kept by id; 0: none */
    uint64_t handshake_budget;  /* for handshakes in one turn of a loop */
    uint64_t handshake_timeout, connect_timeout, idle_timeout;
    uint64_t handshake_wait;            /* a longer one is overload; 0: nothing is held back */
    uint64_t handshake_wait_interval;   /* if it stands for so long */
    uint64_t handshake_patience;        /* then those that have waited for longer are shed */
    unsigned connections_by_source;     /* 0: no limit */
    unsigned connection_rate_by_source; /* a second; 0: no limit */
    struct network *never_held_back;    /* nor limited */
    size_t never_held_back_count;
    uint64_t half_close_timeout;   /* after one direction has ended */
    uint64_t drain_timeout;        /* after TERM and USR2 */
    uint64_t reload_drain_timeout; /* for the old worker after HUP; 0: no limit */
    unsigned reload_workers;       /* how many old workers may drain at a time */

    struct frontend_config *frontends;
    size_t frontend_count;
    size_t route_count; /* of all frontends */
    struct backend_config *backends;
    size_t backend_count;
    struct server_config *servers; /* of all backends, one after the other */
    size_t server_count;
    struct authority_config *authorities;
    size_t authority_count;

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
        uint64_t key_cache;       /* keys of folders and lists that it keeps decoded */
        bool ecdsa_unverified;    /* our own immured does not verify ECDSA signatures */
        char *ticket_secret_file; /* of our own immured; NULL: ticket keys are the master's */
        uint64_t ticket_epoch;    /* ns */
        char *user;               /* of our own immured, if started as root; NULL: its default */
    } keys;
};

/* NULL: there is none of this name. */
const struct backend_config *config_find_backend(const struct proxy_config *config,
                                                 const char *name);
/* The server with this address, as configured; NULL: there is none. */
struct server_config *config_find_server(const struct backend_config *backend, const char *address);
/* The weight that holds: the operator's, or that of the configuration. */
unsigned server_weight(const struct server_config *server, const struct server_setting *setting);

/* Visits all `certificate` sections in the order of the file. */
struct certificate_walk {
    size_t frontend, route, certificate;
};
/* *walk is all zero at first. NULL: there are no more. */
struct certificate_config *certificate_walk_next(const struct proxy_config *config,
                                                 struct certificate_walk *walk);

/* Writes the ports of all servers, of which unix sockets have none, into `ports`, which has room
 * for config->server_count. Returns their number. */
size_t config_server_ports(const struct proxy_config *config, uint16_t *ports);

/* Whether it has certificates of its own, by any directive. */
bool route_has_certificates(const struct route_config *route);

/* Whether immured is needed: not if the worker reads the keys, nor if all streams are passed on. */
bool config_needs_keyd(const struct proxy_config *config);

/* Whether it terminates TLS, and none of its clients gets TLS 1.3. */
bool route_lacks_tls13(const struct route_config *route);
/* The same for any of the routes that serve with the certificates of this one. */
bool route_serves_without_tls13(const struct frontend_config *frontend,
                                const struct route_config *route);

/* What the route is in the file: "frontend" or "route". */
const char *route_kind(const struct route_config *route);

#endif
