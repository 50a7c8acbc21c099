#include "proxy/worker/core/keyd_watch.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/hex.h"
#include "base/log.h"
#include "proxy/worker/route/ticket_renewal.h"

/* Our own immured may still be reading its keys. */
#define KEYS_TIMEOUT (30 * NS_PER_S)
#define FIGURES_TIMEOUT (300 * NS_PER_MS)
#define LOOK_TIMEOUT (2 * NS_PER_S)
#define LINES_MAX 100 /* about certificates, each time */

struct held_keys {
    uint8_t (*ids)[IMMURE_KEY_ID_SIZE];
    size_t count;
    bool short_of_memory;
};

bool keyd_watch_open(struct keyd_watch *watch, const struct shared_store *shared, int control,
                     void *owner,
                     void (*command)(void *owner, const struct control_message *message,
                                     int descriptor))
{
    *watch = (struct keyd_watch){.link = {.owner = owner, .command = command},
                                 .store = shared->store,
                                 .keyless = shared->keyless,
                                 .figures = KEYD_FIGURES_INIT};
    return keylink_open(&watch->link, control, SIGNING_SYNC, 1);
}

void keyd_watch_close(struct keyd_watch *watch)
{
    keylink_close(&watch->link);
}

void keyd_watch_use(struct keyd_watch *watch, const struct shared_store *shared)
{
    watch->store = shared->store;
    watch->keyless = shared->keyless;
}

static void note_key(void *arg, const struct immure_reply *reply)
{
    struct held_keys *held = arg;
    if (reply->key == NULL)
        return;
    void *ids = reallocarray(held->ids, held->count + 1, IMMURE_KEY_ID_SIZE);
    held->short_of_memory |= ids == NULL;
    if (ids != NULL) {
        held->ids = ids;
        memcpy(held->ids[held->count++], reply->key->id, IMMURE_KEY_ID_SIZE);
    }
}

static int compare_ids(const void *a, const void *b)
{
    return memcmp(a, b, IMMURE_KEY_ID_SIZE);
}

static bool is_held(const struct held_keys *held, const struct store_certificate *certificate)
{
    return bsearch(certificate->key_id, held->ids, held->count, IMMURE_KEY_ID_SIZE, compare_ids) !=
           NULL;
}

static void describe(const struct keyd_watch *watch, uint32_t number, char *text, size_t size)
{
    char id[2 * IMMURE_KEY_ID_SIZE + 1];
    const struct store *store = watch->store;
    const struct store_certificate *certificate = store_certificate(store, number);
    snprintf(text, size, "%s:%u: certificate: immured holds %s private key for %s (key id %s)",
             store_text(store, certificate->where), certificate->line,
             watch->keyless[number] ? "no" : "a",
             store_text(store, certificate->files[STORE_CHAIN_FILE].path),
             hex_encode(certificate->key_id, IMMURE_KEY_ID_SIZE, id));
}

static void log_change(const struct keyd_watch *watch, uint32_t number)
{
    char text[sizeof((struct conf_error *)NULL)->text];
    describe(watch, number, text, sizeof text);
    if (watch->keyless[number])
        log_error("%s: its names are not served", text);
    else
        log_info("%s again", text);
}

/* Logs what has changed, except for certificates that are `required`. Returns the first of these
 * that is keyless, or STORE_NONE. */
static uint32_t note_all(struct keyd_watch *watch, struct held_keys *held, bool required)
{
    uint32_t first = STORE_NONE;
    size_t changes = 0;
    if (held->count > 0)
        qsort(held->ids, held->count, IMMURE_KEY_ID_SIZE, compare_ids);
    for (uint32_t i = 0; i < store_certificate_count(watch->store); i++) {
        const struct store_certificate *certificate = store_certificate(watch->store, i);
        bool keyless = !is_held(held, certificate);
        bool changed = keyless != atomic_exchange(&watch->keyless[i], keyless);
        if (required && certificate->required)
            first = keyless && first == STORE_NONE ? i : first;
        else if (changed && changes++ < LINES_MAX)
            log_change(watch, i);
    }
    if (changes > LINES_MAX)
        log_error("certificates: %zu more have lost their keys, or have them again; the status "
                  "page lists them",
                  changes - LINES_MAX);
    return first;
}

