#include <ctype.h>
#include <inttypes.h>
#include <math.h>
#include <time.h>

#include "base/escape.h"
#include "proxy/admin/render.h"

#define SECONDS_A_DAY 86400
#define EXPIRY_WARNING_DAYS 14

static void cell_count(FILE *out, uint64_t count)
{
    fprintf(out, "<td>%" PRIu64 "</td>", count);
}

/* An integer in full, any other number with three digits; a dash if there is none. */
static void cell_number(FILE *out, double number)
{
    if (!isfinite(number))
        fputs("<td>–</td>", out);
    else
        fprintf(out, number == floor(number) ? "<td>%.0f</td>" : "<td>%.3g</td>", number);
}

/* A duration with three digits and a unit; a dash if there is none. */
static void cell_seconds(FILE *out, double seconds)
{
    if (isnan(seconds))
        fputs("<td>–</td>", out);
    else if (seconds < 999.5e-6)
        fprintf(out, "<td>%.3g µs</td>", seconds * 1e6);
    else if (seconds < 0.9995)
        fprintf(out, "<td>%.3g ms</td>", seconds * 1e3);
    else
        fprintf(out, "<td>%.3g s</td>", seconds);
}

static void cell_text(FILE *out, const char *text)
{
    fputs("<td class=\"text\">", out);
    escape_write(out, ESCAPE_HTML, text);
    fputs("</td>", out);
}

struct page_column {
    const char *name;
    bool text; /* aligned like text, not like a number */
};

static void table_open(FILE *out, const char *caption, const struct page_column *columns,
                       size_t count)
{
    fprintf(out, "<div class=\"scroll\"><table><caption>%s</caption><thead><tr>", caption);
    for (size_t i = 0; i < count; i++)
        fprintf(out, "<th scope=\"col\"%s>%s</th>", columns[i].text ? " class=\"text\"" : "",
                columns[i].name);
    fputs("</tr></thead><tbody>\n", out);
}

static void table_close(FILE *out)
{
    fputs("</tbody></table></div>\n", out);
}

static void row_open(FILE *out, const char *name)
{
    fputs("<tr><th scope=\"row\">", out);
    escape_write(out, ESCAPE_HTML, name);
    fputs("</th>", out);
}

static void row_close(FILE *out)
{
    fputs("</tr>\n", out);
}

static void table_handshakes(FILE *out, const struct status *status)
{
    struct page_column columns[1 + HANDSHAKE_RESULT_COUNT] = {{"version", true}};
    for (size_t result = 0; result < HANDSHAKE_RESULT_COUNT; result++)
        columns[1 + result].name = handshake_result_names[result];
    table_open(out, "Handshakes", columns, 1 + HANDSHAKE_RESULT_COUNT);
    for (size_t version = 0; version < VERSION_COUNT; version++) {
        row_open(out, handshake_version_names[version]);
        for (size_t result = 0; result < HANDSHAKE_RESULT_COUNT; result++)
            cell_count(out, status->sum.handshakes[version][result]);
        row_close(out);
    }
    table_close(out);
}

/* Nothing, as long as nothing was held back or refused. */
static void table_admission(FILE *out, const struct status *status)
{
    static const struct page_column columns[] = {
        {"overloaded loops", false}, {"held now", false},   {"held back", false},
        {"shed: waited", false},     {"shed: room", false}, {"limited: connections", false},
        {"limited: rate", false}};
    uint64_t sum = 0;
    for (int i = COUNTER_HELD_BACK; i <= COUNTER_LIMITED_RATE; i++)
        sum += status->sum.counters[i];
    if (sum == 0 && status->sum.gauges[GAUGE_OVERLOADED] == 0)
        return;
    table_open(out, "Handshakes held back", columns, sizeof columns / sizeof columns[0]);
    fputs("<tr>", out);
    cell_count(out, status->sum.gauges[GAUGE_OVERLOADED]);
    cell_count(out, status->sum.gauges[GAUGE_HELD]);
    for (int i = COUNTER_HELD_BACK; i <= COUNTER_LIMITED_RATE; i++)
        cell_count(out, status->sum.counters[i]);
    row_close(out);
    table_close(out);
}

