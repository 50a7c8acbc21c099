#include "provider/settings.h"

#include <errno.h>
#include <openssl/params.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/duration.h"
#include "immure/reference.h"

#define TIMEOUT_STANDARD (5 * NS_PER_S)
#define TIMEOUT_MAX (60 * NS_PER_S)
#define USER_ENTRY_MAX 4096 /* bytes, for a line of passwd(5) */

static bool set_socket(struct settings *settings, const char *text)
{
    size_t length = strlen(text);
    if ((text[0] != '/' && text[0] != '@') || length < 2 || length > IMMURE_SOCKET_PATH_MAX)
        return false;
    settings->socket = strdup(text);
    return settings->socket != NULL;
}

static bool set_timeout(struct settings *settings, const char *text)
{
    return duration_parse(text, &settings->timeout) && settings->timeout > 0 &&
           settings->timeout <= TIMEOUT_MAX;
}

static bool set_asynchronous(struct settings *settings, const char *text)
{
    settings->asynchronous = strcmp(text, "yes") == 0;
    return settings->asynchronous || strcmp(text, "no") == 0;
}

/* Looked up once, because a server can no longer look up users after chroot(). */
static bool set_peer_user(struct settings *settings, const char *text)
{
    char *end;
    errno = 0;
    unsigned long number = strtoul(text, &end, 10);
    settings->demands_user = true;
    settings->peer_user = (uid_t)number;
    if (text[0] >= '0' && text[0] <= '9' && *end == '\0')
        return errno == 0 && number < UINT32_MAX;
    struct passwd entry, *found = NULL;
    char room[USER_ENTRY_MAX];
    if (getpwnam_r(text, &entry, room, sizeof room, &found) != 0 || found == NULL)
        return false;
    settings->peer_user = found->pw_uid;
    return true;
}

static const struct {
    const char *name;
    bool (*set)(struct settings *settings, const char *text);
    const char *expected;
} names[] = {
    {"socket", set_socket, "an absolute path of at most 107 bytes, or @NAME"},
    {"timeout", set_timeout, "a duration up to 60s, as 5s or 500ms"},
    {"asynchronous", set_asynchronous, "yes or no"},
    {"peer-user", set_peer_user, "a user of this system, by name or number"},
};
#define NAMES (sizeof names / sizeof names[0])

void settings_read(struct settings *settings, const OSSL_CORE_HANDLE *core,
                   OSSL_FUNC_core_get_params_fn *get_params)
{
    char *texts[NAMES] = {NULL};
    OSSL_PARAM params[NAMES + 1];
    for (size_t i = 0; i < NAMES; i++)
        params[i] = OSSL_PARAM_construct_utf8_ptr(names[i].name, &texts[i], 0);
    params[NAMES] = OSSL_PARAM_construct_end();
    *settings = (struct settings){.timeout = TIMEOUT_STANDARD};
    if (get_params == NULL || !get_params(core, params))
        return; /* there is no configuration */
    for (size_t i = 0; i < NAMES; i++)
        if (texts[i] != NULL && !names[i].set(settings, texts[i]))
            snprintf(settings->fault, sizeof settings->fault, "%s = %s: expected: %s",
                     names[i].name, texts[i], names[i].expected);
}

void settings_free(struct settings *settings)
{
    free(settings->socket);
    settings->socket = NULL;
}
