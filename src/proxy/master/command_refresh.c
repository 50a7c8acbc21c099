/* The verbs that read the files of certificates: refresh puts in force what has changed, check only
 * says what a refresh would do. */
#include <sys/epoll.h>

#include "base/log.h"
#include "proxy/master/command_record.h"
#include "proxy/master/command_verbs.h"
#include "proxy/master/refresh.h"

static void report_came(struct refresh_request *request, struct report *report)
{
    struct command_client *client = list_entry(request, struct command_client, refresh);
    client->report = report != NULL ? report_share(report) : NULL;
    client->waits = false;
    watch_want(client->loop, &client->watch, EPOLLOUT);
}

static void ask(struct command_client *client, const struct command_view *view, bool tries)
{
    if (view->busy != NULL)
        answer_refuse(client, "busy", "%s", view->busy);
    if (view->busy != NULL || !command_begin(client, view))
        return;
    if (!tries)
        log_info("control-socket: user %u (pid %d) asks for a refresh", (unsigned)client->peer.uid,
                 (int)client->peer.pid);
    client->waits = true;
    client->refresh.tries = tries;
    client->refresh.done = report_came;
    refresh_ask(view->generation, &client->refresh);
}

void command_refresh_begin(struct command_client *client, const struct command_view *view)
{
    ask(client, view, false);
}

void command_check_begin(struct command_client *client, const struct command_view *view)
{
    ask(client, view, true);
}

/* ---- the report ---- */

static void write_change(struct command_client *client, size_t number)
{
    struct answer_line line;
    const struct store *store;
    const struct report *report = client->report;
    const struct store_certificate *certificate = report_certificate(report, number, &store);
    struct store_span names = certificate->names;
    if (!answer_begin(client, &line))
        return;
    answer_text(&line, "change", report_change_name(report->changes[number].change));
    record_write(&line, client->generation, store, certificate);
    record_names(&line, store, &names);
    answer_write(client, &line);
}

static void write_failure(struct command_client *client, uint32_t number)
{
    struct answer_line line;
    const struct store *store = client->report->after;
    const struct store_failure *failure = store_failure(store, number);
    if (!answer_begin(client, &line))
        return;
    answer_text(&line, "unusable", store_text(store, failure->file));
    answer_text(&line, "reason", store_text(store, failure->reason));
    answer_word(&line, "kept", failure->kept ? "true" : "false");
    record_place(&line, client->generation->config, failure->route);
    answer_write(client, &line);
}

static void write_end(struct command_client *client)
{
    struct answer_line line;
    const struct report *report = client->report;
    if (!answer_end(client, &line, "done"))
        return;
    for (int i = 0; i <= STORE_REMOVED; i++)
        answer_count(&line, report_change_name((enum store_change)i), (int64_t)report->counts[i]);
    answer_count(&line, "unusable", store_failed(report->after));
    answer_write(client, &line);
}

static void write_trouble(struct command_client *client)
{
    static const char *const results[] = {
        [REPORT_FAILED] = "failed", [REPORT_BUSY] = "busy", [REPORT_TOO_MUCH] = "reload"};
    const struct report *report = client->report;
    if (report == NULL)
        answer_refuse(client, "failed", "out of memory");
    else
        answer_refuse(client, results[report->outcome], "%s", report->reason);
}

void command_refresh_go_on(struct command_client *client)
{
    const struct report *report = client->report;
    if (report == NULL || report->outcome != REPORT_DONE)
        write_trouble(client);
    else if (client->generation == NULL)
        answer_refuse(client, "failed", "another configuration has come into force meanwhile");
    else if (client->next < report->count)
        write_change(client, client->next++);
    else if (client->next - report->count < store_failure_count(report->after))
        write_failure(client, (uint32_t)(client->next++ - report->count));
    else
        write_end(client);
}
