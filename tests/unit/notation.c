#include "notation.h"

#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Each of these returns the position after what it parses, or NULL. */
static const char *json_skip(const char *at);

static const char *json_space(const char *at)
{
    return at + strspn(at, " \t\r\n");
}

static const char *json_string(const char *at)
{
    if (*at++ != '"')
        return NULL;
    for (; *at != '"'; at++) {
        if ((unsigned char)*at < 0x20)
            return NULL;
        if (*at == '\\' && strchr("\"\\/bfnrtu", *++at) == NULL)
            return NULL;
    }
    return at + 1;
}

static const char *json_members(const char *at, bool object)
{
    char close = object ? '}' : ']';
    at = json_space(at + 1);
    if (*at == close)
        return at + 1;
    for (;; at = json_space(at + 1)) {
        if (object) {
            if ((at = json_string(at)) == NULL || *(at = json_space(at)) != ':')
                return NULL;
            at++;
        }
        if ((at = json_skip(at)) == NULL)
            return NULL;
        at = json_space(at);
        if (*at == close)
            return at + 1;
        if (*at != ',')
            return NULL;
    }
}

static const char *json_skip(const char *at)
{
    at = json_space(at);
    if (*at == '{' || *at == '[')
        return json_members(at, *at == '{');
    if (*at == '"')
        return json_string(at);
    if (strncmp(at, "null", 4) == 0)
        return at + 4;
    char *end;
    if (*at != '-' && !isdigit((unsigned char)*at))
        return NULL;
    strtod(at, &end);
    return end;
}

bool json_is_well_formed(const char *text)
{
    const char *end = json_skip(text);
    return end != NULL && *json_space(end) == '\0';
}

static bool name_char(char character)
{
    return isalnum((unsigned char)character) || character == '_' || character == ':';
}

/* Returns the position after the labels of a sample (text format 0.0.4), or NULL. */
static const char *labels_skip(const char *at)
{
    if (*at != '{')
        return at;
    do {
        at++;
        while (name_char(*at))
            at++;
        if (*at++ != '=' || *at++ != '"')
            return NULL;
        for (; *at != '"'; at++)
            if (*at == '\0' || (*at == '\\' && strchr("\"\\n", *++at) == NULL))
                return NULL;
        at++;
    } while (*at == ',');
    return *at == '}' ? at + 1 : NULL;
}

void exposition_check(char *text)
{
    char *lines[4096], family[128] = "", previous[128] = "";
    size_t count = 0;
    uint64_t last_bucket = 0;
    assert_true(text[0] != '\0' && text[strlen(text) - 1] == '\n');
    for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        assert_true(count < sizeof lines / sizeof lines[0]);
        if (strncmp(line, "# HELP ", 7) == 0)
            continue;
        if (strncmp(line, "# TYPE ", 7) == 0) {
            char type[32];
            assert_int_equal(sscanf(line, "# TYPE %127s %31s", family, type), 2);
            assert_non_null(strstr("counter gauge histogram summary", type));
            continue;
        }
        size_t name = 0;
        while (name_char(line[name]))
            name++;
        assert_int_equal(strncmp(line, family, strlen(family)), 0);
        const char *suffix = line + strlen(family);
        const char *value = labels_skip(line + name);
        assert_non_null(value);
        assert_int_equal(*value, ' ');
        char *end;
        strtod(value, &end);
        assert_int_equal(*end, '\0');
        for (size_t i = 0; i < count; i++)
            assert_false(strncmp(lines[i], line, (size_t)(value - line)) == 0 &&
                         lines[i][value - line] == ' ');
        lines[count++] = line;
        if (strncmp(suffix, "_bucket", 7) == 0) {
            uint64_t bucket = strtoull(value, NULL, 10);
            if (strncmp(previous, "_bucket", 7) == 0 && strstr(line, "le=\"1e-05\"") == NULL)
                assert_true(bucket >= last_bucket);
            last_bucket = bucket;
        } else if (strncmp(suffix, "_count", 6) == 0 && last_bucket > 0) {
            assert_int_equal(strtoull(value, NULL, 10), last_bucket);
            last_bucket = 0;
        }
        snprintf(previous, sizeof previous, "%.100s", suffix);
    }
    assert_true(count > 100);
}
