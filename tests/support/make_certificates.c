/*
 * make-certificates FOLDER COUNT [FIRST]: COUNT certificates of P-256 keys for the names
 * n0.example, n1.example ..., as NAME.crt and NAME.key, all from one intermediate; and
 * FOLDER/../ca.pem, the root that it is from. Each run has a root of its own.
 *
 * A hundred thousand shall take a minute on one core. So each process makes one certificate and
 * changes name, key and signature for each file; all cores take part.
 */
#include <fcntl.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define DAY (24 * 3600)
#define SCALAR_SIZE 32
#define POINT_SIZE 65 /* uncompressed */

struct authority {
    EVP_PKEY *key;
    X509 *certificate;
};

static void must(int good, const char *what)
{
    if (good > 0)
        return;
    fprintf(stderr, "make-certificates: %s\n", what);
    exit(1);
}

static void add_extension(X509 *certificate, const X509 *issuer, int nid, const char *value)
{
    X509V3_CTX context;
    X509V3_set_ctx(&context, (X509 *)issuer, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    must(extension != NULL && X509_add_ext(certificate, extension, -1), value);
    X509_EXTENSION_free(extension);
}

/* `issuer` is NULL for a root. */
static X509 *certify(EVP_PKEY *key, const char *name, const struct authority *issuer, long serial)
{
    X509 *certificate = X509_new();
    X509_NAME *subject = X509_get_subject_name(certificate);
    must(X509_set_version(certificate, X509_VERSION_3), "version");
    must(ASN1_INTEGER_set(X509_get_serialNumber(certificate), serial), "serial");
    must(X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1,
                                    -1, 0),
         "subject");
    must(X509_set_issuer_name(
             certificate, issuer != NULL ? X509_get_subject_name(issuer->certificate) : subject),
         "issuer");
    X509_gmtime_adj(X509_getm_notBefore(certificate), -DAY);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 90 * DAY);
    must(X509_set_pubkey(certificate, key), "key");
    return certificate;
}

static struct authority make_authority(const char *name, const struct authority *issuer)
{
    struct authority made = {.key = EVP_EC_gen("P-256")};
    made.certificate = certify(made.key, name, issuer, 1);
    const X509 *above = issuer != NULL ? issuer->certificate : made.certificate;
    add_extension(made.certificate, above, NID_basic_constraints, "critical,CA:TRUE");
    add_extension(made.certificate, above, NID_key_usage, "critical,keyCertSign,cRLSign");
    add_extension(made.certificate, above, NID_subject_key_identifier, "hash");
    if (issuer != NULL)
        add_extension(made.certificate, above, NID_authority_key_identifier, "keyid:always");
    must(X509_sign(made.certificate, issuer != NULL ? issuer->key : made.key, EVP_sha256()),
         "sign");
    return made;
}

static void free_authority(struct authority *authority)
{
    X509_free(authority->certificate);
    EVP_PKEY_free(authority->key);
}

/* ---- leaves ---- */

/* A P-256 key in PKCS #8 (RFC 5958, RFC 5915), up to its scalar, and what is between scalar and
 * point. */
static const uint8_t pkcs8[] = {0x30, 0x81, 0x87, 0x02, 0x01, 0x00, 0x30, 0x13, 0x06,
                                0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06,
                                0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07,
                                0x04, 0x6d, 0x30, 0x6b, 0x02, 0x01, 0x01, 0x04, 0x20};
static const uint8_t point_follows[] = {0xa1, 0x44, 0x03, 0x42, 0x00};

#define PKCS8_SIZE (sizeof pkcs8 + SCALAR_SIZE + sizeof point_follows + POINT_SIZE)

struct maker {
    const struct authority *issuer;
    int folder;
    EVP_PKEY_CTX *generator;
    EVP_MD_CTX *signer, *signing; /* ready to sign; a copy of it for each signature */
    X509 *leaf;                   /* the latest */
    char *issuer_text;            /* PEM */
    size_t issuer_length;
};

static char *text_of(BIO *bio, size_t *length)
{
    char *bytes;
    *length = (size_t)BIO_get_mem_data(bio, &bytes);
    char *text = malloc(*length);
    must(text != NULL, "memory");
    memcpy(text, bytes, *length);
    BIO_free(bio);
    return text;
}

static void maker_open(struct maker *maker, const char *folder, const struct authority *issuer)
{
    BIO *text = BIO_new(BIO_s_mem());
    EVP_PKEY *key = EVP_EC_gen("P-256");
    *maker = (struct maker){.issuer = issuer,
                            .folder = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC),
                            .generator = EVP_PKEY_CTX_new(key, NULL),
                            .signer = EVP_MD_CTX_new(),
                            .signing = EVP_MD_CTX_new(),
                            .leaf = certify(key, "leaf", issuer, 2)};
    must(maker->folder >= 0, folder);
    must(EVP_PKEY_keygen_init(maker->generator), "generator");
    must(EVP_DigestSignInit(maker->signer, NULL, EVP_sha256(), NULL, issuer->key), "signer");
    const X509 *above = issuer->certificate;
    add_extension(maker->leaf, above, NID_authority_key_identifier, "keyid:always");
    add_extension(maker->leaf, above, NID_key_usage, "critical,digitalSignature");
    add_extension(maker->leaf, above, NID_ext_key_usage, "serverAuth");
    add_extension(maker->leaf, above, NID_subject_alt_name, "DNS:leaf");
    must(PEM_write_bio_X509(text, issuer->certificate), "issuer");
    maker->issuer_text = text_of(text, &maker->issuer_length);
    EVP_PKEY_free(key);
}

