#include "proxy/store/tails.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "proxy/store/layout.h"

#define TAILS_MAX 1024 /* beyond that they are forgotten */

struct tail_search {
    const struct tails *tails;
    const char *text;
    size_t length;
};

static bool is_tail(const void *context, uint32_t number)
{
    const struct tail_search *search = context;
    const struct tail *tail = array_at(&search->tails->known, number);
    return tail->length == search->length && memcmp(tail->text, search->text, tail->length) == 0;
}

static int64_t seconds_of(const ASN1_TIME *time)
{
    struct tm utc;
    return ASN1_TIME_to_tm(time, &utc) == 1 ? timegm(&utc) : 0;
}

/* Whether the PEM reader has stopped for want of another certificate. */
static bool at_end(void)
{
    bool end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
    if (end)
        ERR_clear_error();
    return end;
}

static bool add_certificate(struct tail *tail, struct store_builder *builder, const uint8_t *der,
                            const X509 *certificate)
{
    int64_t before = seconds_of(X509_get0_notBefore(certificate));
    int64_t after = seconds_of(X509_get0_notAfter(certificate));
    tail->not_before = before > tail->not_before ? before : tail->not_before;
    tail->not_after = after < tail->not_after ? after : tail->not_after;
    int length = i2d_X509(certificate, NULL);
    uint32_t number = store_builder_chain_certificate(builder, der, (size_t)length);
    return length > 0 && array_add(&tail->numbers, &number) != NULL;
}

/* Takes the next certificate. False: there is none. */
static bool take_next(struct tail *tail, struct store_builder *builder, BIO *text, X509 **below)
{
    unsigned char *der;
    long length;
    if (PEM_bytes_read_bio(&der, &length, NULL, PEM_STRING_X509, text, NULL, NULL) != 1)
        return false;
    const unsigned char *next = der;
    X509 *certificate = d2i_X509(NULL, &next, length);
    bool good = certificate != NULL && add_certificate(tail, builder, der, certificate);
    OPENSSL_free(der);
    if (!good) {
        X509_free(certificate);
        return false;
    }
    if (*below != NULL && X509_check_issued(certificate, *below) != X509_V_OK)
        tail->misordered = true;
    X509_free(*below);
    *below = certificate;
    if (tail->issuer == NULL && X509_up_ref(certificate) == 1)
        tail->issuer = certificate;
    return true;
}

static bool read_all(struct tail *tail, struct store_builder *builder)
{
    X509 *last = NULL;
    BIO *text = BIO_new_mem_buf(tail->text, (int)tail->length);
    ERR_clear_error();
    while (text != NULL && take_next(tail, builder, text, &last))
        continue;
    BIO_free(text);
    X509_free(last);
    return text != NULL && at_end();
}

static void free_tail(struct tail *tail)
{
    free(tail->text);
    array_free(&tail->numbers);
    X509_free(tail->issuer);
}

void tails_free(struct tails *tails)
{
    for (size_t i = 0; i < tails->known.count; i++)
        free_tail(array_at(&tails->known, i));
    array_free(&tails->known);
    slots_free(&tails->slots);
}

const struct tail *tails_take(struct tails *tails, struct store_builder *builder, const char *text,
                              size_t length)
{
    const struct tail_search search = {tails, text, length};
    uint64_t hash = store_hash(0, text, length);
    uint32_t number = slots_find(&tails->slots, hash, is_tail, &search);
    if (number != STORE_NONE)
        return array_at(&tails->known, number);
    if (tails->known.count == TAILS_MAX)
        tails_free(tails);
    struct tail tail = {.text = malloc(length + 1),
                        .length = length,
                        .numbers = ARRAY_INIT(uint32_t),
                        .not_before = INT64_MIN,
                        .not_after = INT64_MAX};
    number = (uint32_t)tails->known.count;
    if (tail.text != NULL)
        memcpy(tail.text, text, length);
    const struct tail *added =
        tail.text != NULL && read_all(&tail, builder) ? array_add(&tails->known, &tail) : NULL;
    if (added != NULL && slots_add(&tails->slots, hash, number))
        return added;
    if (added != NULL)
        tails->known.count--;
    free_tail(&tail);
    return NULL;
}
