/* What an operator says of crypto_mb. */
#ifndef KEYD_DRIVER_MULTIBUFFER_CONFIG_H
#define KEYD_DRIVER_MULTIBUFFER_CONFIG_H

struct multibuffer_config {
    char *library; /* path; NULL: where the system has it */
};

#endif
