#include "proxy/config/directives.h"

#include <openssl/ssl.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "conf/choices.h"
#include "handshake/fast_handshake.h"
#include "proxy/config/config.h"
#include "proxy/config/types.h"

#define WORKERS_MAX 256
#define CONNECTIONS_MAX 10000000
#define SIGNERS_MAX 256
#define TICKETS_MAX 8
#define CERTIFICATE_CACHE_MAX 1000000
#define KEY_CACHE_MAX 1000000 /* of immured */
#define SESSION_CACHE_MAX 1000000
#define CLIENT_DEPTH_MAX 8
#define DURATION_MAX (NS_PER_S * 24 * 3600)
#define QUEUE_MAX 1000000
#define CHECKS_IN_A_ROW_MAX 100
#define RATE_MAX 1000000

#define TEXT_OF_(value) #value
#define TEXT_OF(value) TEXT_OF_(value)

static const struct conf_kind sections[SECTION_COUNT] = {
    [SECTION_TOP] = {.name = "", .introduction = "Outside of all sections."},
    [SECTION_FRONTEND] = {.name = "frontend",
                          .named = true,
                          .introduction =
                              "`frontend \"NAME\" { ... }`, one or more: where clients connect. "
                              "The directives of a route, except for `names`, `client-alpn` and "
                              "`client-networks`, may stand here too. They say how the frontend "
                              "itself serves clients that no route is for, and a route takes from "
                              "them what it does not give itself (except for `certificates` and "
                              "`certificate-list`)."},
    [SECTION_ROUTE] = {.name = "route",
                       .within = SECTION_FRONTEND,
                       .named = true,
                       .introduction =
                           "`route \"NAME\" { ... }` within a frontend: how clients that ask for "
                           "some names are served. A route without certificates serves with "
                           "those of its frontend."},
    [SECTION_CERTIFICATE] =
        {.name = "certificate",
         .within = SECTION_FRONTEND,
         .also_within = SECTION_ROUTE,
         .introduction =
             "`certificate { ... }` within a frontend or a route. The server name that a client "
             "sends "
             "(SNI) and the signatures that it can verify decide which one it gets. Clients that "
             "name none of them get the first of the frontend."},
    [SECTION_BACKEND] = {.name = "backend",
                         .named = true,
                         .introduction =
                             "`backend \"NAME\" { ... }`: where the decrypted bytes go. It has one "
                             "server or several. The directives of a server, except for `backup`, "
                             "may stand here too: `address` is then a server of its own, often "
                             "the only one, and the others hold for each server that does not "
                             "give them itself."},
    [SECTION_SERVER] = {.name = "server",
                        .within = SECTION_BACKEND,
                        .introduction =
                            "`server { ... }` within a backend: one of its servers. A connection "
                            "that one server does not take is tried on another."},
    [SECTION_ADMIN] = {.name = "admin", .introduction = "`admin { ... }`, at most one."},
    [SECTION_KEYS] = {.name = "keys",
                      .introduction =
                          "`keys { ... }`, at most one: the process that holds the private keys."},
};

static const struct conf_choice verify_forms[] = {{"all", false}, {"not-ecdsa", true}, {NULL, 0}};
static const struct conf_choice no_or_yes[] = {{"no", false}, {"yes", true}, {NULL, 0}};
static const struct conf_choice unknown_names[] = {{"default", false}, {"reject", true}, {NULL, 0}};
static const struct conf_choice no_limit[] = {{"none", 0}, {NULL, 0}};
static const struct conf_choice signing_modes[] = {{"async", SIGNING_ASYNC},
                                                   {"sync", SIGNING_SYNC},
                                                   {"in-process", SIGNING_IN_PROCESS},
                                                   {NULL, 0}};
static const struct conf_choice fast_handshakes[] = {
    {"auto", FAST_ALL},
    {"key-schedule", FAST_KEY_SCHEDULE},
    {"key-pairs", FAST_KEY_SCHEDULE | FAST_KEY_PAIRS},
    {"key-exchange", FAST_KEY_PAIRS | FAST_DERIVATION},
    {"off", 0},
    {NULL, 0}};
static const struct conf_choice priorities[] = {{"normal", false}, {"real-time", true}, {NULL, 0}};
static const struct conf_choice tls_versions[] = {
    {"1.2", TLS1_2_VERSION}, {"1.3", TLS1_3_VERSION}, {NULL, 0}};
static const struct conf_choice proxy_accepted[] = {{"none", PROXY_PROTOCOL_NONE},
                                                    {"v1", PROXY_PROTOCOL_V1},
                                                    {"v2", PROXY_PROTOCOL_V2},
                                                    {"any", PROXY_PROTOCOL_ANY},
                                                    {NULL, 0}};
static const struct conf_choice proxy_sent[] = {
    {"none", PROXY_PROTOCOL_NONE}, {"v1", PROXY_PROTOCOL_V1}, {"v2", PROXY_PROTOCOL_V2}, {NULL, 0}};