static void table_signatures(FILE *out, const struct status *status)
{
    static const struct page_column columns[] = {
        {"algorithm", true}, {"backend", true}, {"made", false},  {"failed", false},
        {"P50", false},      {"P99", false},    {"queue", false}, {"round trip", false}};
    if (status->sum.sign_count == 0)
        return;
    table_open(out, "Signatures", columns, sizeof columns / sizeof columns[0]);
    for (size_t i = 0; i < status->sum.sign_count; i++) {
        const struct sign_sum *row = &status->sum.signs[i];
        row_open(out, row->algorithm);
        cell_text(out, row->backend);
        cell_count(out, histogram_count(&row->sign));
        cell_count(out, row->errors);
        cell_seconds(out, status_quantile(&row->sign, &quantiles[0]));
        cell_seconds(out, status_quantile(&row->sign, &quantiles[1]));
        cell_seconds(out, status_mean(&row->queue));
        cell_seconds(out, status_mean(&row->round_trip));
        row_close(out);
    }
    table_close(out);
}

static void row_turns(FILE *out, const char *name, const struct histogram *turn)
{
    row_open(out, name);
    cell_count(out, histogram_count(turn));
    for (size_t i = 0; i < QUANTILE_COUNT; i++)
        cell_seconds(out, status_quantile(turn, &quantiles[i]));
    cell_seconds(out, status_max(turn));
    row_close(out);
}

static void table_turns(FILE *out, const struct status *status)
{
    static const struct page_column columns[] = {
        {"thread", false}, {"turns", false},  {"P50", false},      {"P99", false},
        {"P99.9", false},  {"P99.99", false}, {"P99.9999", false}, {"max", false}};
    table_open(out, "Event-loop turns", columns, sizeof columns / sizeof columns[0]);
    for (unsigned i = 0; i < status->setup->config->workers; i++) {
        char name[16];
        snprintf(name, sizeof name, "%u", i);
        row_turns(out, name, &status->turns[i]);
    }
    row_turns(out, "all", &status->sum.turn);
    table_close(out);
}

static void cell_expiry(FILE *out, uint64_t not_after, uint64_t now)
{
    time_t time = (time_t)not_after;
    int64_t days = ((int64_t)not_after - (int64_t)now) / SECONDS_A_DAY;
    struct tm day;
    char date[32] = "";
    if (gmtime_r(&time, &day) != NULL)
        strftime(date, sizeof date, "%Y-%m-%d", &day);
    fprintf(out, "<td%s>%s", days < EXPIRY_WARNING_DAYS ? " class=\"warn\"" : "", date);
    if (not_after <= now)
        fputs(", expired</td>", out);
    else
        fprintf(out, ", in %" PRIi64 " day%s</td>", days, days == 1 ? "" : "s");
}

static void link_to_page(FILE *out, const struct status *status, size_t number, const char *text)
{
    fputs(" <a href=\"?search=", out);
    for (const char *c = status->query.search; *c != '\0'; c++)
        fprintf(out, isalnum((unsigned char)*c) ? "%c" : "%%%02X", (unsigned char)*c);
    fprintf(out, "&amp;page=%zu\">%s</a>", number, text);
}

/* The search, and the way to the other pages, if there is more than one page without a search. */
static void search_certificates(FILE *out, const struct status *status,
                                const struct certificate_page *page)
{
    size_t number = status->query.page;
    if (status->setup->certificate_count <= CERTIFICATE_PAGE_SIZE)
        return;
    fputs("<form><label>Certificates <input name=\"search\" value=\"", out);
    escape_write(out, ESCAPE_HTML, status->query.search);
    fprintf(out, "\"></label> <button>Search</button> %zu found, page %zu of %zu", page->found,
            number, page->pages);
    if (number > 1)
        link_to_page(out, status, number - 1, "previous");
    if (number < page->pages)
        link_to_page(out, status, number + 1, "next");
    fputs("</form>", out);
}

static void table_certificates(FILE *out, const struct status *status)
{
    static const struct page_column columns[] = {
        {"names", true}, {"key", true}, {"frontend", true}, {"expires", false}};
    const struct admin_setup *setup = status->setup;
    if (setup->certificate_count == 0)
        return;
    struct certificate_page page;
    certificate_page_find(setup, &status->query, &page);
    search_certificates(out, status, &page);
    table_open(out, "Certificates", columns, sizeof columns / sizeof columns[0]);
    for (size_t i = 0; i < page.count; i++) {
        const struct certificate_info *info = &setup->certificates[page.shown[i]];
        row_open(out, info->names);
        cell_text(out, info->key_type);
        cell_text(out, info->frontend);
        cell_expiry(out, info->not_after, status->now);
        row_close(out);
    }
    table_close(out);
}

