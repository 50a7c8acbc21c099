/* immure.so: the provider as a module that OpenSSL loads. */
#include "provider/provider.h"

OSSL_provider_init_fn OSSL_provider_init;

int OSSL_provider_init(const OSSL_CORE_HANDLE *core, const OSSL_DISPATCH *in,
                       const OSSL_DISPATCH **out, void **context)
{
    return provider_init(core, in, out, context);
}
