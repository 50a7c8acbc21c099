/* Certificates from files: their layouts, what is read again, and keys that are not read at all. */
#include <errno.h>
#include <fcntl.h>
#include <openssl/ec.h>
#include <openssl/ocsp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/pem_file.h"
#include "proxy/store/directory.h"
#include "proxy/store/index.h"
#include "proxy/store/intake.h"
#include "proxy/store/list_line.h"
#include "proxy/store/problem.h"

#define REASON_SIZE 512

/* ---- the bytes of a file that are read ---- */

static struct {
    off_t from, to; /* nobody may read between */
    size_t calls;
} forbidden;

ssize_t __real_pread(int file, void *bytes, size_t length, off_t offset);
ssize_t __wrap_pread(int file, void *bytes, size_t length, off_t offset);
ssize_t __wrap_pread(int file, void *bytes, size_t length, off_t offset)
{
    forbidden.calls++;
    assert_false(offset < forbidden.to && offset + (off_t)length > forbidden.from);
    return __real_pread(file, bytes, length, offset);
}

/* ---- files ---- */

static char folder[] = "/tmp/immure-test-intake-XXXXXX";

static const char *path_of(const char *name)
{
    static char paths[8][128];
    static unsigned next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static void write_text(const char *name, const char *text)
{
    FILE *file = fopen(path_of(name), "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static char *pem_of(X509 *certificate, EVP_PKEY *key)
{
    char *bytes;
    BIO *bio = BIO_new(BIO_s_mem());
    if (certificate != NULL)
        assert_int_equal(PEM_write_bio_X509(bio, certificate), 1);
    if (key != NULL)
        assert_int_equal(PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL), 1);
    size_t length = (size_t)BIO_get_mem_data(bio, &bytes);
    char *text = strndup(bytes, length);
    BIO_free(bio);
    return text;
}

static void extend(X509 *certificate, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    assert_non_null(extension);
    assert_int_equal(X509_add_ext(certificate, extension, -1), 1);
    X509_EXTENSION_free(extension);
}

struct made {
    EVP_PKEY *key;
    X509 *certificate;
    char *certificate_text, *key_text;
};

/* `names`: as OpenSSL takes subjectAltName; NULL: an authority. */
static struct made make(const char *subject, const char *names, const struct made *issuer,
                        bool must_staple)
{
    static long serial;
    struct made made = {.key = EVP_EC_gen("P-256"), .certificate = X509_new()};
    X509 *above = issuer != NULL ? issuer->certificate : made.certificate;
    X509_NAME *name = X509_get_subject_name(made.certificate);
    X509_set_version(made.certificate, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(made.certificate), ++serial);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)subject, -1, -1, 0);
    X509_set_issuer_name(made.certificate, X509_get_subject_name(above));
    X509_gmtime_adj(X509_getm_notBefore(made.certificate), -3600);
    X509_gmtime_adj(X509_getm_notAfter(made.certificate), 3600);
    X509_set_pubkey(made.certificate, made.key);
    if (names != NULL)
        extend(made.certificate, above, NID_subject_alt_name, names);
    else
        extend(made.certificate, above, NID_basic_constraints, "critical,CA:TRUE");
    if (must_staple)
        extend(made.certificate, above, NID_tlsfeature, "status_request");
    assert_true(X509_sign(made.certificate, issuer != NULL ? issuer->key : made.key, EVP_sha256()) >
                0);
    made.certificate_text = pem_of(made.certificate, NULL);
    made.key_text = pem_of(NULL, made.key);
    return made;
}

static struct made authority, other_authority, leaf, stapled;

static void write_two(const char *name, const char *first, const char *second)
{
    char *text = NULL;
    assert_true(asprintf(&text, "%s%s", first, second) > 0);
    write_text(name, text);
    free(text);
}

static unsigned char *response; /* the last one that was made */
static size_t response_length;

