/*
 * The types of directives that only immure-proxy.conf has. Their context (conf/value.h) is a
 * string: the folder that relative paths are relative to.
 */
#ifndef PROXY_CONFIG_TYPES_H
#define PROXY_CONFIG_TYPES_H

#include "conf/value.h"

extern const struct conf_type type_path;        /* char *; the file need not exist */
extern const struct conf_type type_file;        /* char *; the file must be readable */
extern const struct conf_type type_backend;     /* size_t; load.c sets it */
extern const struct conf_type type_address;     /* struct address, to connect to */
extern const struct conf_type type_listen;      /* struct address, to listen on */
extern const struct conf_type type_listen_list; /* struct address *, and their number */
extern const struct conf_type type_mode;        /* mode_t: permissions, octal */
extern const struct conf_type
    type_user; /* uid_t: a number, a name in /etc/passwd, or the default, -1 */
extern const struct conf_type
    type_group; /* gid_t: a number, a name in /etc/group, or the default, -1 */
extern const struct conf_type type_alpn_list;  /* uint8_t *, and its length */
extern const struct conf_type type_dns_names;  /* char **, and their number; see dns_name.h */
extern const struct conf_type type_networks;   /* struct network *, and their number */
extern const struct conf_type type_check_path; /* char *: the path of a request */
extern const struct conf_type type_check_host; /* char *: the host of a request */
extern const struct conf_type type_statuses;   /* struct status_range */

#endif
