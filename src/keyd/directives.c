#include "keyd/directives.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/duration.h"
#include "base/log.h"
#include "conf/grammar.h"
#include "keyd/config.h"

#define THREADS_MAX 256
#define DURATION_MAX (3600 * NS_PER_S)
#define EPOCH_MAX (24 * 3600 * NS_PER_S)

static bool set_number(void *target, const char *text)
{
    char *end;
    errno = 0;
    unsigned long number = strtoul(text, &end, 10);
    *(uint64_t *)target = number;
    return errno == 0 && *end == '\0' && text[0] != '-' && number >= 1 && number <= THREADS_MAX;
}

static bool set_text(void *target, const char *text)
{
    char *copy = strdup(text);
    if (copy == NULL || *text == '\0') {
        free(copy);
        return false;
    }
    free(*(char **)target);
    *(char **)target = copy;
    return true;
}

static bool set_duration(void *target, const char *text)
{
    uint64_t *ns = target;
    return duration_parse(text, ns) && *ns > 0 && *ns <= DURATION_MAX;
}

static bool set_epoch(void *target, const char *text)
{
    uint64_t *ns = target;
    return duration_parse(text, ns) && *ns >= NS_PER_S && *ns <= EPOCH_MAX && *ns % NS_PER_S == 0;
}

static bool set_policy(void *target, const char *text)
{
    return policy_find(text, target);
}

static bool set_decrypt(void *target, const char *text)
{
    *(bool *)target = strcmp(text, "tls-rsa-key-exchange") == 0;
    return *(bool *)target || strcmp(text, "no") == 0;
}

static bool set_log(void *target, const char *text)
{
    *(bool *)target = strcmp(text, "json") == 0;
    return *(bool *)target || strcmp(text, "plain") == 0;
}

static bool set_level(void *target, const char *text)
{
    static const char *const levels[] = {"error", "warning", "info", "debug"};
    for (int i = LOG_LEVEL_ERROR; i <= LOG_LEVEL_DEBUG; i++) {
        if (strcmp(levels[i], text) == 0) {
            *(int *)target = i;
            return true;
        }
    }
    return false;
}

static bool set_rate(void *target, const char *text)
{
    return rate_parse(text, target);
}

static bool set_audit(void *target, const char *text)
{
    *(bool *)target = strcmp(text, "all") == 0;
    return *(bool *)target || strcmp(text, "refusals") == 0;
}

static bool set_switch(void *target, const char *text)
{
    *(bool *)target = strcmp(text, "yes") == 0;
    return *(bool *)target || strcmp(text, "no") == 0;
}

static const struct directive_type type_number = {"number from 1 to 256", set_number};
static const struct directive_type type_text = {"text", set_text};
static const struct directive_type type_file = {"text", set_text};
static const struct directive_type type_uri = {"text", set_text};
static const struct directive_type type_list = {"list of texts", NULL};
static const struct directive_type type_duration = {"duration up to 1h: \"10s\", \"500ms\", \"5m\"",
                                                    set_duration};
static const struct directive_type type_epoch = {"whole seconds, from \"1s\" to \"24h\"",
                                                 set_epoch};
static const struct directive_type type_policy = {"tls-server, tls13-server, tls-client or any",
                                                  set_policy};
static const struct directive_type type_backend = {
    "auto, or name of a signing backend: openssl, multibuffer, provider:NAME", set_text};
static const struct directive_type type_switch = {"yes or no", set_switch};
static const struct directive_type type_decrypt = {"no or tls-rsa-key-exchange", set_decrypt};
static const struct directive_type type_log = {"plain or json", set_log};
static const struct directive_type type_rate = {"\"1000/s\", \"90/m\" or \"1000/s burst 50\"",
                                                set_rate};
static const struct directive_type type_audit = {"refusals or all", set_audit};
static const struct directive_type type_level = {"error, warning, info or debug", set_level};

