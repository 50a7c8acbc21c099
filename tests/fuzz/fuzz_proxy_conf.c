/* immure-proxy.conf: it is taken, or refused with a reason. */
#include <stdlib.h>

#include "config_input.h"
#include "proxy/config/load.h"
#include "target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct conf_error error = {""};
    struct proxy_config *config = config_load(config_input(data, size), &error);
    if (config == NULL && error.text[0] == '\0')
        abort();
    if (config != NULL && (config->frontend_count == 0 || config->workers == 0))
        abort();
    for (size_t i = 0; config != NULL && i < config->frontend_count; i++)
        for (size_t j = 0; j < config->frontends[i].route_count; j++) {
            size_t backend = config->frontends[i].routes[j].backend;
            if (backend >= config->backend_count && backend != NO_BACKEND)
                abort();
        }
    config_free(config);
    return 0;
}
