/* The arena for keyd's secrets, one for the test program. */
#ifndef TESTS_ARENA_FIXTURE_H
#define TESTS_ARENA_FIXTURE_H

/* Group set-up; there is no tear-down. */
int arena_make(void **state);

#endif
