#include <stdlib.h>
#include <string.h>

#include "conf/pass_on.h"
#include "conf/value.h"
#include "proxy/config/directives.h"
#include "proxy/config/loading.h"

/* Remembers which certificate was the first to use its key. *first: that one. */
static bool note_key(struct proxy_load *load, const struct certificate_config *certificate,
                     const struct certificate_config **first)
{
    size_t known = load->keys.count, index;
    if (!name_table_add(&load->keys, certificate->key, &index))
        return false;
    if (load->keys.count > known) {
        const struct certificate_config **use =
            reallocarray(load->use, load->keys.room, sizeof *use);
        if (use == NULL)
            return false;
        load->use = use;
        use[index] = certificate;
    }
    *first = load->use[index];
    return true;
}

/* immured loads each key file once, so all certificates that use it must say the same about it. */
static bool check_key(struct proxy_load *load, const struct conf_section *section,
                      const struct certificate_config *certificate)
{
    const struct certificate_config *first;
    if (!note_key(load, certificate, &first))
        return conf_refuse(section, certificate->line, load->error, "out of memory");
    const struct conf_directive *difference =
        conf_pass_on_difference(&proxy_grammar, SECTION_CERTIFICATE, first, certificate);
    return difference == NULL ||
           conf_refuse(section, certificate->line, load->error, "key %s has another %s in line %d",
                       certificate->key, difference->name, first->line);
}

bool load_certificates(struct proxy_load *load, const struct conf_section *section,
                       struct route_config *route)
{
    size_t count = conf_section_count(section, SECTION_CERTIFICATE);
    route->certificates = calloc(count + 1, sizeof *route->certificates);
    if (route->certificates == NULL)
        return conf_refuse(section, route->line, load->error, "out of memory");
    while (route->certificate_count < count) {
        struct conf_section inner =
            conf_section_at(section, SECTION_CERTIFICATE, route->certificate_count);
        struct certificate_config *certificate = &route->certificates[route->certificate_count++];
        certificate->line = conf_line(&inner);
        if (!load_fill(load, &inner, certificate) || !check_key(load, &inner, certificate))
            return false;
    }
    return true;
}

void load_certificates_clear(struct route_config *route)
{
    for (size_t i = 0; i < route->certificate_count; i++)
        conf_clear(&proxy_grammar, SECTION_CERTIFICATE, &route->certificates[i]);
    free(route->certificates);
}
