#include "keyd/process/directives.h"

#include <string.h>

#include "base/clock.h"
#include "conf/choices.h"
#include "conf/value.h"
#include "keyd/keys/files.h"
#include "keyd/process/config.h"
#include "wire/stats.h"

#define THREADS_MAX 256
#define DURATION_MAX (3600 * NS_PER_S)
#define KEY_CACHE_MAX 1000000
#define EPOCH_MAX (24 * 3600 * NS_PER_S)

static bool store_policy(struct conf_store *store)
{
    return policy_find(store->values[0].text, store->field) || conf_store_refuse_value(store);
}

/* Other policies need the public key before the message is accepted, and compact keys are decoded
 * afterwards. */
static bool store_server_policy(struct conf_store *store)
{
    enum policy *policy = store->field;
    return (policy_find(store->values[0].text, policy) && policy_is_server(*policy)) ||
           conf_store_refuse_value(store);
}

static bool store_rate(struct conf_store *store)
{
    return rate_parse(store->values[0].text, store->field) || conf_store_refuse_value(store);
}

/* load.c checks later, when all is read, whether a provider section of that name exists. */
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

/* Refuses abstract sockets: while immured is down anybody can bind the name, and clients would ask
 * a stranger; and such a socket has no mode. */
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
static const struct conf_type type_server_policy = {
    .values = "tls-server, tls13-server or tls12-server", .store = store_server_policy};
static const struct conf_type type_rate = {.values = "\"1000/s\", \"90/m\" or \"1000/s burst 50\"",
                                           .store = store_rate};
static const struct conf_type type_driver = {.values = "auto, " WIRE_NAME_OPENSSL
                                                       ", " WIRE_NAME_MULTIBUFFER
                                                       " or " WIRE_NAME_PROVIDER ":NAME",
                                             .store = store_driver,
                                             .clear = conf_clear_text};
static const struct conf_type type_socket = {
    .values = "path", .store = store_socket, .clear = conf_clear_text};
static const struct conf_type type_file = {
    .values = "file", .store = store_text, .clear = conf_clear_text};
static const struct conf_type type_uri = {
    .values = "URI", .store = store_text, .clear = conf_clear_text};

static const struct conf_choice no_or_yes[] = {{"no", false}, {"yes", true}, {NULL, 0}};
static const struct conf_choice decrypt_forms[] = {
    {"no", false}, {"tls-rsa-key-exchange", true}, {NULL, 0}};
static const struct conf_choice groups[] = {{"common", false}, {"all", true}, {NULL, 0}};
static const struct conf_choice audit_forms[] = {{"refusals", false}, {"all", true}, {NULL, 0}};
static const struct conf_choice verify_forms[] = {{"all", false}, {"not-ecdsa", true}, {NULL, 0}};

static const struct conf_kind sections[SECTION_COUNT] = {
    [SECTION_TOP] = {.name = "", .introduction = "Outside of all sections."},
    [SECTION_KEY] = {.name = "key",
                     .named = true,
                     .introduction = "`key \"NAME\" { ... }`, one or more. The name is what a "
                                     "client sees in a list of keys."},
    [SECTION_KEYS] = {.name = "keys",
                      .named = true,
                      .introduction =
                          "`keys \"NAME\" { ... }`: what applies to all keys that a supervisor "
                          "hands over for this section, at the start and at run time. They may be "
                          "a hundred thousand: each is decoded when it is used, and kept in "
                          "`key-cache`. immure-proxy writes such sections for its own immured."},
    [SECTION_PROVIDER] = {.name = "provider",
                          .named = true,
                          .introduction =
                              "`provider \"NAME\" { ... }`: an OpenSSL provider or engine, for "
                              "keys in a device or for a device that signs with keys in memory."},
};

