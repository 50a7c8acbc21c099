#include "proxy/admin/certificate_page.h"

#include <stdlib.h>
#include <string.h>

struct certificate_query certificate_query_of(const char *search, const char *page)
{
    struct certificate_query query = {.search = search != NULL ? search : "", .page = 1};
    unsigned long number = page != NULL ? strtoul(page, NULL, 10) : 1;
    if (number > 1 && number < SIZE_MAX / CERTIFICATE_PAGE_SIZE)
        query.page = number;
    return query;
}

static bool matches(const struct certificate_info *info, const char *search)
{
    return search[0] == '\0' || strcasestr(info->names, search) != NULL ||
           strcasestr(info->file, search) != NULL || strcasestr(info->key_id, search) != NULL;
}

void certificate_page_find(const struct admin_setup *setup, const struct certificate_query *query,
                           struct certificate_page *page)
{
    size_t first = (query->page - 1) * CERTIFICATE_PAGE_SIZE;
    page->count = page->found = 0;
    for (size_t i = 0; i < setup->certificate_count; i++) {
        if (!matches(&setup->certificates[i], query->search))
            continue;
        if (page->found >= first && page->count < CERTIFICATE_PAGE_SIZE)
            page->shown[page->count++] = i;
        page->found++;
    }
    page->pages = (page->found + CERTIFICATE_PAGE_SIZE - 1) / CERTIFICATE_PAGE_SIZE;
    page->pages = page->pages > 0 ? page->pages : 1;
}
