/* One page of the list of certificates, which may have 100,000 of them. */
#ifndef PROXY_ADMIN_CERTIFICATE_PAGE_H
#define PROXY_ADMIN_CERTIFICATE_PAGE_H

#include "proxy/admin/setup.h"

#define CERTIFICATE_PAGE_SIZE 100

/* What a request asks for: `?search=TEXT&page=NUMBER`. */
struct certificate_query {
    const char *search; /* a part of a name, a file or a key id, in letters of any case; "": all */
    size_t page;        /* from 1 */
};

struct certificate_page {
    size_t shown[CERTIFICATE_PAGE_SIZE]; /* indexes of certificates */
    size_t count;
    size_t found; /* on all pages together */
    size_t pages; /* at least 1 */
};

/* NULL stands for an argument that the request does not have. A page that is no number is the
 * first. */
struct certificate_query certificate_query_of(const char *search, const char *page);
/* A page behind the last one is empty. */
void certificate_page_find(const struct admin_setup *setup, const struct certificate_query *query,
                           struct certificate_page *page);

#endif
