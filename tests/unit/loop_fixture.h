/* A loop for tests, the letters of what has happened on it, and pairs of sockets to watch. */
#ifndef TESTS_LOOP_FIXTURE_H
#define TESTS_LOOP_FIXTURE_H

#include <stddef.h>
#include <stdint.h>

#include "loop/loop.h"

#define ORDER_MAX 64

extern struct loop_fixture {
    struct loop loop;
    char order[ORDER_MAX]; /* what has happened, as letters */
    size_t count;
} fixture;

/* Set-up and tear-down. */
int loop_fixture_open(void **state);
int loop_fixture_close(void **state);

void note(char what);

struct pair {
    struct watch watch; /* of its one end */
    int other;          /* its other end */
};

void pair_open(struct pair *pair, void (*ready)(struct watch *watch, uint32_t events));
void pair_close(struct pair *pair);
/* For pair_open(): reads a byte, and notes it. */
void pair_read(struct watch *watch, uint32_t events);

#endif
