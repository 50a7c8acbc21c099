#include "keyd/driver/multibuffer/library.h"

#define SYMBOL(symbol, member)                                                                     \
    {                                                                                              \
        symbol, offsetof(struct multibuffer_library, member)                                       \
    }
static const struct multibuffer_symbol symbols[] = {
    SYMBOL("mbx_get_algo_info", algorithm_info),
    SYMBOL("mbx_RSA_private_crt_Method", rsa_private_method),
    SYMBOL("mbx_RSA_Method_BufSize", rsa_scratch_size),
    SYMBOL("mbx_rsa_private_crt_mb8", rsa_private),
    SYMBOL("mbx_exp_mb8", exponentiate),
    SYMBOL("mbx_exp_BufferSize", exponentiate_scratch_size),
    SYMBOL("mbx_nistp256_ecdsa_sign_mb8", p256_sign),
    SYMBOL("mbx_nistp384_ecdsa_sign_mb8", p384_sign),
    SYMBOL("mbx_nistp384_ecdsa_verify_mb8", p384_verify),
    SYMBOL("mbx_ed25519_sign_mb8", ed25519_sign),
    SYMBOL("mbx_ed25519_verify_mb8", ed25519_verify),
};

bool multibuffer_library_open(struct multibuffer_library *library, const char *path, char *reason,
                              size_t size)
{
    *library = (struct multibuffer_library){0};
    library->name =
        multibuffer_load(path, symbols, sizeof symbols / sizeof symbols[0], library, reason, size);
    return library->name != NULL;
}
