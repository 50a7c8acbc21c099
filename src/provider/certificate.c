#include "provider/certificate.h"

#include <openssl/err.h>
#include <openssl/provider.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "immure/openssl.h"
#include "provider/provider.h"

/* With `null` active libcrypto does not load `default`, nor do we. */
OSSL_LIB_CTX *certificate_context(void)
{
    OSSL_LIB_CTX *context = OSSL_LIB_CTX_new();
    if (context == NULL)
        return NULL;
    if (OSSL_PROVIDER_load(context, "null") != NULL &&
        OSSL_PROVIDER_add_builtin(context, "immure", provider_init_for_certificates) &&
        OSSL_PROVIDER_load(context, "immure") != NULL)
        return context;
    immure_openssl_context_free(context);
    return NULL;
}

X509 *certificate_read(OSSL_LIB_CTX *context, const uint8_t *der, size_t length)
{
    X509 *certificate = X509_new_ex(context, NULL);
    ERR_set_mark();
    if (certificate != NULL && d2i_X509(&certificate, &der, (long)length) != NULL &&
        X509_get0_pubkey(certificate) != NULL) {
        /* libcrypto notes the extensions now, and that there is no SHA-1 here for a fingerprint. It
         * would do so while libssl works, which takes any error in the queue for its own. */
        X509_check_purpose(certificate, -1, 0);
        ERR_pop_to_mark();
        return certificate;
    }
    ERR_clear_last_mark();
    X509_free(certificate);
    return NULL;
}
