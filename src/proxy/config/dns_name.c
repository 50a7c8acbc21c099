#include "proxy/config/dns_name.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stddef.h>
#include <string.h>

#define LABEL_MAX 63

static bool is_address(const char *text)
{
    struct in6_addr address;
    return inet_pton(AF_INET, text, &address) == 1 || inet_pton(AF_INET6, text, &address) == 1;
}

static bool is_ascii(const char *text)
{
    while (*text != '\0' && (unsigned char)*text < 0x80)
        text++;
    return *text == '\0';
}

static bool is_label(const char *label, size_t length)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
    return length > 0 && length <= LABEL_MAX && strspn(label, allowed) >= length &&
           label[0] != '-' && label[length - 1] != '-';
}

static bool are_labels(const char *text)
{
    for (;;) {
        size_t length = strcspn(text, ".");
        if (!is_label(text, length))
            return false;
        if (text[length] == '\0')
            return true;
        text += length + 1;
    }
}

bool dns_name_fold(const char *text, char name[DNS_NAME_SIZE], const char **reason)
{
    const char *labels = strncmp(text, "*.", 2) == 0 ? text + 2 : text;
    size_t length = strlen(text);
    *reason = text[0] == '\0'           ? "is empty"
              : !is_ascii(text)         ? "must be written in its ASCII form, xn--..."
              : is_address(text)        ? "is an address, and clients name none"
              : length >= DNS_NAME_SIZE ? "is longer than a DNS name can be"
              : strchr(labels, '*')     ? "has a '*' that is not its first label"
              : text[length - 1] == '.' ? "ends with a dot, which clients leave out"
              : !are_labels(labels)     ? "is not a DNS name"
                                        : NULL;
    for (size_t i = 0; *reason == NULL && i <= length; i++)
        name[i] = (char)tolower((unsigned char)text[i]);
    return *reason == NULL;
}