const struct directive directives[] = {
    {SECTION_ALL, "threads", &type_number, offsetof(struct config, threads), NULL,
     "Signer threads. Default: one for each CPU that is online. A few ECDSA and Ed25519 signatures "
     "at a time are made without them, so that these never wait for RSA."},
    {SECTION_ALL, "yield", &type_switch, offsetof(struct config, yield), "no",
     "Whether signer threads use what time others leave (nice 19, SCHED_BATCH), so that they "
     "do not keep an event loop from running: for clients that do not wait for their signatures. "
     "One more thread, of ordinary weight, steps in when that is no time at all. immure-proxy says "
     "`yes` to its own immured where `signing` is `async`."},
    {SECTION_ALL, "listen", &type_text, offsetof(struct config, listen), NULL,
     "Path of a unix stream socket to accept clients on. A stale file of an immured that is gone "
     "is replaced. Only its owner may connect (mode 0600), or with any `allow-users` or "
     "`allow-groups` anybody (0666), who is then let in or not by uid and groups. Has no effect "
     "where immured is given a socket: by systemd, or by `--listen-fd` or `--session-fd`."},
    {SECTION_ALL, "user", &type_text, offsetof(struct config, user), NULL,
     "Name or number (uid and gid) to become when started as root. Default: `immured` if there is "
     "such a user, else 65533."},
    {SECTION_ALL, "require-secret-memory", &type_switch,
     offsetof(struct config, require_secret_memory), "no",
     "Whether immured refuses to start without memory that even root's tools cannot read "
     "(memfd_secret; before Linux 6.5 the kernel has it with `secretmem.enable=1` only, and "
     "RLIMIT_MEMLOCK must have room). `no`: keys are then in ordinary memory, locked and left out "
     "of core files, and a warning is logged."},
    {SECTION_ALL, "allow-users", &type_list, offsetof(struct config, allow.users), NULL,
     "Users (names or numbers) whose processes may connect and use the keys, besides root and the "
     "user that started immured."},
    {SECTION_ALL, "allow-groups", &type_list, offsetof(struct config, allow.groups), NULL,
     "Groups (names or numbers) whose processes may, too. A process is in a group if it is the "
     "process's own or one of its supplementary groups when it connects."},
    {SECTION_ALL, "rate", &type_rate, offsetof(struct config, rate), NULL,
     "How many signatures each client may ask for, with all keys together. What is more is refused "
     "at once (BUSY). A client is a uid, however many connections it has. The burst is what may "
     "come at once after a pause; default: what one second brings. Default: no limit."},
    {SECTION_ALL, "audit", &type_audit, offsetof(struct config, audit_all), "refusals",
     "What is written to standard error as a JSON object a line: each request that was refused, or "
     "`all`, each signature besides."},
    {SECTION_ALL, "backend", &type_backend, offsetof(struct config, backend), "auto",
     "What makes the signatures, of keys that do not say otherwise. `openssl`: libcrypto, one by "
     "one. `auto`: libcrypto, and whatever was measured at the start to sign many at once in less "
     "time."},
    {SECTION_ALL, "multibuffer-library", &type_text, offsetof(struct config, multibuffer_library),
     NULL,
     "Path of Intel's crypto_mb, of the backend `multibuffer`. Default: libcrypto_mb.so.13, .so.12 "
     "or .so.11, where the system has its libraries."},
    {SECTION_ALL, "queue-age", &type_duration, offsetof(struct config, queue_age), "2s",
     "How long a request may wait to be signed. Those that would wait for longer are refused at "
     "once (BUSY), the excess of a client that has more than its share first."},
    {SECTION_ALL, "hold", &type_duration, offsetof(struct config, hold), NULL,
     "How long a batch waits for more requests when it is not full. It saves CPU time under light "
     "load, and costs each signature up to that much time. Default: not at all."},
    {SECTION_ALL, "log", &type_log, offsetof(struct config, log_json), "plain",
     "Form of the log on standard error."},
    {SECTION_ALL, "log-level", &type_level, offsetof(struct config, log_level), "info",
     "The least important lines that are logged."},
    {SECTION_ALL, "stall-timeout", &type_duration, offsetof(struct config, stall_timeout), "10s",
     "How long a client may leave its replies unread before it is disconnected."},
    {SECTION_ALL, "ticket-secret-file", &type_file, offsetof(struct config, ticket_secret_file),
     NULL,
     "File of at least 32 random bytes, of which the keys of session tickets are derived, one for "
     "each epoch. Clients ask for those of the current epoch and the one before; they never get "
     "the secret. Servers with the same secret resume each other's sessions, also after a restart; "
     "another secret, read after HUP, ends all old tickets. Whoever may use any key may ask. "
     "Default: none, and none are given out."},
    {SECTION_ALL, "ticket-epoch", &type_epoch, offsetof(struct config, ticket_epoch), "1h",
     "How long a ticket key is used for new tickets; for as long again it opens those it has made. "
     "The same wherever the secret is, and the clocks of all within a few seconds."},
    {SECTION_KEY, "file", &type_file, offsetof(struct key_config, file), NULL,
     "PEM file with the private key: RSA of 2048 to 8192 bits, EC on P-256, P-384 or P-521, or "
     "Ed25519. Opened as the user that starts immured. Required, or `uri`."},
    {SECTION_KEY, "uri", &type_uri, offsetof(struct key_config, uri), NULL,
     "The key within a device, which it does not leave; `backend` names the provider. What OpenSSL "
     "finds by it: \"pkcs11:token=web;object=site\", \"handle:0x81010001\", or a file of the "
     "device's own form, \"file:/etc/immured/site.tss2\"."},
    {SECTION_KEY, "pass-phrase-file", &type_file, offsetof(struct key_config, pass_phrase_file),
     NULL, "File whose first line is the pass phrase of an encrypted key."},
    {SECTION_KEY, "policy", &type_policy, offsetof(struct key_config, policy), "tls-server",
     "What the key signs: a TLS server's handshake signatures (of TLS 1.2 and 1.3, or of 1.3 "
     "only), "
     "a TLS client's, or any message whatever."},
    {SECTION_KEY, "decrypt", &type_decrypt, offsetof(struct key_config, decrypt), "no",
     "Whether an RSA key also decrypts for TLS 1.2 with RSA key exchange, which has no forward "
     "secrecy. Clients get premaster secrets only, and never learn whether a ciphertext was good."},
    {SECTION_KEY, "backend", &type_backend, offsetof(struct key_config, backend), NULL,
     "What signs with this key. Default: the `backend` of all."},
    {SECTION_KEY, "allow-users", &type_list, offsetof(struct key_config, allow.users), NULL,
     "Users who may use this key and see it in a list of keys, besides root and the user that "
     "started immured. With this or `allow-groups` given, those of all keys do not hold for this "
     "one. Default: as for all."},
    {SECTION_KEY, "allow-groups", &type_list, offsetof(struct key_config, allow.groups), NULL,
     "Groups whose processes may, too."},
    {SECTION_KEY, "rate", &type_rate, offsetof(struct key_config, rate), NULL,
     "How many signatures each client may ask for with this key. Default: no limit but the `rate` "
     "of all."},
    {SECTION_KEY, "location", &type_text, offsetof(struct key_config, location), NULL,
     "What messages about this key begin with. Default: file and line of the key's `file` or "
     "`uri`."},
    {SECTION_PROVIDER, "module", &type_text, offsetof(struct provider_config, module), NULL,
     "An OpenSSL provider: its name, or the path of its file. Required, or `engine`."},
    {SECTION_PROVIDER, "engine", &type_text, offsetof(struct provider_config, engine), NULL,
     "An OpenSSL engine (OpenSSL 3 only): its id, or the path of its file."},
    {SECTION_PROVIDER, "parameters", &type_list, offsetof(struct provider_config, parameters), NULL,
     "Of a provider: lines as in its section of openssl.cnf. Of an engine: commands for it, "
     "\"NAME=VALUE\" or \"NAME\", in this order, before it is initialised."},
    {SECTION_PROVIDER, "environment", &type_list, offsetof(struct provider_config, environment),
     NULL,
     "Environment variables, \"NAME=VALUE\", for what takes its parameters from there. They hold "
     "for "
     "the whole key process."},
    {SECTION_PROVIDER, "properties", &type_text, offsetof(struct provider_config, properties), NULL,
     "Property query for the algorithms of a provider. Default: `provider=` and its name."},
    {SECTION_PROVIDER, "pin-file", &type_file, offsetof(struct provider_config, pin_file), NULL,
     "File whose first line is the PIN of the token, or the pass phrase of its keys."},
    {SECTION_PROVIDER, "asynchronous", &type_switch, offsetof(struct provider_config, asynchronous),
     "no",
     "Whether its signatures are made in ASYNC jobs, many at a time by one thread. For what pauses "
     "them while it waits (QAT); with all others it gains nothing, and their stack may be too "
     "small."},
    {SECTION_PROVIDER, "threads", &type_number, offsetof(struct provider_config, threads), "1",
     "Threads that use it: so many signatures at once, if it is not asynchronous."},
    {SECTION_PROVIDER, "timeout", &type_duration, offsetof(struct provider_config, timeout), "5s",
     "How long it may take for a signature. A device that has made none for so long while one is "
     "waited for is taken to be away."},
    {SECTION_PROVIDER, "system-calls", &type_list, offsetof(struct provider_config, system_calls),
     NULL,
     "System calls that it makes while it signs, one by one or as `files`, `sockets` or `devices`. "
     "Default: for `pkcs11` files, for `tpm2` sockets, for `qatengine` and `qatprovider` devices, "
     "else none."},
};
const size_t directive_count = sizeof directives / sizeof directives[0];