static const struct conf_choice balances[] = {{"least-connections", BALANCE_LEAST_CONNECTIONS},
                                              {"round-robin", BALANCE_ROUND_ROBIN},
                                              {"source", BALANCE_SOURCE},
                                              {"random-two", BALANCE_RANDOM_TWO},
                                              {NULL, 0}};
static const struct conf_choice checks[] = {
    {"none", CHECK_NONE}, {"tcp", CHECK_TCP}, {"tls", CHECK_TLS}, {"http", CHECK_HTTP}, {NULL, 0}};
static const struct conf_choice proxy_tlvs[] = {{"none", false}, {"pass", true}, {NULL, 0}};
static const struct conf_choice client_certificates[] = {{"none", CLIENT_CERTIFICATE_NONE},
                                                         {"optional", CLIENT_CERTIFICATE_OPTIONAL},
                                                         {"required", CLIENT_CERTIFICATE_REQUIRED},
                                                         {NULL, 0}};
static const struct conf_choice policies[] = {{"tls-server", 0},   {"tls13-server", 0},
                                              {"tls12-server", 0}, {"tls-client", 0},
                                              {"any", 0},          {NULL, 0}};
static const struct conf_choice tls12_groups[] = {{"common", 0}, {"all", 0}, {NULL, 0}};