/* An OCSP response of the authority that is valid from a minute ago, for `seconds` from now. */
static void write_response(const char *name, const struct made *of, int status, long seconds)
{
    OCSP_BASICRESP *basic = OCSP_BASICRESP_new();
    ASN1_TIME *now = X509_gmtime_adj(NULL, 0), *from = X509_gmtime_adj(NULL, -60),
              *until = X509_gmtime_adj(NULL, seconds);
    OCSP_CERTID *id = OCSP_cert_to_id(NULL, of->certificate, authority.certificate);
    bool revoked = status == V_OCSP_CERTSTATUS_REVOKED;
    assert_non_null(OCSP_basic_add1_status(basic, id, status, OCSP_REVOKED_STATUS_NOSTATUS,
                                           revoked ? now : NULL, from, until));
    assert_int_equal(
        OCSP_basic_sign(basic, authority.certificate, authority.key, EVP_sha256(), NULL, 0), 1);
    OCSP_RESPONSE *whole = OCSP_response_create(OCSP_RESPONSE_STATUS_SUCCESSFUL, basic);
    OPENSSL_free(response);
    response = NULL;
    response_length = (size_t)i2d_OCSP_RESPONSE(whole, &response);
    FILE *file = fopen(path_of(name), "w");
    assert_non_null(file);
    assert_int_equal(fwrite(response, 1, response_length, file), response_length);
    assert_int_equal(fclose(file), 0);
    OCSP_RESPONSE_free(whole);
    OCSP_BASICRESP_free(basic);
    OCSP_CERTID_free(id);
    ASN1_TIME_free(now);
    ASN1_TIME_free(from);
    ASN1_TIME_free(until);
}

static int set_up(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(folder));
    authority = make("Authority", NULL, NULL, false);
    other_authority = make("Other", NULL, NULL, false);
    leaf = make("leaf", "DNS:WWW.Example.com,DNS:*.example.com,IP:192.0.2.1,IP:2001:db8::1",
                &authority, false);
    stapled = make("Stapled.Example", "IP:192.0.2.2", &authority, true);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    char command[64];
    const struct made *const all[] = {&authority, &other_authority, &leaf, &stapled};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        EVP_PKEY_free(all[i]->key);
        X509_free(all[i]->certificate);
        free(all[i]->certificate_text);
        free(all[i]->key_text);
    }
    OPENSSL_free(response);
    snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command);
}

/* ---- taking them in ---- */

struct taking {
    struct store_builder *builder;
    struct intake *intake;
    char reason[REASON_SIZE];
};

static struct taking begin_with(const struct store *before, const struct refusals *refused)
{
    struct taking taking = {.builder = store_builder_new()};
    taking.intake = intake_new(taking.builder, before, refused);
    assert_non_null(taking.intake);
    return taking;
}

static struct taking begin(const struct store *before)
{
    return begin_with(before, NULL);
}

static bool take(struct taking *taking, const char *chain, const char *key, const char *staple)
{
    const struct wanted wanted = {.chain = chain,
                                  .key = key,
                                  .staple = staple,
                                  .policy = "tls-server",
                                  .tls12_groups = "common",
                                  .where = "test.conf",
                                  .line = 7,
                                  .required = true};
    return intake_add(taking->intake, &wanted, taking->reason, sizeof taking->reason);
}

static struct store *finish(struct taking *taking, size_t read_count)
{
    struct conf_error error;
    assert_int_equal(intake_read_count(taking->intake), read_count);
    intake_free(taking->intake);
    store_builder_publish(taking->builder, 0, 0);
    int memory = store_builder_seal(taking->builder, 1);
    assert_true(memory >= 0);
    struct store *store = store_open(memory, &error);
    assert_non_null(store);
    close(memory);
    return store;
}

static struct store *store_of(const char *chain, const char *staple)
{
    struct taking taking = begin(NULL);
    assert_true(take(&taking, chain, "/absent.key", staple));
    return finish(&taking, 1);
}