bool directive_names_backend(const struct directive *directive)
{
    return directive->type == &type_backend;
}

const struct directive *directive_find(enum section section, const char *name)
{
    for (size_t i = 0; i < directive_count; i++)
        if (directives[i].section == section && strcmp(directives[i].name, name) == 0)
            return &directives[i];
    return NULL;
}

const struct directive *directive_guess(enum section section, const char *name)
{
    for (size_t i = 0; i < directive_count; i++)
        if (directives[i].section == section && conf_is_slip(name, directives[i].name))
            return &directives[i];
    return NULL;
}

bool directive_set(const struct directive *directive, void *section, const char *text)
{
    return directive->type->set((char *)section + directive->offset, text);
}

static void text_list_free(struct text_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->texts[i]);
    free(list->texts);
    *list = (struct text_list){0};
}

bool directive_is_list(const struct directive *directive)
{
    return directive->type == &type_list;
}

bool directive_add(const struct directive *directive, void *section, size_t place, const char *text)
{
    struct text_list *list = (struct text_list *)((char *)section + directive->offset);
    if (place == 0)
        text_list_free(list);
    char **texts = realloc(list->texts, (list->count + 1) * sizeof(char *));
    if (texts == NULL)
        return false;
    list->texts = texts;
    texts[list->count] = NULL;
    return set_text(&texts[list->count++], text);
}

