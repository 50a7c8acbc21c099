#include "keyd/process/directives.h"

#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "conf/value.h"
#include "keyd/keys/files.h"
#include "keyd/process/config.h"

#define THREADS_MAX 256
#define DURATION_MAX (3600 * NS_PER_S)
#define EPOCH_MAX (24 * 3600 * NS_PER_S)

static bool store_policy(struct conf_store *store)
{
    return policy_find(store->values[0].text, store->field) || conf_store_refuse_value(store);
}

static bool store_rate(struct conf_store *store)
{
    return rate_parse(store->values[0].text, store->field) || conf_store_refuse_value(store);
}

/* Whether there is the provider section that is named shows when all has been read. */
static bool store_driver(struct conf_store *store)
{
    const char *name = store->values[0].text;
    bool known = strcmp(name, "auto") == 0;
    for (const struct driver *const *driver = store->context; *driver != NULL; driver++) {
        size_t length = strlen((*driver)->name);
        known |= strncmp((*driver)->name, name, length) == 0 &&
                 name[length] == ((*driver)->sections ? ':' : '\0');
    }
    return known ? conf_text.store(store) : conf_store_refuse_value(store);
}

/* Whoever binds an abstract name first has it, so that clients would ask a stranger while immured
 * is down; and it has no mode. */
static bool store_socket(struct conf_store *store)
{
    return store->values[0].text[0] != '@'
               ? conf_text.store(store)
               : conf_store_refuse(store, store->values[0].line,
                                   "%s: %s would be an abstract socket, whose name anybody can "
                                   "take and which has no mode; it must be a path",
                                   store->directive->name, store->values[0].text);
}

static bool store_text(struct conf_store *store)
{
    return conf_text.store(store);
}

static const struct conf_type type_policy = {
    .values = "tls-server, tls13-server, tls12-server, tls-client or any", .store = store_policy};
static const struct conf_type type_rate = {.values = "\"1000/s\", \"90/m\" or \"1000/s burst 50\"",
                                           .store = store_rate};
static const struct conf_type type_driver = {.values =
                                                 "auto, openssl, multibuffer or provider:NAME",
                                             .store = store_driver,
                                             .clear = conf_clear_text};
static const struct conf_type type_socket = {
    .values = "path", .store = store_socket, .clear = conf_clear_text};
static const struct conf_type type_file = {
    .values = "file", .store = store_text, .clear = conf_clear_text};
static const struct conf_type type_uri = {
    .values = "URI", .store = store_text, .clear = conf_clear_text};

static const struct conf_choice automatic[] = {{"auto", 0}, {NULL, 0}};
static const struct conf_choice no_or_yes[] = {{"no", false}, {"yes", true}, {NULL, 0}};
static const struct conf_choice decrypt_forms[] = {
    {"no", false}, {"tls-rsa-key-exchange", true}, {NULL, 0}};
static const struct conf_choice groups[] = {{"common", false}, {"all", true}, {NULL, 0}};
static const struct conf_choice audit_forms[] = {{"refusals", false}, {"all", true}, {NULL, 0}};
static const struct conf_choice verify_forms[] = {{"all", false}, {"not-ecdsa", true}, {NULL, 0}};
static const struct conf_choice log_forms[] = {{"plain", false}, {"json", true}, {NULL, 0}};
static const struct conf_choice log_levels[] = {{"error", LOG_LEVEL_ERROR},
                                                {"warning", LOG_LEVEL_WARNING},
                                                {"info", LOG_LEVEL_INFO},
                                                {"debug", LOG_LEVEL_DEBUG},
                                                {NULL, 0}};

static const struct conf_kind sections[SECTION_COUNT] = {
    [SECTION_TOP] = {.name = "", .introduction = "Outside of all sections."},
    [SECTION_KEY] = {.name = "key",
                     .named = true,
                     .introduction = "`key \"NAME\" { ... }`, one or more. The name is what a "
                                     "client sees in a list of keys."},
    [SECTION_PROVIDER] = {.name = "provider",
                          .named = true,
                          .introduction =
                              "`provider \"NAME\" { ... }`: an OpenSSL provider or engine, for "
                              "keys in a device or for a device that signs with keys in memory."},
};