static void it_says_what_is_in_the_certificate(void **state)
{
    (void)state;
    uint8_t *der = NULL, *key = NULL, id[32];
    write_two("a.crt", leaf.certificate_text, authority.certificate_text);
    struct store *store = store_of(path_of("a.crt"), NULL);
    const struct store_certificate *certificate = store_certificate(store, 0);
    int length = i2d_X509(leaf.certificate, &der);
    assert_int_equal(certificate->leaf.length, length);
    assert_memory_equal(store_bytes(store, certificate->leaf), der, (size_t)length);
    length = i2d_PUBKEY(leaf.key, &key);
    assert_int_equal(EVP_Q_digest(NULL, "SHA256", NULL, key, (size_t)length, id, NULL), 1);
    assert_memory_equal(certificate->key_id, id, sizeof id);
    assert_int_equal(certificate->kind, CERTIFICATE_EC);
    assert_string_equal(store_text(store, certificate->key_type), "P-256");
    assert_int_equal(certificate->name_count, 4);
    assert_memory_equal(store_text(store, certificate->names),
                        "www.example.com\0*.example.com\0ip:192.0.2.1\0ip:2001:db8::1", 57);
    assert_int_equal(certificate->not_after - certificate->not_before, 7200);
    assert_int_equal(certificate->chain_count, 1);
    assert_int_equal(certificate->problems, 0);
    assert_int_equal(certificate->line, 7);
    assert_string_equal(store_text(store, certificate->key_path), "/absent.key");
    assert_string_equal(store_text(store, certificate->where), "test.conf");
    OPENSSL_free(der);
    OPENSSL_free(key);
    store_close(store);
}

static void names_are_found(void **state)
{
    (void)state;
    static const char *const names[] = {"www.example.com", "*.example.com", "ip:192.0.2.1"};
    const struct store_choice *choices;
    write_text("a.crt", leaf.certificate_text);
    struct store *store = store_of(path_of("a.crt"), NULL);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        assert_int_equal(store_find(store, 0, names[i], &choices), 1);
    assert_int_equal(store_find(store, 0, "leaf", &choices), 0);
    store_close(store);
}

/* RFC 6125: the common name counts only where there is no DNS name. */
static void a_common_name_counts_beside_addresses(void **state)
{
    (void)state;
    write_text("c.crt", stapled.certificate_text);
    struct store *store = store_of(path_of("c.crt"), NULL);
    const struct store_certificate *certificate = store_certificate(store, 0);
    assert_int_equal(certificate->name_count, 2);
    assert_memory_equal(store_text(store, certificate->names), "stapled.example\0ip:192.0.2.2", 29);
    store_close(store);
}

static void problems_are_noted(void **state)
{
    (void)state;
    write_two("m.crt", leaf.certificate_text, other_authority.certificate_text);
    struct store *store = store_of(path_of("m.crt"), NULL);
    const struct store_certificate *certificate = store_certificate(store, 0);
    assert_int_equal(store_problems(certificate, certificate->not_after), 1u << CHAIN_MISORDERED);
    assert_int_equal(store_problems(certificate, certificate->not_after + 1),
                     1u << CHAIN_MISORDERED | 1u << CHAIN_EXPIRED);
    assert_int_equal(store_problems(certificate, certificate->not_before - 1),
                     1u << CHAIN_MISORDERED | 1u << CHAIN_NOT_YET_VALID);
    store_close(store);
}

