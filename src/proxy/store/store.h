/*
 * The certificates that are served, in one sealed piece of memory. A child of the master makes it
 * (loader.h); the master, all threads of the worker and the admin thread share it, read-only.
 *
 * It holds each certificate as DER, so that a worker parses one only when a client first asks for
 * it, and an index of names. Every lookup takes constant time. All offsets are checked when a store
 * is opened, and the seals rule out later changes; so what the functions below return is always
 * within the store. They may be called by any number of threads.
 *
 *     (frontend, name) -> choices, one a route -> certificates, one a kind -> DER, chain, key id...
 */
#ifndef PROXY_STORE_STORE_H
#define PROXY_STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/error.h"

/* At most one certificate of each kind is served for a name. */
enum certificate_kind {
    CERTIFICATE_RSA,
    CERTIFICATE_RSA_PSS, /* a key that signs by RSASSA-PSS only */
    CERTIFICATE_EC,
    CERTIFICATE_ED25519,
    CERTIFICATE_ML_DSA,
    CERTIFICATE_KIND_COUNT
};

#define STORE_NONE UINT32_MAX /* no certificate */
#define STORE_HASH_SIZE 32    /* SHA-256 */

/* Bytes of the store: store_bytes(). A text is followed by a zero byte that `length` does not
 * count. */
struct store_span {
    uint32_t offset, length;
};

/* Which file it was, and in which state, when it was read. */
struct store_file {
    struct store_span path; /* text; empty: there is no such file */
    uint64_t device, inode, size;
    int64_t modified, changed; /* ns since 1970 */
};

enum store_file_role {
    STORE_CHAIN_FILE,  /* PEM: the certificate and what follows it */
    STORE_STAPLE_FILE, /* DER: an OCSP response */
    STORE_FILE_COUNT
};

struct store_certificate {
    struct store_span leaf;        /* DER */
    struct store_span key;         /* SubjectPublicKeyInfo, DER: a part of `leaf` */
    struct store_span staple;      /* its OCSP response, DER; empty: none that is usable */
    struct store_span names;       /* `name_count` texts, one behind the other */
    uint32_t name_count;           /* DNS names in lower case, then addresses as "ip:192.0.2.1" */
    uint32_t chain, chain_count;   /* store_chain() */
    uint32_t kind;                 /* enum certificate_kind */
    uint32_t problems;             /* a bit for each enum chain_problem, but for those of time */
    uint32_t must_staple;          /* whether it asks for an OCSP response (RFC 7633) */
    uint32_t frontend, route;      /* numbers in the configuration */
    uint32_t line;                 /* of the configuration, or of the list */
    uint32_t required;             /* whether the configuration is refused without it */
    int64_t not_before, not_after; /* of the certificate; seconds since 1970 */
    int64_t chain_before, chain_after;      /* of all certificates of the chain together */
    int64_t staple_before, staple_after;    /* of the OCSP response */
    uint8_t key_id[STORE_HASH_SIZE];        /* of the SubjectPublicKeyInfo */
    uint8_t names_hash[STORE_HASH_SIZE];    /* of the names with their zero bytes */
    struct store_span key_type;             /* text: "P-256", "RSA-2048" ... */
    struct store_span key_path;             /* text */
    struct store_span pass_phrase_path;     /* text; empty: the key is not encrypted */
    struct store_span policy, tls12_groups; /* texts, for immured */
    struct store_span where;                /* text: the file that `line` is a line of */
    struct store_file files[STORE_FILE_COUNT];
};

/* What one route has for a name. */
struct store_choice {
    uint32_t route;
    uint32_t certificates[CERTIFICATE_KIND_COUNT]; /* numbers, or STORE_NONE */
};

struct store;

#define STORE_NAME_MAX 255
#define STORE_ADDRESS_PREFIX "ip:" /* no DNS name has a colon */
/* "*.example.com" for "www.example.com": a wildcard stands for exactly one label (RFC 6125, section
 * 6.4.3). False: no wildcard can match the name. */
bool store_wildcard_for(const char *name, char wildcard[static STORE_NAME_MAX + 1]);

/* Maps a store; the descriptor stays the caller's. NULL: *error says what is wrong with it. */
struct store *store_open(int memory, struct conf_error *error);
void store_close(struct store *store);

/*
 * What the routes of a frontend have for exactly this name, in the order of the configuration:
 * "www.example.com", the wildcard "*.example.com", or the address "ip:192.0.2.1". Returns their
 * number. Letters are in lower case.
 */
size_t store_find(const struct store *store, uint32_t frontend, const char *name,
                  const struct store_choice **choices);
/* For clients whose name no certificate has: the first certificate of the route, with those of
 * other kinds for its first name. NULL: the route has none. */
const struct store_choice *store_route_default(const struct store *store, uint32_t route);

size_t store_certificate_count(const struct store *store);
const struct store_certificate *store_certificate(const struct store *store, uint32_t number);
/* The numbers of the certificates that follow the leaf, for store_chain_certificate(). */
const uint32_t *store_chain(const struct store *store, const struct store_certificate *certificate);
size_t store_chain_certificate_count(const struct store *store);
/* Returns its DER. */
const uint8_t *store_chain_certificate(const struct store *store, uint32_t number, size_t *length);

const uint8_t *store_bytes(const struct store *store, struct store_span span);
const char *store_text(const struct store *store, struct store_span text);

/* How many files could not be used when the store was made. */
uint32_t store_failed(const struct store *store);
/* The whole store, for those that keep it or tell its size. */
const void *store_mapping(const struct store *store, size_t *size);

#endif
