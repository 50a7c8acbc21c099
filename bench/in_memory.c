/*
 * Measures the CPU time of a full TLS 1.3 handshake in a server's thread without sockets:
 * SSL_do_handshake() and the batches, with and without the parts of fast-handshake, for several
 * numbers of connections at a time, in alternating rounds. X25519, AES-128-GCM, P-256, no tickets.
 * The time of the signature, measured separately in the same rounds, is subtracted.
 *
 *     bench-in-memory SECONDS WAITING...
 *
 * Prints one JSON object a line: {"waiting": 16, "off": 150.1, ...}, medians in microseconds.
 */
#include <openssl/async.h>
#include <openssl/err.h>
#include <openssl/provider.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "handshake/fast_handshake.h"

#define WAITING_MAX 256
#define ROUNDS_MAX 4096
#define HANDSHAKES_PER_ROUND 64

static const struct {
    const char *name;
    unsigned parts;
} variants[] = {
    {"off", 0},
    {"key_schedule", FAST_KEY_SCHEDULE},
    {"key_pairs", FAST_KEY_SCHEDULE | FAST_KEY_PAIRS},
    {"auto", FAST_ALL},
};
#define VARIANTS (sizeof variants / sizeof *variants)

struct setting {
    OSSL_LIB_CTX *context;
    struct fast_handshake *fast; /* NULL: plain libssl */
    EVP_PKEY *key;
    SSL_CTX *server, *client;
};

struct pair {
    struct derivation_waiter waiter;
    SSL *server, *client;
    bool paused;
};

static void must(bool good, const char *what)
{
    if (good)
        return;
    fprintf(stderr, "bench-in-memory: %s\n", what);
    ERR_print_errors_fp(stderr);
    exit(EXIT_FAILURE);
}

static double cpu_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static void use_new_certificate(struct setting *setting)
{
    setting->key = EVP_PKEY_Q_keygen(setting->context, NULL, "EC", "P-256");
    X509 *certificate = X509_new_ex(setting->context, NULL);
    must(setting->key != NULL && certificate != NULL &&
             X509_set_pubkey(certificate, setting->key) == 1 &&
             X509_gmtime_adj(X509_getm_notBefore(certificate), 0) != NULL &&
             X509_gmtime_adj(X509_getm_notAfter(certificate), 3600) != NULL &&
             X509_sign(certificate, setting->key, EVP_sha256()) > 0 &&
             SSL_CTX_use_cert_and_key(setting->server, certificate, setting->key, NULL, 1) == 1,
         "certificate");
    X509_free(certificate);
}

static void setting_open(struct setting *setting, unsigned parts)
{
    *setting = (struct setting){.context = OSSL_LIB_CTX_new()};
    must(setting->context != NULL && OSSL_PROVIDER_load(setting->context, "default") != NULL,
         "libcrypto");
    if (parts != 0)
        setting->fast = fast_handshake_open(setting->context, parts);
    must(parts == 0 || setting->fast != NULL, "fast-handshake");
    setting->server = SSL_CTX_new_ex(setting->context, FAST_HANDSHAKE_WANTED, TLS_server_method());
    setting->client =
        SSL_CTX_new_ex(setting->context, FAST_HANDSHAKE_UNWANTED, TLS_client_method());
    must(setting->server != NULL && setting->client != NULL &&
             SSL_CTX_set_num_tickets(setting->server, 0) == 1 &&
             SSL_CTX_set1_groups_list(setting->client, "X25519") == 1 &&
             SSL_CTX_set_ciphersuites(setting->client, "TLS_AES_128_GCM_SHA256") == 1,
         "SSL_CTX");
    SSL_CTX_set_mode(setting->server, SSL_MODE_ASYNC);
    use_new_certificate(setting);
}

static void ignore_wake(struct derivation_waiter *waiter)
{
    (void)waiter;
}

static void pair_open(struct pair *pair, const struct setting *setting)
{
    *pair = (struct pair){.waiter = {.wake = ignore_wake}};
    pair->server = SSL_new(setting->server);
    pair->client = SSL_new(setting->client);
    BIO *to_server = BIO_new(BIO_s_mem()), *to_client = BIO_new(BIO_s_mem());
    must(pair->server != NULL && pair->client != NULL && to_server != NULL && to_client != NULL,
         "SSL_new");
    BIO_up_ref(to_server);
    BIO_up_ref(to_client);
    SSL_set_bio(pair->server, to_server, to_client);
    SSL_set_bio(pair->client, to_client, to_server);
    SSL_set_accept_state(pair->server);
    SSL_set_connect_state(pair->client);
}