void directives_set_standards(enum section section, void *target)
{
    for (size_t i = 0; i < directive_count; i++)
        if (directives[i].section == section && directives[i].standard != NULL)
            directive_set(&directives[i], target, directives[i].standard);
}

const char *config_file_of_uri(const char *uri)
{
    static const char scheme[] = "file:";
    size_t length = sizeof scheme - 1;
    return strncmp(uri, scheme, length) == 0 ? uri + length : NULL;
}

/* The file that a text means; NULL: none. */
static const char *file_meant(const struct directive *directive, const char *text)
{
    if (text == NULL)
        return NULL;
    if (directive->type == &type_uri)
        return config_file_of_uri(text);
    return directive->type == &type_file ? text : NULL;
}

bool directives_open_files(enum section section, const void *target, struct file_table *files)
{
    for (size_t i = 0; i < directive_count; i++) {
        const struct directive *row = &directives[i];
        if (row->section != section || row->type->set != set_text)
            continue;
        const char *text = *(char *const *)((const char *)target + row->offset);
        const char *file = file_meant(row, text);
        if (file != NULL && !file_table_open(files, file))
            return false;
    }
    return true;
}

void directives_free(enum section section, void *target)
{
    for (size_t i = 0; i < directive_count; i++) {
        void *value = (char *)target + directives[i].offset;
        if (directives[i].section != section)
            continue;
        if (directives[i].type == &type_list)
            text_list_free(value);
        else if (directives[i].type->set == set_text)
            free(*(char **)value);
    }
}