static void a_staple_that_must_be_there(void **state)
{
    (void)state;
    write_text("s.crt", stapled.certificate_text);
    write_response("s.ocsp", &stapled, V_OCSP_CERTSTATUS_GOOD, 60);
    struct store *store = store_of(path_of("s.crt"), NULL);
    assert_int_equal(store_certificate(store, 0)->problems, 1u << CHAIN_MUST_STAPLE);
    struct taking taking = begin(store); /* it comes later, with the same certificate */
    assert_true(take(&taking, path_of("s.crt"), "/absent.key", path_of("s.ocsp")));
    struct store *next = finish(&taking, 0);
    const struct store_certificate *certificate = store_certificate(next, 0);
    assert_int_equal(certificate->problems, 0);
    assert_int_equal(certificate->staple.length, response_length);
    assert_memory_equal(store_bytes(next, certificate->staple), response, response_length);
    assert_true(store_staples(certificate, time(NULL)));
    assert_false(store_staples(certificate, certificate->staple_after + 1));
    assert_false(store_staples(certificate, certificate->staple_before - 1));
    assert_int_equal(store_problems(certificate, certificate->staple_after + 1),
                     1u << CHAIN_BAD_STAPLE);
    store_close(next);
    store_close(store);
}

/* It is not kept, and the certificate is served all the same. */
static void a_staple_that_is_no_use(void **state)
{
    (void)state;
    write_text("t.crt", leaf.certificate_text);
    write_text("malformed.ocsp", "a response");
    write_response("other.ocsp", &stapled, V_OCSP_CERTSTATUS_GOOD, 60);
    write_response("revoked.ocsp", &leaf, V_OCSP_CERTSTATUS_REVOKED, 60);
    for (size_t i = 0; i < 3; i++) {
        static const char *const names[] = {"malformed.ocsp", "other.ocsp", "revoked.ocsp"};
        char *chain = strdup(path_of("t.crt"));
        struct store *store = store_of(chain, path_of(names[i]));
        assert_int_equal(store_certificate(store, 0)->staple.length, 0);
        assert_int_equal(store_problems(store_certificate(store, 0), time(NULL)),
                         1u << CHAIN_BAD_STAPLE);
        store_close(store);
        free(chain);
    }
}

/* One that nobody has named, because it lies beside the chain, keeps nothing from being served. */
static void a_staple_that_cannot_be_read(void **state)
{
    (void)state;
    write_text("t.crt", leaf.certificate_text);
    struct wanted wanted = {.chain = path_of("t.crt"),
                            .key = "/absent.key",
                            .staple = folder, /* no file */
                            .policy = "tls-server",
                            .tls12_groups = "common",
                            .where = "test.conf"};
    for (int beside = 0; beside < 2; beside++) {
        struct taking taking = begin(NULL);
        wanted.staple_is_beside = beside == 1;
        assert_int_equal(intake_add(taking.intake, &wanted, taking.reason, sizeof taking.reason),
                         beside);
        struct store *store = finish(&taking, 1);
        assert_int_equal(store_certificate_count(store), beside);
        if (beside == 1)
            assert_int_equal(store_problems(store_certificate(store, 0), time(NULL)),
                             1u << CHAIN_BAD_STAPLE);
        store_close(store);
    }
}

static void refuses(const char *name, const char *reason)
{
    struct taking taking = begin(NULL);
    char expected[REASON_SIZE];
    assert_false(take(&taking, path_of(name), "/absent.key", NULL));
    snprintf(expected, sizeof expected, "%s: %s", path_of(name), reason);
    assert_memory_equal(taking.reason, expected, strlen(expected));
    intake_free(taking.intake);
    store_builder_free(taking.builder);
}

static void what_is_no_chain_is_refused(void **state)
{
    (void)state;
    static const char broken[] = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
    write_text("empty.crt", "");
    write_text("broken.crt", broken);
    write_two("tail.crt", leaf.certificate_text, broken);
    refuses("absent.crt", "No such file or directory");
    refuses("empty.crt", "not a PEM certificate chain: no start line");
    refuses("broken.crt", "not a PEM certificate chain");
    refuses("tail.crt", "not a PEM certificate chain");
}

/* ---- what is read again ---- */

