/*
 * What master and worker say to each other: fixed messages over SOCK_SEQPACKET socket pairs, one
 * pair a loop thread and one for the worker's main thread, each message whole or not at all.
 *
 * The master is the only one with a way to immured: a thread that needs a connection asks for one
 * and gets a descriptor. So the worker needs neither file system nor addresses.
 */
#ifndef PROXY_SHARED_CONTROL_H
#define PROXY_SHARED_CONTROL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "proxy/config/server_addresses.h"

enum control_type {
    CONTROL_READY = 1,   /* worker main to master: configuration and keys are good, threads run */
    CONTROL_KEYD_WANTED, /* thread to master: a connection to immured, please */
    CONTROL_KEYD,        /* master to thread: here it is (a descriptor comes along), or none yet:
                            ask again after a pause */
    CONTROL_TICKETS,     /* master to thread: new session ticket keys */
    CONTROL_SERVERS,     /* master to thread: a backend's servers have other addresses now */
    CONTROL_DRAIN        /* master to thread and main: accept no more, end by the deadline */
};

/* Keys of session tickets (RFC 5077), where immured has none to give: made by the master, so that
 * they outlive a worker; renewed every hour. The previous one still decrypts. Not private keys, but
 * as secret as the sessions. */
struct ticket_key {
    uint8_t name[16];
    uint8_t aes[32];
    uint8_t hmac[32];
};
struct ticket_keys {
    struct ticket_key current, previous;
};

struct control_message {
    enum control_type type;
    union {
        struct ticket_keys tickets;
        struct {
            uint32_t backend; /* index in the configuration */
            struct server_addresses addresses;
        } servers;
        uint64_t deadline; /* DRAIN: CLOCK_MONOTONIC, ns */
    };
};

/* *descriptor (in: -1 for none) goes along, and stays the sender's. False with errno. */
bool control_send(int socket, const struct control_message *message, int descriptor);
/* 1: a message (*descriptor: what came along, or -1); 0: the other end is gone; -1 with errno
 * (EAGAIN on a non-blocking socket). A message of a wrong size is EPROTO. */
int control_receive(int socket, struct control_message *message, int *descriptor);

#endif
