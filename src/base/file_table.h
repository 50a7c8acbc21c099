/*
 * A few files that one process opens and another reads: each name with its descriptor, or with the
 * reason why it could not be opened, so that the reader can report it. This is for an application
 * that starts its own immured (immure/spawn.h); a supervisor hands over any number of files by
 * daemon/hand_over.h.
 *
 * The table crosses execve() as a list. file_table_put() writes one item of it and
 * file_table_receive() reads it: "NUMBER NAME" and a zero byte for each file, where NUMBER is the
 * descriptor or -errno.
 */
#ifndef BASE_FILE_TABLE_H
#define BASE_FILE_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct table_file {
    char *name;
    int descriptor; /* or -errno */
};

struct file_table {
    struct table_file *files;
    size_t count;
};

#define FILE_TABLE_INIT ((struct file_table){0})

/* The descriptor, which the table still owns, at an arbitrary offset. -1 with errno: why it could
 * not be opened, or ENOENT if the table does not list it. */
int file_table_find(const struct file_table *table, const char *name);

void file_table_put(FILE *list, const char *name, int descriptor);
/* Reads the list into an empty table, and closes it. The table owns the descriptors, which become
 * close-on-exec. False with errno: EPROTO if the list is malformed. */
bool file_table_receive(struct file_table *table, int list);

/* Closes all descriptors. An empty table is allowed. */
void file_table_close(struct file_table *table);

#endif
