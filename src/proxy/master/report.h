/*
 * What a refresh has brought, or a trial of one would bring. Those who asked for the refresh share
 * the report, and each of them can take as long as it needs to pass it on: the report keeps both
 * stores that it speaks of.
 */
#ifndef PROXY_MASTER_REPORT_H
#define PROXY_MASTER_REPORT_H

#include <stdbool.h>
#include <stddef.h>

#include "conf/error.h"
#include "proxy/store/compare.h"
#include "proxy/store/store.h"

enum report_outcome {
    REPORT_DONE,
    REPORT_FAILED,  /* `reason` says why; the certificates in force go on */
    REPORT_BUSY,    /* the same for now: it passes by itself */
    REPORT_TOO_MUCH /* the same, and HUP takes what has changed */
};

struct report {
    unsigned users;
    enum report_outcome outcome;
    char reason[sizeof(struct conf_error)];
    struct store *before, *after; /* NULL if it is not done */
    struct report_change {
        uint32_t number; /* in `after`, but for STORE_REMOVED in `before` */
        enum store_change change;
    } * changes;
    size_t count;
    size_t counts[STORE_REMOVED + 1];
};

/* Compares two stores, which others own, too. NULL: out of memory. */
struct report *report_of_stores(struct store *before, struct store *after);
/* Returns NULL if memory is short. */
struct report *report_of_trouble(enum report_outcome outcome, const char *reason);
/* One more user. Returns report. */
struct report *report_share(struct report *report);
/* NULL is ignored. */
void report_release(struct report *report);

/* The certificate that the change is about, and its store. */
const struct store_certificate *report_certificate(const struct report *report, size_t change,
                                                   const struct store **store);
const char *report_change_name(enum store_change change); /* "added" ... */

#endif
