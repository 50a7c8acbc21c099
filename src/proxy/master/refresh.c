#include "proxy/master/refresh.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/descriptor.h"
#include "base/log.h"
#include "base/regular_file.h"
#include "conf/text.h"
#include "proxy/config/load.h"
#include "proxy/master/certificates.h"
#include "proxy/master/controls.h"
#include "proxy/master/processes.h"
#include "proxy/store/compare.h"

#define STEP_LIMIT (60 * NS_PER_S)

static void expired(struct timer *timer);

/* ---- life ---- */

void refresh_init(struct generation *generation)
{
    generation->refresh = (struct refresh){.memory = -1};
    timer_init(&generation->refresh.limit, expired);
}

/* Forgets the stores and keys that are not in force. */
static void drop(struct refresh *refresh)
{
    keyd_keys_free(&refresh->keys);
    store_close(refresh->store);
    refresh->store = NULL;
    descriptor_close(&refresh->memory);
    free(refresh->changes);
    refresh->changes = NULL;
    refresh->change_count = refresh->next = 0;
}

void refresh_end(struct generation *generation)
{
    struct refresh *refresh = &generation->refresh;
    timer_stop(generation->setup->loop, &refresh->limit);
    drop(refresh);
    refusals_free(&refresh->refused);
    refresh->refusals_seen = 0;
    refresh->step = REFRESH_IDLE;
    refresh->keys_stay = false;
}

static void begin_step(struct generation *generation, enum refresh_step step)
{
    generation->refresh.step = step;
    timer_start(generation->setup->loop, &generation->refresh.limit, STEP_LIMIT);
}

static void begin_again(struct generation *generation)
{
    struct refresh *refresh = &generation->refresh;
    if (!refresh->again || refresh->step != REFRESH_IDLE || generation->loader.pid > 0 ||
        generation->state != GENERATION_RUNNING)
        return;
    refresh->again = false;
    refresh_begin(generation);
}

static void conclude(struct generation *generation, enum refresh_outcome outcome)
{
    generation->refresh.outcome = outcome;
    refresh_end(generation);
    begin_again(generation);
}

