#include "proxy/config/address.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/activation.h"

#define UNIX_PREFIX "unix:"
#define ACTIVATED_PREFIX "systemd:"
#define HOST_MAX_BYTES 256
#define NAME_MAX_BYTES 253 /* RFC 1035, section 2.3.4 */

char *path_within(const char *directory, const char *path)
{
    char *joined = NULL;
    if (path[0] == '/')
        return strdup(path);
    return asprintf(&joined, "%s/%s", directory, path) < 0 ? NULL : joined;
}

static bool parse_unix(const char *path, const char *directory, struct address *address,
                       char *reason, size_t size)
{
    struct sockaddr_un *name = (struct sockaddr_un *)&address->socket;
    char *whole = path_within(directory, path);
    size_t length = whole == NULL ? 0 : strlen(whole);
    bool good = path[0] != '\0' && length > 0 && length < sizeof name->sun_path;
    if (good) {
        name->sun_family = AF_UNIX;
        memcpy(name->sun_path, whole, length + 1);
        address->length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + 1);
    } else {
        snprintf(reason, size, "'%s' is not a socket's path of 1 to %zu bytes", path,
                 sizeof name->sun_path - 1);
    }
    free(whole);
    return good;
}

/* Such an address has no family, and the name is where a unix socket has its path. */
static bool parse_activated(const char *name, struct address *address, char *reason, size_t size)
{
    struct sockaddr_un *room = (struct sockaddr_un *)&address->socket;
    size_t length = strlen(name);
    if (length == 0 || length > ACTIVATION_NAME_MAX) {
        snprintf(reason, size, "'%s' is not a name of 1 to %d bytes (FileDescriptorName=)", name,
                 ACTIVATION_NAME_MAX);
        return false;
    }
    room->sun_family = AF_UNSPEC;
    memcpy(room->sun_path, name, length + 1);
    address->length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + 1);
    return true;
}

const char *address_activated(const struct address *address)
{
    const struct sockaddr_un *room = (const struct sockaddr_un *)&address->socket;
    return room->sun_family == AF_UNSPEC && address->length > 0 ? room->sun_path : NULL;
}

/* "*" listens on IPv6 and IPv4 with one socket, or on IPv4 where the kernel has no IPv6. */
static const char *any_host(void)
{
    int probe = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (probe < 0)
        return "0.0.0.0";
    close(probe);
    return "::";
}

/* Splits at the last colon; takes the brackets from an IPv6 address. */
static bool split(const char *text, char host[HOST_MAX_BYTES], const char **port)
{
    const char *colon = strrchr(text, ':');
    if (colon == NULL || (size_t)(colon - text) >= HOST_MAX_BYTES)
        return false;
    size_t length = (size_t)(colon - text);
    *port = colon + 1;
    if (length >= 2 && text[0] == '[' && text[length - 1] == ']') {
        text++;
        length -= 2;
    } else if (memchr(text, ':', length) != NULL) {
        return false; /* an IPv6 address without brackets: where would its port begin? */
    }
    memcpy(host, text, length);
    host[length] = '\0';
    return true;
}

static bool port_valid(const char *port)
{
    char *end;
    unsigned long number = strtoul(port, &end, 10);
    return port[0] >= '0' && port[0] <= '9' && *end == '\0' && number >= 1 && number <= 65535;
}

/* RFC 1123, section 2.1, and underscores, which some name servers accept. */
static bool name_valid(const char *host)
{
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
    return strlen(host) <= NAME_MAX_BYTES && host[strspn(host, letters)] == '\0' &&
           host[0] != '.' && host[0] != '-' && strstr(host, "..") == NULL;
}

static bool keep_name(const char *host, const char *port, struct address *address, char *reason,
                      size_t size)
{
    if (!name_valid(host)) {
        snprintf(reason, size, "'%s' is not a host name", host);
        return false;
    }
    address->port = (uint16_t)strtoul(port, NULL, 10);
    address->host = strdup(host);
    if (address->host == NULL)
        snprintf(reason, size, "out of memory");
    return address->host != NULL;
}

