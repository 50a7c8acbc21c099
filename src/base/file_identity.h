/* Which file or socket a name or a descriptor stands for, so that it can be asked later whether it
 * still is the same one. */
#ifndef BASE_FILE_IDENTITY_H
#define BASE_FILE_IDENTITY_H

#include <stdbool.h>
#include <sys/stat.h>

/* No file is all zero. */
struct file_identity {
    dev_t device;
    ino_t inode;
};

static inline struct file_identity file_identity_of(const struct stat *status)
{
    return (struct file_identity){.device = status->st_dev, .inode = status->st_ino};
}

static inline bool file_identity_is(const struct file_identity *identity, const struct stat *status)
{
    return identity->device == status->st_dev && identity->inode == status->st_ino;
}

#endif
