#include "proxy/admin/host.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <strings.h>

#define HOST_MAX_BYTES 255

/* "" or ":PORT", where PORT may be empty. */
static bool is_port(const char *text)
{
    return *text == '\0' || (*text == ':' && text[1 + strspn(text + 1, "0123456789")] == '\0');
}

bool host_allowed(const char *host, char *const *names, size_t count)
{
    struct in6_addr address;
    char name[HOST_MAX_BYTES + 1];
    bool bracketed = host[0] == '[';
    const char *begin = host + (bracketed ? 1 : 0);
    size_t length = strcspn(begin, bracketed ? "]" : ":");
    const char *end = begin + length;
    if (length > HOST_MAX_BYTES || (bracketed && *end++ != ']') || !is_port(end))
        return false;
    memcpy(name, begin, length);
    name[length] = '\0';
    if (bracketed)
        return inet_pton(AF_INET6, name, &address) == 1;
    if (strcasecmp(name, "localhost") == 0 || inet_pton(AF_INET, name, &address) == 1)
        return true;
    for (size_t i = 0; i < count; i++)
        if (strcasecmp(name, names[i]) == 0)
            return true;
    return false;
}