static void row_server(FILE *out, const struct shared_pool *pool, size_t number)
{
    const struct server_config *config = &pool->config->servers[number];
    const struct shared_server *server = &pool->servers[number];
    const struct server_setting setting = server_setting(server);
    enum server_state state = server_state(server);
    char reason[VERDICT_REASON_SIZE];
    server_reason(server, reason);
    row_open(out, pool->config->name);
    cell_text(out, config->address.text);
    fprintf(out, "<td class=\"text%s\">%s%s</td>", state == SERVER_UP ? "" : " warn",
            server_state_name(state), config->backup ? ", backup" : "");
    cell_text(out, reason);
    cell_count(out, server_weight(config, &setting));
    cell_count(out, atomic_load(&server->taken));
    if (config->max_connections > 0)
        cell_count(out, config->max_connections);
    else
        cell_number(out, NAN);
    cell_count(out, atomic_load(&pool->waiting));
    cell_count(out, atomic_load(&server->total));
    cell_count(out, atomic_load(&server->failed));
    row_close(out);
}

static void table_servers(FILE *out, const struct status *status)
{
    static const struct page_column columns[] = {
        {"backend", true}, {"server", true}, {"state", true}, {"check", true},
        {"weight", false}, {"now", false},   {"most", false}, {"queue", false},
        {"chosen", false}, {"failed", false}};
    const struct shared_servers *servers = status->setup->servers;
    if (servers == NULL || status->setup->config->server_count == 0)
        return;
    table_open(out, "Servers", columns, sizeof columns / sizeof columns[0]);
    for (size_t i = 0; i < servers->pool_count; i++) {
        const struct shared_pool *pool = &servers->pools[i];
        for (size_t j = 0; j < pool->config->server_count; j++)
            if (status_shows_server(status, &pool->servers[j]))
                row_server(out, pool, j);
    }
    table_close(out);
}

static void table_keyd(FILE *out, const struct status *status)
{
    static const struct page_column columns[] = {
        {"up", false},      {"clients", false}, {"keys", false},         {"queued", false},
        {"oldest", false},  {"signed", false},  {"lanes filled", false}, {"signed again", false},
        {"refused", false}, {"dropped", false}};
    if (status->keyd_count == 0)
        return;
    table_open(out, "Key process (immured)", columns, sizeof columns / sizeof columns[0]);
    fputs("<tr>", out);
    cell_seconds(out, status_keyd(status, "uptime_seconds"));
    cell_number(out, status_keyd(status, "sessions"));
    cell_number(out, status_keyd(status, "keys"));
    cell_number(out, status_keyd(status, "queued"));
    cell_seconds(out, status_keyd(status, "queue_age_microseconds") / 1e6);
    cell_number(out, status_keyd(status, "signatures_total"));
    cell_number(out, status_keyd(status, "lanes_filled_total") /
                         status_keyd(status, "lane_batches_total"));
    cell_number(out, status_keyd(status, "signed_again_total"));
    cell_number(out, status_keyd(status, "refused_total") + status_keyd(status, "busy_total"));
    cell_number(out, status_keyd(status, "expired_total") + status_keyd(status, "cancelled_total"));
    row_close(out);
    table_close(out);
}

void render_summary(FILE *out, const struct status *status)
{
    const struct proxy_config *config = status->setup->config;
    uint64_t started = status->setup->started;
    bool in_process = config->signing == SIGNING_IN_PROCESS;
    fprintf(out, "<p>Signing is <strong>%s</strong>; private keys are %s",
            signing_mode_name(config->signing),
            in_process ? "in the server’s own process" : "in <strong>immured</strong>");
    if (!in_process && config->keys.socket != NULL) {
        fputs(" at ", out);
        escape_write(out, ESCAPE_HTML, config->keys.socket);
    }
    if (!in_process)
        fprintf(out, " (%" PRIu64 " of %u event loops connected, %" PRIu64 " connections lost)",
                status->keyd_connected, config->workers,
                status->sum.counters[COUNTER_KEYD_RECONNECTS]);
    fprintf(out,
            ". Client connections: %" PRIu64 " established, %" PRIu64 " handshaking, %" PRIu64
            " accepted since the start %" PRIu64 " s ago.",
            status->established, status->sum.gauges[GAUGE_HANDSHAKING],
            status->sum.counters[COUNTER_ACCEPTED],
            status->now > started ? status->now - started : 0);
    if (status->draining.workers > 0)
        fprintf(out,
                " Draining workers of earlier configurations: %u, with %" PRIu64
                " of these connections.",
                status->draining.workers, status->draining.connections);
    fputs("</p>\n", out);
}

void render_tables(FILE *out, const struct status *status)
{
    table_handshakes(out, status);
    table_admission(out, status);
    table_signatures(out, status);
    table_keyd(out, status);
    table_servers(out, status);
    table_turns(out, status);
    table_certificates(out, status);
}