static void known_files_are_not_read_again(void **state)
{
    (void)state;
    write_two("a.crt", leaf.certificate_text, authority.certificate_text);
    write_text("b.crt", leaf.certificate_text);
    struct taking taking = begin(NULL);
    assert_true(take(&taking, path_of("a.crt"), "/absent.key", NULL));
    assert_true(take(&taking, path_of("a.crt"), "/absent.key", NULL)); /* twice, but read once */
    assert_true(take(&taking, path_of("b.crt"), "/absent.key", NULL));
    struct store *first = finish(&taking, 2);
    write_text("b.crt", stapled.certificate_text);
    taking = begin(first);
    assert_true(take(&taking, path_of("a.crt"), "/other.key", NULL));
    assert_true(take(&taking, path_of("b.crt"), "/absent.key", NULL));
    struct store *second = finish(&taking, 1);
    const struct store_certificate *a = store_certificate(first, 0);
    const struct store_certificate *again = store_certificate(second, 0);
    size_t length;
    assert_int_equal(store_certificate_count(first), 3);
    assert_int_equal(a->leaf.offset, store_certificate(first, 1)->leaf.offset);
    assert_int_equal(a->leaf.length, again->leaf.length);
    assert_memory_equal(store_bytes(first, a->leaf), store_bytes(second, again->leaf),
                        a->leaf.length);
    assert_memory_equal(a->names_hash, again->names_hash, STORE_HASH_SIZE);
    assert_int_equal(again->chain_count, 1);
    assert_non_null(store_chain_certificate(second, *store_chain(second, again), &length));
    assert_string_equal(store_text(second, again->key_path), "/other.key");
    assert_int_equal(store_certificate(second, 1)->must_staple, 1);
    store_close(second);
    store_close(first);
}

/* ---- what cannot be used while another is in force ---- */

static void what_immured_refuses_is_not_taken(void **state)
{
    (void)state;
    struct refusals refused = {.of = NULL};
    uint8_t other[STORE_HASH_SIZE] = {1};
    write_text("a.crt", leaf.certificate_text);
    write_text("b.crt", stapled.certificate_text);
    struct store *store = store_of(path_of("a.crt"), NULL);
    assert_true(refusals_add(&refused, store_certificate(store, 0)->key_id, "it is damaged"));
    assert_true(refusals_add(&refused, other, "first"));
    assert_true(refusals_add(&refused, other, "second"));
    assert_int_equal(refused.count, 2);
    assert_string_equal(refusals_find(&refused, other), "first");
    store_close(store);
    struct taking taking = begin_with(NULL, &refused);
    assert_false(take(&taking, path_of("a.crt"), "/absent.key", NULL));
    assert_non_null(strstr(taking.reason, "a.crt: immured refuses its key: it is damaged"));
    assert_true(take(&taking, path_of("b.crt"), "/absent.key", NULL));
    store = finish(&taking, 2);
    assert_int_equal(store_certificate_count(store), 1);
    store_close(store);
    refusals_free(&refused);
}

static void the_one_before_goes_on(void **state)
{
    (void)state;
    struct store_file then;
    const struct wanted wanted = {.chain = path_of("a.crt"), .key = "/absent.key", .where = ""};
    write_text("a.crt", leaf.certificate_text);
    write_response("a.ocsp", &leaf, V_OCSP_CERTSTATUS_GOOD, 60);
    struct store *first = store_of(path_of("a.crt"), path_of("a.ocsp"));
    then = store_certificate(first, 0)->files[STORE_CHAIN_FILE];
    write_text("a.crt", "half a certificate");
    struct taking taking = begin(first);
    assert_false(take(&taking, path_of("a.crt"), "/absent.key", NULL));
    assert_true(intake_keep(taking.intake, &wanted));
    assert_false(intake_keep(taking.intake, &(const struct wanted){.chain = "/another"}));
    struct store *second = finish(&taking, 1);
    const struct store_certificate *kept = store_certificate(second, 0);
    assert_memory_equal(kept->key_id, store_certificate(first, 0)->key_id, STORE_HASH_SIZE);
    assert_int_equal(kept->staple.length, response_length);
    assert_memory_equal(store_bytes(second, kept->staple), response, response_length);
    assert_int_equal(kept->files[STORE_CHAIN_FILE].size, then.size); /* so it will be read again */
    assert_int_equal(kept->files[STORE_CHAIN_FILE].inode, then.inode);
    store_close(second);
    store_close(first);
}

