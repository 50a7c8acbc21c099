#include "proxy/config/directives.h"

#include <openssl/ssl.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/log.h"
#include "handshake/fast_handshake.h"
#include "proxy/config/config.h"
#include "proxy/config/types.h"

#define WORKERS_MAX 256
#define CONNECTIONS_MAX 10000000
#define SIGNERS_MAX 256
#define TICKETS_MAX 8
#define SESSION_CACHE_MAX 1000000
#define DURATION_MAX (NS_PER_S * 24 * 3600)

#define TEXT_OF_(value) #value
#define TEXT_OF(value) TEXT_OF_(value)

static const struct conf_kind sections[SECTION_COUNT] = {
    [SECTION_TOP] = {.name = "", .introduction = "Outside of all sections."},
    [SECTION_FRONTEND] = {.name = "frontend",
                          .named = true,
                          .introduction =
                              "`frontend \"NAME\" { ... }`, one or more: where clients connect."},
    [SECTION_CERTIFICATE] =
        {.name = "certificate",
         .within = SECTION_FRONTEND,
         .introduction =
             "`certificate { ... }` within a frontend, one or more. The client's server name (SNI) "
             "and what it can verify choose between them; the first is for clients that name none "
             "of them."},
    [SECTION_BACKEND] = {.name = "backend",
                         .named = true,
                         .introduction =
                             "`backend \"NAME\" { ... }`: where the decrypted bytes go."},
    [SECTION_ADMIN] = {.name = "admin", .introduction = "`admin { ... }`, at most one."},
    [SECTION_KEYS] = {.name = "keys",
                      .introduction =
                          "`keys { ... }`, at most one: the process that holds the private keys."},
};

static const struct conf_choice verify_forms[] = {{"all", false}, {"not-ecdsa", true}, {NULL, 0}};
static const struct conf_choice no_limit[] = {{"none", 0}, {NULL, 0}};
static const struct conf_choice automatic[] = {{"auto", 0}, {NULL, 0}};
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
static const struct conf_choice log_forms[] = {{"plain", false}, {"json", true}, {NULL, 0}};
static const struct conf_choice log_levels[] = {{"error", LOG_LEVEL_ERROR},
                                                {"warning", LOG_LEVEL_WARNING},
                                                {"info", LOG_LEVEL_INFO},
                                                {"debug", LOG_LEVEL_DEBUG},
                                                {NULL, 0}};
static const struct conf_choice tls_versions[] = {
    {"1.2", TLS1_2_VERSION}, {"1.3", TLS1_3_VERSION}, {NULL, 0}};
static const struct conf_choice proxy_accepted[] = {{"none", PROXY_PROTOCOL_NONE},
                                                    {"v1", PROXY_PROTOCOL_V1},
                                                    {"v2", PROXY_PROTOCOL_V2},
                                                    {"any", PROXY_PROTOCOL_ANY},
                                                    {NULL, 0}};
static const struct conf_choice proxy_sent[] = {
    {"none", PROXY_PROTOCOL_NONE}, {"v1", PROXY_PROTOCOL_V1}, {"v2", PROXY_PROTOCOL_V2}, {NULL, 0}};
static const struct conf_choice proxy_tlvs[] = {{"none", false}, {"pass", true}, {NULL, 0}};
static const struct conf_choice policies[] = {{"tls-server", 0},   {"tls13-server", 0},
                                              {"tls12-server", 0}, {"tls-client", 0},
                                              {"any", 0},          {NULL, 0}};
static const struct conf_choice tls12_groups[] = {{"common", 0}, {"all", 0}, {NULL, 0}};

