/* immured.conf: it is taken, or refused with a reason. */
#include <stdlib.h>

#include "conf/error.h"
#include "conf/text.h"
#include "config_input.h"
#include "keyd/process/load.h"
#include "target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct driver *const drivers[] = {&driver_openssl, &driver_multibuffer,
                                                   &driver_provider, NULL};
    struct keyd_config config;
    const char *file = config_input(data, size);
    char *text = conf_text_read(file);
    struct conf_error error = {""};
    bool good = config_load(&config, file, text, drivers, &error);
    free(text);
    if (good) {
        if (config.key_count == 0 || config.threads == 0)
            abort();
        config_free(&config);
    } else if (error.text[0] == '\0') {
        abort();
    }
    return 0;
}
