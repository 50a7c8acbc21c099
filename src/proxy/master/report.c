#include "proxy/master/report.h"

#include <stdio.h>
#include <stdlib.h>

struct gathering {
    struct report *report;
    size_t room;
    bool failed;
};

static void gather(void *owner, enum store_change change, uint32_t number)
{
    struct gathering *gathering = owner;
    struct report *report = gathering->report;
    report->counts[change]++;
    if (report->count == gathering->room) {
        size_t room = 2 * gathering->room + 16;
        struct report_change *more = reallocarray(report->changes, room, sizeof *more);
        gathering->failed |= more == NULL;
        if (more == NULL)
            return;
        report->changes = more;
        gathering->room = room;
    }
    report->changes[report->count++] = (struct report_change){number, change};
}

struct report *report_of_stores(struct store *before, struct store *after)
{
    struct report *report = calloc(1, sizeof *report);
    if (report == NULL)
        return NULL;
    *report =
        (struct report){.users = 1, .before = store_share(before), .after = store_share(after)};
    struct gathering gathering = {.report = report};
    if (store_compare(before, after, gather, &gathering) && !gathering.failed)
        return report;
    report_release(report);
    return NULL;
}

struct report *report_of_trouble(enum report_outcome outcome, const char *reason)
{
    struct report *report = calloc(1, sizeof *report);
    if (report == NULL)
        return NULL;
    *report = (struct report){.users = 1, .outcome = outcome};
    snprintf(report->reason, sizeof report->reason, "%s", reason);
    return report;
}

struct report *report_share(struct report *report)
{
    report->users++;
    return report;
}

void report_release(struct report *report)
{
    if (report == NULL || --report->users > 0)
        return;
    store_close(report->before);
    store_close(report->after);
    free(report->changes);
    free(report);
}

const struct store_certificate *report_certificate(const struct report *report, size_t change,
                                                   const struct store **store)
{
    const struct report_change *about = &report->changes[change];
    *store = about->change == STORE_REMOVED ? report->before : report->after;
    return store_certificate(*store, about->number);
}

const char *report_change_name(enum store_change change)
{
    static const char *const names[] = {
        [STORE_ADDED] = "added", [STORE_REPLACED] = "replaced", [STORE_REMOVED] = "removed"};
    return names[change];
}
