/* Schemes, figures, backends and errors by number and by name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "immure/error.h"
#include "wire/scheme.h"
#include "wire/stats.h"

static void test_names(void **state)
{
    (void)state;
    assert_string_equal(immure_scheme_name(IMMURE_RSA_PSS_RSAE_SHA256), "rsa_pss_rsae_sha256");
    assert_string_equal(immure_scheme_name(0), "unknown");
    for (size_t i = 0; i < wire_scheme_count; i++)
        assert_ptr_equal(wire_scheme_find(wire_schemes[i].code), &wire_schemes[i]);
    for (size_t i = 0; i < wire_stat_count; i++)
        assert_ptr_equal(wire_stat_find((uint16_t)wire_stats[i].number), &wire_stats[i]);
    assert_null(wire_stat_find(0));
    assert_string_equal(wire_backend_name(WIRE_BACKEND_OPENSSL), "openssl");
    assert_string_equal(wire_backend_name(77), "unknown");
    assert_string_equal(immure_error_text(IMMURE_E_BUSY), "the queue is full");
    assert_string_equal(immure_error_text((enum immure_error)9999), "unknown error");
}

/* docs/protocol.md has a row for each figure. */
static void test_figures_are_documented(void **state)
{
    (void)state;
    FILE *file = fopen(PROTOCOL_DOCUMENT, "r");
    assert_non_null(file);
    static char text[1 << 16];
    size_t length = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[length] = '\0';
    for (size_t i = 0; i < wire_stat_count; i++) {
        const struct wire_stat *stat = &wire_stats[i];
        char row[256];
        snprintf(row, sizeof row, "\n| %d | %s | %s |\n", stat->number, stat->name, stat->help);
        if (strstr(text, row) == NULL)
            fail_msg("docs/protocol.md lacks%s", row);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_figures_are_documented),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
