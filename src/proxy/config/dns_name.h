/* Names of servers, as clients ask for them (SNI) and certificates have them. */
#ifndef PROXY_CONFIG_DNS_NAME_H
#define PROXY_CONFIG_DNS_NAME_H

#include <stdbool.h>

#define DNS_NAME_SIZE 254 /* of the longest name, with its end (RFC 1035, section 2.3.4) */

/* Writes the name in lower case: "www.example.com", or "*.example.com", which stands for exactly
 * one label (RFC 6125, section 6.4.3). False: *reason says what is wrong with the name. */
bool dns_name_fold(const char *text, char name[DNS_NAME_SIZE], const char **reason);

#endif