static const struct conf_directive directives[] = {
    {SECTION_TOP, "threads", &conf_number, .standard = "auto", .least = 1, .most = THREADS_MAX,
     .choices = automatic, CONF_FIELD(struct keyd_config, threads),
     .text = "Signer threads. `auto`: one for each CPU that is online. A few signatures at a time "
             "of a kind that was measured to take at most 50 us are made without them, so that "
             "these never wait for RSA."},
    {SECTION_TOP, "yield", &conf_choice, .standard = "no", .choices = no_or_yes,
     CONF_FIELD(struct keyd_config, yield),
     .text = "Whether signer threads use what time others leave (nice 19, SCHED_BATCH), so that "
             "they do not keep an event loop from running: for clients that do not wait for their "
             "signatures. One more thread, of ordinary weight, steps in when that is no time at "
             "all. immure-proxy says `yes` to its own immured where `signing` is `async`."},
    {SECTION_TOP, "listen", &type_socket, CONF_FIELD(struct keyd_config, listen),
     .text = "Path of a unix stream socket to accept clients on. A stale file of an immured that "
             "is gone is replaced; one that was removed is made again at HUP. Only its owner may "
             "connect (mode 0600), or with any `allow-users` or `allow-groups` anybody (0666), who "
             "is then let in or not by uid and groups. Has no effect where immured is given a "
             "socket: by systemd, or by `--listen-fd` or `--session-fd`."},
    {SECTION_TOP, "user", &conf_text, CONF_FIELD(struct keyd_config, user),
     .text = "Name or number (uid and gid) to become when started as root. Default: `immured` if "
             "there is such a user, else 65533."},
    {SECTION_TOP, "require-secret-memory", &conf_choice, .standard = "no", .choices = no_or_yes,
     CONF_FIELD(struct keyd_config, require_secret_memory),
     .text = "Whether immured refuses to start without memory that even root's tools cannot read "
             "(memfd_secret; before Linux 6.5 the kernel has it with `secretmem.enable=1` only, "
             "and RLIMIT_MEMLOCK must have room). `no`: keys are then in ordinary memory, locked "
             "and left out of core files, and a warning is logged."},
    {SECTION_TOP, "allow-users", &conf_texts,
     CONF_LIST(struct keyd_config, allow.users.texts, allow.users.count),
     .text = "Users (names or numbers) whose processes may connect and use the keys, besides root "
             "and the user that started immured."},
    {SECTION_TOP, "allow-groups", &conf_texts,
     CONF_LIST(struct keyd_config, allow.groups.texts, allow.groups.count),
     .text = "Groups (names or numbers) whose processes may, too. A process is in a group if it is "
             "the process's own or one of its supplementary groups when it connects."},
    {SECTION_TOP, "rate", &type_rate, CONF_FIELD(struct keyd_config, server.rate),
     .text = "How many signatures each client may ask for, with all keys together. What is more is "
             "refused at once (BUSY). A client is a uid, however many connections it has. A "
             "request that is refused for what it asks counts, one for which there is no room does "
             "not. The burst is what may come at once after a pause; default: what one second "
             "brings. Default: no limit."},
    {SECTION_TOP, "audit", &conf_choice, .standard = "refusals", .choices = audit_forms,
     CONF_FIELD(struct keyd_config, audit_all),
     .text = "What is written to standard error as a JSON object a line: each request that was "
             "refused, or `all`, each signature besides."},
    {SECTION_TOP, "backend", &type_driver, .standard = "auto",
     CONF_FIELD(struct keyd_config, driver),
     .text = "What makes the signatures, of keys that do not say otherwise. `openssl`: libcrypto, "
             "one by one. `auto`: libcrypto, and whatever was measured at the start to sign many "
             "at once in less time."},
    {SECTION_TOP, "multibuffer-library", &conf_text,
     CONF_FIELD(struct keyd_config, multibuffer.library),
     .text = "Path of Intel's crypto_mb, of the backend `multibuffer`. Default: "
             "libcrypto_mb.so.13, .so.12 or .so.11, where the system has its libraries."},
    {SECTION_TOP, "verify", &conf_choice, .standard = "all", .choices = verify_forms,
     CONF_FIELD(struct keyd_config, ecdsa_unverified),
     .text = "Which signatures are verified with the public key before they leave. `not-ecdsa`: "
             "all but those of EC keys, unless a device serves the key; that saves 60 us of CPU "
             "time for each on P-256 where there is no `multibuffer`, and 10 us where there is. A "
             "signature that was computed with a fault may then give the key away."},
    {SECTION_TOP, "queue-age", &conf_duration, .standard = "2s", .least = NS_PER_US,
     .most = DURATION_MAX, CONF_FIELD(struct keyd_config, queue_age),
     .text = "How long a request may wait to be signed. Those that would wait for longer are "
             "refused at once (BUSY), the excess of a uid that has more than its share first, and "
             "of a connection that has more than its share of that."},
    {SECTION_TOP, "hold", &conf_duration, .least = NS_PER_US, .most = DURATION_MAX,
     CONF_FIELD(struct keyd_config, hold),
     .text =
         "How long a batch waits for more requests when it is not full. It saves CPU time under "
         "light load, and costs each signature up to that much time. Default: not at all."},
    {SECTION_TOP, "log", &conf_choice, .standard = "plain", .choices = log_forms,
     CONF_FIELD(struct keyd_config, log_json), .text = "Form of the log on standard error."},
    {SECTION_TOP, "log-level", &conf_choice, .standard = "info", .choices = log_levels,
     CONF_FIELD(struct keyd_config, log_level),
     .text = "The least important lines that are logged."},
    {SECTION_TOP, "stall-timeout", &conf_duration, .standard = "10s", .least = NS_PER_US,
     .most = DURATION_MAX, CONF_FIELD(struct keyd_config, server.stall_timeout),
     .text = "How long a client may leave its replies unread before it is disconnected."},
    {SECTION_TOP, "ticket-secret-file", &type_file,
     CONF_FIELD(struct keyd_config, tickets.secret_file),
     .text = "File of at least 32 random bytes, of which the keys of session tickets are derived, "
             "one for each epoch. Clients ask for those of the current epoch and the one before; "
             "they never get the secret. Servers with the same secret resume each other's "
             "sessions, also after a restart; another secret, read after HUP, ends all old "
             "tickets. Whoever may use any key may ask. Default: none, and none are given out."},
    {SECTION_TOP, "ticket-epoch", &conf_seconds, .standard = "1h", .least = NS_PER_S,
     .most = EPOCH_MAX, CONF_FIELD(struct keyd_config, tickets.epoch),
     .text =
         "How long a ticket key is used for new tickets; for as long again it opens those it has "
         "made. The same wherever the secret is, and the clocks of all within a few seconds."},
    {SECTION_KEY, "file", &type_file, CONF_FIELD(struct key_config, file),
     .text = "PEM file with the private key: RSA of 2048 to 8192 bits, EC on P-256, P-384 or "
             "P-521, or Ed25519. Opened as the user that starts immured. Required, or `uri`."},
    {SECTION_KEY, "uri", &type_uri, CONF_FIELD(struct key_config, uri),
     .text = "The key within a device, which it does not leave; `backend` names the provider. What "
             "OpenSSL finds by it: \"pkcs11:token=web;object=site\", \"handle:0x81010001\", or a "
             "file of the device's own form, \"file:/etc/immured/site.tss2\"."},
    {SECTION_KEY, "pass-phrase-file", &type_file, CONF_FIELD(struct key_config, pass_phrase_file),
     .text = "File whose first line is the pass phrase of an encrypted key."},
    {SECTION_KEY, "policy", &type_policy, .standard = "tls-server",
     CONF_FIELD(struct key_config, policy),
     .text =
         "What the key signs. `tls-server`: a TLS server's handshake signatures, of TLS 1.3, and "
         "of TLS 1.2 if the server has TLS 1.3, too, as the end of its random says (RFC 8446, "
         "section 4.1.3). `tls13-server`: of TLS 1.3 only. `tls12-server`: of TLS 1.3 and 1.2, for "
         "a server that has no TLS 1.3; less of what it signs is fixed, and the log warns. "
         "`tls-client`: a TLS client's, of TLS 1.3 and 1.2. `any`: any message whatever."},
    {SECTION_KEY, "tls12-groups", &conf_choice, .standard = "common", .choices = groups,
     CONF_FIELD(struct key_config, every_group),
     .text = "The groups of ECDHE that a TLS 1.2 server's signature is made for. `common`: x25519, "
             "secp256r1 and secp384r1. `all`: secp521r1 and x448 besides, which no client needs "
             "and which leave more bytes to whoever asks. A handshake with a group that is not "
             "among them fails: a server should offer no other."},
    {SECTION_KEY, "decrypt", &conf_choice, .standard = "no", .choices = decrypt_forms,
     CONF_FIELD(struct key_config, decrypt),
     .text = "Whether an RSA key also decrypts for TLS 1.2 with RSA key exchange, which has no "
             "forward secrecy. Clients get premaster secrets only, and never learn whether a "
             "ciphertext was good."},
    {SECTION_KEY, "backend", &type_driver, CONF_FIELD(struct key_config, driver),
     .text = "What signs with this key. Default: the `backend` of all."},
    {SECTION_KEY, "allow-users", &conf_texts,
     CONF_LIST(struct key_config, allow.users.texts, allow.users.count),
     .text = "Users who may use this key and see it in a list of keys, besides root and the user "
             "that started immured. With this or `allow-groups` given, those of all keys do not "
             "hold for this one. Default: as for all."},
    {SECTION_KEY, "allow-groups", &conf_texts,
     CONF_LIST(struct key_config, allow.groups.texts, allow.groups.count),
     .text = "Groups whose processes may, too."},
    {SECTION_KEY, "rate", &type_rate, CONF_FIELD(struct key_config, rate),
     .text = "How many signatures each client may ask for with this key. Default: no limit but the "
             "`rate` of all."},
    {SECTION_KEY, "location", &conf_text, CONF_FIELD(struct key_config, location),
     .text = "What messages about this key begin with. Default: file and line of the key's `file` "
             "or `uri`."},
    {SECTION_PROVIDER, "module", &conf_text, CONF_FIELD(struct provider_config, module),
     .text = "An OpenSSL provider: its name, or the path of its file. Required, or `engine`."},
    {SECTION_PROVIDER, "engine", &conf_text, CONF_FIELD(struct provider_config, engine),
     .text = "An OpenSSL engine (OpenSSL 3 only): its id, or the path of its file."},
    {SECTION_PROVIDER, "parameters", &conf_texts,
     CONF_LIST(struct provider_config, parameters.texts, parameters.count),
     .text = "Of a provider: lines as in its section of openssl.cnf. Of an engine: commands for "
             "it, \"NAME=VALUE\" or \"NAME\", in this order, before it is initialised."},
    {SECTION_PROVIDER, "environment", &conf_texts,
     CONF_LIST(struct provider_config, environment.texts, environment.count),
     .text = "Environment variables, \"NAME=VALUE\", for what takes its parameters from there. "
             "They hold for the whole key process."},
    {SECTION_PROVIDER, "properties", &conf_text, CONF_FIELD(struct provider_config, properties),
     .text = "Property query for the algorithms of a provider. Default: `provider=` and its name."},
    {SECTION_PROVIDER, "pin-file", &type_file, CONF_FIELD(struct provider_config, pin_file),
     .text = "File whose first line is the PIN of the token, or the pass phrase of its keys."},
    {SECTION_PROVIDER, "asynchronous", &conf_choice, .standard = "no", .choices = no_or_yes,
     CONF_FIELD(struct provider_config, asynchronous),
     .text = "Whether its signatures are made in ASYNC jobs, many at a time by one thread. For "
             "what pauses them while it waits (QAT); with all others it gains nothing, and their "
             "stack may be too small."},
    {SECTION_PROVIDER, "threads", &conf_number, .standard = "1", .least = 1, .most = THREADS_MAX,
     CONF_FIELD(struct provider_config, threads),
     .text = "Threads that use it: so many signatures at once, if it is not asynchronous."},
    {SECTION_PROVIDER, "timeout", &conf_duration, .standard = "5s", .least = NS_PER_US,
     .most = DURATION_MAX, CONF_FIELD(struct provider_config, timeout),
     .text = "How long it may take for a signature. A device that has made none for so long while "
             "one is waited for is taken to be away."},
    {SECTION_PROVIDER, "system-calls", &conf_texts,
     CONF_LIST(struct provider_config, system_calls.texts, system_calls.count),
     .text = "System calls that it makes while it signs, one by one or as `files`, `sockets` or "
             "`devices`. Default: for `pkcs11` files, for `tpm2` sockets, for `qatengine` and "
             "`qatprovider` devices, else none."},
};

/* The supervisor and the key process read the same text, and the key process has no environment. */
const struct conf_grammar immured_grammar = {
    .sections = sections,
    .section_count = SECTION_COUNT,
    .directives = directives,
    .directive_count = sizeof directives / sizeof *directives,
};

const char *directive_file(const struct conf_directive *directive, const void *target)
{
    if (directive->type != &type_file && directive->type != &type_uri)
        return NULL;
    const char *text = *(char *const *)((const char *)target + directive->offset);
    return text == NULL || directive->type == &type_file ? text : files_name_of_uri(text);
}
