#include "proxy/worker/route/client_refusal.h"

#include <openssl/err.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "proxy/config/address.h"
#include "proxy/worker/route/hello.h"
#include "proxy/worker/route/server_name.h"

#define SUBJECT_SIZE 256

static void describe(const X509 *certificate, char text[SUBJECT_SIZE])
{
    BIO *bio = BIO_new(BIO_s_mem());
    int length = 0;
    if (bio != NULL && X509_NAME_print_ex(bio, X509_get_subject_name(certificate), 0,
                                          XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB) >= 0)
        length = BIO_read(bio, text, SUBJECT_SIZE - 1);
    text[length > 0 ? length : 0] = '\0';
    BIO_free(bio);
}

/* Clients cause these lines, so there is at most one a second in each thread. */
void client_refusal_log(SSL *ssl, const X509 *certificate, const char *reason)
{
    const struct hello *hello = hello_of(ssl);
    struct tls *tls = hello->frontend->tls;
    const char *name = server_name_of(ssl);
    char address[ADDRESS_TEXT_SIZE], subject[SUBJECT_SIZE] = "none", unsaid[64] = "";
    if (!log_due(&tls->refused_at, clock_now())) {
        tls->refused_unsaid++;
        return;
    }
    if (certificate != NULL)
        describe(certificate, subject);
    if (tls->refused_unsaid > 0)
        snprintf(unsaid, sizeof unsaid, " (and %u more since the last such line)",
                 tls->refused_unsaid);
    tls->refused_unsaid = 0;
    address_print(&hello->addresses->source, address);
    log_info("frontend \"%s\": client %s, server name \"%s\": certificate %s: refused: %s%s",
             hello->frontend->config->name, address, name != NULL ? name : "", subject, reason,
             unsaid);
}

void client_refusal_failed(SSL *ssl, bool too_many)
{
    unsigned long error = ERR_peek_error();
    OSSL_HANDSHAKE_STATE state = SSL_get_state(ssl);
    if ((state == TLS_ST_SR_CERT || state == TLS_ST_SR_CERT_VRFY) && ERR_GET_LIB(error) != 0 &&
        ERR_GET_REASON(error) != SSL_R_CERTIFICATE_VERIFY_FAILED)
        client_refusal_log(ssl, SSL_get0_peer_certificate(ssl),
                           too_many ? "it came with too many certificates"
                                    : ERR_reason_error_string(error));
}
