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
#include "proxy/master/certificates.h"
#include "proxy/master/controls.h"
#include "proxy/master/processes.h"
#include "proxy/master/refresh_obstacle.h"
#include "proxy/store/compare.h"

#define STEP_LIMIT (60 * NS_PER_S)

static void expired(struct timer *timer);

/* ---- life ---- */

void refresh_init(struct generation *generation)
{
    generation->refresh = (struct refresh){.memory = -1};
    list_init(&generation->refresh.waiting);
    list_init(&generation->refresh.under_way);
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

static void answer(struct list *requests, struct report *report)
{
    for (struct list *node; (node = list_take(requests)) != NULL;) {
        struct refresh_request *request = list_entry(node, struct refresh_request, node);
        request->done(request, report);
    }
}

static void answer_trouble(struct list *requests, enum report_outcome outcome, const char *reason)
{
    if (list_empty(requests))
        return;
    struct report *report = report_of_trouble(outcome, reason);
    answer(requests, report);
    report_release(report);
}

static void end_step(struct generation *generation)
{
    struct refresh *refresh = &generation->refresh;
    timer_stop(generation->setup->loop, &refresh->limit);
    drop(refresh);
    refusals_free(&refresh->refused);
    refresh->refusals_seen = 0;
    refresh->step = REFRESH_IDLE;
    refresh->keys_stay = false;
    report_release(refresh->report);
    refresh->report = NULL;
}

void refresh_end(struct generation *generation)
{
    static const char reason[] = "this configuration is not in force any more";
    end_step(generation);
    answer_trouble(&generation->refresh.under_way, REPORT_FAILED, reason);
    answer_trouble(&generation->refresh.waiting, REPORT_FAILED, reason);
}

static void begin_step(struct generation *generation, enum refresh_step step)
{
    generation->refresh.step = step;
    timer_start(generation->setup->loop, &generation->refresh.limit, STEP_LIMIT);
}

static void begin_next(struct generation *generation);

/* What only those who asked want to know is not told to the master. */
static void conclude(struct generation *generation, enum refresh_outcome outcome)
{
    struct refresh *refresh = &generation->refresh;
    if (!refresh->tries && (outcome != REFRESH_TOO_MUCH || refresh->reloads))
        refresh->outcome = outcome;
    if (outcome == REFRESH_DONE)
        answer(&refresh->under_way, refresh->report);
    else
        answer_trouble(&refresh->under_way,
                       outcome == REFRESH_FAILED ? REPORT_FAILED : REPORT_TOO_MUCH,
                       refresh->failure);
    end_step(generation);
    begin_next(generation);
}

static void too_much(struct generation *generation, const char *reason)
{
    snprintf(generation->refresh.failure, sizeof generation->refresh.failure, "%s", reason);
    conclude(generation, REFRESH_TOO_MUCH);
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

/* ---- READS ---- */

static void read_files(struct generation *generation)
{
    drop(&generation->refresh);
    begin_step(generation, REFRESH_READS);
    if (!certificates_start(generation, generation->store, &generation->refresh.refused,
                            generation->refresh.tries))
        fail(generation, "cannot start a loader of certificates: %s", strerror(errno));
}

/* Moves the requests that are for a trial, or those that are not. Returns whether there were any.
 */
static bool take_requests(struct refresh *refresh, bool tries)
{
    list_for_each(node, &refresh->waiting)
    {
        if (list_entry(node, struct refresh_request, node)->tries != tries)
            continue;
        list_remove(node);
        list_append(&refresh->under_way, node);
    }
    return !list_empty(&refresh->under_way);
}

/* Things may have changed since they asked. */
static void refuse_requests(struct generation *generation)
{
    const char *reason;
    struct list *waiting = &generation->refresh.waiting;
    enum report_outcome outcome =
        list_empty(waiting) ? REPORT_DONE : refresh_obstacle(generation, &reason);
    if (outcome != REPORT_DONE)
        answer_trouble(waiting, outcome, reason);
}

/* The loader of another time may still be writing its index. */
static void begin_next(struct generation *generation)
{
    struct refresh *refresh = &generation->refresh;
    if (refresh->step != REFRESH_IDLE || generation->loader.pid > 0 ||
        generation->state != GENERATION_RUNNING)
        return;
    refuse_requests(generation);
    refresh->reloads = refresh->wanted;
    refresh->wanted = false;
    refresh->tries = !take_requests(refresh, false) && !refresh->reloads;
    if (!refresh->tries || take_requests(refresh, true))
        read_files(generation);
}

void refresh_begin(struct generation *generation)
{
    generation->refresh.wanted = true;
    begin_next(generation);
}

void refresh_ask(struct generation *generation, struct refresh_request *request)
{
    list_append(&generation->refresh.waiting, &request->node);
    if (generation->state == GENERATION_RUNNING)
        begin_next(generation);
    else
        refuse_requests(generation);
}

void refresh_cancel(struct refresh_request *request)
{
    list_remove(&request->node);
}

void refresh_folders_changed(struct generation *generation)
{
    if (generation->state != GENERATION_RUNNING) {
        generation->refresh.wanted = true; /* when it runs */
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
    begin_next(generation);
}

void refresh_loader_ended(struct generation *generation)
{
    const struct refresh *refresh = &generation->refresh;
    if (refresh->step == REFRESH_READS && generation->certificates.descriptor < 0)
        read_files(generation); /* it waited for that */
    else
        begin_next(generation);
}

static void change_next(struct generation *generation);

/* The keys of `from` that `in` lacks, or immured (`keyless`). False with a failure or another
 * outcome. */
static bool find_changes(struct generation *generation, const struct keyd_keys *from,
                         const struct keyd_keys *in, const struct keyless_keys *keyless)
{
    struct refresh *refresh = &generation->refresh;
    bool moved = false;
    free(refresh->changes);
    refresh->next = 0;
    refresh->changes = keyd_keys_missing(from, in, keyless, &refresh->change_count, &moved);
    if (refresh->changes == NULL)
        fail(generation, "out of memory");
    else if (moved)
        too_much(generation, "a key gets another policy, or another pass phrase");
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
        too_much(generation, "a key has a policy or a pass phrase that no other has");
        return false;
    }
    return find_changes(generation, &refresh->keys, &generation->keyd_keys, &generation->keyless);
}

static void tell_of_trial(struct generation *generation)
{
    struct refresh *refresh = &generation->refresh;
    refresh->report = report_of_stores(generation->store, refresh->store);
    conclude(generation, REFRESH_DONE);
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
        too_much(generation, "a route gets its first certificate, or loses its last one, of a kind "
                             "(RSA, ECDSA ...)");
        return;
    }
    if (!find_keys(generation))
        return;
    if (refresh->tries) {
        tell_of_trial(generation);
        return;
    }
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

/* NULL: memory is short, and the changes are not named. */
static void tell_changes(const struct generation *generation, const struct report *report)
{
    if (report == NULL) {
        log_warning("certificates: out of memory: the changes are not named");
        return;
    }
    for (size_t i = 0; i < report->count; i++) {
        const struct store *store;
        const struct store_certificate *certificate = report_certificate(report, i, &store);
        log_info("%s:%u: certificate: %s is %s", store_text(store, certificate->where),
                 certificate->line, store_text(store, certificate->files[STORE_CHAIN_FILE].path),
                 report_change_name(report->changes[i].change));
    }
    log_info("%s: certificates: %zu added, %zu replaced, %zu removed; %u files cannot be used",
             generation->config->file, report->counts[STORE_ADDED], report->counts[STORE_REPLACED],
             report->counts[STORE_REMOVED], store_failed(report->after));
}

/* Workers and immureds that are started from now on get what the refresh has brought. What was in
 * force takes its place. */
static void put_in_force(struct generation *generation)
{
    struct refresh *refresh = &generation->refresh;
    int memory = generation->store_memory;
    struct store *store = generation->store;
    struct keyd_keys keys = generation->keyd_keys;
    refresh->report = report_of_stores(store, refresh->store);
    tell_changes(generation, refresh->report);
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
    } else if (find_changes(generation, &refresh->keys, &generation->keyd_keys, NULL)) {
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

/* The key may be in another file, too. */
static bool try_twin(const struct refresh *refresh)
{
    uint32_t *change = &refresh->changes[refresh->next];
    uint32_t twin = refresh->keys.keys[*change].twin;
    if (twin == KEYD_KEYS_NONE)
        return false;
    *change = twin;
    return true;
}

/* Goes on to the next file: of the same key, if there is another one. A certificate that is in
 * force without a key stays so. False: out of memory. */
static bool refuse(struct generation *generation, const char *reason)
{
    struct refresh *refresh = &generation->refresh;
    struct hand_over_key key;
    if (try_twin(refresh))
        return true;
    get_change(refresh, &key);
    refresh->next++;
    if (!keyd_keys_lack(&generation->keyless, key.id))
        return refusals_add(&refresh->refused, key.id, reason);
    log_warning("certificates: immured still lacks a key: %s", reason);
    return true;
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
        if (generation->worker.pid > 0)
            offer(main_control(generation));
        else
            refresh_worker_ended(generation); /* there is none to ask until the next one starts */
    }
}

/* Asks immured for the next change; its answer comes to refresh_key_changed(). */
static void change_next(struct generation *generation)
{
    struct refresh *refresh = &generation->refresh;
    bool adds = refresh->step == REFRESH_ADDS;
    while (refresh->next < refresh->change_count) {
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
        if (!adds) {
            refresh->next++;
        } else if (!refuse(generation, reason)) {
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
    if (refresh->step == REFRESH_REMOVES || state != HAND_OVER_REFUSED_CHANGE) {
        refresh->next++;
    } else if (!refuse(generation, generation->keyd_hand_over.reason)) {
        fail(generation, "out of memory");
        return;
    }
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
