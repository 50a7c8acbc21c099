/*
 * What the operator said in the provider's section of openssl.cnf. Read once, when the provider is
 * loaded: servers wipe the environment of their workers, and chroot() takes the file away.
 */
#ifndef PROVIDER_SETTINGS_H
#define PROVIDER_SETTINGS_H

#include <openssl/core_dispatch.h>
#include <openssl/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Where immured listens unless somebody says otherwise. */
#define SETTINGS_SOCKET "/run/immure/immured.sock"

struct settings {
    char *socket;      /* goes before what key references say; NULL: not given */
    uint64_t timeout;  /* of one signature, connecting included; ns */
    bool asynchronous; /* async jobs of servers that know nothing of immure are paused */
    bool demands_user; /* `peer_user` must be who listens */
    uid_t peer_user;
    /* What is wrong with them, or empty. OpenSSL goes on without a provider that does not load, and
     * says nothing; so this is said where the first key is loaded. */
    char fault[256];
};

void settings_read(struct settings *settings, const OSSL_CORE_HANDLE *core,
                   OSSL_FUNC_core_get_params_fn *get_params);
void settings_free(struct settings *settings);

#endif
