#include "arena_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "keyd/keys/arena.h"

#define ARENA_SIZE ((size_t)16 * 1024 * 1024)

int arena_make(void **state)
{
    (void)state;
    struct arena arena;
    char reason[128];
    if (!arena_open(ARENA_SIZE, &arena, reason, sizeof reason))
        fail_msg("%s", reason);
    return 0;
}