/* ---- a file that holds the key, too ---- */

static void the_key_in_the_file_is_not_read(void **state)
{
    (void)state;
    const char *const parts[][3] = {
        {leaf.certificate_text, authority.certificate_text, leaf.key_text},
        {leaf.key_text, leaf.certificate_text, authority.certificate_text},
        {leaf.certificate_text, leaf.key_text, authority.certificate_text},
    };
    for (size_t i = 0; i < 3; i++) {
        char *text = NULL;
        assert_true(
            asprintf(&text, "%s# a comment\n%s\n\n%s", parts[i][0], parts[i][1], parts[i][2]) > 0);
        write_text("both.pem", text);
        const char *key = strstr(text, "PRIVATE KEY-----");
        forbidden.from = strchr(key, '\n') - text + 1;
        forbidden.to = strstr(key, "-----END") - text;
        forbidden.calls = 0;
        struct taking taking = begin(NULL);
        assert_true(take(&taking, path_of("both.pem"), path_of("both.pem"), NULL));
        struct store *store = finish(&taking, 1);
        assert_true(forbidden.calls > 0);
        assert_int_equal(store_certificate(store, 0)->chain_count, 1);
        store_close(store);
        free(text);
        forbidden.from = forbidden.to = 0;
    }
}

/* ---- folders ---- */

static char found[1024];

static void note(void *owner, const struct directory_item *item)
{
    (void)owner;
    size_t length = strlen(found), skip = strlen(folder) + strlen("/dir/");
    snprintf(found + length, sizeof found - length, "%s %s %s;", item->chain + skip,
             item->key + skip, item->staple != NULL ? item->staple + skip : "-");
}

static void layouts_of_folders(void **state)
{
    (void)state;
    static const char *const files[] = {"b.crt",    "b.key",     "b.ocsp",          "lego.crt",
                                        "lego.key", "lego.json", "lego.issuer.crt", "both.pem",
                                        "README",   ".x.crt"};
    assert_int_equal(mkdir(path_of("dir"), 0700), 0);
    assert_int_equal(mkdir(path_of("dir/site.example"), 0700), 0);
    assert_int_equal(mkdir(path_of("dir/other"), 0700), 0);
    write_text("dir/site.example/fullchain.pem", "");
    write_text("dir/site.example/privkey.pem", "");
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char name[64];
        snprintf(name, sizeof name, "dir/%s", files[i]);
        write_text(name, "");
    }
    found[0] = '\0';
    assert_true(directory_for_each(path_of("dir"), note, NULL));
    assert_string_equal(found, "b.crt b.key b.ocsp;both.pem both.pem -;lego.crt lego.key -;"
                               "site.example/fullchain.pem site.example/privkey.pem -;");
    errno = 0;
    assert_false(directory_for_each(path_of("absent"), note, NULL));
    assert_int_equal(errno, ENOENT);
}

/* ---- lists ---- */

