#include <stdlib.h>
#include <string.h>

#include "conf/value.h"
#include "proxy/config/directives.h"
#include "proxy/config/loading.h"

static struct conf_value value_of(const struct conf_section *section, const char *name)
{
    return conf_value_at(section, conf_find(&proxy_grammar, SECTION_BACKEND, name), 0);
}

/* Only version 2 of the header has TLVs. */
static bool check_tlvs(struct proxy_load *load, const struct conf_section *section,
                       const struct backend_config *backend)
{
    const char *name = backend->proxy_tlvs                 ? "proxy-tlvs"
                       : backend->proxy_client_certificate ? "proxy-client-certificate"
                                                           : NULL;
    if (name == NULL || backend->proxy_protocol == PROXY_PROTOCOL_V2)
        return true;
    struct conf_value value = value_of(section, name);
    return conf_refuse(section, value.line, load->error, "%s = %s needs proxy-protocol = v2", name,
                       value.text);
}

static bool check_pauses(struct proxy_load *load, const struct conf_section *section,
                         const struct backend_config *backend)
{
    if (backend->failure_pause <= backend->failure_pause_max)
        return true;
    return conf_refuse(section, value_of(section, "failure-pause").line, load->error,
                       "failure-pause = %s is longer than failure-pause-max = %s",
                       value_of(section, "failure-pause").text,
                       value_of(section, "failure-pause-max").text);
}

/* ---- servers ---- */

static bool names_a_server(const struct conf_section *backend)
{
    const struct conf_section own = conf_section_own(backend, SECTION_SERVER);
    return conf_given(&own, conf_find(&proxy_grammar, SECTION_SERVER, "address"));
}

static size_t count_servers(const struct conf_section *backend)
{
    return (names_a_server(backend) ? 1 : 0) + conf_section_count(backend, SECTION_SERVER);
}

/* What is known of a server is kept by its address, so no other server of the backend has it. */
static bool check_address(struct proxy_load *load, const struct conf_section *section,
                          const struct backend_config *backend)
{
    const struct server_config *last = &backend->servers[backend->server_count - 1];
    for (const struct server_config *other = backend->servers; other < last; other++)
        if (strcmp(other->address.text, last->address.text) == 0)
            return conf_refuse(section, last->address.line, load->error,
                               "backend '%s': address %s is given twice (first in line %d)",
                               backend->name, last->address.text, other->address.line);
    return true;
}

static bool fill_server(struct proxy_load *load, const struct conf_section *section,
                        struct backend_config *backend)
{
    struct proxy_config *config = load->config;
    struct server_config *server = &config->servers[config->server_count++];
    backend->server_count++;
    server->line = conf_line(section);
    server->backend = (size_t)(backend - config->backends);
    if (!load_fill(load, section, server) || !check_address(load, section, backend))
        return false;
    if (server->address.host == NULL)
        server_addresses_add(&server->addresses, (const struct sockaddr *)&server->address.socket,
                             server->address.length);
    return true;
}

static bool fill_servers(struct proxy_load *load, const struct conf_section *section,
                         struct backend_config *backend)
{
    const struct conf_section own = conf_section_own(section, SECTION_SERVER);
    size_t count = conf_section_count(section, SECTION_SERVER);
    backend->servers = &load->config->servers[load->config->server_count];
    if (count_servers(section) == 0)
        return conf_refuse(section, backend->line, load->error, "backend '%s' has no 'address'",
                           backend->name);
    if (names_a_server(section) && !fill_server(load, &own, backend))
        return false;
    for (size_t i = 0; i < count; i++) {
        const struct conf_section inner = conf_section_at(section, SECTION_SERVER, i);
        if (!fill_server(load, &inner, backend))
            return false;
    }
    return true;
}

/* ---- backends ---- */

static bool fill_backend(struct proxy_load *load, const struct conf_section *section,
                         struct backend_config *backend)
{
    backend->line = conf_line(section);
    backend->name = strdup(conf_name(section));
    return load_fill(load, section, backend) && check_tlvs(load, section, backend) &&
           check_pauses(load, section, backend) && fill_servers(load, section, backend);
}

bool load_backends(struct proxy_load *load, const struct conf_section *top)
{
    struct proxy_config *config = load->config;
    size_t count = conf_section_count(top, SECTION_BACKEND), servers = 0;
    for (size_t i = 0; i < count; i++) {
        const struct conf_section section = conf_section_at(top, SECTION_BACKEND, i);
        servers += count_servers(&section);
    }
    config->backends = calloc(count + 1, sizeof *config->backends);
    config->servers = calloc(servers + 1, sizeof *config->servers);
    if (config->backends == NULL || config->servers == NULL)
        return conf_refuse(top, conf_line(top), load->error, "out of memory");
    while (config->backend_count < count) {
        const struct conf_section section =
            conf_section_at(top, SECTION_BACKEND, config->backend_count);
        if (!fill_backend(load, &section, &config->backends[config->backend_count++]))
            return false;
    }
    return true;
}

void load_backends_clear(struct proxy_config *config)
{
    for (size_t i = 0; i < config->server_count; i++)
        conf_clear(&proxy_grammar, SECTION_SERVER, &config->servers[i]);
    for (size_t i = 0; i < config->backend_count; i++) {
        conf_clear(&proxy_grammar, SECTION_BACKEND, &config->backends[i]);
        free(config->backends[i].name);
    }
    free(config->servers);
    free(config->backends);
}
