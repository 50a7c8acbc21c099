#include "base/file_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/descriptor.h"

static const struct table_file *find(const struct file_table *table, const char *name)
{
    for (size_t i = 0; i < table->count; i++)
        if (strcmp(table->files[i].name, name) == 0)
            return &table->files[i];
    return NULL;
}

static bool add(struct file_table *table, const char *name, int descriptor)
{
    size_t size = (table->count + 1) * sizeof *table->files;
    struct table_file *files = realloc(table->files, size);
    char *copy = strdup(name);
    if (files != NULL)
        table->files = files;
    if (files == NULL || copy == NULL) {
        free(copy);
        descriptor_close(&descriptor);
        return false;
    }
    files[table->count++] = (struct table_file){.name = copy, .descriptor = descriptor};
    return true;
}

int file_table_find(const struct file_table *table, const char *name)
{
    const struct table_file *file = find(table, name);
    if (file != NULL && file->descriptor >= 0)
        return file->descriptor;
    errno = file != NULL ? -file->descriptor : ENOENT;
    return -1;
}

void file_table_put(FILE *list, const char *name, int descriptor)
{
    fprintf(list, "%d %s%c", descriptor, name, '\0');
}

/* "NUMBER NAME" */
static bool take(struct file_table *table, const char *item)
{
    char *end;
    errno = 0;
    long number = strtol(item, &end, 10);
    bool standard = number >= STDIN_FILENO && number <= STDERR_FILENO;
    if (errno != 0 || *end != ' ' || number != (int)number || standard ||
        (number >= 0 && !descriptor_set_close_on_exec((int)number, true))) {
        errno = EPROTO;
        return false;
    }
    return add(table, end + 1, (int)number);
}

bool file_table_receive(struct file_table *table, int list)
{
    FILE *in = fdopen(list, "r");
    if (in == NULL)
        return false;
    char *item = NULL;
    size_t size = 0;
    bool good = true;
    while (good && getdelim(&item, &size, '\0', in) > 0)
        good = take(table, item);
    good = good && ferror(in) == 0;
    int reason = errno;
    free(item);
    fclose(in);
    if (!good)
        file_table_close(table);
    errno = reason;
    return good;
}

void file_table_close(struct file_table *table)
{
    for (size_t i = 0; i < table->count; i++) {
        descriptor_close(&table->files[i].descriptor);
        free(table->files[i].name);
    }
    free(table->files);
    *table = FILE_TABLE_INIT;
}
