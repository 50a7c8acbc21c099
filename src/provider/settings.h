/*
 * The provider's section of openssl.cnf. It is read once, when the provider is loaded, because
 * servers clear the environment of their workers and may chroot() away from the file.
 */
#ifndef PROVIDER_SETTINGS_H
#define PROVIDER_SETTINGS_H

#include <openssl/core_dispatch.h>
#include <openssl/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* The default socket of immured. */
#define SETTINGS_SOCKET "/run/immure/immured.sock"

struct settings {
    char *socket;      /* takes precedence over key references; NULL: not given */
    uint64_t timeout;  /* for one signature, including connecting; ns */
    bool asynchronous; /* pause async jobs of servers that know nothing of immure */
    bool demands_user; /* the listener must run as `peer_user` */
    uid_t peer_user;
    /* What is wrong with the settings, or empty. It is reported when the first key is loaded,
     * because OpenSSL silently continues without a provider that fails to load. */
    char fault[256];
};

void settings_read(struct settings *settings, const OSSL_CORE_HANDLE *core,
                   OSSL_FUNC_core_get_params_fn *get_params);
void settings_free(struct settings *settings);

#endif