static const struct conf_directive directives[] = {
    {SECTION_TOP, "workers", &conf_number, .standard = "auto", .least = 1, .most = WORKERS_MAX,
     .choices = conf_automatic, CONF_FIELD(struct proxy_config, workers),
     .text = "Event-loop threads. `auto`: one for each CPU that this process may run on. When HUP "
             "makes them fewer, connections that wait to be accepted by the threads that end are "
             "reset (unless `net.ipv4.tcp_migrate_req` is 1)."},
    {SECTION_TOP, "signing", &conf_choice, .standard = "async", .choices = signing_modes,
     CONF_FIELD(struct proxy_config, signing),
     .text = "Where handshakes are signed. `async`: in `immured`, while the event loop goes on. "
             "`sync`: in `immured`, while the event loop waits. `in-process`: in the worker, which "
             "loads the keys into its unprotected memory. The last two are for comparison."},
    {SECTION_TOP, "fast-handshake", &conf_choice, .standard = "auto", .choices = fast_handshakes,
     CONF_FIELD(struct proxy_config, fast_handshake),
     .text =
         "Which parts of OpenSSL's work for a handshake are done in a cheaper way: the key "
         "schedule of TLS 1.3, X25519 key pairs, which are made eight at a time, and X25519 "
         "secrets, which are derived together for all handshakes of a loop turn. `auto`: all that "
         "this machine can do. `key-schedule`: the first. `key-pairs`: the first two. "
         "`key-exchange`: the last two. `off`: none. The log says at the start what is in force."},
    {SECTION_TOP, "priority", &conf_choice, .standard = "normal", .choices = priorities,
     CONF_FIELD(struct proxy_config, real_time),
     .text =
         "Of the event loops. `real-time` (SCHED_RR, the lowest of its priorities): a loop that "
         "wakes gets the core at once, where it would wait for up to a tick of the kernel while "
         "signers or other programs use it. It is meant for shared cores: a loop that never sleeps "
         "starves its core, except for the 5 % that the kernel reserves (sched(7)). Needs "
         "CAP_SYS_NICE or RLIMIT_RTPRIO; without them the loops run as with `normal`, and the log "
         "says so."},
    {SECTION_TOP, "user", &conf_text, .standard = "nobody", CONF_FIELD(struct proxy_config, user),
     .text = "The user that the worker becomes when it is started as root: a name or a number."},
    {SECTION_TOP, "log", &conf_choice, .standard = "plain", .choices = conf_log_forms,
     CONF_FIELD(struct proxy_config, log_json), .passed_on_as = "log",
     .text = "Form of the log lines on standard error; with `json` each line is an object."},
    {SECTION_TOP, "log-level", &conf_choice, .standard = "info", .choices = conf_log_levels,
     CONF_FIELD(struct proxy_config, log_level), .passed_on_as = "log-level",
     .text = "The lowest level of lines that are logged."},
    {SECTION_TOP, "control-socket", &type_path, CONF_FIELD(struct proxy_config, control_socket),
     .text = "A unix socket on which the operator's tool asks what is served, and has certificates "
             "added, replaced and removed: see [control.md](control.md). Only root and the user "
             "who started `immure-proxy` are answered. Default: none."},
    {SECTION_TOP, "max-connections", &conf_number, .standard = "auto", .least = 1,
     .most = CONNECTIONS_MAX, .choices = conf_automatic,
     CONF_FIELD(struct proxy_config, max_connections),
     .text =
         "The most client connections at a time, over all threads; further ones wait in the listen "
         "backlog. Each needs two file descriptors and, while it is idle, 16 KiB of memory "
         "(`script/bench --only idle` measures it), without the memory of the kernel; the log says "
         "at the start when there is less. `auto`: as many as the limit of descriptors allows."},
    {SECTION_TOP, "listen-backlog", &conf_number, .standard = TEXT_OF(SOMAXCONN), .least = 1,
     .most = INT32_MAX, CONF_FIELD(struct proxy_config, listen_backlog),
     .text = "Connections that may wait to be accepted, for each thread and address. The kernel "
             "caps it at `net.core.somaxconn`."},
    {SECTION_TOP, "handshake-budget", &conf_duration, .standard = "200us", .least = 100 * NS_PER_US,
     .most = NS_PER_S, CONF_FIELD(struct proxy_config, handshake_budget),
     .text = "How long handshakes may take within one turn of an event loop. Those that are left "
             "wait until established connections have had their turn."},
    {SECTION_TOP, "handshake-timeout", &conf_duration, .standard = "10s", .least = NS_PER_MS,
     .most = DURATION_MAX, CONF_FIELD(struct proxy_config, handshake_timeout),
     .text = "From the acceptance of a connection to the end of its handshake."},
    {SECTION_TOP, "handshake-wait", &conf_duration, .standard = "20ms", .least = NS_PER_MS,
     .most = DURATION_MAX, .choices = no_limit, CONF_FIELD(struct proxy_config, handshake_wait),
     .text =
         "How long handshakes may wait before their next step, or a signature in the queue of "
         "`immured`. While all of them wait for longer, they are held back, and begin in an order "
         "by source: an IPv4 address, or a /56 of IPv6. The source that has cost least lately is "
         "next. `none`: they always begin in the order in which they come."},
    {SECTION_TOP, "handshake-wait-interval", &conf_duration, .standard = "100ms",
     .least = NS_PER_MS, .most = DURATION_MAX,
     CONF_FIELD(struct proxy_config, handshake_wait_interval),
     .text = "For how long all of them have to wait longer than `handshake-wait` before any is "
             "held back. A burst that is over sooner changes nothing."},
    {SECTION_TOP, "handshake-patience", &conf_duration, .standard = "5s", .least = NS_PER_MS,
     .most = DURATION_MAX, CONF_FIELD(struct proxy_config, handshake_patience),
     .text = "How long clients are expected to wait. A handshake that was held back and has waited "
             "for longer is given up, and its client gets a TCP reset. When the oldest of a source "
             "has waited for half of this time, the newest of that source begins first."},
    {SECTION_TOP, "connections-by-source", &conf_number, .standard = "none", .least = 1,
     .most = CONNECTIONS_MAX, .choices = no_limit,
     CONF_FIELD(struct proxy_config, connections_by_source),
     .text = "The most connections that a source may have open at a time, over all threads of a "
             "worker. Further ones get a TCP reset. A /48 of IPv6 may have 16 times as many."},
    {SECTION_TOP, "connection-rate-by-source", &conf_number, .standard = "none", .least = 1,
     .most = RATE_MAX, .choices = no_limit,
     CONF_FIELD(struct proxy_config, connection_rate_by_source),
     .text = "The most connections that a source may open in a second, averaged over ten seconds: "
             "it may open ten times as many at once. Further ones get a TCP reset. A /48 of IPv6 "
             "may open 16 times as many."},
    {SECTION_TOP, "never-held-back", &type_networks,
     CONF_LIST(struct proxy_config, never_held_back, never_held_back_count),
     .text = "Networks of clients that are neither held back nor limited by source. With "
             "`accept-proxy` the address of a client is that in the header."},
    {SECTION_TOP, "connect-timeout", &conf_duration, .standard = "5s", .least = NS_PER_MS,
     .most = DURATION_MAX, CONF_FIELD(struct proxy_config, connect_timeout),
     .text = "How long a connection attempt to a backend may take."},
    {SECTION_TOP, "certificate-index", &type_path,
     CONF_FIELD(struct proxy_config, certificate_index),
     .text = "A file in which the certificates are kept, parsed, for the next start, so that "
             "100,000 of them need not be read again. Files that have changed are. `immure-proxy` "
             "writes it, and takes it up only if nobody but its own user can have written it. "
             "There are no keys in it. Default: none."},
    {SECTION_TOP, "certificates-watch", &conf_choice, .standard = "no", .choices = no_or_yes,
     CONF_FIELD(struct proxy_config, certificates_watch),
     .text =
         "`yes`: when a file in a folder of certificates (`certificates`) changes, certificates "
         "and keys are read as HUP does it, as long as the text of the configuration has not "
         "changed. A certificate is taken when it fits its key; until then the one before is "
         "served."},
    {SECTION_TOP, "certificate-cache", &conf_number, .standard = "4096", .least = 8,
     .most = CERTIFICATE_CACHE_MAX, CONF_FIELD(struct proxy_config, certificate_cache),
     .text = "How many certificates a thread keeps parsed. Each takes about 6 KiB. One that is "
             "asked for and is not among them is parsed, and takes the place of one that was not "
             "asked for lately."},
    {SECTION_TOP, "session-cache", &conf_number, .standard = "8192", .least = 0,
     .most = SESSION_CACHE_MAX, CONF_FIELD(struct proxy_config, session_cache),
     .text = "How many sessions of TLS 1.2 clients without tickets a worker keeps, to resume them "
             "by their session ids. Each takes half a KiB, and a new one replaces the oldest. `0`: "
             "none is kept."},
    {SECTION_TOP, "idle-timeout", &conf_duration, .standard = "10m", .least = NS_PER_MS,
     .most = DURATION_MAX, CONF_FIELD(struct proxy_config, idle_timeout),
     .text = "How long an established connection may carry nothing in either direction. The "
             "default is longer than HTTP keep-alive and the pings of WebSocket and HTTP/2 need."},
    {SECTION_TOP, "half-close-timeout", &conf_duration, .standard = "30s", .least = NS_PER_MS,
     .most = DURATION_MAX, CONF_FIELD(struct proxy_config, half_close_timeout),
     .text = "How long one direction may stay open without data after the other has ended."},
    {SECTION_TOP, "drain-timeout", &conf_duration, .standard = "30s", .least = NS_PER_MS,
     .most = DURATION_MAX, CONF_FIELD(struct proxy_config, drain_timeout),
     .text = "How long established connections may go on after TERM and USR2."},
    {SECTION_TOP, "reload-drain-timeout", &conf_duration, .standard = "none", .least = NS_PER_MS,
     .most = DURATION_MAX, .choices = no_limit,
     CONF_FIELD(struct proxy_config, reload_drain_timeout),
     .text = "How long established connections may go on in the old worker after HUP. `none`: as "
             "long as they last."},
    {SECTION_TOP, "reload-workers", &conf_number, .standard = "8", .least = 1, .most = WORKERS_MAX,
     CONF_FIELD(struct proxy_config, reload_workers),
     .text = "How many old workers may drain at a time. If there are more, the oldest is ended, "
             "and the log says so. Each has its own memory, and its own `immured`."},

    {SECTION_FRONTEND, "listen", &type_listen_list,
     CONF_LIST(struct frontend_config, listen, listen_count), .required = true,
     .text = "Addresses to listen on: `*:8443` (IPv6 and IPv4), `127.0.0.1:443`, `[::1]:443`, "
             "`unix:/run/front.sock`, or `systemd:NAME` for a socket that the service manager "
             "passes (FileDescriptorName= in its unit). HUP makes the file of a `unix:` listener "
             "again if it was removed."},
    {SECTION_FRONTEND, "socket-mode", &type_mode, .standard = "0666",
     CONF_FIELD(struct frontend_config, socket_mode),
     .text = "Permissions of the files of `unix:` listeners, in octal. By default any user of this "
             "machine may connect, as to a port."},
    {SECTION_FRONTEND, "socket-user", &type_user, .standard = "own",
     CONF_FIELD(struct frontend_config, socket_user),
     .text = "Owner of these files: a number, or a name in /etc/passwd. `own`: the user who "
             "started `immure-proxy`. Another owner needs CAP_CHOWN, which the unit of the service "
             "does not grant."},
    {SECTION_FRONTEND, "socket-group", &type_group, .standard = "own",
     CONF_FIELD(struct frontend_config, socket_group),
     .text =
         "Group of these files: a number, or a name in /etc/group. `own`: the group of that user."},
    {SECTION_FRONTEND, "accept-proxy", &conf_choice, .standard = "none", .choices = proxy_accepted,
     CONF_FIELD(struct frontend_config, accept_proxy),
     .text = "Version of the PROXY protocol header that a load balancer in front sends first, of "
             "at most 16 KiB; a CRC32C in it is verified. Only for listeners that nobody else can "
             "reach: any client that reaches them can claim any address."},
    {SECTION_FRONTEND, "unknown-name", &conf_choice, .standard = "default",
     .choices = unknown_names, CONF_FIELD(struct frontend_config, unknown_name_reject),
     .text =
         "What happens to a client that asks for a name which neither a route nor a certificate "
         "has. `default`: it is served as one that asks for no name. `reject`: it gets the "
         "alert `unrecognized_name`."},

    {SECTION_ROUTE, "names", &type_dns_names, CONF_LIST(struct route_config, names, name_count),
     .text = "The server names (SNI) that the route is for: `www.example.com`, or `*.example.com` "
             "for any name with one label more. An exact name wins over a wildcard. Default: the "
             "names in its certificates."},
    {SECTION_ROUTE, "client-alpn", &type_alpn_list,
     CONF_LIST(struct route_config, conditions.alpn, conditions.alpn_length),
     .text = "The route is only for clients that offer one of these application protocols "
             "(ALPN). Other clients get the next route that has their name."},
    {SECTION_ROUTE, "client-networks", &type_networks,
     CONF_LIST(struct route_config, conditions.networks, conditions.network_count),
     .text = "The route is only for clients whose address is in one of these networks: "
             "`192.0.2.0/24`, `2001:db8::/32`, or a single address. With `accept-proxy` the "
             "address is that in the header. Other clients get the next route that has their "
             "name."},
    {SECTION_ROUTE, "certificates", &type_path, .reach = CONF_SHARED,
     CONF_FIELD(struct route_config, directory),
     .text = "A folder of certificates, each with its key: NAME.crt and NAME.key, NAME.pem with "
             "both, or folders as certbot and lego write them. NAME.ocsp beside them is an OCSP "
             "response (DER). A file that cannot be used is logged and left out; the others are "
             "served."},
    {SECTION_ROUTE, "certificate-list", &type_file, .reach = CONF_SHARED,
     CONF_FIELD(struct route_config, list),
     .text = "A file that lists certificates, one in each line: `PATH [key=PATH] [ocsp=PATH] "
             "[route=NAME] [NAME ...]`. The key of FILE.crt is by default in FILE.key, that of "
             "another file in the same file. With names, the certificate is served for them in "
             "place of its own. `#` begins a comment. Relative paths are relative to the folder "
             "of the list. An error in a line refuses the configuration."},
    {SECTION_ROUTE, "backend", &type_backend, .reach = CONF_INHERITED,
     CONF_FIELD(struct route_config, backend), .text = "The name of the backend to relay to."},
    {SECTION_ROUTE, "passthrough", &conf_choice, .reach = CONF_INHERITED, .standard = "no",
     .choices = no_or_yes, CONF_FIELD(struct route_config, passthrough),
     .text = "`yes`: nothing is decrypted. The stream goes to the backend as the client sent it, "
             "from its ClientHello on, and the server there has the certificate and the key."},
    {SECTION_ROUTE, "alpn", &type_alpn_list, .reach = CONF_INHERITED,
     CONF_LIST(struct route_config, policy.alpn, policy.alpn_length),
     .text = "Application protocols offered (ALPN), the preferred one first."},
    {SECTION_ROUTE, "tls-min", &conf_choice, .reach = CONF_INHERITED, .standard = "1.2",
     .choices = tls_versions, CONF_FIELD(struct route_config, policy.tls_min),
     .text = "Lowest TLS version."},
    {SECTION_ROUTE, "tls-max", &conf_choice, .reach = CONF_INHERITED, .standard = "1.3",
     .choices = tls_versions, CONF_FIELD(struct route_config, policy.tls_max),
     .text = "Highest TLS version."},
    {SECTION_ROUTE, "ciphers", &conf_text, .reach = CONF_INHERITED,
     .standard = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
                 "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
                 "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305",
     CONF_FIELD(struct route_config, policy.ciphers),
     .text = "Ciphers of TLS 1.2 in OpenSSL's syntax. The key exchange must be ECDHE, because "
             "`immured` signs and does not decrypt: other ciphers are left out with a warning, and "
             "a list without a cipher that fits the certificates is refused."},
    {SECTION_ROUTE, "ciphersuites", &conf_text, .reach = CONF_INHERITED,
     .standard = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256",
     CONF_FIELD(struct route_config, policy.ciphersuites),
     .text = "Cipher suites of TLS 1.3, separated by `:`, the preferred one first. The default "
             "begins with AES-128, as browsers do: with its SHA-256 a handshake costs less than "
             "with SHA-384."},
    {SECTION_ROUTE, "groups", &conf_text, .reach = CONF_INHERITED,
     CONF_FIELD(struct route_config, policy.groups),
     .text = "Key exchange groups, separated by `:`. Default: X25519MLKEM768 (if OpenSSL has it), "
             "X25519, P-256 and P-384. The log warns of groups that cost an event loop much time, "
             "as finite-field groups do, and says how much."},
    {SECTION_ROUTE, "signature-algorithms", &conf_text, .reach = CONF_INHERITED,
     CONF_FIELD(struct route_config, policy.signature_algorithms),
     .text = "Signature algorithms that the server may use, separated by `:`, the preferred one "
             "first, in OpenSSL's syntax (`ecdsa_secp256r1_sha256:rsa_pss_rsae_sha256`). Default: "
             "all that OpenSSL's security level allows."},
    {SECTION_ROUTE, "tickets", &conf_number, .reach = CONF_INHERITED, .standard = "1", .least = 0,
     .most = TICKETS_MAX, CONF_FIELD(struct route_config, policy.tickets),
     .text = "How many session tickets a TLS 1.3 handshake sends. `0`: no session is resumed."},
    {SECTION_ROUTE, "client-certificate", &conf_choice, .reach = CONF_INHERITED, .standard = "none",
     .choices = client_certificates, CONF_FIELD(struct route_config, policy.client.wanted),
     .text = "Whether clients are asked for a certificate. `optional`: those that have none are "
             "served, too. `required`: they are refused. A certificate that does not hold is "
             "refused in either case. See [the guide](guides/client-certificates.md)."},
    {SECTION_ROUTE, "client-ca-file", &type_path, .reach = CONF_INHERITED,
     CONF_FIELD(struct route_config, policy.client.ca_file),
     .text = "PEM file of the CA certificates that vouch for clients. HUP reads it again."},
    {SECTION_ROUTE, "client-crl", &type_path, .reach = CONF_INHERITED,
     CONF_FIELD(struct route_config, policy.client.crl),
     .text =
         "PEM file of certificate revocation lists, or a folder of such files. Each list must "
         "be signed by a CA in `client-ca-file`. Once there is a list, each CA between a client "
         "and the root needs one that is in force, or the client is refused. HUP reads them "
         "again."},
    {SECTION_ROUTE, "client-depth", &conf_number, .reach = CONF_INHERITED, .standard = "2",
     .least = 0, .most = CLIENT_DEPTH_MAX, CONF_FIELD(struct route_config, policy.client.depth),
     .text = "How many CA certificates may stand between that of a client and the root."},
    {SECTION_ROUTE, "client-ca-names", &conf_choice, .reach = CONF_INHERITED, .standard = "yes",
     .choices = no_or_yes, CONF_FIELD(struct route_config, policy.client.tells_names),
     .text = "Whether clients are told the names of the CAs, so that they can choose a certificate "
             "that fits. A browser may offer all that it has if it hears no names."},

    {SECTION_CERTIFICATE, "chain", &type_file, .required = true,
     CONF_FIELD(struct certificate_config, chain),
     .text = "PEM file of the certificate and its issuers, the certificate itself first."},
    {SECTION_CERTIFICATE, "key", &type_file, .required = true,
     CONF_FIELD(struct certificate_config, key), .passed_on_as = "file",
     .text = "PEM file of its private key. Only `immured` reads it (unless `signing = "
             "in-process`)."},
    {SECTION_CERTIFICATE, "ocsp", &type_file, CONF_FIELD(struct certificate_config, staple),
     .text =
         "File of an OCSP response (DER) for the certificate, which is stapled to handshakes of "
         "clients that ask. Beside certificates of `certificates` it is NAME.ocsp. A response "
         "that is out of date, or does not say that the certificate is good, is not sent, and "
         "the log says so."},
    {SECTION_CERTIFICATE, "pass-phrase-file", &type_file,
     CONF_FIELD(struct certificate_config, pass_phrase_file), .passed_on_as = "pass-phrase-file",
     .text = "File whose first line is the pass phrase of the key."},
    {SECTION_CERTIFICATE, "policy", &conf_text, .standard = "tls-server", .choices = policies,
     CONF_FIELD(struct certificate_config, policy), .passed_on_as = "policy",
     .text = "What `immured` signs with the key, as in immured.conf: `tls13-server` refuses TLS "
             "1.2. If the `tls-max` of a frontend is 1.2, its keys get `tls12-server` in place of "
             "`tls-server`, and the log says so."},
    {SECTION_CERTIFICATE, "tls12-groups", &conf_text, .standard = "common", .choices = tls12_groups,
     CONF_FIELD(struct certificate_config, tls12_groups), .passed_on_as = "tls12-groups",
     .text = "The groups for which `immured` makes TLS 1.2 signatures, as in immured.conf: `all` "
             "adds secp521r1 and x448 to x25519, secp256r1 and secp384r1."},

    {SECTION_BACKEND, "balance", &conf_choice, .standard = "least-connections", .choices = balances,
     CONF_FIELD(struct backend_config, balance),
     .text = "Which server gets a connection. Each event loop balances its own connections. "
             "`least-connections`: the one with the fewest for its weight, and of those the one "
             "that was chosen least recently. `round-robin`: one after the other, by weight. "
             "`source`: by the address of the client, so that a client meets the same server as "
             "long as that server is up, and most clients stay where they are when another "
             "leaves; with `accept-proxy` the address is that in the header. `random-two`: of two "
             "that are drawn by weight, the one with fewer connections."},
    {SECTION_BACKEND, "queue", &conf_number, .standard = "1024", .least = 0, .most = QUEUE_MAX,
     CONF_FIELD(struct backend_config, queue),
     .text = "How many connections may wait, over all threads, when all servers have their "
             "`max-connections`. Further ones are closed, and the log says so."},
    {SECTION_BACKEND, "queue-timeout", &conf_duration, .standard = "5s", .least = NS_PER_MS,
     .most = DURATION_MAX, CONF_FIELD(struct backend_config, queue_timeout),
     .text = "How long a connection may wait there before it is closed, and the log says so."},
    {SECTION_BACKEND, "failure-pause", &conf_duration, .standard = "1s", .least = NS_PER_MS,
     .most = DURATION_MAX, CONF_FIELD(struct backend_config, failure_pause),
     .text = "How long a server gets no connections after it could not be connected to. Then one "
             "connection tries it. If that fails too, the next pause is twice as long."},
    {SECTION_BACKEND, "failure-pause-max", &conf_duration, .standard = "30s", .least = NS_PER_MS,
     .most = DURATION_MAX, CONF_FIELD(struct backend_config, failure_pause_max),
     .text = "The longest of these pauses."},
    {SECTION_BACKEND, "slow-start", &conf_duration, .standard = "none", .least = NS_PER_MS,
     .most = DURATION_MAX, .choices = no_limit, CONF_FIELD(struct backend_config, slow_start),
     .text = "How long the weight of a server grows after it was down, from a sixteenth to the "
             "whole. `none`: it has its whole weight at once."},
    {SECTION_BACKEND, "check", &conf_choice, .standard = "none", .choices = checks,
     CONF_FIELD(struct backend_config, check.kind),
     .text = "How a separate process checks the servers. `tcp`: a connection can be made. `tls`: "
             "a TLS handshake succeeds; the certificate is not verified. `http`: the answer to a "
             "GET, without TLS, has the status `check-status`. `none`: servers are not checked. A "
             "check begins with the header of `proxy-protocol`, which says that it stands for no "
             "client (LOCAL in version 2, UNKNOWN in version 1)."},
    {SECTION_BACKEND, "check-interval", &conf_duration, .standard = "2s", .least = 10 * NS_PER_MS,
     .most = DURATION_MAX, CONF_FIELD(struct backend_config, check.interval),
     .text = "The time from the beginning of a check to that of the next. The checks of different "
             "servers are spread over it."},
    {SECTION_BACKEND, "check-timeout", &conf_duration, .standard = "2s", .least = NS_PER_MS,
     .most = DURATION_MAX, CONF_FIELD(struct backend_config, check.timeout),
     .text = "How long a check may take."},
    {SECTION_BACKEND, "rise", &conf_number, .standard = "2", .least = 1,
     .most = CHECKS_IN_A_ROW_MAX, CONF_FIELD(struct backend_config, check.rise),
     .text = "After so many good checks in a row a server that is down is up."},
    {SECTION_BACKEND, "fall", &conf_number, .standard = "3", .least = 1,
     .most = CHECKS_IN_A_ROW_MAX, CONF_FIELD(struct backend_config, check.fall),
     .text = "After so many failed checks in a row a server is down."},
    {SECTION_BACKEND, "check-path", &type_check_path, .standard = "/",
     CONF_FIELD(struct backend_config, check.path), .text = "The path of the GET, with its query."},
    {SECTION_BACKEND, "check-host", &type_check_host, CONF_FIELD(struct backend_config, check.host),
     .text = "The host that the GET names, or the TLS handshake (SNI). Default: the address of the "
             "server in the GET (`localhost` for a unix socket), and none in the handshake."},
    {SECTION_BACKEND, "check-status", &type_statuses, .standard = "200-399",
     CONF_FIELD(struct backend_config, check.status),
     .text = "The status that is expected: `200`, or a range."},
    {SECTION_BACKEND, "proxy-protocol", &conf_choice, .standard = "none", .choices = proxy_sent,
     CONF_FIELD(struct backend_config, proxy_protocol),
     .text = "Version of the PROXY protocol header that is sent first; `v2` includes what is known "
             "about TLS."},
    {SECTION_BACKEND, "proxy-tlvs", &conf_choice, .standard = "none", .choices = proxy_tlvs,
     CONF_FIELD(struct backend_config, proxy_tlvs),
     .text = "What happens to the TLVs of a version 2 header that `accept-proxy` has taken. "
             "`pass`: they go into the header for the backend, unchanged and in their order, "
             "except for those that `immure-proxy` writes itself (ALPN, AUTHORITY, SSL), CRC32C "
             "and NOOP. Needs `proxy-protocol = v2`. The header is then at most 2 KiB longer than "
             "the accepted one, which may have 16 KiB."},
    {SECTION_BACKEND, "proxy-client-certificate", &conf_choice, .standard = "no",
     .choices = no_or_yes, CONF_FIELD(struct backend_config, proxy_client_certificate),
     .text =
         "`yes`: the header contains the whole certificate of the client (DER, in the TLV 0x28 "
         "within PP2_TYPE_SSL, as HAProxy sends it), and not only its common name. This adds up "
         "to 8 KiB to the header. Needs `proxy-protocol = v2`."},

    {SECTION_SERVER, "address", &type_address, .reach = CONF_SHARED, .required = true,
     CONF_FIELD(struct server_config, address),
     .text = "Where to connect: `HOST:PORT`, `[IPV6]:PORT`, `unix:PATH`. The addresses of "
             "a host name are tried in order, and looked up again when they expire."},
    {SECTION_SERVER, "weight", &conf_number, .reach = CONF_INHERITED, .standard = "1", .least = 1,
     .most = SERVER_WEIGHT_MAX, CONF_FIELD(struct server_config, weight),
     .text = "The share of connections that it gets, in relation to the weights of the others."},
    {SECTION_SERVER, "max-connections", &conf_number, .reach = CONF_INHERITED, .standard = "none",
     .least = 1, .most = CONNECTIONS_MAX, .choices = no_limit,
     CONF_FIELD(struct server_config, max_connections),
     .text = "The most connections at a time that it gets from a worker, over all threads. When "
             "all servers have as many, connections wait (`queue`). After HUP the old worker may "
             "still have connections, which count for itself."},
    {SECTION_SERVER, "backup", &conf_choice, .standard = "no", .choices = no_or_yes,
     CONF_FIELD(struct server_config, backup),
     .text = "`yes`: it gets connections only while no other server of the backend is up. A server "
             "with all its `max-connections` is up."},

    {SECTION_ADMIN, "listen", &type_listen, .required = true,
     CONF_FIELD(struct proxy_config, admin.listen),
     .text = "Where `/metrics`, `/status.json` and the status page are served, by plain HTTP "
             "without a password: keep it on loopback."},
    {SECTION_ADMIN, "hosts", &conf_texts,
     CONF_LIST(struct proxy_config, admin.hosts, admin.host_count),
     .text = "Names, without a port, that the Host header of a request may have besides "
             "`localhost` and numeric addresses. Other requests get 403, so that no web page can "
             "read the answers by pointing its own name at this address (DNS rebinding)."},

    {SECTION_KEYS, "threads", &conf_number, .standard = "auto", .least = 1, .most = SIGNERS_MAX,
     .choices = conf_automatic, CONF_FIELD(struct proxy_config, keys.threads),
     .passed_on_as = "threads",
     .text = "Signer threads of our own `immured`. `auto`: one for each CPU."},
    {SECTION_KEYS, "socket", &type_path, CONF_FIELD(struct proxy_config, keys.socket),
     .text = "Socket of a running `immured` to use in place of our own."},
    {SECTION_KEYS, "peer-user", &type_user, .standard = "any",
     CONF_FIELD(struct proxy_config, keys.peer_user),
     .text =
         "The user who must listen on `socket`: a number, or a name in /etc/passwd. Nothing is "
         "sent to another user. For a socket that systemd opened for `immured`, or that `immured` "
         "opened itself when it was started as root, that is `root`. `any`: any user."},
    {SECTION_KEYS, "program", &type_path, CONF_FIELD(struct proxy_config, keys.program),
     .text = "Path of `immured`. Default: the one beside `immure-proxy`."},
    {SECTION_KEYS, "signing-backend", &conf_text, .former_name = "backend",
     CONF_FIELD(struct proxy_config, keys.signing_backend), .passed_on_as = "backend",
     .text =
         "What our own `immured` signs with: its directive `backend`. Default: that of `immured`."},
    {SECTION_KEYS, "multibuffer-library", &type_path, CONF_FIELD(struct proxy_config, keys.library),
     .passed_on_as = "multibuffer-library",
     .text = "Path of Intel's crypto_mb for our own `immured`. Default: that of `immured`."},
    {SECTION_KEYS, "verify", &conf_choice, .standard = "all", .choices = verify_forms,
     CONF_FIELD(struct proxy_config, keys.ecdsa_unverified), .passed_on_as = "verify",
     .text = "Which signatures our own `immured` verifies before it releases them. `not-ecdsa`: "
             "all but those of EC keys, which saves CPU time and gives up a protection: see "
             "[immured.conf.md](immured.conf.md)."},
    {SECTION_KEYS, "key-cache", &conf_number, .standard = "1000", .least = 1, .most = KEY_CACHE_MAX,
     CONF_FIELD(struct proxy_config, keys.key_cache), .passed_on_as = "key-cache",
     .text = "How many keys of folders and lists our own `immured` keeps decoded: see "
             "[immured.conf.md](immured.conf.md)."},
    {SECTION_KEYS, "ticket-secret-file", &type_file,
     CONF_FIELD(struct proxy_config, keys.ticket_secret_file), .passed_on_as = "ticket-secret-file",
     .text = "File of at least 32 random bytes, from which our own `immured` derives the keys of "
             "session tickets: sessions are then resumed after a restart, and by every server that "
             "has the same secret. Without it, the master makes random ticket keys, which no other "
             "server has."},
    {SECTION_KEYS, "ticket-epoch", &conf_seconds, .standard = "1h", .least = NS_PER_S,
     .most = DURATION_MAX, CONF_FIELD(struct proxy_config, keys.ticket_epoch),
     .passed_on_as = "ticket-epoch",
     .text = "How long a ticket key is used for new tickets; for the same time again it opens the "
             "tickets that were made with it. It must be the same wherever the secret is used."},
    {SECTION_KEYS, "user", &conf_text, CONF_FIELD(struct proxy_config, keys.user),
     .passed_on_as = "user",
     .text = "The user that our own `immured` becomes when it is started as root. Default: that of "
             "`immured`."},
};

const struct conf_grammar proxy_grammar = {
    .sections = sections,
    .section_count = SECTION_COUNT,
    .directives = directives,
    .directive_count = sizeof directives / sizeof *directives,
    .environment = true,
};