static bool parse_host(const char *text, enum address_use use, struct address *address,
                       char *reason, size_t size)
{
    char host[HOST_MAX_BYTES];
    const char *port;
    if (!split(text, host, &port) || !port_valid(port)) {
        snprintf(reason, size, "'%s' is not HOST:PORT, [IPV6]:PORT%s or unix:PATH", text,
                 use == ADDRESS_LISTEN ? ", *:PORT, systemd:NAME" : "");
        return false;
    }
    bool any = host[0] == '\0' || strcmp(host, "*") == 0;
    if (any && use == ADDRESS_CONNECT) {
        snprintf(reason, size, "'%s' has no host to connect to", text);
        return false;
    }
    /* only numeric addresses, so that no name server is asked */
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST};
    struct addrinfo *found = NULL;
    int problem = getaddrinfo(any ? any_host() : host, port, &hints, &found);
    if (problem == EAI_NONAME && use == ADDRESS_CONNECT)
        return keep_name(host, port, address, reason, size);
    if (problem != 0) {
        snprintf(reason, size, "'%s': %s%s", text, gai_strerror(problem),
                 use == ADDRESS_LISTEN ? " (a numeric address is needed here)" : "");
        return false;
    }
    memcpy(&address->socket, found->ai_addr, found->ai_addrlen);
    address->length = found->ai_addrlen;
    freeaddrinfo(found);
    return true;
}

/* The rest of the text behind the prefix; NULL: the text does not begin with it. */
static const char *after(const char *text, const char *prefix)
{
    size_t length = strlen(prefix);
    return strncmp(text, prefix, length) == 0 ? text + length : NULL;
}

bool address_parse(const char *text, enum address_use use, const char *directory,
                   struct address *address, char *reason, size_t size)
{
    *address = (struct address){0};
    const char *path = after(text, UNIX_PREFIX);
    const char *name = use == ADDRESS_LISTEN ? after(text, ACTIVATED_PREFIX) : NULL;
    if (!(path != NULL   ? parse_unix(path, directory, address, reason, size)
          : name != NULL ? parse_activated(name, address, reason, size)
                         : parse_host(text, use, address, reason, size)))
        return false;
    address->text = strdup(text);
    if (address->text != NULL)
        return true;
    snprintf(reason, size, "out of memory");
    free(address->host);
    address->host = NULL;
    return false;
}

bool address_equal(const struct address *a, const struct address *b)
{
    return a->length == b->length && memcmp(&a->socket, &b->socket, a->length) == 0;
}

void address_print(const struct sockaddr_storage *socket, char text[ADDRESS_TEXT_SIZE])
{
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)socket;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)socket;
    const struct sockaddr_un *un = (const struct sockaddr_un *)socket;
    bool mapped = socket->ss_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr);
    char ip[INET6_ADDRSTRLEN];
    if (socket->ss_family == AF_INET || mapped) {
        inet_ntop(AF_INET, mapped ? (const void *)&v6->sin6_addr.s6_addr[12] : &v4->sin_addr, ip,
                  sizeof ip);
        snprintf(text, ADDRESS_TEXT_SIZE, "%s:%u", ip,
                 ntohs(mapped ? v6->sin6_port : v4->sin_port));
    } else if (socket->ss_family == AF_INET6) {
        inet_ntop(AF_INET6, &v6->sin6_addr, ip, sizeof ip);
        snprintf(text, ADDRESS_TEXT_SIZE, "[%s]:%u", ip, ntohs(v6->sin6_port));
    } else {
        snprintf(text, ADDRESS_TEXT_SIZE, "unix:%.*s", (int)sizeof un->sun_path, un->sun_path);
    }
}

bool address_is_local(const struct address *address)
{
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)&address->socket;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&address->socket;
    switch (address->socket.ss_family) {
    case AF_INET:
        return ntohl(v4->sin_addr.s_addr) >> IN_CLASSA_NSHIFT == IN_LOOPBACKNET;
    case AF_INET6:
        return IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
    default:
        return true;
    }
}
