#include "proxy/worker/keyd_watch.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/hex.h"
#include "base/log.h"
#include "proxy/worker/certificate.h"
#include "proxy/worker/ticket_renewal.h"

/* Our own immured may still be reading its keys. */
#define KEYS_TIMEOUT (30 * NS_PER_S)
#define FIGURES_TIMEOUT (300 * NS_PER_MS)

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

static void note_key(void *arg, const struct immure_key *key, enum immure_error error)
{
    struct held_keys *held = arg;
    (void)error;
    if (key == NULL)
        return;
    void *ids = reallocarray(held->ids, held->count + 1, IMMURE_KEY_ID_SIZE);
    held->short_of_memory |= ids == NULL;
    if (ids != NULL) {
        held->ids = ids;
        memcpy(held->ids[held->count++], key->id, IMMURE_KEY_ID_SIZE);
    }
}

static bool is_held(const struct held_keys *held, const struct tls_certificate *certificate)
{
    for (size_t i = 0; i < held->count; i++)
        if (memcmp(held->ids[i], certificate->key_id, IMMURE_KEY_ID_SIZE) == 0)
            return true;
    return false;
}

static const struct tls_certificate *first_missing(const struct held_keys *held,
                                                   const struct tls *tls)
{
    for (size_t i = 0; i < tls->frontend_count; i++)
        for (size_t j = 0; j < tls->frontends[i].certificate_count; j++)
            if (!is_held(held, &tls->frontends[i].certificates[j]))
                return &tls->frontends[i].certificates[j];
    return NULL;
}

bool keyd_watch_check(struct keyd_watch *watch, const struct config *config, const struct tls *tls,
                      struct conf_error *error)
{
    struct held_keys held = {0};
    const struct tls_certificate *missing = NULL;
    enum immure_error result =
        immure_blocking_list(watch->link.blocking, KEYS_TIMEOUT, note_key, &held);
    if (held.short_of_memory)
        result = IMMURE_E_MEMORY;
    if (result != IMMURE_OK) {
        snprintf(error->text, sizeof error->text, "%s: cannot ask immured for its keys: %s",
                 config->file, immure_error_text(result));
    } else if ((missing = first_missing(&held, tls)) != NULL) {
        char id[2 * IMMURE_KEY_ID_SIZE + 1];
        snprintf(error->text, sizeof error->text,
                 "%s:%d: certificate: immured holds no private key for %s (key id %s)",
                 config->file, missing->config->line, missing->config->chain,
                 hex_encode(missing->key_id, IMMURE_KEY_ID_SIZE, id));
    }
    free(held.ids);
    return result == IMMURE_OK && missing == NULL;
}

struct first_tickets {
    struct ticket_keys *keys;
    uint64_t *at;
};

static void note_tickets(void *arg, const struct immure_ticket_keys *given)
{
    const struct first_tickets *first = arg;
    if (given->error == IMMURE_OK) {
        ticket_renewal_convert(given, first->keys);
        *first->at = clock_now() + given->time_left_ns;
        log_info("session tickets: keys from immured, of epochs of %" PRIu64 " s",
                 given->epoch_ns / NS_PER_S);
    } else if (given->error != IMMURE_E_NO_TICKETS) {
        log_warning("session tickets: keys of the master's own, as immured gives none: %s",
                    given->error_text);
    }
}

bool keyd_watch_tickets(struct keyd_watch *watch, struct ticket_keys *keys, uint64_t *at)
{
    struct first_tickets first = {.keys = keys, .at = at};
    return immure_blocking_ticket_keys(watch->link.blocking, KEYS_TIMEOUT, note_tickets, &first) ==
           IMMURE_OK;
}

static void note_figures(void *arg, const struct immure_stat *stats, size_t count,
                         enum immure_error error)
{
    struct keyd_watch *watch = arg;
    if (error == IMMURE_OK)
        keyd_figures_set(&watch->figures, stats, count);
}

void keyd_watch_ask(struct keyd_watch *watch)
{
    immure_blocking_stats(watch->link.blocking, FIGURES_TIMEOUT, note_figures, watch);
}