static const struct conf_directive directives[] = {
    {SECTION_TOP, "threads", &conf_number, .standard = "auto", .least = 1, .most = THREADS_MAX,
     .choices = conf_automatic, CONF_FIELD(struct keyd_config, threads),
     .text = "The number of signer threads. `auto`: one for each CPU that is online. Signatures "
             "that were measured to take at most 50 us are made without these threads while they "
             "are few, so that they never wait for RSA."},
    {SECTION_TOP, "yield", &conf_choice, .standard = "no", .choices = no_or_yes,
     CONF_FIELD(struct keyd_config, yield),
     .text = "Whether signer threads use only the CPU time that others leave (nice 19, "
             "SCHED_BATCH), so that they do not delay event loops. It is meant for clients that do "
             "not wait for their signatures. One more thread, of ordinary weight, steps in when no "
             "time is left. immure-proxy sets `yes` for its own immured if `signing` is `async`."},
    {SECTION_TOP, "listen", &type_socket, CONF_FIELD(struct keyd_config, listen),
     .text = "Path of a unix stream socket to accept clients on. A stale file of an immured that "
             "is gone is replaced; a file that was removed is made again at HUP. Only its owner "
             "may connect (mode 0600). With any `allow-users` or `allow-groups` anybody may "
             "connect (0666), and immured decides by uid and groups. This directive has no effect "
             "if immured is given a socket by systemd, `--listen-fd` or `--session-fd`."},
    {SECTION_TOP, "user", &conf_text, CONF_FIELD(struct keyd_config, user),
     .text = "The user, by name or number (uid and gid), that immured becomes when it is started "
             "as root. Default: `immured` if there is such a user, else 65533."},
    {SECTION_TOP, "require-secret-memory", &conf_choice, .standard = "no", .choices = no_or_yes,
     CONF_FIELD(struct keyd_config, require_secret_memory),
     .text = "Whether immured refuses to start without memory that even root's tools cannot read "
             "(memfd_secret; before Linux 6.5 the kernel needs `secretmem.enable=1`, and "
             "RLIMIT_MEMLOCK must be large enough). `no`: without it keys are in ordinary memory, "
             "locked and left out of core files, and a warning is logged."},
    {SECTION_TOP, "allow-users", &conf_texts,
     CONF_LIST(struct keyd_config, allow.users.texts, allow.users.count),
     .text = "Users (names or numbers) whose processes may connect and use the keys, besides root "
             "and the user that started immured."},
    {SECTION_TOP, "allow-groups", &conf_texts,
     CONF_LIST(struct keyd_config, allow.groups.texts, allow.groups.count),
     .text = "Groups (names or numbers) whose processes may do so, too. A process belongs to a "
             "group if, when it connects, that is its own group or a supplementary one."},
    {SECTION_TOP, "rate", &type_rate, CONF_FIELD(struct keyd_config, server.rate),
     .text = "How many signatures each client may ask for, over all keys. Further requests are "
             "refused at once (BUSY). A client is a uid, however many connections it has. A "
             "request that is refused for its content counts; one that is refused for want of room "
             "does not. The burst is how many requests may come at once after a pause; by default "
             "those of one second. Default: no limit."},
    {SECTION_TOP, "audit", &conf_choice, .standard = "refusals", .choices = audit_forms,
     CONF_FIELD(struct keyd_config, audit_all),
     .text = "What is written to standard error, one JSON object per line: each request that was "
             "refused, or with `all` each signature, too."},
    {SECTION_TOP, "backend", &type_driver, .standard = "auto",
     CONF_FIELD(struct keyd_config, driver),
     .text = "What signs, unless a key has a `backend` of its own. `openssl`: libcrypto, one "
             "signature at a time. `auto`: libcrypto, and for many signatures at once whatever "
             "immured has measured at the start to be faster."},
    {SECTION_TOP, "multibuffer-library", &conf_text,
     CONF_FIELD(struct keyd_config, multibuffer.library),
     .text = "Path of Intel's crypto_mb, for the backend `multibuffer`. Default: "
             "libcrypto_mb.so.13, .so.12 or .so.11 of the system."},
    {SECTION_TOP, "verify", &conf_choice, .standard = "all", .choices = verify_forms,
     CONF_FIELD(struct keyd_config, compact.ecdsa_unverified),
     .text = "Which signatures are verified with the public key before they are released. "
             "`not-ecdsa`: all but those of EC keys that no device serves. That saves 60 us of CPU "
             "time for each signature on P-256 without `multibuffer`, and 10 us with it. A "
             "signature that was computed with a fault may then give the key away."},
    {SECTION_TOP, "key-cache", &conf_number, .standard = "1000", .least = 1, .most = KEY_CACHE_MAX,
     CONF_FIELD(struct keyd_config, compact.ready_max),
     .text = "How many keys of `keys` sections are kept decoded. Each takes about 8 KiB of secret "
             "memory (P-256) to 30 KiB (RSA-4096). A signer thread decodes the others when they "
             "are used, and examines each of them the first time."},
    {SECTION_TOP, "queue-age", &conf_duration, .standard = "2s", .least = NS_PER_US,
     .most = DURATION_MAX, CONF_FIELD(struct keyd_config, queue_age),
     .text = "How long a request may wait to be signed. If requests would have to wait for longer, "
             "those of a uid that has more than its share are refused at once (BUSY), first those "
             "of connections that have more than their share of the uid's."},
    {SECTION_TOP, "hold", &conf_duration, .least = NS_PER_US, .most = DURATION_MAX,
     CONF_FIELD(struct keyd_config, hold),
     .text =
         "How long a batch waits for more requests when it is not full. It saves CPU time under "
         "light load, and costs each signature up to that much time. Default: not at all."},
    {SECTION_TOP, "log", &conf_choice, .standard = "plain", .choices = conf_log_forms,
     CONF_FIELD(struct keyd_config, log_json), .text = "Form of the log on standard error."},
    {SECTION_TOP, "log-level", &conf_choice, .standard = "info", .choices = conf_log_levels,
     CONF_FIELD(struct keyd_config, log_level),
     .text = "The least important lines that are logged."},
    {SECTION_TOP, "stall-timeout", &conf_duration, .standard = "10s", .least = NS_PER_US,
     .most = DURATION_MAX, CONF_FIELD(struct keyd_config, server.stall_timeout),
     .text = "How long a client may leave its replies unread before it is disconnected."},
    {SECTION_TOP, "ticket-secret-file", &type_file,
     CONF_FIELD(struct keyd_config, tickets.secret_file),
     .text = "File of at least 32 random bytes, from which the keys of session tickets are "
             "derived, one for each epoch. Clients that may use any key can ask for the ticket "
             "keys of the current epoch and the one before; they never get the secret. Servers "
             "with the same secret resume each other's sessions, also after a restart. A new "
             "secret, read after HUP, ends all old tickets. Default: no ticket keys are given "
             "out."},
    {SECTION_TOP, "ticket-epoch", &conf_seconds, .standard = "1h", .least = NS_PER_S,
     .most = EPOCH_MAX, CONF_FIELD(struct keyd_config, tickets.epoch),
     .text =
         "How long a ticket key is used for new tickets; for as long again it opens the tickets "
         "that it has made. All servers with the same secret need the same epoch, and clocks that "
         "agree within a few seconds."},
    {SECTION_KEY, "file", &type_file, CONF_FIELD(struct key_config, file),
     .text = "PEM file with the private key: RSA of 2048 to 8192 bits, EC on P-256, P-384 or "
             "P-521, or Ed25519. It is opened as the user that starts immured. Either this or "
             "`uri` is required."},
    {SECTION_KEY, "uri", &type_uri, CONF_FIELD(struct key_config, uri),
     .text = "A key that never leaves its device; `backend` names the provider. OpenSSL finds the "
             "key by its URI: \"pkcs11:token=web;object=site\", \"handle:0x81010001\", or a file "
             "in the device's own format, \"file:/etc/immured/site.tss2\"."},
    {SECTION_KEY, "pass-phrase-file", &type_file, CONF_FIELD(struct key_config, pass_phrase_file),
     .text = "File whose first line is the pass phrase of an encrypted key."},
    {SECTION_KEY, "policy", &type_policy, .standard = "tls-server",
     CONF_FIELD(struct key_config, policy),
     .text =
         "What the key signs. `tls-server`: a TLS server's handshake signatures in TLS 1.3, and in "
         "TLS 1.2 if the end of the server's random says that it has TLS 1.3, too (RFC 8446, "
         "section 4.1.3). `tls13-server`: in TLS 1.3 only. `tls12-server`: in TLS 1.3 and 1.2, for "
         "a server without TLS 1.3; fewer bytes of the message are fixed, and the log warns. "
         "`tls-client`: a TLS client's handshake signatures in TLS 1.3 and 1.2. `any`: any "
         "message."},
    {SECTION_KEY, "tls12-groups", &conf_choice, .standard = "common", .choices = groups,
     CONF_FIELD(struct key_config, every_group),
     .text = "The groups of ECDHE for which a TLS 1.2 server's signature is made. `common`: "
             "x25519, secp256r1 and secp384r1. `all`: secp521r1 and x448, too, which no client "
             "needs and which let the client of immured choose more bytes of the message. A "
             "handshake with any other group fails, so a server should offer no other."},
    {SECTION_KEY, "decrypt", &conf_choice, .standard = "no", .choices = decrypt_forms,
     CONF_FIELD(struct key_config, decrypt),
     .text = "Whether an RSA key also decrypts for TLS 1.2 with RSA key exchange, which has no "
             "forward secrecy. Clients get premaster secrets only, and never learn whether a "
             "ciphertext was good."},
    {SECTION_KEY, "backend", &type_driver, CONF_FIELD(struct key_config, driver),
     .text = "What signs with this key. Default: the general `backend`."},
    {SECTION_KEY, "allow-users", &conf_texts,
     CONF_LIST(struct key_config, allow.users.texts, allow.users.count),
     .text = "Users who may use this key and see it in a list of keys, besides root and the user "
             "that started immured. If this or `allow-groups` is given, the general lists do not "
             "apply to this key. Default: the general lists."},
    {SECTION_KEY, "allow-groups", &conf_texts,
     CONF_LIST(struct key_config, allow.groups.texts, allow.groups.count),
     .text = "Groups whose processes may do so, too."},
    {SECTION_KEY, "rate", &type_rate, CONF_FIELD(struct key_config, rate),
     .text = "How many signatures each client may ask for with this key. Default: only the general "
             "`rate` applies."},
    {SECTION_KEY, "location", &conf_text, CONF_FIELD(struct key_config, location),
     .text = "The text with which messages about this key begin. Default: file and line of the "
             "key's `file` or `uri`."},
    {SECTION_KEYS, "pass-phrase-file", &type_file,
     CONF_FIELD(struct key_group_config, pass_phrase_file),
     .text = "File whose first line is the pass phrase of those keys that are encrypted."},
    {SECTION_KEYS, "policy", &type_server_policy, .standard = "tls-server",
     CONF_FIELD(struct key_group_config, policy),
     .text = "What the keys sign, as in a `key` section."},
    {SECTION_KEYS, "tls12-groups", &conf_choice, .standard = "common", .choices = groups,
     CONF_FIELD(struct key_group_config, every_group), .text = "As in a `key` section."},
    {SECTION_KEYS, "allow-users", &conf_texts,
     CONF_LIST(struct key_group_config, allow.users.texts, allow.users.count),
     .text = "As in a `key` section."},
    {SECTION_KEYS, "allow-groups", &conf_texts,
     CONF_LIST(struct key_group_config, allow.groups.texts, allow.groups.count),
     .text = "As in a `key` section."},
    {SECTION_KEYS, "rate", &type_rate, CONF_FIELD(struct key_group_config, rate),
     .text = "How many signatures each client may ask for, with all these keys together. Default: "
             "only the general `rate` applies."},
    {SECTION_KEYS, "location", &conf_text, CONF_FIELD(struct key_group_config, location),
     .text = "The text with which messages about these keys begin. Default: file and line of the "
             "section."},
    {SECTION_PROVIDER, "module", &conf_text, CONF_FIELD(struct provider_config, module),
     .text = "An OpenSSL provider: its name, or the path of its file. Either this or `engine` is "
             "required."},
    {SECTION_PROVIDER, "engine", &conf_text, CONF_FIELD(struct provider_config, engine),
     .text = "An OpenSSL engine (OpenSSL 3 only): its id, or the path of its file."},
    {SECTION_PROVIDER, "parameters", &conf_texts,
     CONF_LIST(struct provider_config, parameters.texts, parameters.count),
     .text = "For a provider: lines as in its section of openssl.cnf. For an engine: commands, "
             "\"NAME=VALUE\" or \"NAME\", which are run in this order before it is initialised."},
    {SECTION_PROVIDER, "environment", &conf_texts,
     CONF_LIST(struct provider_config, environment.texts, environment.count),
     .text = "Environment variables, \"NAME=VALUE\", for modules that take parameters from the "
             "environment. They are set for the whole key process."},
    {SECTION_PROVIDER, "properties", &conf_text, CONF_FIELD(struct provider_config, properties),
     .text = "Property query for the algorithms of a provider. Default: `provider=` and the "
             "provider's name."},
    {SECTION_PROVIDER, "pin-file", &type_file, CONF_FIELD(struct provider_config, pin_file),
     .text = "File whose first line is the PIN of the token, or the pass phrase of its keys."},
    {SECTION_PROVIDER, "asynchronous", &conf_choice, .standard = "no", .choices = no_or_yes,
     CONF_FIELD(struct provider_config, asynchronous),
     .text = "Whether signatures are made in ASYNC jobs, many at a time by one thread. This is for "
             "modules that pause a job while it waits for the device (QAT). With all others it "
             "gains nothing, and the stack of a job may be too small."},
    {SECTION_PROVIDER, "threads", &conf_number, .standard = "1", .least = 1, .most = THREADS_MAX,
     CONF_FIELD(struct provider_config, threads),
     .text = "The number of threads that use the module, and so of signatures at a time, if it is "
             "not asynchronous."},
    {SECTION_PROVIDER, "timeout", &conf_duration, .standard = "5s", .least = NS_PER_US,
     .most = DURATION_MAX, CONF_FIELD(struct provider_config, timeout),
     .text = "How long a signature may take. A device that has made none for this time while one "
             "is being waited for counts as away."},
    {SECTION_PROVIDER, "system-calls", &conf_texts,
     CONF_LIST(struct provider_config, system_calls.texts, system_calls.count),
     .text = "System calls that the module makes while it signs, one by one or as a group: "
             "`files`, `sockets` or `devices`. Default: `files` for `pkcs11`, `sockets` for "
             "`tpm2`, `devices` for `qatengine` and `qatprovider`, else none."},
};

/* The grammar takes no values from the environment: the key process has none, and must read the
 * same from the text as the supervisor. */
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
