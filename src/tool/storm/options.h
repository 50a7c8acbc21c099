/*
 * The command line of immure-storm, checked and complete. Durations are nanoseconds, rates per
 * second.
 */
#ifndef STORM_OPTIONS_H
#define STORM_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#define OPTIONS_COST_MAX 16

struct storm_options {
    const char *host, *port; /* of the target; host without brackets */

    double rate;          /* open loop: handshakes started per second; 0: closed loop */
    unsigned concurrency; /* closed loop: connections at a time; 0: no storm */
    unsigned max_open; /* open loop: connections at a time; further arrivals wait, and the wait is
                          measured */
    unsigned threads;
    const char *request; /* path of a GET after each handshake; NULL: none */
    bool resume;
    bool close_by_reset; /* RST after the handshake instead of close_notify and FIN */

    unsigned probes;
    double probe_rate;         /* of each connection */
    const char *probe_request; /* path */
    unsigned probe_plain;      /* bytes sent to and expected back from an echo server; 0: HTTP */
    uint64_t probe_timeout;

    int tls_min, tls_max;
    const char *groups, *sigalgs, *ciphersuites, *ciphers, *alpn, *server_name;
    const char *names;  /* file of names, one a line, in place of server_name; NULL: none */
    const char *verify; /* file of CA certificates; NULL: no verification */
    unsigned
        sources;    /* addresses of loopback that connections come from; 0: as many as there are */
    bool unchecked; /* do not verify the handshake's signature either */
    uint64_t connect_timeout, handshake_timeout;

    uint64_t duration, warmup;
    unsigned seed;
    const char *json;
    pid_t cost[OPTIONS_COST_MAX];
    unsigned cost_count;
};

enum options_result { OPTIONS_RUN, OPTIONS_DONE, OPTIONS_BAD };

/* DONE: --help or --version was answered on `out`. BAD: one line on `err` says why. */
enum options_result options_parse(struct storm_options *options, int argc, char **argv, FILE *out,
                                  FILE *err);

#endif