static void lines_of_lists(void **state)
{
    (void)state;
    struct list_line line;
    char reason[REASON_SIZE];
    char full[] = "a.crt\tkey=/k/a.key ocsp=a.ocsp route=api WWW.example.com *.b.example # comment";
    char pair[] = "/c/b.crt", both[] = "c.pem\r", empty[] = "  # nothing", bad[] = "a.crt a..b";
    assert_true(list_line_parse(&line, "/etc/list", full, reason, sizeof reason));
    assert_string_equal(line.chain, "/etc/a.crt");
    assert_string_equal(line.key, "/k/a.key");
    assert_string_equal(line.staple, "/etc/a.ocsp");
    assert_string_equal(line.route, "api");
    assert_int_equal(line.name_count, 2);
    assert_string_equal(line.names[0], "www.example.com");
    assert_string_equal(line.names[1], "*.b.example");
    list_line_free(&line);
    assert_true(list_line_parse(&line, "/etc/list", pair, reason, sizeof reason));
    assert_string_equal(line.key, "/c/b.key");
    list_line_free(&line);
    assert_true(list_line_parse(&line, "/etc/list", both, reason, sizeof reason));
    assert_string_equal(line.chain, "/etc/c.pem");
    assert_string_equal(line.key, "/etc/c.pem");
    list_line_free(&line);
    assert_true(list_line_parse(&line, "/etc/list", empty, reason, sizeof reason));
    assert_null(line.chain);
    list_line_free(&line);
    assert_false(list_line_parse(&line, "/etc/list", bad, reason, sizeof reason));
    assert_memory_equal(reason, "'a..b' ", strlen("'a..b' "));
    list_line_free(&line);
}

/* ---- the index ---- */

static void an_index_is_the_store_again(void **state)
{
    (void)state;
    char reason[REASON_SIZE];
    struct conf_error error;
    write_text("a.crt", leaf.certificate_text);
    struct store *store = store_of(path_of("a.crt"), NULL);
    assert_int_equal(index_read(path_of("absent.index"), reason, sizeof reason), -1);
    assert_int_equal(errno, ENOENT);
    assert_true(index_write(path_of("index"), store, reason, sizeof reason));
    store_close(store);
    int memory = index_read(path_of("index"), reason, sizeof reason);
    assert_true(memory >= 0);
    store = store_open(memory, &error);
    assert_non_null(store);
    close(memory);
    struct taking taking = begin(store);
    assert_true(take(&taking, path_of("a.crt"), "/absent.key", NULL));
    store_close(finish(&taking, 0));
    store_close(store);
}

static void a_bad_index_is_left_alone(void **state)
{
    (void)state;
    char reason[REASON_SIZE];
    write_text("a.crt", leaf.certificate_text);
    struct store *store = store_of(path_of("a.crt"), NULL);
    assert_true(index_write(path_of("index"), store, reason, sizeof reason));
    store_close(store);
    assert_int_equal(chmod(path_of("index"), 0620), 0);
    assert_int_equal(index_read(path_of("index"), reason, sizeof reason), -1);
    assert_string_equal(reason, "others than our own user can write it; it is not used");
    assert_int_equal(chmod(path_of("index"), 0600), 0);
    int file = open(path_of("index"), O_RDWR);
    assert_int_equal(pwrite(file, "x", 1, lseek(file, 0, SEEK_END) - 200), 1);
    assert_int_equal(index_read(path_of("index"), reason, sizeof reason), -1);
    assert_string_equal(reason, "it is damaged, or another version made it; it is not used");
    assert_int_equal(ftruncate(file, 10), 0);
    assert_int_equal(index_read(path_of("index"), reason, sizeof reason), -1);
    close(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_says_what_is_in_the_certificate),
        cmocka_unit_test(names_are_found),
        cmocka_unit_test(a_common_name_counts_beside_addresses),
        cmocka_unit_test(problems_are_noted),
        cmocka_unit_test(a_staple_that_must_be_there),
        cmocka_unit_test(a_staple_that_is_no_use),
        cmocka_unit_test(a_staple_that_cannot_be_read),
        cmocka_unit_test(what_is_no_chain_is_refused),
        cmocka_unit_test(known_files_are_not_read_again),
        cmocka_unit_test(what_immured_refuses_is_not_taken),
        cmocka_unit_test(the_one_before_goes_on),
        cmocka_unit_test(the_key_in_the_file_is_not_read),
        cmocka_unit_test(layouts_of_folders),
        cmocka_unit_test(lines_of_lists),
        cmocka_unit_test(an_index_is_the_store_again),
        cmocka_unit_test(a_bad_index_is_left_alone),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
