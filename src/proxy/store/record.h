/*
 * What a store says about each certificate, and about each name: the structs that those who make a
 * store and those who read it have in common.
 */
#ifndef PROXY_STORE_RECORD_H
#define PROXY_STORE_RECORD_H

#include <stdint.h>

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
#define STORE_NAME_MAX 255
#define STORE_ADDRESS_PREFIX "ip:" /* no DNS name has a colon */

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

/* A file of a folder that could not be used when the store was made. */
struct store_failure {
    struct store_span file;   /* text: the path of the certificate */
    struct store_span reason; /* text: "PATH: why"; the path may be that of the key */
    uint32_t route;           /* a number in the configuration */
    uint32_t kept;            /* whether the certificate that was served before goes on */
};

/* What one route has for a name. */
struct store_choice {
    uint32_t route;
    uint32_t certificates[CERTIFICATE_KIND_COUNT]; /* numbers, or STORE_NONE */
};

#endif
