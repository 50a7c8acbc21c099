#include "file_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

char file[] = "/tmp/immure-test-XXXXXX";

int file_make(void **state)
{
    (void)state;
    int descriptor = mkstemp(file);
    close(descriptor);
    return descriptor < 0;
}

int file_remove(void **state)
{
    (void)state;
    return unlink(file);
}

void file_write(const void *bytes, size_t length)
{
    FILE *out = fopen(file, "w");
    assert_non_null(out);
    assert_int_equal(fwrite(bytes, 1, length, out), length);
    assert_int_equal(fclose(out), 0);
}
