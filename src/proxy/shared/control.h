/*
 * The protocol between master and worker: messages of fixed size over SOCK_SEQPACKET socket pairs,
 * one pair for each loop thread and one for the worker's main thread.
 *
 * Only the master can connect to immured: a thread that needs a connection asks for one and gets a
 * descriptor. So the worker needs neither the file system nor addresses.
 */
#ifndef PROXY_SHARED_CONTROL_H
#define PROXY_SHARED_CONTROL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "proxy/config/config.h"

/* As many verdicts fit beside the addresses of a server. */
#define CONTROL_VERDICTS_MAX 24
#define CONTROL_SETTINGS_MAX 128

enum control_type {
    CONTROL_READY = 1,   /* worker main to master: configuration, keys and threads are ready */
    CONTROL_KEYD_WANTED, /* thread to master: asks for a connection to immured */
    CONTROL_KEYD,     /* master to thread: the connection (an attached descriptor), or none yet: ask
                         again after a pause */
    CONTROL_TICKETS,  /* master to thread: new session ticket keys */
    CONTROL_SERVERS,  /* master to thread: the addresses of a server have changed */
    CONTROL_VERDICTS, /* master to thread: what the checks say of some servers */
    CONTROL_SETTINGS, /* master to thread: what the operator has set for some servers */
    CONTROL_STORE, /* master to main: the next store of certificates (an attached descriptor); then
                      to each thread: take it */
    CONTROL_STORE_TAKEN,  /* main or thread to master: it uses the store, and no other any more */
    CONTROL_STORE_FAILED, /* the same: it goes on with the one before, and has logged why */
    CONTROL_PAUSED,       /* thread to master: a server is paused, or is up again */
    CONTROL_KEYLESS, /* main to master: which keys of certificates immured lacks (`keyless`); sent
                        when that has changed, and taken to be none at first */
    CONTROL_DRAIN    /* master to thread and main: stop accepting, end by the deadline */
};

#define CONTROL_KEY_ID_SIZE 32 /* SHA-256 of a SubjectPublicKeyInfo */

/* Keys of session tickets (RFC 5077), for when immured provides none. The master makes them, so
 * that they outlive a worker, and renews them every hour; the previous one still decrypts. They are
 * not private keys, but as secret as the sessions. */
struct ticket_key {
    uint8_t name[16];
    uint8_t aes[32];
    uint8_t hmac[32];
};
struct ticket_keys {
    struct ticket_key current, previous;
};

/* Keys that immured lacks. */
#define KEYLESS_IDS_MAX 64
struct keyless_keys {
    uint32_t count; /* of certificates; the first of them are named */
    uint8_t ids[KEYLESS_IDS_MAX][CONTROL_KEY_ID_SIZE];
};

struct control_message {
    enum control_type type;
    union {
        struct ticket_keys tickets;
        struct {
            uint32_t server; /* its number in the configuration */
            struct server_addresses addresses;
        } servers;
        struct {
            uint32_t first, count; /* of servers, by their numbers */
            struct server_verdict of[CONTROL_VERDICTS_MAX];
        } verdicts;
        struct {
            uint32_t first, count; /* as above */
            struct server_setting of[CONTROL_SETTINGS_MAX];
        } settings;
        struct {
            uint32_t server;
            uint64_t pause; /* ns; 0: it is up */
        } paused;
        struct keyless_keys keyless;
        uint64_t deadline; /* DRAIN: CLOCK_MONOTONIC, ns */
    };
};

/* Sends a message with a descriptor attached (-1: none), which the sender still owns. False with
 * errno. */
bool control_send(int socket, const struct control_message *message, int descriptor);
/* 1: received a message (*descriptor is the attached one, or -1). 0: the other end is closed. -1
 * with errno: EAGAIN on a non-blocking socket, EPROTO for a message of the wrong size. */
int control_receive(int socket, struct control_message *message, int *descriptor);

#endif
