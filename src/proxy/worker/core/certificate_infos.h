/* What the admin page says about the certificates in force. */
#ifndef PROXY_WORKER_CORE_CERTIFICATE_INFOS_H
#define PROXY_WORKER_CORE_CERTIFICATE_INFOS_H

#include "proxy/admin/setup.h"
#include "proxy/worker/core/keyd_watch.h"

struct certificate_infos {
    struct certificate_info *of; /* by number in the store */
    size_t count;
};

/* The store outlives *infos. `watch`: which of them are keyless; NULL: none. False: out of memory;
 * call certificate_infos_free() all the same. */
bool certificate_infos_make(struct certificate_infos *infos, const struct proxy_config *config,
                            const struct store *store, const struct keyd_watch *watch);
/* The watch may have noted a change. */
void certificate_infos_note_keys(struct certificate_infos *infos, const struct keyd_watch *watch);
void certificate_infos_free(struct certificate_infos *infos);

#endif
