#include "proxy/shared/control.h"

#include <errno.h>
#include <string.h>

#include "base/descriptor.h"

bool control_send(int socket, const struct control_message *message, int descriptor)
{
    return descriptor_send(socket, message, sizeof *message, descriptor) ==
           (ssize_t)sizeof *message;
}

int control_receive(int socket, struct control_message *message, int *descriptor)
{
    /* The buffer is one byte longer than a message, so that a message that is too long is
     * detected. */
    struct {
        struct control_message message;
        char excess;
    } room;
    ssize_t length = descriptor_receive(socket, &room, sizeof room, descriptor);
    if (length == 0)
        return 0;
    if (length < 0)
        return errno == ECONNRESET ? 0 : -1;
    if (length != (ssize_t)sizeof room.message || room.message.type < CONTROL_READY ||
        room.message.type > CONTROL_DRAIN) {
        descriptor_close(descriptor);
        errno = EPROTO;
        return -1;
    }
    *message = room.message;
    return 1;
}
