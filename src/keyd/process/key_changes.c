#include "keyd/process/key_changes.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/descriptor.h"
#include "base/hex.h"
#include "base/log.h"
#include "daemon/hand_over.h"

/* An answer: its kind, then a record or a reason. */
struct answer {
    uint8_t bytes[1 + KEY_CHANGE_MAX];
    size_t length;
};

static void refuse(struct answer *answer, const char *reason)
{
    answer->bytes[0] = HAND_OVER_REFUSED;
    size_t length = strlen(reason);
    length = length < KEY_CHANGE_MAX ? length : KEY_CHANGE_MAX;
    memcpy(answer->bytes + 1, reason, length);
    answer->length = 1 + length;
}

static void confirm(struct answer *answer, size_t length)
{
    if (length == 0) {
        refuse(answer, "libcrypto cannot encrypt the change");
        return;
    }
    answer->bytes[0] = HAND_OVER_CHANGED;
    answer->length = 1 + length;
}

/* Where no such key was known at the start, libcrypto signs, and nothing was measured. */
static bool find_kind(struct key_changes *changes, struct compact_key *key)
{
    const enum wire_key_type type = (enum wire_key_type)key->type;
    key->kind = kinds_find(changes->kinds, type, key->bits, changes->wanted);
    if (key->kind == NULL)
        key->kind = kinds_add_unmeasured(changes->kinds, type, key->bits);
    return key->kind != NULL && queue_has_line(&changes->server->scheduler->queue, key->kind);
}

/* Decodes the key, because whoever asks wants to know at once whether it is the one that the id
 * says.
 */
static bool is_good(struct key_changes *changes, struct compact_key *compact)
{
    struct compact_keys *keys = changes->intake.keys;
    const struct key *key = compact_use(keys, compact), *ready;
    if (key == NULL)
        return false;
    bool good = opener_open(&changes->opener, key, &ready) == OPENER_GOOD;
    compact_lend(key);
    compact_take_back(keys, key);
    compact_drop(keys, key);
    return good;
}

static void add(struct key_changes *changes, const char *item, int descriptor,
                struct answer *answer)
{
    struct compact_keys *keys = changes->intake.keys;
    char reason[KEY_NAME_MAX + 512];
    bool known;
    struct compact_key *key =
        key_intake_add(&changes->intake, item, descriptor, &known, reason, sizeof reason);
    secret_free(&changes->intake.reading);
    if (key != NULL && !known && !find_kind(changes, key)) {
        compact_remove(keys, key);
        key = NULL;
        snprintf(reason, sizeof reason, "%.*s: too many kinds of keys", KEY_NAME_MAX, item);
    }
    if (key != NULL && !known && !is_good(changes, key)) {
        snprintf(reason, sizeof reason, "%s: it is not the key of the certificate", key->name);
        compact_remove(keys, key);
        key = NULL;
    }
    if (key == NULL) {
        log_error("%s", reason);
        refuse(answer, reason);
        return;
    }
    confirm(answer, key_change_added(&changes->change_key, keys, key, answer->bytes + 1));
    log_info("key \"%s\" is %s", key->name, known ? "there already" : "added");
}

static void discard(struct key_changes *changes, const char *item, struct answer *answer)
{
    uint8_t id[WIRE_KEY_ID_SIZE];
    struct compact_key *key =
        hex_decode(item, id, sizeof id) ? compact_find(changes->intake.keys, id) : NULL;
    if (key == NULL) {
        refuse(answer, "there is no such key");
        return;
    }
    log_info("key \"%s\" is removed", key->name);
    compact_remove(changes->intake.keys, key);
    confirm(answer, key_change_removed(&changes->change_key, id, answer->bytes + 1));
}

/* False: the supervisor has sent what it never should. */
static bool take(struct key_changes *changes, const char *message, size_t length, int *descriptor,
                 struct answer *answer)
{
    int file = *descriptor;
    if (length < 2 || message[length - 1] != '\0')
        return false;
    if (message[0] == HAND_OVER_ADD && file >= 0) {
        *descriptor = -1;
        add(changes, message + 1, file, answer);
        return true;
    }
    if (message[0] != HAND_OVER_REMOVE || file >= 0)
        return false;
    discard(changes, message + 1, answer);
    return true;
}

static void serve(struct watch *watch, uint32_t events)
{
    (void)events;
    struct key_changes *changes = list_entry(watch, struct key_changes, watch);
    char message[HAND_OVER_MESSAGE_MAX];
    struct answer answer;
    int descriptor;
    ssize_t length = descriptor_receive(watch->descriptor, message, sizeof message, &descriptor);
    if (length < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    bool good = length > 0 && take(changes, message, (size_t)length, &descriptor, &answer);
    descriptor_close(&descriptor);
    if (good &&
        send(watch->descriptor, answer.bytes, answer.length, MSG_NOSIGNAL | MSG_DONTWAIT) > 0)
        return;
    if (length != 0)
        log_error("keys are added and removed no more: the supervisor's message is not understood");
    watch_close(&changes->server->loop, watch);
}

bool key_changes_open(struct key_changes *changes, struct keyd_server *server, int socket)
{
    changes->server = server;
    watch_init(&changes->watch, serve);
    watch_open(&changes->watch, socket, WATCH_LEVEL);
    if (descriptor_set_nonblocking(socket, true) &&
        watch_want(&server->loop, &changes->watch, EPOLLIN))
        return true;
    log_error("the socket of the hand-over: %s", strerror(errno));
    return false;
}

void key_changes_close(struct key_changes *changes)
{
    if (changes->server != NULL)
        watch_close(&changes->server->loop, &changes->watch);
    key_intake_end(&changes->intake);
    opener_release(&changes->opener);
    change_key_free(&changes->change_key);
}