static void maker_close(struct maker *maker)
{
    close(maker->folder);
    EVP_PKEY_CTX_free(maker->generator);
    EVP_MD_CTX_free(maker->signer);
    EVP_MD_CTX_free(maker->signing);
    X509_free(maker->leaf);
    free(maker->issuer_text);
}

static void set_name(X509 *leaf, const char *name)
{
    char alternative[80];
    X509_NAME *subject = X509_NAME_new();
    must(X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1,
                                    -1, 0) &&
             X509_set_subject_name(leaf, subject),
         "subject");
    X509_NAME_free(subject);
    snprintf(alternative, sizeof alternative, "DNS:%s", name);
    int place = X509_get_ext_by_NID(leaf, NID_subject_alt_name, -1);
    X509_EXTENSION_free(X509_delete_ext(leaf, place));
    add_extension(leaf, leaf, NID_subject_alt_name, alternative);
}

static void set_key(X509 *leaf, const uint8_t *point)
{
    uint8_t *copy = OPENSSL_memdup(point, POINT_SIZE);
    must(copy != NULL && X509_PUBKEY_set0_param(
                             X509_get_X509_PUBKEY(leaf), OBJ_nid2obj(NID_X9_62_id_ecPublicKey),
                             V_ASN1_OBJECT, OBJ_nid2obj(NID_X9_62_prime256v1), copy, POINT_SIZE),
         "public key");
}

/* Writes a new key as PKCS #8; the point is its end. */
static void make_key(const struct maker *maker, uint8_t der[static PKCS8_SIZE])
{
    EVP_PKEY *key = NULL;
    BIGNUM *scalar = NULL;
    size_t length;
    uint8_t *next = der + sizeof pkcs8;
    must(EVP_PKEY_keygen(maker->generator, &key), "key");
    must(EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_PRIV_KEY, &scalar), "private key");
    memcpy(der, pkcs8, sizeof pkcs8);
    must(BN_bn2binpad(scalar, next, SCALAR_SIZE) == SCALAR_SIZE, "private key");
    memcpy(next + SCALAR_SIZE, point_follows, sizeof point_follows);
    must(EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY,
                                         der + PKCS8_SIZE - POINT_SIZE, POINT_SIZE, &length) &&
             length == POINT_SIZE,
         "public key");
    BN_clear_free(scalar);
    EVP_PKEY_free(key);
}

static void write_file(int folder, const char *name, const char *end, BIO *text)
{
    char path[256], *bytes;
    long length = BIO_get_mem_data(text, &bytes);
    snprintf(path, sizeof path, "%s%s", name, end);
    int file = openat(folder, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (file < 0 || write(file, bytes, (size_t)length) != length)
        perror(path);
    must(file >= 0 && close(file) == 0, path);
    BIO_free(text);
}

static void make_one(struct maker *maker, long number)
{
    char name[64];
    uint8_t der[PKCS8_SIZE];
    snprintf(name, sizeof name, "n%ld.example", number);
    make_key(maker, der);
    must(ASN1_INTEGER_set(X509_get_serialNumber(maker->leaf), number + 2), "serial");
    set_name(maker->leaf, name);
    set_key(maker->leaf, der + PKCS8_SIZE - POINT_SIZE);
    must(EVP_MD_CTX_copy_ex(maker->signing, maker->signer) &&
             X509_sign_ctx(maker->leaf, maker->signing),
         "sign");
    BIO *text = BIO_new(BIO_s_mem());
    must(PEM_write_bio_X509(text, maker->leaf) &&
             BIO_write(text, maker->issuer_text, (int)maker->issuer_length) > 0,
         "write");
    write_file(maker->folder, name, ".crt", text);
    text = BIO_new(BIO_s_mem());
    must(PEM_write_bio(text, PEM_STRING_PKCS8INF, "", der, sizeof der), "write");
    write_file(maker->folder, name, ".key", text);
}

/* ---- all of them ---- */

static void make_part(const char *folder, long first, long end, const struct authority *issuer)
{
    struct maker maker;
    maker_open(&maker, folder, issuer);
    for (long i = first; i < end; i++)
        make_one(&maker, i);
    maker_close(&maker);
}

/* Each process makes a part of them. */
static void make_all(const char *folder, long first, long count, const struct authority *issuer)
{
    cpu_set_t cores;
    long parts = sched_getaffinity(0, sizeof cores, &cores) == 0 ? CPU_COUNT(&cores) : 1;
    for (long i = 0; i < parts; i++) {
        pid_t child = fork();
        must(child >= 0, "fork");
        if (child > 0)
            continue;
        make_part(folder, first + count * i / parts, first + count * (i + 1) / parts, issuer);
        _exit(0); /* what its parent has is not its own to free */
    }
    for (int status; wait(&status) > 0;)
        must(status == 0, "a part has failed");
}

int main(int argc, char **argv)
{
    if (argc != 3 && argc != 4)
        must(0, "usage: make-certificates FOLDER COUNT [FIRST]");
    long count = atol(argv[2]), first = argc == 4 ? atol(argv[3]) : 0;
    struct authority root = make_authority("Root", NULL);
    struct authority intermediate = make_authority("Intermediate", &root);
    char path[4096];
    snprintf(path, sizeof path, "%s/../ca.pem", argv[1]);
    FILE *file = fopen(path, "w");
    must(file != NULL && PEM_write_X509(file, root.certificate) && fclose(file) == 0, path);
    make_all(argv[1], first, count, &intermediate);
    free_authority(&intermediate);
    free_authority(&root);
    return 0;
}
