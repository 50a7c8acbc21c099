#include "operator/figures.h"

#include <math.h>
#include <string.h>

#include "base/clock.h"

static void take(void *arg, const struct immure_reply *reply)
{
    struct figures *figures = arg;
    for (size_t i = 0; i < reply->stat_count; i++) {
        if (reply->stats[i].name == NULL || figures->count == WIRE_STATS_MAX)
            figures->unknown++;
        else
            figures->list[figures->count++] = reply->stats[i];
    }
}

enum immure_error figures_ask(struct figures *figures, struct tool_connection *connection)
{
    *figures = (struct figures){0};
    const struct immure_request request = {
        .operation = IMMURE_STATS, .callback = take, .arg = figures};
    enum immure_error error =
        immure_blocking_request(connection->blocking, &request, connection->timeout);
    figures->at = clock_now();
    return error;
}

const struct immure_stat *figures_find(const struct figures *figures, const char *name)
{
    for (size_t i = 0; i < figures->count; i++)
        if (strcmp(figures->list[i].name, name) == 0)
            return &figures->list[i];
    return NULL;
}

double figures_rate(const struct figures *figures, const struct figures *before, const char *name)
{
    const struct immure_stat *now = figures_find(figures, name);
    const struct immure_stat *then = figures_find(before, name);
    if (now == NULL || then == NULL || figures->at <= before->at)
        return (double)NAN;
    uint64_t grown = now->value >= then->value ? now->value - then->value : now->value;
    return (double)grown * (double)NS_PER_S / (double)(figures->at - before->at);
}
