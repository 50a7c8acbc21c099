#include "keyd/backend/multibuffer_library.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

static const char *const sonames[] = {"libcrypto_mb.so.13", "libcrypto_mb.so.12",
                                      "libcrypto_mb.so.11"};

static const struct {
    const char *name;
    size_t offset; /* of the pointer in struct multibuffer_library */
} symbols[] = {
#define SYMBOL(symbol, member)                                                                     \
    {                                                                                              \
        symbol, offsetof(struct multibuffer_library, member)                                       \
    }
    SYMBOL("mbx_get_algo_info", algorithm_info),
    SYMBOL("mbx_RSA_private_crt_Method", rsa_private_method),
    SYMBOL("mbx_RSA_pub65537_Method", rsa_public_method),
    SYMBOL("mbx_RSA_Method_BufSize", rsa_scratch_size),
    SYMBOL("mbx_rsa_private_crt_mb8", rsa_private),
    SYMBOL("mbx_rsa_public_mb8", rsa_public),
    SYMBOL("mbx_exp_mb8", exponentiate),
    SYMBOL("mbx_exp_BufferSize", exponentiate_scratch_size),
    SYMBOL("mbx_nistp256_ecdsa_sign_mb8", p256_sign),
    SYMBOL("mbx_nistp384_ecdsa_sign_mb8", p384_sign),
    SYMBOL("mbx_ed25519_sign_mb8", ed25519_sign),
};

static bool load(struct multibuffer_library *library, const char *name)
{
    library->handle = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    library->name = name;
    return library->handle != NULL;
}

static bool load_known(struct multibuffer_library *library, char *reason, size_t size)
{
    for (size_t i = 0; i < sizeof sonames / sizeof sonames[0]; i++)
        if (load(library, sonames[i]))
            return true;
    snprintf(reason, size, "there is no libcrypto_mb.so.11 to .so.13 here");
    return false;
}

static bool load_path(struct multibuffer_library *library, const char *path, char *reason,
                      size_t size)
{
    if (load(library, path))
        return true;
    snprintf(reason, size, "%s", dlerror());
    return false;
}

static bool look_up(struct multibuffer_library *library, char *reason, size_t size)
{
    for (size_t i = 0; i < sizeof symbols / sizeof symbols[0]; i++) {
        void *symbol = dlsym(library->handle, symbols[i].name);
        if (symbol == NULL) {
            snprintf(reason, size, "%s has no %s", library->name, symbols[i].name);
            return false;
        }
        memcpy((char *)library + symbols[i].offset, &symbol, sizeof symbol);
    }
    return true;
}

bool multibuffer_library_open(struct multibuffer_library *library, const char *path, char *reason,
                              size_t size)
{
    *library = (struct multibuffer_library){0};
    return (path != NULL ? load_path(library, path, reason, size)
                         : load_known(library, reason, size)) &&
           look_up(library, reason, size);
}
