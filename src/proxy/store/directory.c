#include "proxy/store/directory.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/ending.h"
#include "base/name_table.h"

#define STAPLE ".ocsp"

struct directory {
    const char *path;
    int descriptor;
    struct name_table names;
};

/* The layouts. What the file of the chain is called leads to the key. */
static const struct layout {
    const char *chain, *key; /* what follows NAME */
    const char * not ;       /* nor ends the name of the chain so */
} layouts[] = {{".crt", ".key", ".issuer.crt"}, {".pem", ".pem", NULL}};

#define CERTBOT_CHAIN "/fullchain.pem"
#define CERTBOT_KEY "/privkey.pem"

/* "PATH/NAME.end"; NULL: out of memory. */
static char *join(const struct directory *directory, const char *name, size_t length,
                  const char *end)
{
    char *path = NULL;
    return asprintf(&path, "%s/%.*s%s", directory->path, (int)length, name, end) < 0 ? NULL : path;
}

static bool is_there(const struct directory *directory, const char *name, size_t length,
                     const char *end)
{
    char full[NAME_MAX + 1];
    size_t index;
    int printed = snprintf(full, sizeof full, "%.*s%s", (int)length, name, end);
    return printed > 0 && (size_t)printed < sizeof full &&
           name_table_find(&directory->names, full, &index);
}

static bool tell(const struct directory *directory, const char *name, size_t length,
                 const char *chain_end, const char *key_end,
                 void (*found)(void *owner, const struct directory_item *item), void *owner)
{
    bool stapled = is_there(directory, name, length, STAPLE);
    char *chain = join(directory, name, length, chain_end);
    char *key = join(directory, name, length, key_end);
    char *staple = stapled ? join(directory, name, length, STAPLE) : NULL;
    bool good = chain != NULL && key != NULL && (staple != NULL || !stapled);
    const struct directory_item item = {chain, key, staple};
    if (good)
        found(owner, &item);
    free(chain);
    free(key);
    free(staple);
    return good;
}

/* A folder as certbot makes it; its files are links. */
static bool is_certbot(const struct directory *directory, const char *name)
{
    struct stat status;
    char path[PATH_MAX];
    int length = snprintf(path, sizeof path, "%s" CERTBOT_CHAIN, name);
    return length > 0 && (size_t)length < sizeof path && strchr(name, '.') != name &&
           fstatat(directory->descriptor, path, &status, 0) == 0;
}

static bool may_be_folder(unsigned char type)
{
    return type == DT_DIR || type == DT_LNK || type == DT_UNKNOWN;
}

/* Folders are marked with a slash in the table. */
static bool read_names(struct directory *directory, DIR *stream)
{
    const struct dirent *entry;
    while (errno = 0, (entry = readdir(stream)) != NULL) {
        char folder[NAME_MAX + 2];
        const char *name = entry->d_name;
        if (name[0] == '.')
            continue;
        if (may_be_folder(entry->d_type) && is_certbot(directory, name)) {
            snprintf(folder, sizeof folder, "%s/", name);
            name = folder;
        }
        if (!name_table_add(&directory->names, name, NULL)) {
            errno = ENOMEM;
            return false;
        }
    }
    return errno == 0;
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool tell_one(const struct directory *directory, const char *name,
                     void (*found)(void *owner, const struct directory_item *item), void *owner)
{
    size_t length = strlen(name);
    if (name[length - 1] == '/')
        return tell(directory, name, length - 1, CERTBOT_CHAIN, CERTBOT_KEY, found, owner);
    for (size_t i = 0; i < sizeof layouts / sizeof *layouts; i++) {
        const struct layout *layout = &layouts[i];
        if (ends_with(name, layout->chain) &&
            (layout->not == NULL || !ends_with(name, layout->not )))
            return tell(directory, name, length - strlen(layout->chain), layout->chain, layout->key,
                        found, owner);
    }
    return true;
}

static bool tell_all(const struct directory *directory,
                     void (*found)(void *owner, const struct directory_item *item), void *owner)
{
    size_t count = directory->names.count;
    char **sorted = calloc(count + 1, sizeof *sorted);
    bool good = sorted != NULL;
    if (good && count > 0)
        memcpy(sorted, directory->names.names, count * sizeof *sorted);
    if (good)
        qsort(sorted, count, sizeof *sorted, compare);
    for (size_t i = 0; good && i < count; i++)
        good = tell_one(directory, sorted[i], found, owner);
    free(sorted);
    if (!good)
        errno = ENOMEM;
    return good;
}

bool directory_for_each(const char *path,
                        void (*found)(void *owner, const struct directory_item *item), void *owner)
{
    DIR *stream = opendir(path);
    if (stream == NULL)
        return false;
    struct directory directory = {
        .path = path, .descriptor = dirfd(stream), .names = NAME_TABLE_INIT};
    bool good = read_names(&directory, stream) && tell_all(&directory, found, owner);
    int reason = errno;
    closedir(stream);
    name_table_free(&directory.names);
    errno = reason;
    return good;
}