static void fail(struct generation *generation, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void fail(struct generation *generation, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(generation->refresh.failure, sizeof generation->refresh.failure, format, arguments);
    va_end(arguments);
    conclude(generation, REFRESH_FAILED);
}

enum refresh_outcome refresh_outcome(struct generation *generation)
{
    enum refresh_outcome outcome = generation->refresh.outcome;
    generation->refresh.outcome = REFRESH_NO_OUTCOME;
    return outcome;
}

/* ---- whether it is enough ---- */

static bool text_is_same(const struct proxy_config *config)
{
    char *text = conf_text_read(config->file);
    bool same = text != NULL && strcmp(text, config->text) == 0;
    free(text);
    return same;
}

static bool sockets_are_there(const struct generation *generation)
{
    for (size_t i = 0; i < generation->listening_count; i++)
        if (!listening_is_there(generation->listening[i]))
            return false;
    return true;
}

/* Keys of `certificate` sections are in the text that immured was started with. */
static bool keyd_is_ready(const struct generation *generation)
{
    const struct hand_over *hand_over = &generation->keyd_hand_over;
    return !generation_needs_keyd(generation) ||
           (generation->keyd.pid > 0 && hand_over->socket >= 0 && hand_over->done &&
            file_states_hold(&generation->keyd_files, &generation->keyd_names));
}

/* A key that immured lacks has the id that it had; only its file is another, so no comparison of
 * stores would find it. */
bool refresh_is_enough(const struct generation *generation)
{
    return !generation->keyless && generation->state == GENERATION_RUNNING &&
           generation->worker.pid > 0 && keyd_keys_wanted(generation->config) &&
           text_is_same(generation->config) && authorities_hold(generation->config) &&
           sockets_are_there(generation) && keyd_is_ready(generation);
}

/* ---- READS ---- */

static void read_files(struct generation *generation)
{
    drop(&generation->refresh);
    begin_step(generation, REFRESH_READS);
    if (!certificates_start(generation, generation->store, &generation->refresh.refused))
        fail(generation, "cannot start a loader of certificates: %s", strerror(errno));
}

/* The loader of another time may still be writing its index. */
void refresh_begin(struct generation *generation)
{
    if (generation->refresh.step != REFRESH_IDLE || generation->loader.pid > 0)
        generation->refresh.again = true;
    else
        read_files(generation);
}

void refresh_folders_changed(struct generation *generation)
{
    if (generation->state != GENERATION_RUNNING) {
        generation->refresh.again = true; /* when it runs */
    } else if (refresh_is_enough(generation)) {
        log_info("certificates-watch: a folder has changed; reading the certificates");
        refresh_begin(generation);
    } else {
        log_warning("certificates-watch: a folder has changed, but not only certificates and keys "
                    "have: HUP takes them");
    }
}

void refresh_running(struct generation *generation)
{
    begin_again(generation);
}

void refresh_loader_ended(struct generation *generation)
{
    const struct refresh *refresh = &generation->refresh;
    if (refresh->step == REFRESH_READS && generation->certificates.descriptor < 0)
        read_files(generation); /* it waited for that */
    else
        begin_again(generation);
}

static void change_next(struct generation *generation);

/* The keys of `from` that `in` lacks. False with a failure or another outcome. */
static bool find_changes(struct generation *generation, const struct keyd_keys *from,
                         const struct keyd_keys *in)
{
    struct refresh *refresh = &generation->refresh;
    bool moved = false;
    free(refresh->changes);
    refresh->next = 0;
    refresh->changes = keyd_keys_missing(from, in, &refresh->change_count, &moved);
    if (refresh->changes == NULL)
        fail(generation, "out of memory");
    else if (moved)
        conclude(generation, REFRESH_TOO_MUCH);
    return refresh->changes != NULL;
}

/* immured has been started with the sections and pass phrases that there were. */
static bool find_keys(struct generation *generation)
{
    struct refresh *refresh = &generation->refresh;
    size_t names = generation->keyd_names.count;
    if (!generation_needs_keyd(generation))
        return true;
    if (!keyd_keys_find(&refresh->keys, &generation->keyd_keys, refresh->store,
                        &generation->keyd_names)) {
        fail(generation, "out of memory");
        return false;
    }
    if (refresh->keys.settings.count > generation->keyd_keys.settings.count ||
        generation->keyd_names.count > names) {
        conclude(generation, REFRESH_TOO_MUCH);
        return false;
    }
    return find_changes(generation, &refresh->keys, &generation->keyd_keys);
}

void refresh_read(struct generation *generation)
{
    struct refresh *refresh = &generation->refresh;
    struct conf_error error;
    refresh->store = certificates_take(generation, &refresh->memory, &error);
    if (refresh->store == NULL) {
        if (error.text[0] != '\0')
            fail(generation, "%s", error.text);
        return;
    }
    if (!store_same_kinds(generation->store, refresh->store, generation->config->route_count)) {
        conclude(generation, REFRESH_TOO_MUCH);
        return;
    }
    if (!find_keys(generation))
        return;
    begin_step(generation, REFRESH_ADDS);
    change_next(generation);
}

/* ---- OFFERS and SWAPS ---- */

static struct control_end *main_control(struct generation *generation)
{
    return &generation->controls[generation->control_count - 1];
}

static void offer(struct control_end *control)
{
    control->owes_store = control->awaits_store = true;
    control_pay(control);
}

struct tally {
    const struct store *before, *after;
    size_t counts[STORE_REMOVED + 1];
};

static void tell(void *owner, enum store_change change, uint32_t number)
{
    static const char *const texts[] = {[STORE_ADDED] = "is added",
                                        [STORE_REPLACED] = "is replaced",
                                        [STORE_REMOVED] = "is removed"};
    struct tally *tally = owner;
    const struct store *store = change == STORE_REMOVED ? tally->before : tally->after;
    const struct store_certificate *certificate = store_certificate(store, number);
    log_info("%s:%u: certificate: %s %s", store_text(store, certificate->where), certificate->line,
             store_text(store, certificate->files[STORE_CHAIN_FILE].path), texts[change]);
    tally->counts[change]++;
}

static void tell_changes(const struct generation *generation)
{
    struct tally tally = {.before = generation->store, .after = generation->refresh.store};
    if (!store_compare(tally.before, tally.after, tell, &tally))
        log_warning("certificates: out of memory: the changes are not named");
    log_info("%s: certificates: %zu added, %zu replaced, %zu removed; %u files cannot be used",
             generation->config->file, tally.counts[STORE_ADDED], tally.counts[STORE_REPLACED],
             tally.counts[STORE_REMOVED], store_failed(tally.after));
}

/* Workers and immureds that are started from now on get what the refresh has brought. What was in
 * force takes its place. */
static void put_in_force(struct generation *generation)
{
    struct refresh *refresh = &generation->refresh;
    int memory = generation->store_memory;
    struct store *store = generation->store;
    struct keyd_keys keys = generation->keyd_keys;
    tell_changes(generation);
    generation->store_memory = refresh->memory;
    generation->store = refresh->store;
    refresh->memory = memory;
    refresh->store = store;
    if (!generation_needs_keyd(generation))
        return;
    keyd_keys_move(&generation->keyd_keys, &refresh->keys);
    keyd_keys_move(&refresh->keys, &keys);
}

static void swap_if_all_have_answered(struct generation *generation)
{
    struct refresh *refresh = &generation->refresh;
    for (size_t i = 0; i < generation->control_count; i++)
        if (generation->controls[i].awaits_store)
            return;
    if (refresh->keys_stay) {
        conclude(generation, REFRESH_DONE);
    } else if (find_changes(generation, &refresh->keys, &generation->keyd_keys)) {
        begin_step(generation, REFRESH_REMOVES);
        change_next(generation);
    }
}

void refresh_heard(struct control_end *control, enum control_type type)
{
    struct generation *generation = control->generation;
    struct refresh *refresh = &generation->refresh;
    if (!control->awaits_store)
        return;
    control->awaits_store = false;
    if (refresh->step == REFRESH_SWAPS) {
        refresh->keys_stay |= type == CONTROL_STORE_FAILED;
        swap_if_all_have_answered(generation);
    } else if (type == CONTROL_STORE_FAILED) {
        fail(generation, "the worker cannot take the certificates");
    } else if (refresh->step == REFRESH_OFFERS) {
        put_in_force(generation);
        begin_step(generation, REFRESH_SWAPS);
        for (size_t i = 0; i + 1 < generation->control_count; i++)
            offer(&generation->controls[i]);
    }
}

/* The next worker begins with what is in force. */
void refresh_worker_ended(struct generation *generation)
{
    struct refresh *refresh = &generation->refresh;
    for (size_t i = 0; i < generation->control_count; i++)
        generation->controls[i].owes_store = generation->controls[i].awaits_store = false;
    if (refresh->step == REFRESH_OFFERS)
        put_in_force(generation);
    if (refresh->step == REFRESH_OFFERS || refresh->step == REFRESH_SWAPS) {
        begin_step(generation, REFRESH_SWAPS);
        swap_if_all_have_answered(generation);
    }
}

/* ---- ADDS and REMOVES ---- */

static void get_change(const struct refresh *refresh, struct hand_over_key *key)
{
    const struct hand_over_keys *list = &refresh->keys.list;
    list->get(list->list, refresh->changes[refresh->next], key);
}

/* False: out of memory. */
static bool refuse(struct refresh *refresh, const char *reason)
{
    struct hand_over_key key;
    get_change(refresh, &key);
    return refusals_add(&refresh->refused, key.id, reason);
}

static void end_changes(struct generation *generation)
{
    struct refresh *refresh = &generation->refresh;
    if (refresh->step == REFRESH_REMOVES) {
        conclude(generation, REFRESH_DONE);
    } else if (refresh->refusals_seen < refresh->refused.count) {
        refresh->refusals_seen = refresh->refused.count;
        drop(refresh);
        if (generation->loader.pid > 0) /* it writes its index */
            begin_step(generation, REFRESH_READS);
        else
            read_files(generation);
    } else {
        begin_step(generation, REFRESH_OFFERS);
        offer(main_control(generation));
    }
}

/* Asks immured for the next change; its answer comes to refresh_key_changed(). */
static void change_next(struct generation *generation)
{
    struct refresh *refresh = &generation->refresh;
    bool adds = refresh->step == REFRESH_ADDS;
    for (; refresh->next < refresh->change_count; refresh->next++) {
        struct hand_over_key key;
        get_change(refresh, &key);
        if (adds ? hand_over_add(&generation->keyd_hand_over, &key)
                 : hand_over_remove(&generation->keyd_hand_over, key.id))
            return;
        char reason[512];
        int error = errno;
        if (error == ENOTCONN) {
            refresh_keyd_ended(generation);
            return;
        }
        snprintf(reason, sizeof reason, "%s: %s", key.file, regular_file_reason(error));
        if (adds && !refuse(refresh, reason)) {
            fail(generation, "out of memory");
            return;
        }
    }
    end_changes(generation);
}

void refresh_key_changed(struct generation *generation, enum hand_over_state state)
{
    struct refresh *refresh = &generation->refresh;
    if (refresh->step != REFRESH_ADDS && refresh->step != REFRESH_REMOVES)
        return;
    if (refresh->step == REFRESH_ADDS && state == HAND_OVER_REFUSED_CHANGE &&
        !refuse(refresh, generation->keyd_hand_over.reason)) {
        fail(generation, "out of memory");
        return;
    }
    refresh->next++;
    change_next(generation);
}

void refresh_keyd_ended(struct generation *generation)
{
    if (generation->refresh.step == REFRESH_ADDS)
        fail(generation, "immured has ended while it was given keys");
    else if (generation->refresh.step == REFRESH_REMOVES)
        conclude(generation, REFRESH_DONE);
}

/* ---- time ---- */

static void expired(struct timer *timer)
{
    struct generation *generation = list_entry(timer, struct generation, refresh.limit);
    struct refresh *refresh = &generation->refresh;
    if (refresh->step != REFRESH_SWAPS) {
        child_signal(&generation->loader, SIGKILL);
        watch_close_shared(generation->setup->loop, &generation->certificates);
        fail(generation, "the certificates are not in force after %" PRIu64 " s",
             STEP_LIMIT / NS_PER_S);
        return;
    }
    for (size_t i = 0; i < generation->control_count; i++)
        generation->controls[i].awaits_store = false;
    log_warning("handshakes still use certificates that are no longer in force; immured keeps "
                "their keys");
    refresh->keys_stay = true;
    swap_if_all_have_answered(generation);
}
