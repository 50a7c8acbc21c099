/*
 * Reads a JSON object from a line, as immure-proxy writes it on its control socket: its values are
 * texts, whole numbers, true, false, null, and lists of texts.
 */
#ifndef OPERATOR_JSON_READ_H
#define OPERATOR_JSON_READ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JSON_MEMBERS_MAX 32

enum json_kind { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_TEXT, JSON_LIST };

struct json_member {
    const char *name;
    enum json_kind kind;
    int64_t number;    /* of a bool: 0 or 1 */
    const char *text;  /* of a list: its texts, one behind the other, each with a zero byte */
    size_t item_count; /* of a list */
};

struct json_object {
    struct json_member members[JSON_MEMBERS_MAX];
    size_t count;
};

/* Takes the line apart, which is changed, and must outlive *object. False: it is not such an
 * object. */
bool json_read(struct json_object *object, char *line);

/* NULL: there is no such member, or it is of another kind. */
const char *json_read_text(const struct json_object *object, const char *name);
/* The same, or "-" if there is no such text. */
const char *json_read_text_or_dash(const struct json_object *object, const char *name);
const struct json_member *json_read_list(const struct json_object *object, const char *name);
/* Writes the items of a list, "a,b"; `none` if there is no such list, or it is empty. */
void json_read_joined(const struct json_object *object, const char *name, const char *none,
                      char *text, size_t size);
/* `otherwise` stands for what is not there. */
int64_t json_read_number(const struct json_object *object, const char *name, int64_t otherwise);
bool json_read_bool(const struct json_object *object, const char *name, bool otherwise);

#endif
