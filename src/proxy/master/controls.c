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

static bool send_servers(const struct control_end *control, uint32_t server)
{
    struct control_message message = {.type = CONTROL_SERVERS, .servers.server = server};
    message.servers.addresses = control->generation->config->servers[server].addresses;
    return send_message(control, &message, -1);
}

/* Sends some of those that are owed. */
static bool send_verdicts(struct control_end *control)
{
    const struct server_config *servers = control->generation->config->servers;
    struct control_message message = {.type = CONTROL_VERDICTS,
                                      .verdicts.first = control->verdicts_from};
    uint32_t at = control->verdicts_from;
    for (; at < control->verdicts_to && message.verdicts.count < CONTROL_VERDICTS_MAX; at++)
        message.verdicts.of[message.verdicts.count++] = servers[at].verdict;
    if (!send_message(control, &message, -1))
        return false;
    control->verdicts_from = at;
    return true;
}

/* The same. */
static bool send_settings(struct control_end *control)
{
    const struct server_config *servers = control->generation->config->servers;
    struct control_message message = {.type = CONTROL_SETTINGS,
                                      .settings.first = control->settings_from};
    uint32_t at = control->settings_from;
    for (; at < control->settings_to && message.settings.count < CONTROL_SETTINGS_MAX; at++)
        message.settings.of[message.settings.count++] = servers[at].setting;
    if (!send_message(control, &message, -1))
        return false;
    control->settings_from = at;
    return true;
}

/* Adds to a range of what is owed; an empty one is owed no more. */
static void owe(uint32_t *from, uint32_t *to, uint32_t server)
{
    bool none = *from >= *to;
    if (none || server < *from)
        *from = server;
    if (none || server >= *to)
        *to = server + 1;
}

void control_pay(struct control_end *control)
{
    control->owes_drain = control->owes_drain && !send_drain(control);
    control->owes_tickets = control->owes_tickets && !send_tickets(control);
    control->owes_keyd = control->owes_keyd && !send_keyd(control);
    while (control->servers_from < control->servers_to &&
           send_servers(control, control->servers_from))
        control->servers_from++;
    while (control->verdicts_from < control->verdicts_to && send_verdicts(control))
        continue;
    while (control->settings_from < control->settings_to && send_settings(control))
        continue;
    control->owes_store = control->owes_store && !send_store(control);
    control->waits = control->owes_drain || control->owes_tickets || control->owes_keyd ||
                     control->owes_store || control->servers_from < control->servers_to ||
                     control->verdicts_from < control->verdicts_to ||
                     control->settings_from < control->settings_to;
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

void controls_send_servers(struct generation *generation, uint32_t server)
{
    for (size_t i = 0; i < generation->control_count - 1; i++) {
        struct control_end *control = &generation->controls[i];
        owe(&control->servers_from, &control->servers_to, server);
        control_pay(control);
    }
}

void controls_send_verdict(struct generation *generation, uint32_t server)
{
    for (size_t i = 0; i < generation->control_count - 1; i++) {
        struct control_end *control = &generation->controls[i];
        owe(&control->verdicts_from, &control->verdicts_to, server);
        control_pay(control);
    }
}

void controls_send_setting(struct generation *generation, uint32_t server)
{
    for (size_t i = 0; i < generation->control_count - 1; i++) {
        struct control_end *control = &generation->controls[i];
        owe(&control->settings_from, &control->settings_to, server);
        control_pay(control);
    }
}
