#include "proxy/store/list_line.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/config/dns_name.h"

#define PAIR_CHAIN ".crt"
#define PAIR_KEY ".key"

/* NULL: out of memory. */
static char *resolve(const char *list, const char *path)
{
    char *resolved = NULL;
    const char *slash = strrchr(list, '/');
    if (path[0] == '/' || slash == NULL)
        return strdup(path);
    return asprintf(&resolved, "%.*s/%s", (int)(slash - list), list, path) < 0 ? NULL : resolved;
}

/* NAME.key for NAME.crt; else the file holds the key, too. */
static char *key_beside(const char *chain)
{
    char *key = strdup(chain);
    size_t length = strlen(chain), end = strlen(PAIR_CHAIN);
    if (key != NULL && length > end && strcmp(chain + length - end, PAIR_CHAIN) == 0)
        memcpy(key + length - end, PAIR_KEY, sizeof PAIR_KEY);
    return key;
}

static bool take_name(struct list_line *line, char *text, char *reason, size_t size)
{
    char name[DNS_NAME_SIZE];
    const char *wrong = "";
    if (!dns_name_fold(text, name, &wrong)) {
        snprintf(reason, size, "'%s' %s", text, wrong);
        return false;
    }
    const char **names = reallocarray(line->names, line->name_count + 1, sizeof *names);
    if (names == NULL) {
        snprintf(reason, size, "out of memory");
        return false;
    }
    line->names = names;
    memcpy(text, name, strlen(name) + 1);
    names[line->name_count++] = text;
    return true;
}

static bool take_path(char **field, const char *list, const char *path)
{
    free(*field);
    *field = resolve(list, path);
    return *field != NULL;
}

static bool take_word(struct list_line *line, const char *list, char *word, char *reason,
                      size_t size)
{
    const struct {
        const char *prefix;
        char **path;
    } options[] = {{"key=", &line->key}, {"ocsp=", &line->staple}};
    static const char route[] = "route=";
    snprintf(reason, size, "out of memory");
    if (line->chain == NULL)
        return take_path(&line->chain, list, word);
    for (size_t i = 0; i < sizeof options / sizeof *options; i++)
        if (strncmp(word, options[i].prefix, strlen(options[i].prefix)) == 0)
            return take_path(options[i].path, list, word + strlen(options[i].prefix));
    if (strncmp(word, route, strlen(route)) != 0)
        return take_name(line, word, reason, size);
    line->route = word + strlen(route);
    return true;
}

bool list_line_parse(struct list_line *line, const char *list, char *text, char *reason,
                     size_t size)
{
    char *word;
    *line = (struct list_line){0};
    text[strcspn(text, "#")] = '\0';
    while ((word = strsep(&text, " \t\r")) != NULL)
        if (*word != '\0' && !take_word(line, list, word, reason, size))
            return false;
    if (line->chain != NULL && line->key == NULL)
        line->key = key_beside(line->chain);
    snprintf(reason, size, "out of memory");
    return line->chain == NULL || line->key != NULL;
}

void list_line_free(struct list_line *line)
{
    free(line->chain);
    free(line->key);
    free(line->staple);
    free(line->names);
}