static const struct conf_directive directives[] = {
    {SECTION_TOP, "workers", &conf_number, .standard = "auto", .least = 1, .most = WORKERS_MAX,
     .choices = automatic, CONF_FIELD(struct config, workers),
     .text = "Event-loop threads. `auto`: one for each CPU this process may run on. When HUP makes "
             "them fewer, connections that wait to be accepted by those that go are reset (unless "
             "`net.ipv4.tcp_migrate_req` is 1)."},
    {SECTION_TOP, "signing", &conf_choice, .standard = "async", .choices = signing_modes,
     CONF_FIELD(struct config, signing),
     .text = "Where handshakes are signed. `async`: in `immured`, while the event loop goes on. "
             "`sync`: in `immured`, while the event loop waits. `in-process`: the keys are loaded "
             "into the worker, unprotected. The last two are for comparison."},
    {SECTION_TOP, "fast-handshake", &conf_choice, .standard = "auto", .choices = fast_handshakes,
     CONF_FIELD(struct config, fast_handshake),
     .text =
         "What of OpenSSL's part in a handshake is done with less: the key schedule of TLS 1.3, "
         "X25519 key pairs made eight at a time, and X25519 secrets derived together for all "
         "handshakes of a loop turn. `auto`: all that this machine can do. `key-schedule`: the "
         "first. `key-pairs`: the first two. `key-exchange`: the last two. `off`: none. The log "
         "says at start what is in force."},
    {SECTION_TOP, "priority", &conf_choice, .standard = "normal", .choices = priorities,
     CONF_FIELD(struct config, real_time),
     .text =
         "Of the event loops. `real-time` (SCHED_RR, the least of its priorities): a loop that "
         "wakes has the core at once, where it would wait for up to a tick of the kernel while "
         "signers or other programs use it; for cores that are shared. What a loop is too busy to "
         "leave, others on its core do not get, but for the kernel's reserve of 5 % (sched(7)). "
         "Takes CAP_SYS_NICE or RLIMIT_RTPRIO; without them the loops are as with `normal`, and "
         "the log says so."},
    {SECTION_TOP, "user", &conf_text, .standard = "nobody", CONF_FIELD(struct config, user),
     .text = "Who the worker becomes when started as root: a name or a number."},
    {SECTION_TOP, "log", &conf_choice, .standard = "plain", .choices = log_forms,
     CONF_FIELD(struct config, log_json), .passed_on_as = "log",
     .text = "Form of the log lines on standard error; `json` is one object a line."},
    {SECTION_TOP, "log-level", &conf_choice, .standard = "info", .choices = log_levels,
     CONF_FIELD(struct config, log_level), .passed_on_as = "log-level",
     .text = "The least important lines that are logged."},
    {SECTION_TOP, "max-connections", &conf_number, .standard = "auto", .least = 1,
     .most = CONNECTIONS_MAX, .choices = automatic, CONF_FIELD(struct config, max_connections),
     .text =
         "Client connections at a time, over all threads; more wait in the listen backlog. Each "
         "needs two file descriptors, and 16 KiB of memory while it is idle (`script/bench --only "
         "idle` "
         "prints it), the kernel's not counted; the log says at start when there is not so much. "
         "`auto`: as many as the limit of descriptors allows."},
    {SECTION_TOP, "listen-backlog", &conf_number, .standard = TEXT_OF(SOMAXCONN), .least = 1,
     .most = INT32_MAX, CONF_FIELD(struct config, listen_backlog),
     .text = "Connections that may wait to be accepted, for each thread and address. The kernel "
             "caps it at `net.core.somaxconn`."},
    {SECTION_TOP, "handshake-budget", &conf_duration, .standard = "200us", .least = 100 * NS_PER_US,
     .most = NS_PER_S, CONF_FIELD(struct config, handshake_budget),
     .text = "How long handshakes may take within one turn of an event loop; what is left waits "
             "until established connections have had their turn."},
    {SECTION_TOP, "handshake-timeout", &conf_duration, .standard = "10s", .least = NS_PER_MS,
     .most = DURATION_MAX, CONF_FIELD(struct config, handshake_timeout),
     .text = "From accepting a connection to the end of its handshake."},
    {SECTION_TOP, "connect-timeout", &conf_duration, .standard = "5s", .least = NS_PER_MS,
     .most = DURATION_MAX, CONF_FIELD(struct config, connect_timeout),
     .text = "To connect to a backend."},
    {SECTION_TOP, "session-cache", &conf_number, .standard = "8192", .least = 0,
     .most = SESSION_CACHE_MAX, CONF_FIELD(struct config, session_cache),
     .text = "Sessions of TLS 1.2 clients without tickets that a worker keeps, to be resumed by "
             "their session ids: half a KiB each, and the oldest gives way. `0`: none is kept."},
    {SECTION_TOP, "idle-timeout", &conf_duration, .standard = "10m", .least = NS_PER_MS,
     .most = DURATION_MAX, CONF_FIELD(struct config, idle_timeout),
     .text = "How long an established connection may carry nothing either way. The default is "
             "longer than HTTP keep-alive and the pings of WebSocket and HTTP/2 need."},
    {SECTION_TOP, "half-close-timeout", &conf_duration, .standard = "30s", .least = NS_PER_MS,
     .most = DURATION_MAX, CONF_FIELD(struct config, half_close_timeout),
     .text = "How long one direction may go on with nothing to carry after the other has ended."},
    {SECTION_TOP, "drain-timeout", &conf_duration, .standard = "30s", .least = NS_PER_MS,
     .most = DURATION_MAX, CONF_FIELD(struct config, drain_timeout),
     .text = "How long established connections may go on after TERM and USR2."},
    {SECTION_TOP, "reload-drain-timeout", &conf_duration, .standard = "none", .least = NS_PER_MS,
     .most = DURATION_MAX, .choices = no_limit, CONF_FIELD(struct config, reload_drain_timeout),
     .text = "How long established connections may go on in the old worker after HUP. `none`: as "
             "long as they last."},
    {SECTION_TOP, "reload-workers", &conf_number, .standard = "8", .least = 1, .most = WORKERS_MAX,
     CONF_FIELD(struct config, reload_workers),
     .text = "Old workers that may drain at a time. When there are more, the oldest ends, and the "
             "log says so. Each has its own memory, and an `immured`."},

    {SECTION_FRONTEND, "listen", &type_listen_list,
     CONF_LIST(struct frontend_config, listen, listen_count), .required = true,
     .text =
         "Addresses to listen on: `*:8443` (IPv6 and IPv4), `127.0.0.1:443`, `[::1]:443`, "
         "`unix:/run/front.sock`, or `systemd:NAME` for a socket that the service manager passes "
         "(FileDescriptorName= in its unit). The file of a `unix:` listener that was removed is "
         "made "
         "again at HUP."},
    {SECTION_FRONTEND, "socket-mode", &type_mode, .standard = "0666",
     CONF_FIELD(struct frontend_config, socket_mode),
     .text = "Permissions of the files of `unix:` listeners, octal. By default any user of this "
             "machine may connect, as to a port."},
    {SECTION_FRONTEND, "socket-user", &type_user, .standard = "own",
     CONF_FIELD(struct frontend_config, socket_user),
     .text = "Owner of these files: a number, or a name in /etc/passwd. `own`: who started "
             "`immure-proxy`. Another takes CAP_CHOWN, which the unit of the service leaves out."},
    {SECTION_FRONTEND, "socket-group", &type_group, .standard = "own",
     CONF_FIELD(struct frontend_config, socket_group),
     .text = "Group of these files: a number, or a name in /etc/group. `own`: the same."},
    {SECTION_FRONTEND, "backend", &type_backend, .required = true,
     CONF_FIELD(struct frontend_config, backend), .text = "The name of the backend to relay to."},
    {SECTION_FRONTEND, "alpn", &type_alpn_list,
     CONF_LIST(struct frontend_config, alpn, alpn_length),
     .text = "Application protocols offered (ALPN), the preferred one first."},
    {SECTION_FRONTEND, "tls-min", &conf_choice, .standard = "1.2", .choices = tls_versions,
     CONF_FIELD(struct frontend_config, tls_min), .text = "Lowest TLS version."},
    {SECTION_FRONTEND, "tls-max", &conf_choice, .standard = "1.3", .choices = tls_versions,
     CONF_FIELD(struct frontend_config, tls_max), .text = "Highest TLS version."},
    {SECTION_FRONTEND, "ciphers", &conf_text,
     .standard = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
                 "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
                 "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305",
     CONF_FIELD(struct frontend_config, ciphers),
     .text =
         "Ciphers of TLS 1.2 in OpenSSL's syntax. The key exchange must be ECDHE, since `immured` "
         "signs and does not decrypt: others are left out with a warning, and a list without one "
         "that fits the certificates is refused."},
    {SECTION_FRONTEND, "ciphersuites", &conf_text,
     .standard = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256",
     CONF_FIELD(struct frontend_config, ciphersuites),
     .text =
         "Cipher suites of TLS 1.3, with `:` between, the preferred one first: AES-128, as with "
         "browsers, whose SHA-256 costs a handshake less than SHA-384."},
    {SECTION_FRONTEND, "groups", &conf_text, CONF_FIELD(struct frontend_config, groups),
     .text = "Key exchange groups, with `:` between. Default: X25519MLKEM768 (where OpenSSL has "
             "it), X25519, P-256 and P-384. The log warns of groups that cost an event loop much, "
             "as finite-field groups do, and says how much."},
    {SECTION_FRONTEND, "tickets", &conf_number, .standard = "1", .least = 0, .most = TICKETS_MAX,
     CONF_FIELD(struct frontend_config, tickets),
     .text = "Session tickets sent in a TLS 1.3 handshake. `0`: no session is resumed."},
    {SECTION_FRONTEND, "accept-proxy", &conf_choice, .standard = "none", .choices = proxy_accepted,
     CONF_FIELD(struct frontend_config, accept_proxy),
     .text = "Version of the PROXY protocol header that a load balancer in front sends first, of "
             "at most 16 KiB; a CRC32C in it is verified. "
             "Only for listeners that nobody else can reach: who can, can claim any address."},

    {SECTION_CERTIFICATE, "chain", &type_file, .required = true,
     CONF_FIELD(struct certificate_config, chain),
     .text = "PEM file of the certificate and those above it, the server's own first."},
    {SECTION_CERTIFICATE, "key", &type_file, .required = true,
     CONF_FIELD(struct certificate_config, key), .passed_on_as = "file",
     .text = "PEM file of its private key. Only `immured` reads it (unless `signing = "
             "in-process`)."},
    {SECTION_CERTIFICATE, "pass-phrase-file", &type_file,
     CONF_FIELD(struct certificate_config, pass_phrase_file), .passed_on_as = "pass-phrase-file",
     .text = "File whose first line decrypts the key."},
    {SECTION_CERTIFICATE, "policy", &conf_text, .standard = "tls-server", .choices = policies,
     CONF_FIELD(struct certificate_config, policy), .passed_on_as = "policy",
     .text =
         "What `immured` signs with the key, as in immured.conf: `tls13-server` refuses TLS 1.2. "
         "A key of a frontend whose `tls-max` is 1.2 has `tls12-server` in place of "
         "`tls-server`, and the log says so."},
    {SECTION_CERTIFICATE, "tls12-groups", &conf_text, .standard = "common", .choices = tls12_groups,
     CONF_FIELD(struct certificate_config, tls12_groups), .passed_on_as = "tls12-groups",
     .text =
         "The groups that `immured` makes TLS 1.2 signatures for, as in immured.conf: `all` has "
         "secp521r1 and x448 besides x25519, secp256r1 and secp384r1."},

    {SECTION_BACKEND, "address", &type_address, .required = true,
     CONF_FIELD(struct backend_config, address),
     .text = "Where to connect: `HOST:PORT`, `[IPV6]:PORT`, `unix:PATH`. The addresses of "
             "a host name are tried in order, and looked up again when they expire."},
    {SECTION_BACKEND, "proxy-protocol", &conf_choice, .standard = "none", .choices = proxy_sent,
     CONF_FIELD(struct backend_config, proxy_protocol),
     .text = "Version of the PROXY protocol header that is sent first; `v2` tells about TLS too."},
    {SECTION_BACKEND, "proxy-tlvs", &conf_choice, .standard = "none", .choices = proxy_tlvs,
     CONF_FIELD(struct backend_config, proxy_tlvs),
     .text =
         "What becomes of the TLVs of a header of version 2 that `accept-proxy` has taken. `pass`: "
         "they go on in the header for the backend, as they are and in their order, but for those "
         "that `immure-proxy` says itself (ALPN, AUTHORITY, SSL), CRC32C and NOOP. Takes "
         "`proxy-protocol = v2`. The header is then at most 2 KiB longer than the one that was "
         "taken, which may have 16 KiB."},

    {SECTION_ADMIN, "listen", &type_listen, .required = true,
     CONF_FIELD(struct config, admin.listen),
     .text = "Where `/metrics`, `/status.json` and the status page are served. Plain HTTP without "
             "a password: keep it on loopback."},
    {SECTION_ADMIN, "hosts", &conf_texts, CONF_LIST(struct config, admin.hosts, admin.host_count),
     .text = "Names, without a port, that requests may have in their Host header, besides "
             "`localhost` and addresses in digits. Others get 403, so that no web page can read "
             "these by making its own name stand for this address (DNS rebinding)."},

    {SECTION_KEYS, "threads", &conf_number, .standard = "auto", .least = 1, .most = SIGNERS_MAX,
     .choices = automatic, CONF_FIELD(struct config, keys.threads), .passed_on_as = "threads",
     .text = "Signer threads of our own `immured`. `auto`: one for each CPU."},
    {SECTION_KEYS, "socket", &type_path, CONF_FIELD(struct config, keys.socket),
     .text = "Socket of a running `immured` to use in place of our own."},
    {SECTION_KEYS, "peer-user", &type_user, .standard = "any",
     CONF_FIELD(struct config, keys.peer_user),
     .text =
         "Who must have begun to listen on `socket`: a number, or a name in /etc/passwd. Nothing "
         "is sent to another one. Of a socket that systemd listens on for `immured`, or that "
         "`immured` made itself when it was started as root, that is `root`. `any`: whoever."},
    {SECTION_KEYS, "program", &type_path, CONF_FIELD(struct config, keys.program),
     .text = "Path of `immured`. Without it, the one beside `immure-proxy`."},
    {SECTION_KEYS, "backend", &conf_text, CONF_FIELD(struct config, keys.backend),
     .passed_on_as = "backend",
     .text = "Signing backend of our own `immured`. Without it, `immured`'s default."},
    {SECTION_KEYS, "multibuffer-library", &type_path, CONF_FIELD(struct config, keys.library),
     .passed_on_as = "multibuffer-library",
     .text = "Path of Intel's crypto_mb for our own `immured`. Without it, `immured`'s default."},
    {SECTION_KEYS, "verify", &conf_choice, .standard = "all", .choices = verify_forms,
     CONF_FIELD(struct config, keys.ecdsa_unverified), .passed_on_as = "verify",
     .text = "Which signatures our own `immured` verifies before they leave it. `not-ecdsa`: all "
             "but those of EC keys, which saves CPU time and gives up a protection: see "
             "[immured.conf.md](immured.conf.md)."},
    {SECTION_KEYS, "ticket-secret-file", &type_file,
     CONF_FIELD(struct config, keys.ticket_secret_file), .passed_on_as = "ticket-secret-file",
     .text =
         "File of at least 32 random bytes for our own `immured`, of which it derives the keys of "
         "session tickets: sessions are resumed after a restart, and by every server that has "
         "the same secret. Without it, the master makes ticket keys at random, which nobody "
         "else has."},
    {SECTION_KEYS, "ticket-epoch", &conf_seconds, .standard = "1h", .least = NS_PER_S,
     .most = DURATION_MAX, CONF_FIELD(struct config, keys.ticket_epoch),
     .passed_on_as = "ticket-epoch",
     .text = "How long such a key makes new tickets; for as long again it opens "
             "them. The same wherever the secret is."},
    {SECTION_KEYS, "user", &conf_text, CONF_FIELD(struct config, keys.user), .passed_on_as = "user",
     .text = "Who our own `immured` becomes when started as root. Without it, `immured`'s "
             "default."},
};

const struct conf_grammar proxy_grammar = {
    .sections = sections,
    .section_count = SECTION_COUNT,
    .directives = directives,
    .directive_count = sizeof directives / sizeof *directives,
    .environment = true,
};
