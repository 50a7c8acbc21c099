#include "proxy/worker/core/keyd_watch.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/hex.h"
#include "base/log.h"
#include "proxy/worker/route/certificate.h"
#include "proxy/worker/route/ticket_renewal.h"

/* Our own immured may still be reading its keys. */
#define KEYS_TIMEOUT (30 * NS_PER_S)
#define FIGURES_TIMEOUT (300 * NS_PER_MS)
#define LOOK_TIMEOUT (2 * NS_PER_S)

struct held_keys {
    uint8_t (*ids)[IMMURE_KEY_ID_SIZE];
    size_t count;
    bool short_of_memory;
};

bool keyd_watch_open(struct keyd_watch *watch, int control, void *owner,
                     void (*command)(void *owner, const struct control_message *message))
{
    *watch = (struct keyd_watch){.link = {.owner = owner, .command = command},
                                 .figures = KEYD_FIGURES_INIT};
    return keylink_open(&watch->link, control, SIGNING_SYNC, 1);
}

void keyd_watch_close(struct keyd_watch *watch)
{
    keylink_close(&watch->link);
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

static bool is_held(const struct held_keys *held, const struct tls_certificate *certificate)
{
    for (size_t i = 0; i < held->count; i++)
        if (memcmp(held->ids[i], certificate->key_id, IMMURE_KEY_ID_SIZE) == 0)
            return true;
    return false;
}

static void describe(const struct tls *tls, const struct tls_certificate *certificate, char *text,
                     size_t size)
{
    char id[2 * IMMURE_KEY_ID_SIZE + 1];
    snprintf(text, size, "%s:%d: certificate: immured holds %s private key for %s (key id %s)",
             tls->setup->config->file, certificate->config->line, certificate->keyless ? "no" : "a",
             certificate->config->chain, hex_encode(certificate->key_id, IMMURE_KEY_ID_SIZE, id));
}

/* With `tell`, logs a change. */
static void note_keyless(const struct held_keys *held, const struct tls *tls,
                         struct tls_certificate *certificate, bool tell)
{
    char text[sizeof((struct conf_error *)NULL)->text];
    bool before = certificate->keyless;
    certificate->keyless = !is_held(held, certificate);
    if (!tell || certificate->keyless == before)
        return;
    describe(tls, certificate, text, sizeof text);
    if (certificate->keyless)
        log_error("%s: its names are not served", text);
    else
        log_info("%s again", text);
}

/* The first certificate that is keyless, or NULL. */
static const struct tls_certificate *note_all(const struct held_keys *held, const struct tls *tls,
                                              bool tell)
{
    const struct tls_certificate *first = NULL;
    for (size_t i = 0; i < tls->certificate_count; i++) {
        struct tls_certificate *certificate = &tls->certificates[i];
        note_keyless(held, tls, certificate, tell);
        if (first == NULL && certificate->keyless)
            first = certificate;
    }
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

bool keyd_watch_check(struct keyd_watch *watch, const struct tls *tls, struct conf_error *error)
{
    struct held_keys held;
    bool again = tls->setup->again;
    enum immure_error result = ask_for_keys(watch, KEYS_TIMEOUT, &held);
    const struct tls_certificate *missing =
        result == IMMURE_OK ? note_all(&held, tls, again) : NULL;
    if (result != IMMURE_OK)
        snprintf(error->text, sizeof error->text, "%s: cannot ask immured for its keys: %s",
                 tls->setup->config->file, immure_error_text(result));
    else if (missing != NULL)
        describe(tls, missing, error->text, sizeof error->text);
    free(held.ids);
    return result == IMMURE_OK && (missing == NULL || again);
}

bool keyd_watch_look(struct keyd_watch *watch, const struct tls *tls)
{
    struct held_keys held;
    bool known = ask_for_keys(watch, LOOK_TIMEOUT, &held) == IMMURE_OK;
    if (known)
        note_all(&held, tls, true);
    else
        watch->uptime = UINT64_MAX; /* so that keyd_watch_ask() reports another immured */
    free(held.ids);
    return known;
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
