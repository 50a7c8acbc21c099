/* immured.conf: it is taken, or refused with a reason. */
#include <stdlib.h>

#include "config_input.h"
#include "keyd/config.h"
#include "target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct backend *const backends[] = {&backend_openssl, &backend_multibuffer, NULL};
    struct config config;
    if (config_load(&config, config_input(data, size), backends)) {
        if (config.key_count == 0 || config.threads == 0)
            abort();
        config_free(&config);
    } else if (config_input_logged() == 0) {
        abort();
    }
    return 0;
}
