/*
 * A few files that one process opens and another reads: each name with its descriptor, or with the
 * reason why there is none, so that whoever wants to read it can say so. A supervisor hands over
 * any number by daemon/hand_over.h; this is for who starts an immured of its own (immure/spawn.h).
 *
 * Over execve() goes a list, of which file_table_put() writes an item and which
 * file_table_receive() reads: "NUMBER NAME" and a zero byte for each, NUMBER being the descriptor
 * or -errno.
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

/* The descriptor, which stays the table's, at any offset; -1 with errno: why it could not be
 * opened, ENOENT if nobody has tried. */
int file_table_find(const struct file_table *table, const char *name);

void file_table_put(FILE *list, const char *name, int descriptor);
/* Reads the list into an empty table, and closes it. What it names is close-on-exec then, and the
 * table's. False with errno: EPROTO if it is no such list. */
bool file_table_receive(struct file_table *table, int list);

/* Closes all. Harmless on one that is empty. */
void file_table_close(struct file_table *table);

#endif
