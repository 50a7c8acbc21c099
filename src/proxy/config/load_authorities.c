#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buffer.h"
#include "base/regular_file.h"
#include "conf/value.h"
#include "proxy/config/address.h"
#include "proxy/config/directives.h"
#include "proxy/config/load.h"
#include "proxy/config/loading.h"

#define CA_FILE_MAX (1 << 20)
#define CRL_MAX (64 << 20) /* of all files in a folder together */

static bool refuse(struct proxy_load *load, const struct conf_section *section,
                   const char *directive, const char *path, int reason)
{
    const struct conf_directive *at = conf_find(&proxy_grammar, SECTION_ROUTE, directive);
    return conf_refuse(section, conf_value_at(section, at, 0).line, load->error, "%s %s: %s",
                       directive, path, regular_file_reason(reason));
}

/* ---- lists of revoked certificates ---- */

/* Returns an errno, or 0. A line end between two files keeps their PEM apart. */
static int add_file(struct buffer *bytes, const char *path)
{
    size_t length;
    char *read = regular_file_read(path, CRL_MAX, &length);
    if (read == NULL)
        return errno;
    bool added = buffer_append(bytes, read, length) && buffer_append(bytes, "\n", 1);
    free(read);
    return added ? 0 : EFBIG;
}

static int is_visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static int add_folder(struct buffer *bytes, const char *path)
{
    struct dirent **entries;
    int reason = 0, count = scandir(path, &entries, is_visible, alphasort);
    if (count < 0)
        return errno;
    for (int i = 0; i < count; i++) {
        char *file = reason == 0 ? path_within(path, entries[i]->d_name) : NULL;
        if (reason == 0)
            reason = file != NULL ? add_file(bytes, file) : ENOMEM;
        free(file);
        free(entries[i]);
    }
    free(entries);
    return reason;
}

static int read_lists(struct authority_config *authority)
{
    struct buffer bytes = BUFFER_INIT(CRL_MAX);
    struct stat status;
    bool folder = stat(authority->crl, &status) == 0 && S_ISDIR(status.st_mode);
    int reason = folder ? add_folder(&bytes, authority->crl) : add_file(&bytes, authority->crl);
    if (reason != 0) {
        buffer_release(&bytes);
        return reason;
    }
    authority->crl_bytes = (char *)bytes.data; /* nothing has been consumed */
    authority->crl_length = buffer_length(&bytes);
    return 0;
}

/* ---- both ---- */

static bool read_files(struct proxy_load *load, const struct conf_section *section,
                       const struct route_config *route, struct authority_config *authority)
{
    const struct client_policy_config *client = &route->policy.client;
    *authority = (struct authority_config){.file = load->config->file,
                                           .line = route->line,
                                           .ca_file = strdup(client->ca_file),
                                           .crl = client->crl != NULL ? strdup(client->crl) : NULL};
    if (authority->ca_file == NULL || (authority->crl == NULL) != (client->crl == NULL))
        return refuse(load, section, "client-ca-file", client->ca_file, ENOMEM);
    authority->ca_bytes = regular_file_read(client->ca_file, CA_FILE_MAX, &authority->ca_length);
    if (authority->ca_bytes == NULL)
        return refuse(load, section, "client-ca-file", client->ca_file, errno);
    int reason = client->crl != NULL ? read_lists(authority) : 0;
    return reason == 0 || refuse(load, section, "client-crl", client->crl, reason);
}

/* Finds the authority that has these files, or makes room for it. False: out of memory. */
static bool number_of(struct proxy_load *load, const struct client_policy_config *client,
                      size_t *number)
{
    const char *crl = client->crl != NULL ? client->crl : "";
    size_t size = strlen(client->ca_file) + strlen(crl) + 2;
    char *files = malloc(size);
    if (files == NULL)
        return false;
    snprintf(files, size, "%s\n%s", client->ca_file, crl);
    bool known = name_table_add(&load->authorities, files, number);
    free(files);
    struct authority_config *more =
        reallocarray(load->config->authorities, load->authorities.count + 1, sizeof *more);
    if (more == NULL)
        return false;
    load->config->authorities = more;
    return known;
}

bool load_authority(struct proxy_load *load, const struct conf_section *section,
                    struct route_config *route)
{
    struct client_policy_config *client = &route->policy.client;
    struct proxy_config *config = load->config;
    client->authority = NO_AUTHORITY;
    if (client->wanted == CLIENT_CERTIFICATE_NONE || client->ca_file == NULL)
        return true;
    if (!number_of(load, client, &client->authority))
        return refuse(load, section, "client-ca-file", client->ca_file, ENOMEM);
    return client->authority < config->authority_count ||
           read_files(load, section, route, &config->authorities[config->authority_count++]);
}

static bool bytes_hold(const char *now, size_t length, const char *before, size_t length_before)
{
    return now != NULL && length == length_before && memcmp(now, before, length) == 0;
}

static bool authority_holds(const struct authority_config *authority)
{
    struct authority_config now = {.crl = authority->crl};
    now.ca_bytes = regular_file_read(authority->ca_file, CA_FILE_MAX, &now.ca_length);
    bool holds = bytes_hold(now.ca_bytes, now.ca_length, authority->ca_bytes, authority->ca_length);
    if (holds && authority->crl != NULL)
        holds = read_lists(&now) == 0 && bytes_hold(now.crl_bytes, now.crl_length,
                                                    authority->crl_bytes, authority->crl_length);
    free(now.ca_bytes);
    free(now.crl_bytes);
    return holds;
}

bool authorities_hold(const struct proxy_config *config)
{
    for (size_t i = 0; i < config->authority_count; i++)
        if (!authority_holds(&config->authorities[i]))
            return false;
    return true;
}

void load_authorities_clear(struct proxy_config *config)
{
    for (size_t i = 0; i < config->authority_count; i++) {
        free(config->authorities[i].ca_file);
        free(config->authorities[i].ca_bytes);
        free(config->authorities[i].crl);
        free(config->authorities[i].crl_bytes);
    }
    free(config->authorities);
}