static enum immure_error ask_for_keys(struct keyd_watch *watch, uint64_t timeout,
                                      struct held_keys *held)
{
    *held = (struct held_keys){0};
    const struct immure_request request = {
        .operation = IMMURE_LIST, .callback = note_key, .arg = held};
    enum immure_error result = immure_blocking_request(watch->link.blocking, &request, timeout);
    return held->short_of_memory ? IMMURE_E_MEMORY : result;
}

bool keyd_watch_check(struct keyd_watch *watch, const char *config_file, bool again,
                      struct conf_error *error)
{
    struct held_keys held;
    enum immure_error result = ask_for_keys(watch, KEYS_TIMEOUT, &held);
    uint32_t missing = result == IMMURE_OK ? note_all(watch, &held, !again) : STORE_NONE;
    if (result != IMMURE_OK)
        snprintf(error->text, sizeof error->text, "%s: cannot ask immured for its keys: %s",
                 config_file, immure_error_text(result));
    else if (missing != STORE_NONE)
        describe(watch, missing, error->text, sizeof error->text);
    free(held.ids);
    return result == IMMURE_OK && missing == STORE_NONE;
}

bool keyd_watch_look(struct keyd_watch *watch)
{
    struct held_keys held;
    bool known = ask_for_keys(watch, LOOK_TIMEOUT, &held) == IMMURE_OK;
    if (known)
        note_all(watch, &held, false);
    else
        watch->uptime = UINT64_MAX; /* so that keyd_watch_ask() reports another immured */
    free(held.ids);
    return known;
}

void keyd_watch_lacks(const struct keyd_watch *watch, struct keyless_keys *keyless)
{
    *keyless = (struct keyless_keys){0};
    for (uint32_t i = 0; i < store_certificate_count(watch->store); i++) {
        if (!watch->keyless[i])
            continue;
        if (keyless->count < KEYLESS_IDS_MAX)
            memcpy(keyless->ids[keyless->count], store_certificate(watch->store, i)->key_id,
                   CONTROL_KEY_ID_SIZE);
        keyless->count++;
    }
}

struct first_tickets {
    struct ticket_keys *keys;
    uint64_t *at;
};

static void note_tickets(void *arg, const struct immure_reply *reply)
{
    const struct first_tickets *first = arg;
    const struct immure_ticket_keys *given = reply->ticket_keys;
    if (reply->error == IMMURE_OK) {
        ticket_renewal_convert(given, first->keys);
        *first->at = clock_now() + given->time_left_ns;
        log_info("session tickets: keys from immured, for epochs of %" PRIu64 " s",
                 given->epoch_ns / NS_PER_S);
    } else if (reply->error != IMMURE_E_NO_TICKETS) {
        log_warning("session tickets: the master's own keys, because immured gives none: %s",
                    reply->error_text);
    }
}

bool keyd_watch_tickets(struct keyd_watch *watch, struct ticket_keys *keys, uint64_t *at)
{
    struct first_tickets first = {.keys = keys, .at = at};
    const struct immure_request request = {
        .operation = IMMURE_TICKET_KEYS, .callback = note_tickets, .arg = &first};
    return immure_blocking_request(watch->link.blocking, &request, KEYS_TIMEOUT) == IMMURE_OK;
}

struct figures_asked {
    struct keyd_watch *watch;
    bool another;
};

static void note_figures(void *arg, const struct immure_reply *reply)
{
    struct figures_asked *asked = arg;
    if (reply->error != IMMURE_OK)
        return;
    keyd_figures_set(&asked->watch->figures, reply->stats, reply->stat_count);
    for (size_t i = 0; i < reply->stat_count; i++) {
        const struct immure_stat *stat = &reply->stats[i];
        if (stat->name == NULL || strcmp(stat->name, "uptime_seconds") != 0)
            continue;
        asked->another = stat->value <= asked->watch->uptime;
        asked->watch->uptime = stat->value;
    }
}

bool keyd_watch_ask(struct keyd_watch *watch)
{
    struct figures_asked asked = {.watch = watch};
    const struct immure_request request = {
        .operation = IMMURE_STATS, .callback = note_figures, .arg = &asked};
    immure_blocking_request(watch->link.blocking, &request, FIGURES_TIMEOUT);
    return asked.another;
}
