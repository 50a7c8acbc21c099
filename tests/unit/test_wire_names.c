/* Frame types, schemes, figures, backends and errors by number and by name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "immure/error.h"
#include "wire/frame_type.h"
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

static char document[1 << 16];

static int read_document(void **state)
{
    (void)state;
    FILE *file = fopen(PROTOCOL_DOCUMENT, "r");
    assert_non_null(file);
    document[fread(document, 1, sizeof document - 1, file)] = '\0';
    fclose(file);
    return 0;
}

/* docs/protocol.md has a row for each figure. */
static void test_figures_are_documented(void **state)
{
    (void)state;
    for (size_t i = 0; i < wire_stat_count; i++) {
        const struct wire_stat *stat = &wire_stats[i];
        char row[256];
        snprintf(row, sizeof row, "\n| %d | %s | %s |\n", stat->number, stat->name, stat->help);
        if (strstr(document, row) == NULL)
            fail_msg("docs/protocol.md lacks%s", row);
    }
}

/* It also has exactly one row for each frame type, with its number, sender, version and sizes. */
static void test_frame_types_are_documented(void **state)
{
    (void)state;
    const char *at = document;
    for (size_t i = 0; i < wire_frame_type_count; i++) {
        const struct wire_frame_type *type = &wire_frame_types[i];
        char begin[64], end[64];
        snprintf(begin, sizeof begin, "| 0x%02x | %s | %s | %d | ", type->type, type->name,
                 type->sender == WIRE_CLIENT ? "client" : "immured", type->since);
        if (type->shortest == type->longest)
            snprintf(end, sizeof end, " | %zu |\n", type->longest);
        else
            snprintf(end, sizeof end, " | %zu to %zu |\n", type->shortest, type->longest);
        at = strstr(at, "\n| 0x"); /* the next row, in the same order */
        assert_non_null(at);
        const char *line = ++at, *newline = strchr(line, '\n');
        assert_non_null(newline);
        size_t length = (size_t)(newline + 1 - line);
        if (length < strlen(begin) + strlen(end) || memcmp(line, begin, strlen(begin)) != 0 ||
            memcmp(newline + 1 - strlen(end), end, strlen(end)) != 0)
            fail_msg("docs/protocol.md has not %s...%s", begin, end);
        assert_ptr_equal(wire_frame_type_find(type->type), type);
    }
    assert_null(strstr(at, "\n| 0x"));
    assert_null(wire_frame_type_find(0));
}

/* A reply exists since the same version as its request: whoever can ask can be answered. */
static void test_replies_are_as_old_as_requests(void **state)
{
    (void)state;
    for (size_t i = 0; i < wire_frame_type_count; i++) {
        const struct wire_frame_type *reply = &wire_frame_types[i];
        assert_true(reply->since >= WIRE_VERSION_LOWEST && reply->since <= WIRE_VERSION);
        if (reply->sender != WIRE_SERVER || reply->type == WIRE_ERROR)
            continue;
        const struct wire_frame_type *request = wire_frame_type_find(reply->type & 0x7fu);
        assert_non_null(request);
        assert_int_equal(request->since, reply->since);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_figures_are_documented),
        cmocka_unit_test(test_frame_types_are_documented),
        cmocka_unit_test(test_replies_are_as_old_as_requests),
    };
    return cmocka_run_group_tests(tests, read_document, NULL);
}
