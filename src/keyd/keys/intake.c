#include "keyd/keys/intake.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/descriptor.h"
#include "base/log.h"
#include "daemon/hand_over.h"
#include "keyd/keys/key_records.h"

/* Where a hand-over goes. */
struct intake {
    struct files *files;
    struct key_intake *keys;
    struct key_records records; /* those of the keys, for the vault */
};

/* One message and its descriptors, `taken` of which belong to files already. */
struct delivery {
    char message[HAND_OVER_MESSAGE_MAX];
    size_t length;
    int descriptors[DESCRIPTORS_MAX];
    size_t count, taken;
};

static bool receive(int socket, struct delivery *delivery)
{
    const struct iovec part = {.iov_base = delivery->message, .iov_len = sizeof delivery->message};
    ssize_t length = descriptors_receive(socket, &part, 1, delivery->descriptors, &delivery->count);
    delivery->taken = 0;
    delivery->length = length > 0 ? (size_t)length : 0;
    if (length == 0)
        errno = EPIPE;
    return length > 0;
}

static void drop(struct delivery *delivery)
{
    while (delivery->taken < delivery->count)
        descriptor_close(&delivery->descriptors[delivery->taken++]);
}

static bool take_file(struct intake *intake, const char *name, int file)
{
    return files_add(intake->files, name, file);
}

static bool take_key(struct intake *intake, const char *item, int file)
{
    char reason[KEY_NAME_MAX + 512];
    bool known;
    const struct compact_key *key =
        key_intake_add(intake->keys, item, file, &known, reason, sizeof reason);
    if (key == NULL)
        key_intake_refuse(intake->keys, reason);
    return key == NULL || known ||
           key_records_add(&intake->records, intake->files, intake->keys->keys, key);
}

/* "ERRNO REST", zero-terminated. */
static bool take_item(struct intake *intake, struct delivery *delivery, const char *item,
                      bool (*take)(struct intake *intake, const char *rest, int file))
{
    char *end;
    long error = strtol(item, &end, 10);
    if (end == item || *end != ' ' || error < 0 || error != (int)error ||
        (error == 0 && delivery->taken == delivery->count)) {
        errno = EPROTO;
        return false;
    }
    int file = error == 0 ? delivery->descriptors[delivery->taken++] : -(int)error;
    return take(intake, end + 1, file);
}

static bool take_items(struct intake *intake, struct delivery *delivery,
                       bool (*take)(struct intake *intake, const char *rest, int file))
{
    const char *at = delivery->message + 1, *end = delivery->message + delivery->length;
    if (end[-1] != '\0') {
        errno = EPROTO;
        return false;
    }
    for (; at < end; at += strlen(at) + 1)
        if (!take_item(intake, delivery, at, take))
            return false;
    return true;
}

static bool answer_taken(int socket)
{
    const uint8_t taken = HAND_OVER_TAKEN;
    return descriptor_send(socket, &taken, sizeof taken, -1) > 0;
}

/* Not an error: a supervisor that no longer wants the vault has closed its end. */
static bool answer_vault(int socket, const struct files *files)
{
    uint8_t kind = HAND_OVER_VAULT;
    const struct iovec parts[] = {{.iov_base = &kind, .iov_len = sizeof kind},
                                  {.iov_base = files->key.bytes, .iov_len = VAULT_KEY_SIZE}};
    return descriptors_send(socket, parts, 2, &files->descriptor, 1) > 0 || errno == EPIPE;
}

static bool open_vault(struct intake *intake, struct delivery *delivery)
{
    struct files *files = intake->files;
    if (delivery->length != 1 + VAULT_KEY_SIZE || delivery->count < 1 || delivery->count > 2) {
        errno = EPROTO;
        return false;
    }
    files_close(files);
    return files_open(files, delivery->descriptors[delivery->taken++],
                      (const uint8_t *)delivery->message + 1) &&
           key_records_load(files, intake->keys->keys) &&
           (delivery->count == 1 ||
            key_changes_load(files, delivery->descriptors[1], intake->keys->keys));
}

static bool end(struct intake *intake, int socket)
{
    return key_records_end(&intake->records, intake->files) && files_seal(intake->files) &&
           answer_vault(socket, intake->files);
}

/* Handles a message. *more: another follows. False with errno: it failed. */
static bool take(struct intake *intake, int socket, struct delivery *delivery, bool *more)
{
    switch (delivery->message[0]) {
    case HAND_OVER_FILES:
        *more = true;
        return take_items(intake, delivery, take_file) && answer_taken(socket);
    case HAND_OVER_KEYS:
        *more = true;
        return key_intake_read_phrases(intake->keys, intake->files) &&
               take_items(intake, delivery, take_key) && answer_taken(socket);
    case HAND_OVER_END:
        *more = false;
        return end(intake, socket);
    case HAND_OVER_VAULT:
        *more = false;
        return open_vault(intake, delivery);
    default:
        errno = EPROTO;
        return false;
    }
}

bool intake_receive(struct files *files, struct key_intake *keys, int socket)
{
    struct intake intake = {.files = files, .keys = keys, .records = KEY_RECORDS_INIT};
    const struct timeval patience = {.tv_sec = HAND_OVER_PATIENCE};
    struct delivery delivery;
    bool more = true;
    bool good = setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) == 0 &&
                setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience) == 0 &&
                files_begin(files);
    while (good && more) {
        good = receive(socket, &delivery) && take(&intake, socket, &delivery, &more);
        int reason = errno;
        drop(&delivery);
        errno = reason;
    }
    if (!good && errno != EPIPE)
        log_error("the hand-over of files: %s", strerror(errno));
    OPENSSL_cleanse(&delivery, sizeof delivery); /* it may have held the key of a vault */
    secret_free(&intake.records.bytes);
    return good;
}

bool intake_table(struct files *files, struct file_table *table)
{
    bool good = files_begin(files);
    for (size_t i = 0; good && i < table->count; i++) {
        struct table_file *file = &table->files[i];
        good = files_add(files, file->name, file->descriptor);
        file->descriptor = -1;
    }
    good = good && files_seal(files);
    if (!good)
        log_error("the files that are open already: %s", strerror(errno));
    file_table_close(table);
    return good;
}

static bool hand_over_all(int socket, const struct name_table *names)
{
    if (descriptor_close_others(&socket, 1) && hand_over_files(socket, names))
        return true;
    if (errno != EPIPE)
        log_error("cannot open the files: %s", strerror(errno));
    return false;
}

int intake_open(const struct name_table *names, pid_t *child)
{
    int ends[2] = {-1, -1};
    *child = socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0 ? fork() : -1;
    if (*child == 0)
        _exit(hand_over_all(ends[1], names) ? EXIT_SUCCESS : EXIT_FAILURE);
    if (*child < 0) {
        log_error("cannot open the files: %s", strerror(errno));
        descriptor_close(&ends[0]);
    }
    descriptor_close(&ends[1]);
    return ends[0];
}
