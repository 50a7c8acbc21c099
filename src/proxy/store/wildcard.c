#include "proxy/store/wildcard.h"

#include <stdio.h>
#include <string.h>

bool store_wildcard_for(const char *name, char wildcard[static STORE_NAME_MAX + 1])
{
    const char *dot = strchr(name, '.');
    if (dot == NULL || dot == name || strlen(dot) + 1 > STORE_NAME_MAX ||
        strncmp(name, STORE_ADDRESS_PREFIX, strlen(STORE_ADDRESS_PREFIX)) == 0)
        return false;
    snprintf(wildcard, STORE_NAME_MAX + 1, "*%s", dot);
    return true;
}
