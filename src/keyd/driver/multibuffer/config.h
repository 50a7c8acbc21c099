/* The settings of crypto_mb. */
#ifndef KEYD_DRIVER_MULTIBUFFER_CONFIG_H
#define KEYD_DRIVER_MULTIBUFFER_CONFIG_H

struct multibuffer_config {
    char *library; /* path; NULL: the system's library */
};

#endif
