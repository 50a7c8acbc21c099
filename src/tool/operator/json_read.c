#include "operator/json_read.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hex.h"

/* A decoded text is never longer than what it was in JSON, so it is written where it was read. */
struct cursor {
    char *at;
};

static void skip_spaces(struct cursor *cursor)
{
    cursor->at += strspn(cursor->at, " \t\r\n");
}

static bool take(struct cursor *cursor, const char *word)
{
    size_t length = strlen(word);
    skip_spaces(cursor);
    bool there = strncmp(cursor->at, word, length) == 0;
    cursor->at += there ? length : 0;
    return there;
}

/* The code point of four hexadecimal digits; 0: there are none, or they say zero. */
static unsigned code_of(const char *digits)
{
    uint8_t bytes[2];
    return hex_decode(digits, bytes, sizeof bytes) ? (unsigned)bytes[0] << 8 | bytes[1] : 0;
}

/* The writer escapes control characters only; so no code takes more than two bytes. */
static char *write_code(char *to, unsigned code)
{
    if (code < 0x80) {
        *to++ = (char)code;
    } else {
        *to++ = (char)(0xc0 | (code >> 6 & 0x1f));
        *to++ = (char)(0x80 | (code & 0x3f));
    }
    return to;
}

/* After a backslash. Returns where the text goes on; NULL: it is no escape. */
static char *read_escape(char *from, char **to)
{
    static const char letters[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
    const char *found = *from != '\0' ? strchr(letters, *from) : NULL;
    if (found != NULL) {
        *(*to)++ = meanings[found - letters];
        return from + 1;
    }
    unsigned code = *from == 'u' ? code_of(from + 1) : 0;
    if (code == 0 || code > 0x7ff)
        return NULL;
    *to = write_code(*to, code);
    return from + 5;
}

/* Decodes the text to *to, which moves behind its zero byte. */
static bool read_text(struct cursor *cursor, char **to)
{
    if (!take(cursor, "\""))
        return false;
    char *from = cursor->at;
    while (*from != '"' && *from != '\0') {
        if (*from != '\\')
            *(*to)++ = *from++;
        else if ((from = read_escape(from + 1, to)) == NULL)
            return false;
    }
    if (*from == '\0')
        return false;
    cursor->at = from + 1;
    *(*to)++ = '\0';
    return true;
}

static bool read_list(struct cursor *cursor, struct json_member *member)
{
    char *to = cursor->at;
    member->kind = JSON_LIST;
    member->text = to;
    if (take(cursor, "]"))
        return true;
    do {
        if (!read_text(cursor, &to))
            return false;
        member->item_count++;
    } while (take(cursor, ","));
    return take(cursor, "]");
}

static bool read_number(struct cursor *cursor, struct json_member *member)
{
    char *end;
    member->kind = JSON_NUMBER;
    member->number = strtoll(cursor->at, &end, 10);
    bool good = end > cursor->at;
    cursor->at = end;
    return good;
}

static bool read_value(struct cursor *cursor, struct json_member *member)
{
    skip_spaces(cursor);
    if (take(cursor, "null")) {
        member->kind = JSON_NULL;
    } else if (take(cursor, "true") || take(cursor, "false")) {
        member->kind = JSON_BOOL;
        member->number = cursor->at[-2] == 'u'; /* tr-u-e */
    } else if (take(cursor, "[")) {
        return read_list(cursor, member);
    } else if (*cursor->at == '"') {
        char *to = cursor->at;
        member->kind = JSON_TEXT;
        member->text = to;
        return read_text(cursor, &to);
    } else {
        return read_number(cursor, member);
    }
    return true;
}

static bool read_member(struct cursor *cursor, struct json_object *object)
{
    if (object->count == JSON_MEMBERS_MAX)
        return false;
    struct json_member *member = &object->members[object->count++];
    *member = (struct json_member){.kind = JSON_NULL};
    skip_spaces(cursor);
    char *to = cursor->at;
    member->name = to;
    return read_text(cursor, &to) && take(cursor, ":") && read_value(cursor, member);
}

bool json_read(struct json_object *object, char *line)
{
    struct cursor cursor = {line};
    object->count = 0;
    if (!take(&cursor, "{"))
        return false;
    if (!take(&cursor, "}")) {
        do {
            if (!read_member(&cursor, object))
                return false;
        } while (take(&cursor, ","));
        if (!take(&cursor, "}"))
            return false;
    }
    skip_spaces(&cursor);
    return *cursor.at == '\0';
}

static const struct json_member *find(const struct json_object *object, const char *name,
                                      enum json_kind kind)
{
    for (size_t i = 0; i < object->count; i++)
        if (strcmp(object->members[i].name, name) == 0 && object->members[i].kind == kind)
            return &object->members[i];
    return NULL;
}

const char *json_read_text(const struct json_object *object, const char *name)
{
    const struct json_member *member = find(object, name, JSON_TEXT);
    return member != NULL ? member->text : NULL;
}

const char *json_read_text_or_dash(const struct json_object *object, const char *name)
{
    const char *text = json_read_text(object, name);
    return text != NULL ? text : "-";
}

const struct json_member *json_read_list(const struct json_object *object, const char *name)
{
    return find(object, name, JSON_LIST);
}

void json_read_joined(const struct json_object *object, const char *name, const char *none,
                      char *text, size_t size)
{
    const struct json_member *list = json_read_list(object, name);
    const char *item = list != NULL ? list->text : "";
    size_t length = 0;
    snprintf(text, size, "%s", none);
    for (size_t i = 0; list != NULL && i < list->item_count && length < size; i++) {
        length += (size_t)snprintf(text + length, size - length, "%s%s", i > 0 ? "," : "", item);
        item += strlen(item) + 1;
    }
}

int64_t json_read_number(const struct json_object *object, const char *name, int64_t otherwise)
{
    const struct json_member *member = find(object, name, JSON_NUMBER);
    return member != NULL ? member->number : otherwise;
}

bool json_read_bool(const struct json_object *object, const char *name, bool otherwise)
{
    const struct json_member *member = find(object, name, JSON_BOOL);
    return member != NULL ? member->number != 0 : otherwise;
}
