#include "keyd/config.h"

#include <confuse.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/config_text.h"
#include "base/duration.h"
#include "base/log.h"

#define THREADS_MAX 256
#define DURATION_MAX (3600 * NS_PER_S)

/* libconfuse's call-backs take no argument of ours, so this is where they find it. */
static struct loader {
    struct config *config;
    struct key_config key; /* the section that is being read */
    const struct backend *const *backends;
    const char *file;
    unsigned key_line;
} loader;

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

static bool set_policy(void *target, const char *text)
{
    return policy_find(text, target);
}

static bool set_decrypt(void *target, const char *text)
{
    *(bool *)target = strcmp(text, "tls-rsa-key-exchange") == 0;
    return *(bool *)target || strcmp(text, "no") == 0;
}

static bool set_backend(void *target, const char *text)
{
    bool known = strcmp(text, "auto") == 0;
    for (size_t i = 0; loader.backends[i] != NULL; i++)
        known |= strcmp(loader.backends[i]->name, text) == 0;
    return known && set_text(target, text);
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

struct directive_type {
    const char *name;
    bool (*set)(void *target, const char *text); /* NULL: a list of texts, see set_list() */
};
static const struct directive_type type_number = {"number from 1 to 256", set_number};
static const struct directive_type type_text = {"text", set_text};
static const struct directive_type type_list = {"list of texts", NULL};
static const struct directive_type type_duration = {"duration up to 1h: \"10s\", \"500ms\", \"5m\"",
                                                    set_duration};
static const struct directive_type type_policy = {"tls-server, tls13-server, tls-client or any",
                                                  set_policy};
static const struct directive_type type_backend = {"auto, or name of a signing backend",
                                                   set_backend};
static const struct directive_type type_decrypt = {"no or tls-rsa-key-exchange", set_decrypt};
static const struct directive_type type_log = {"plain or json", set_log};
static const struct directive_type type_rate = {"rate: \"1000/s\", \"90/m\", \"1000/s burst 50\"",
                                                set_rate};
static const struct directive_type type_audit = {"refusals or all", set_audit};
static const struct directive_type type_level = {"error, warning, info or debug", set_level};

/* All there is to configure. Offsets are into struct config, within `key` into struct key_config.
 */
static const struct directive {
    bool in_key;
    const char *name;
    const struct directive_type *type;
    size_t offset;
    const char *standard; /* NULL: none, or what the text says */
    const char *text;
} directives[] = {
    {false, "threads", &type_number, offsetof(struct config, threads), NULL,
     "Signer threads. Default: one for each CPU that is online. They use what time others leave "
     "them; one more, of ordinary weight, steps in when that is nothing. A few ECDSA and Ed25519 "
     "signatures at a time are made without them, so that these never wait for RSA."},
    {false, "listen", &type_text, offsetof(struct config, listen), NULL,
     "Path of a unix stream socket to accept clients on. A stale file of an immured that is gone "
     "is replaced. Only its owner may connect (mode 0600), or with any `allow-users` or "
     "`allow-groups` anybody (0666), who is then let in or not by uid and groups. Has no effect "
     "where immured is given a socket: by systemd, or by `--listen-fd` or `--session-fd`."},
    {false, "user", &type_text, offsetof(struct config, user), NULL,
     "Name or number (uid and gid) to become when started as root. Default: `immured` if there is "
     "such a user, else 65533."},
    {false, "allow-users", &type_list, offsetof(struct config, allow.users), NULL,
     "Users (names or numbers) whose processes may connect and use the keys, besides root and the "
     "user that started immured."},
    {false, "allow-groups", &type_list, offsetof(struct config, allow.groups), NULL,
     "Groups (names or numbers) whose processes may, too. A process is in a group if it is the "
     "process's own or one of its supplementary groups when it connects."},
    {false, "rate", &type_rate, offsetof(struct config, rate), NULL,
     "How many signatures each client may ask for, with all keys together. What is more is refused "
     "at once (BUSY). A client is a uid, however many connections it has. The burst is what may "
     "come at once after a pause; default: what one second brings. Default: no limit."},
    {false, "audit", &type_audit, offsetof(struct config, audit_all), "refusals",
     "What is written to standard error as a JSON object a line: each request that was refused, or "
     "`all`, each signature besides."},
    {false, "backend", &type_backend, offsetof(struct config, backend), "auto",
     "What makes the signatures, of keys that do not say otherwise. `openssl`: libcrypto, one by "
     "one. `auto`: libcrypto, and whatever was measured at the start to sign many at once in less "
     "time."},
    {false, "multibuffer-library", &type_text, offsetof(struct config, multibuffer_library), NULL,
     "Path of Intel's crypto_mb, of the backend `multibuffer`. Default: libcrypto_mb.so.13, .so.12 "
     "or .so.11, where the system has its libraries."},
    {false, "queue-age", &type_duration, offsetof(struct config, queue_age), "2s",
     "How long a request may wait to be signed. Those that would wait for longer are refused at "
     "once (BUSY), the excess of a client that has more than its share first."},
    {false, "hold", &type_duration, offsetof(struct config, hold), NULL,
     "How long a batch waits for more requests when it is not full. It saves CPU time under light "
     "load, and costs each signature up to that much time. Default: not at all."},
    {false, "log", &type_log, offsetof(struct config, log_json), "plain",
     "Form of the log on standard error."},
    {false, "log-level", &type_level, offsetof(struct config, log_level), "info",
     "The least important lines that are logged."},
    {false, "stall-timeout", &type_duration, offsetof(struct config, stall_timeout), "10s",
     "How long a client may leave its replies unread before it is disconnected."},
    {true, "file", &type_text, offsetof(struct key_config, file), NULL,
     "PEM file with the private key: RSA of 2048 to 8192 bits, EC on P-256, P-384 or P-521, or "
     "Ed25519. Read as the user that starts immured. Required."},
    {true, "pass-phrase-file", &type_text, offsetof(struct key_config, pass_phrase_file), NULL,
     "File whose first line is the pass phrase of an encrypted key."},
    {true, "policy", &type_policy, offsetof(struct key_config, policy), "tls-server",
     "What the key signs: a TLS server's handshake signatures (of TLS 1.2 and 1.3, or of 1.3 "
     "only), "
     "a TLS client's, or any message whatever."},
    {true, "decrypt", &type_decrypt, offsetof(struct key_config, decrypt), "no",
     "Whether an RSA key also decrypts for TLS 1.2 with RSA key exchange, which has no forward "
     "secrecy. Clients get premaster secrets only, and never learn whether a ciphertext was good."},
    {true, "backend", &type_backend, offsetof(struct key_config, backend), NULL,
     "What signs with this key. Default: the `backend` of all."},
    {true, "allow-users", &type_list, offsetof(struct key_config, allow.users), NULL,
     "Users who may use this key and see it in a list of keys, besides root and the user that "
     "started immured. With this or `allow-groups` given, those of all keys do not hold for this "
     "one. Default: as for all."},
    {true, "allow-groups", &type_list, offsetof(struct key_config, allow.groups), NULL,
     "Groups whose processes may, too."},
    {true, "rate", &type_rate, offsetof(struct key_config, rate), NULL,
     "How many signatures each client may ask for with this key. Default: no limit but the `rate` "
     "of all."},
    {true, "location", &type_text, offsetof(struct key_config, location), NULL,
     "What messages about this key begin with. Default: file and line of the key's `file`."},
};
#define DIRECTIVES (sizeof directives / sizeof directives[0])

static const struct directive *directive_find(bool in_key, const char *name)
{
    for (size_t i = 0; i < DIRECTIVES; i++)
        if (directives[i].in_key == in_key && strcmp(directives[i].name, name) == 0)
            return &directives[i];
    return NULL;
}

static void set_standards(bool in_key, void *target)
{
    for (size_t i = 0; i < DIRECTIVES; i++)
        if (directives[i].in_key == in_key && directives[i].standard != NULL)
            directives[i].type->set((char *)target + directives[i].offset, directives[i].standard);
}

static void free_list(struct text_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->texts[i]);
    free(list->texts);
    *list = (struct text_list){0};
}

