#include "proxy/master/controls.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/descriptor.h"
#include "base/log.h"
#include "proxy/master/processes.h"

bool controls_init(struct generation *generation,
                   void (*ready)(struct watch *watch, uint32_t events))
{
    size_t count = generation->config->workers + 1;
    generation->controls = calloc(count, sizeof *generation->controls);
    if (generation->controls == NULL)
        return false;
    generation->control_count = count;
    for (size_t i = 0; i < count; i++) {
        generation->controls[i].generation = generation;
        watch_init(&generation->controls[i].watch, ready);
    }
    return true;
}

void controls_close(struct generation *generation)
{
    for (size_t i = 0; i < generation->control_count; i++)
        watch_close_shared(generation->setup->loop, &generation->controls[i].watch);
}

/* ---- what is owed ---- */

/* Logs trouble once, because workers ask again and again. Our own immured is never there at once,
 * and a test of the configuration fails for want of a running one. */
static void note_keyd(struct generation *generation, int trouble)
{
    const struct proxy_config *config = generation->config;
    const char *socket = config->keys.socket;
    bool fails = generation->setup->test && generation->state == GENERATION_STARTING;
    if (socket != NULL && trouble != 0 && !fails && trouble != generation->keyd_trouble)
        log_warning("%s: keys: no immured at %s: %s; trying again", config->file, socket,
                    keyd_trouble_text(trouble));
    generation->keyd_trouble = trouble;
}

/* False: the socket has no room now. */
static bool send_message(const struct control_end *control, const struct control_message *message,
                         int descriptor)
{
    if (control->watch.descriptor < 0 ||
        control_send(control->watch.descriptor, message, descriptor))
        return true;
    if (errno == EAGAIN)
        return false;
    if (errno != EPIPE)
        log_error("cannot send to the worker: %s", strerror(errno));
    return true;
}

static bool send_keyd(const struct control_end *control)
{
    const struct control_message message = {.type = CONTROL_KEYD};
    int connection = keyd_connect(control->generation);
    note_keyd(control->generation, connection < 0 ? errno : 0);
    bool sent = send_message(control, &message, connection);
    descriptor_close(&connection);
    return sent;
}

static bool send_drain(const struct control_end *control)
{
    const struct control_message message = {.type = CONTROL_DRAIN,
                                            .deadline = control->generation->drain_deadline};
    return send_message(control, &message, -1);
}

static bool send_tickets(const struct control_end *control)
{
    const struct control_message message = {.type = CONTROL_TICKETS,
                                            .tickets = *control->generation->setup->tickets};
    return send_message(control, &message, -1);
}

/* The main thread gets the store. The others find it there. */
static bool send_store(const struct control_end *control)
{
    const struct control_message message = {.type = CONTROL_STORE};
    bool offers = control->generation->refresh.step == REFRESH_OFFERS;
    return send_message(control, &message, offers ? control->generation->refresh.memory : -1);
}

static bool send_addresses(struct control_end *control, struct owed *owed)
{
    struct control_message message = {.type = CONTROL_SERVERS, .servers.server = owed->from};
    message.servers.addresses = control->generation->config->servers[owed->from].addresses;
    if (!send_message(control, &message, -1))
        return false;
    owed->from++;
    return true;
}

static bool send_verdicts(struct control_end *control, struct owed *owed)
{
    const struct server_config *servers = control->generation->config->servers;
    struct control_message message = {.type = CONTROL_VERDICTS, .verdicts.first = owed->from};
    uint32_t at = owed->from;
    for (; at < owed->to && message.verdicts.count < CONTROL_VERDICTS_MAX; at++)
        message.verdicts.of[message.verdicts.count++] = servers[at].verdict;
    if (!send_message(control, &message, -1))
        return false;
    owed->from = at;
    return true;
}

static bool send_settings(struct control_end *control, struct owed *owed)
{
    const struct server_config *servers = control->generation->config->servers;
    struct control_message message = {.type = CONTROL_SETTINGS, .settings.first = owed->from};
    uint32_t at = owed->from;
    for (; at < owed->to && message.settings.count < CONTROL_SETTINGS_MAX; at++)
        message.settings.of[message.settings.count++] = servers[at].setting;
    if (!send_message(control, &message, -1))
        return false;
    owed->from = at;
    return true;
}

/* Each sends some of the servers that are owed. */
static bool (*const senders[OWED_KIND_COUNT])(struct control_end *,
                                              struct owed *) = {[OWED_ADDRESSES] = send_addresses,
                                                                [OWED_VERDICT] = send_verdicts,
                                                                [OWED_SETTING] = send_settings};

/* Returns whether some are still owed. */
static bool pay_owed(struct control_end *control)
{
    bool any = false;
    for (int kind = 0; kind < OWED_KIND_COUNT; kind++) {
        struct owed *owed = &control->owed[kind];
        while (owed_any(owed) && senders[kind](control, owed))
            continue;
        any |= owed_any(owed);
    }
    return any;
}

void control_pay(struct control_end *control)
{
    control->owes_drain = control->owes_drain && !send_drain(control);
    control->owes_tickets = control->owes_tickets && !send_tickets(control);
    control->owes_keyd = control->owes_keyd && !send_keyd(control);
    bool owes_servers = pay_owed(control);
    control->owes_store = control->owes_store && !send_store(control);
    control->waits = control->owes_drain || control->owes_tickets || control->owes_keyd ||
                     control->owes_store || owes_servers;
    if (control->watch.descriptor >= 0)
        watch_want(control->generation->setup->loop, &control->watch,
                   EPOLLIN | (control->waits ? EPOLLOUT : 0));
}

/* ---- all of them ---- */

void controls_send_drain(struct generation *generation)
{
    for (size_t i = 0; i < generation->control_count; i++) {
        generation->controls[i].owes_drain = true;
        control_pay(&generation->controls[i]);
    }
}

void controls_send_tickets(struct generation *generation)
{
    for (size_t i = 0; i < generation->control_count - 1; i++) {
        generation->controls[i].owes_tickets = true;
        control_pay(&generation->controls[i]);
    }
}

void controls_send_server(struct generation *generation, uint32_t server, enum owed_kind kind)
{
    for (size_t i = 0; i < generation->control_count - 1; i++) {
        struct control_end *control = &generation->controls[i];
        owed_add(&control->owed[kind], server);
        control_pay(control);
    }
}
