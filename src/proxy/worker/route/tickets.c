#include "proxy/worker/route/tickets.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <string.h>

bool tickets_init(struct tickets *tickets, OSSL_LIB_CTX *context, const struct ticket_keys *keys)
{
    tickets->keys = *keys;
    tickets->context = context;
    tickets->iv_count = 0;
    tickets->cipher = EVP_CIPHER_fetch(context, "AES-256-CBC", NULL);
    return tickets->cipher != NULL;
}

void tickets_release(struct tickets *tickets)
{
    EVP_CIPHER_free(tickets->cipher);
    OPENSSL_cleanse(&tickets->keys, sizeof tickets->keys);
}

/* The index of an SSL_CTX's ex_data; drawn once for all, before threads start. */
static int tickets_index(void)
{
    static int index = -1;
    if (index < 0)
        index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, NULL);
    return index;
}

static bool set_key(struct tickets *tickets, const struct ticket_key *key, const unsigned char *iv,
                    EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int encrypt)
{
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, (void *)key->hmac, sizeof key->hmac),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)"SHA256", 0),
        OSSL_PARAM_construct_end(),
    };
    return EVP_CipherInit_ex(cipher, tickets->cipher, NULL, key->aes, iv, encrypt) == 1 &&
           EVP_MAC_CTX_set_params(mac, params) == 1;
}

static bool next_iv(struct tickets *tickets, unsigned char *iv)
{
    if (tickets->iv_count == 0) {
        if (RAND_bytes_ex(tickets->context, tickets->ivs[0], sizeof tickets->ivs, 0) != 1)
            return false;
        tickets->iv_count = TICKET_IVS;
    }
    memcpy(iv, tickets->ivs[--tickets->iv_count], TICKET_IV_SIZE);
    return true;
}

static bool is_named(const struct ticket_key *key, const unsigned char *name)
{
    return CRYPTO_memcmp(key->name, name, sizeof key->name) == 0;
}

/* Returns what SSL_CTX_set_tlsext_ticket_key_evp_cb(3) asks for: -1 error, 0 unknown key (a full
 * handshake follows), 1 good, 2 good and to be renewed. A TLS 1.3 client uses a ticket only once
 * (RFC 8446, appendix C.4), so each resumption has to bring it the next one. */
static int use_ticket_key(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                          EVP_MAC_CTX *mac, int encrypt)
{
    struct tickets *tickets = SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), tickets_index());
    const struct ticket_key *key = &tickets->keys.current;
    int good = SSL_version(ssl) == TLS1_3_VERSION ? 2 : 1;
    if (encrypt) {
        if (!next_iv(tickets, iv))
            return -1;
        memcpy(name, key->name, sizeof key->name);
    } else if (!is_named(key, name)) {
        key = &tickets->keys.previous;
        good = 2;
        if (!is_named(key, name))
            return 0;
    }
    return set_key(tickets, key, iv, cipher, mac, encrypt) ? good : -1;
}

bool tickets_use(struct tickets *tickets, SSL_CTX *ssl_context, unsigned count)
{
    if (count == 0)
        SSL_CTX_set_options(ssl_context, SSL_OP_NO_TICKET);
    return SSL_CTX_set_num_tickets(ssl_context, count) == 1 &&
           SSL_CTX_set_ex_data(ssl_context, tickets_index(), tickets) == 1 &&
           SSL_CTX_set_tlsext_ticket_key_evp_cb(ssl_context, use_ticket_key) == 1;
}