static void free_access(struct access_config *allow)
{
    free_list(&allow->users);
    free_list(&allow->groups);
}

/* Called once an element with all there are so far. */
static bool set_list(struct text_list *list, cfg_opt_t *option)
{
    free_list(list);
    list->texts = calloc(cfg_opt_size(option) + 1, sizeof(char *));
    if (list->texts == NULL)
        return false;
    for (unsigned i = 0; i < cfg_opt_size(option); i++)
        if (!set_text(&list->texts[list->count++], cfg_opt_getnstr(option, i)))
            return false;
    return true;
}

/* libconfuse has read a value (the last, if it is one of a list). */
static int check_value(cfg_t *cfg, cfg_opt_t *option)
{
    bool in_key = strcmp(cfg_name(cfg), "key") == 0;
    const struct directive *directive = directive_find(in_key, cfg_opt_name(option));
    void *target = (in_key ? (char *)&loader.key : (char *)loader.config) + directive->offset;
    const char *text = cfg_opt_getnstr(option, 0);
    if (directive->type->set == NULL ? set_list(target, option)
                                     : directive->type->set(target, text)) {
        if (in_key && directive->offset == offsetof(struct key_config, file))
            loader.key_line = (unsigned)cfg->line;
        return 0;
    }
    cfg_error(cfg, "%s: \"%s\" was given, expected: %s", directive->name, text,
              directive->type->name);
    return -1;
}