static void server_step(struct pair *pair, struct fast_handshake *fast, bool alone)
{
    if (fast != NULL)
        fast_handshake_enter(fast, alone ? NULL : &pair->waiter); /* as immure-proxy does */
    int result = SSL_do_handshake(pair->server);
    if (fast != NULL)
        fast_handshake_leave(fast);
    pair->paused = result <= 0 && SSL_get_error(pair->server, result) == SSL_ERROR_WANT_ASYNC;
}

/* Runs one turn of the loop and returns its CPU time. */
static double server_turn(struct pair *pairs, size_t count, struct fast_handshake *fast)
{
    double begun = cpu_us();
    for (size_t i = 0; i < count; i++)
        server_step(&pairs[i], fast, count == 1);
    if (fast != NULL)
        fast_handshake_run(fast);
    for (size_t i = 0; i < count; i++)
        if (pairs[i].paused)
            server_step(&pairs[i], fast, count == 1);
    return cpu_us() - begun;
}

/* The server's CPU time per handshake, with `count` handshakes at a time. */
static double handshakes(const struct setting *setting, size_t count)
{
    static struct pair pairs[WAITING_MAX];
    double spent = 0;
    for (size_t i = 0; i < count; i++)
        pair_open(&pairs[i], setting);
    for (int turn = 0; turn < 2; turn++) {
        for (size_t i = 0; i < count; i++)
            SSL_do_handshake(pairs[i].client);
        spent += server_turn(pairs, count, setting->fast);
    }
    for (size_t i = 0; i < count; i++) {
        must(SSL_is_init_finished(pairs[i].server) && SSL_is_init_finished(pairs[i].client),
             "a handshake failed");
        SSL_free(pairs[i].server);
        SSL_free(pairs[i].client);
    }
    return spent / (double)count;
}

/* The time to sign a CertificateVerify. */
static double signature(const struct setting *setting)
{
    static const unsigned char message[130];
    unsigned char bytes[128];
    double begun = cpu_us();
    for (int i = 0; i < HANDSHAKES_PER_ROUND; i++) {
        size_t length = sizeof bytes;
        EVP_MD_CTX *signing = EVP_MD_CTX_new();
        must(EVP_DigestSignInit_ex(signing, NULL, "SHA256", setting->context, NULL, setting->key,
                                   NULL) == 1 &&
                 EVP_DigestSign(signing, bytes, &length, message, sizeof message) == 1,
             "signature");
        EVP_MD_CTX_free(signing);
    }
    return (cpu_us() - begun) / HANDSHAKES_PER_ROUND;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, size_t count)
{
    qsort(values, count, sizeof *values, compare);
    return values[count / 2];
}

static void measure(const struct setting *settings, size_t waiting, double seconds)
{
    static double spent[VARIANTS][ROUNDS_MAX], signing[ROUNDS_MAX];
    size_t rounds = 0;
    for (double begun = (double)time(NULL);
         rounds < ROUNDS_MAX && (rounds < 3 || (double)time(NULL) - begun < seconds); rounds++) {
        for (size_t i = 0; i < VARIANTS; i++) {
            size_t times = waiting < HANDSHAKES_PER_ROUND ? HANDSHAKES_PER_ROUND / waiting : 1;
            spent[i][rounds] = 0;
            for (size_t j = 0; j < times; j++)
                spent[i][rounds] += handshakes(&settings[i], waiting) / (double)times;
        }
        signing[rounds] = signature(&settings[0]);
    }
    double sign = median(signing, rounds);
    printf("{\"waiting\": %zu, \"rounds\": %zu, \"signature\": %.2f", waiting, rounds, sign);
    for (size_t i = 0; i < VARIANTS; i++)
        printf(", \"%s\": %.2f", variants[i].name, median(spent[i], rounds) - sign);
    printf("}\n");
    fflush(stdout);
}

int main(int argc, char **argv)
{
    struct setting settings[VARIANTS];
    char text[256];
    double seconds = argc > 2 ? strtod(argv[1], NULL) : 0;
    must(seconds > 0, "usage: bench-in-memory SECONDS WAITING...");
    must(ASYNC_init_thread(0, 0) == 1, "ASYNC_init_thread");
    for (size_t i = 0; i < VARIANTS; i++)
        setting_open(&settings[i], variants[i].parts);
    fast_handshake_describe(settings[VARIANTS - 1].fast, text, sizeof text);
    fprintf(stderr, "%s: %s\n", OpenSSL_version(OPENSSL_VERSION), text);
    for (int i = 2; i < argc; i++) {
        size_t waiting = strtoul(argv[i], NULL, 10);
        must(waiting > 0 && waiting <= WAITING_MAX, "WAITING is 1 to 256");
        measure(settings, waiting, seconds);
    }
    return EXIT_SUCCESS;
}
