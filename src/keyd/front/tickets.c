#include "keyd/front/tickets.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <string.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/regular_file.h"
#include "keyd/keys/files.h"

#define SECRET_LEAST 32
#define SECRET_MOST 4096

/* HKDF's `info`: the purpose of the key, and its epoch. */
#define LABEL "immure session tickets"
#define INFO_SIZE (sizeof LABEL - 1 + 4 + 8)

bool tickets_derive(const struct ticket_secret *tickets, uint64_t epoch,
                    uint8_t key[WIRE_TICKET_KEY_SIZE])
{
    uint8_t info[INFO_SIZE];
    struct writer writer = writer_of(info, sizeof info);
    write_bytes(&writer, LABEL, sizeof LABEL - 1);
    write_u32(&writer, tickets->epoch_seconds);
    write_u64(&writer, epoch);
    const OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)"SHA256", 0),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, tickets->secret.bytes,
                                          tickets->secret.length),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, info, sizeof info),
        OSSL_PARAM_construct_end(),
    };
    EVP_KDF_CTX *context = EVP_KDF_CTX_new(tickets->hkdf);
    bool good = context != NULL && EVP_KDF_derive(context, key, WIRE_TICKET_KEY_SIZE, params) == 1;
    EVP_KDF_CTX_free(context);
    return good;
}

/* Tests HKDF, and has libcrypto fetch all that it needs before the sandbox is entered. */
static bool try(const struct ticket_secret *tickets)
{
    uint8_t key[WIRE_TICKET_KEY_SIZE];
    bool good = tickets->hkdf != NULL && tickets_derive(tickets, 0, key);
    OPENSSL_cleanse(key, sizeof key);
    return good;
}

bool tickets_open(struct ticket_secret *tickets, const struct tickets_config *config,
                  const struct files *files)
{
    const char *file = config->secret_file;
    *tickets = (struct ticket_secret){.epoch_seconds = (uint32_t)(config->epoch / NS_PER_S)};
    if (file == NULL)
        return true;
    if (!files_read(files, file, SECRET_MOST, &tickets->secret)) {
        log_error("ticket-secret-file: %s: %s", file, regular_file_reason(errno));
        return false;
    }
    if (tickets->secret.length < SECRET_LEAST) {
        log_error("ticket-secret-file: %s: it has %zu bytes, at least %d are needed", file,
                  tickets->secret.length, SECRET_LEAST);
        return false;
    }
    tickets->hkdf = EVP_KDF_fetch(NULL, OSSL_KDF_NAME_HKDF, NULL);
    if (try(tickets))
        return true;
    log_error("ticket-secret-file: libcrypto has no HKDF with SHA-256");
    return false;
}

void tickets_close(struct ticket_secret *tickets)
{
    secret_free(&tickets->secret);
    EVP_KDF_free(tickets->hkdf);
    tickets->hkdf = NULL;
}

bool tickets_configured(const struct ticket_secret *tickets)
{
    return tickets->hkdf != NULL;
}
