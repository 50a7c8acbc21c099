#include "operator/chain_file.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/pem_file.h"
#include "base/regular_file.h"
#include "immure/reference.h"

static bool refuse(const char *path, const char *what, char *reason, size_t size)
{
    snprintf(reason, size, "%s: %s", path, what);
    ERR_clear_error();
    return false;
}

static bool read_text(struct chain_file *chain, char *reason, size_t size)
{
    struct stat status;
    int file = regular_file_open(chain->path);
    if (file < 0)
        return refuse(chain->path, regular_file_reason(-file), reason, size);
    chain->text = pem_file_read(file, &chain->length);
    int error = errno;
    chain->has_key =
        chain->text != NULL && fstat(file, &status) == 0 && (size_t)status.st_size > chain->length;
    close(file);
    return chain->text != NULL || refuse(chain->path, strerror(error), reason, size);
}

/* Unless it has bytes that no name has. */
static void take_name(struct chain_file *chain, const ASN1_STRING *name)
{
    const char *text = (const char *)ASN1_STRING_get0_data(name);
    size_t length = (size_t)ASN1_STRING_length(name);
    if (chain->name_count == CHAIN_NAMES_MAX || length == 0 || length >= sizeof chain->names[0] ||
        memchr(text, '\0', length) != NULL)
        return;
    char *place = chain->names[chain->name_count++];
    memcpy(place, text, length);
    place[length] = '\0';
}

static void take_names(struct chain_file *chain, X509 *certificate)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        if (name->type == GEN_DNS)
            take_name(chain, name->d.dNSName);
    }
    GENERAL_NAMES_free(names);
    X509_NAME *subject = X509_get_subject_name(certificate);
    int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    if (chain->name_count == 0 && at >= 0)
        take_name(chain, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
}

/* The key is encoded again, as immured does. */
static bool take_key(struct chain_file *chain, X509 *certificate, char *reason, size_t size)
{
    uint8_t *spki = NULL;
    EVP_PKEY *key = X509_get0_pubkey(certificate);
    int length = key != NULL ? i2d_PUBKEY(key, &spki) : -1;
    bool taken = length > 0 && length <= IMMURE_SPKI_MAX &&
                 public_key_take(&chain->key, spki, (size_t)length);
    OPENSSL_free(spki);
    if (taken && public_key_is_taken(&chain->key))
        return true;
    return refuse(chain->path, "its public key is of a kind that immured does not take", reason,
                  size);
}

bool chain_file_read(struct chain_file *chain, const char *path, char *reason, size_t size)
{
    *chain = (struct chain_file){.path = path};
    if (!read_text(chain, reason, size))
        return false;
    BIO *bio = BIO_new_mem_buf(chain->text, (int)chain->length);
    X509 *certificate = bio != NULL ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
    BIO_free(bio);
    bool good = certificate != NULL ? take_key(chain, certificate, reason, size)
                                    : refuse(path, "there is no certificate in it", reason, size);
    if (good)
        take_names(chain, certificate);
    X509_free(certificate);
    ERR_clear_error();
    if (!good)
        chain_file_free(chain);
    return good;
}

void chain_file_free(struct chain_file *chain)
{
    free(chain->text);
    chain->text = NULL;
    public_key_free(&chain->key);
}
