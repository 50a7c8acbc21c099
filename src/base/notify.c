#include "base/notify.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

void notify_open(struct notify *notify)
{
    const char *name = getenv("NOTIFY_SOCKET");
    *notify = (struct notify){.address.sun_family = AF_UNIX};
    if (name == NULL || (name[0] != '/' && name[0] != '@'))
        return;
    size_t length = strlen(name);
    if (length >= sizeof notify->address.sun_path) {
        log_warning("NOTIFY_SOCKET: longer than %zu bytes", sizeof notify->address.sun_path - 1);
        return;
    }
    memcpy(notify->address.sun_path, name, length);
    if (name[0] == '@')
        notify->address.sun_path[0] = '\0';
    notify->length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
    unsetenv("NOTIFY_SOCKET");
}

bool notify_pass_on(const struct notify *notify)
{
    char name[sizeof notify->address.sun_path + 1] = {0};
    size_t length = notify->length - offsetof(struct sockaddr_un, sun_path);
    if (notify->length == 0)
        return true;
    memcpy(name, notify->address.sun_path, length);
    if (name[0] == '\0')
        name[0] = '@';
    return setenv("NOTIFY_SOCKET", name, 1) == 0;
}

void notify_reloading(const struct notify *notify)
{
    notify_send(notify, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64, clock_now() / NS_PER_US);
}

void notify_send(const struct notify *notify, const char *format, ...)
{
    char text[512];
    va_list arguments;
    if (notify->length == 0)
        return;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    int out = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (out < 0 || sendto(out, text, strlen(text), MSG_NOSIGNAL,
                          (const struct sockaddr *)&notify->address, notify->length) < 0)
        log_warning("NOTIFY_SOCKET: %s", strerror(errno));
    if (out >= 0)
        close(out);
}
