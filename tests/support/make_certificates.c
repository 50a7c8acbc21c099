/*
 * make-certificates FOLDER COUNT [FIRST]: COUNT certificates of P-256 keys for the names
 * n0.example, n1.example ..., as NAME.crt and NAME.key, all from one intermediate; and
 * FOLDER/../ca.pem, the root that it is from. Each run has a root of its own.
 */
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DAY (24 * 3600)

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
    must(X509_sign(made.certificate, issuer != NULL ? issuer->key : made.key, EVP_sha256()),
         "sign");
    return made;
}

static FILE *create(const char *folder, const char *name, const char *end)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s%s", folder, name, end);
    FILE *file = fopen(path, "w");
    if (file == NULL)
        perror(path);
    must(file != NULL, path);
    return file;
}

static void make_one(const char *folder, long number, const struct authority *issuer)
{
    char name[64], alternative[80];
    snprintf(name, sizeof name, "n%ld.example", number);
    snprintf(alternative, sizeof alternative, "DNS:%s", name);
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *leaf = certify(key, name, issuer, number + 2);
    add_extension(leaf, issuer->certificate, NID_subject_alt_name, alternative);
    add_extension(leaf, issuer->certificate, NID_authority_key_identifier, "keyid:always");
    add_extension(leaf, issuer->certificate, NID_key_usage, "critical,digitalSignature");
    add_extension(leaf, issuer->certificate, NID_ext_key_usage, "serverAuth");
    must(X509_sign(leaf, issuer->key, EVP_sha256()), "sign");
    FILE *file = create(folder, name, ".crt");
    must(PEM_write_X509(file, leaf) && PEM_write_X509(file, issuer->certificate), "write");
    fclose(file);
    file = create(folder, name, ".key");
    must(PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL), "write");
    fclose(file);
    X509_free(leaf);
    EVP_PKEY_free(key);
}

int main(int argc, char **argv)
{
    if (argc != 3 && argc != 4)
        must(0, "usage: make-certificates FOLDER COUNT [FIRST]");
    long count = atol(argv[2]), first = argc == 4 ? atol(argv[3]) : 0;
    struct authority root = make_authority("Root", NULL);
    struct authority intermediate = make_authority("Intermediate", &root);
    char parent[4096];
    snprintf(parent, sizeof parent, "%s/..", argv[1]);
    FILE *file = create(parent, "ca", ".pem");
    must(PEM_write_X509(file, root.certificate), "write");
    fclose(file);
    for (long i = first; i < first + count; i++)
        make_one(argv[1], i, &intermediate);
    return 0;
}