static void free_key(struct key_config *key)
{
    free(key->name);
    free(key->location);
    free(key->file);
    free(key->pass_phrase_file);
    free(key->backend);
    free_access(&key->allow);
}

/* libconfuse has read a whole key section. */
static int check_key(cfg_t *cfg, cfg_opt_t *option)
{
    struct config *config = loader.config;
    struct key_config *key = &loader.key;
    const char *name = cfg_title(cfg_opt_getnsec(option, cfg_opt_size(option) - 1));
    if (key->file == NULL) {
        cfg_error(cfg, "key \"%s\": file is missing", name);
        return -1;
    }
    if (strlen(name) > WIRE_KEY_NAME_MAX) {
        cfg_error(cfg, "key: its name is longer than %d bytes", WIRE_KEY_NAME_MAX);
        return -1;
    }
    size_t size = (config->key_count + 1) * sizeof *config->keys;
    struct key_config *keys = realloc(config->keys, size);
    key->name = strdup(name);
    if (keys != NULL)
        config->keys = keys;
    if (keys == NULL || key->name == NULL ||
        (key->location == NULL &&
         asprintf(&key->location, "%s:%u", loader.file, loader.key_line) < 0)) {
        cfg_error(cfg, "out of memory");
        return -1;
    }
    keys[config->key_count++] = *key;
    *key = (struct key_config){0};
    set_standards(true, key);
    return 0;
}

static void report(cfg_t *cfg, const char *format, va_list arguments)
{
    char text[512];
    vsnprintf(text, sizeof text, format, arguments);
    log_error("%s:%d: %s", loader.file, cfg->line, text);
}

/* libconfuse's table, from ours. */
static void make_options(bool in_key, cfg_opt_t *options)
{
    size_t count = 0;
    for (size_t i = 0; i < DIRECTIVES; i++) {
        if (directives[i].in_key != in_key)
            continue;
        cfg_opt_t text = CFG_STR(directives[i].name, NULL, CFGF_NODEFAULT);
        cfg_opt_t list = CFG_STR_LIST(directives[i].name, NULL, CFGF_NODEFAULT);
        options[count] = directives[i].type->set == NULL ? list : text;
        options[count++].validcb = check_value;
    }
    options[count] = (cfg_opt_t)CFG_END();
}

static bool parse(const char *text)
{
    cfg_opt_t key_options[DIRECTIVES + 1], options[DIRECTIVES + 2];
    make_options(true, key_options);
    make_options(false, options + 1);
    cfg_opt_t keys = CFG_SEC("key", key_options, CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES);
    options[0] = keys;
    options[0].validcb = check_key;
    cfg_t *cfg = cfg_init(options, CFGF_NONE);
    if (cfg == NULL) {
        log_error("%s: out of memory", loader.file);
        return false;
    }
    cfg_set_error_function(cfg, report);
    /* it takes an empty text for an error */
    bool good = *text == '\0' || cfg_parse_buf(cfg, text) == CFG_SUCCESS;
    cfg_free(cfg);
    return good;
}

bool config_load(struct config *config, const char *file, const struct backend *const *backends)
{
    *config = (struct config){0};
    loader = (struct loader){.config = config, .backends = backends, .file = file};
    set_standards(false, config);
    set_standards(true, &loader.key);
    char *text = config_text_read(file);
    if (text == NULL) {
        log_error("%s: %s", file, strerror(errno));
        return false;
    }
    bool good = parse(text);
    free(text);
    free_key(&loader.key);
    if (good && config->key_count == 0) {
        log_error("%s: no key is configured", file);
        good = false;
    }
    if (config->threads == 0)
        config->threads = (uint64_t)sysconf(_SC_NPROCESSORS_ONLN);
    if (!good)
        config_free(config);
    return good;
}

void config_free(struct config *config)
{
    for (size_t i = 0; i < config->key_count; i++)
        free_key(&config->keys[i]);
    free(config->keys);
    free_access(&config->allow);
    free(config->listen);
    free(config->user);
    free(config->backend);
    free(config->multibuffer_library);
    *config = (struct config){0};
}

void config_print_directives(FILE *out)
{
    fprintf(out, "| directive | value | default | meaning |\n|---|---|---|---|\n");
    for (size_t i = 0; i < DIRECTIVES; i++)
        fprintf(out, "| %s`%s` | %s | %s%s%s | %s |\n", directives[i].in_key ? "`key` " : "",
                directives[i].name, directives[i].type->name,
                directives[i].standard != NULL ? "`" : "",
                directives[i].standard != NULL ? directives[i].standard : "",
                directives[i].standard != NULL ? "`" : "", directives[i].text);
}
