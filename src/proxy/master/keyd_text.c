#include "proxy/master/keyd_text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "conf/pass_on.h"
#include "conf/show.h"
#include "conf/value.h"
#include "proxy/config/directives.h"
#include "proxy/config/types.h"

/* immured refuses longer names (docs/protocol.md); the end of a long path says most. */
#define NAME_MAX_BYTES 255

static void put_key(FILE *out, const struct proxy_config *config,
                    const struct certificate_config *certificate)
{
    char location[512];
    size_t length = strlen(certificate->key);
    size_t skip = length > NAME_MAX_BYTES ? length - NAME_MAX_BYTES : 0;
    snprintf(location, sizeof location, "%s:%d", config->file, certificate->line);
    conf_write_section(out, "key", certificate->key + skip);
    conf_pass_on(&proxy_grammar, SECTION_CERTIFICATE, certificate, out);
    conf_write_directive(out, "location", location);
    fprintf(out, "}\n");
}

/* Each key with the location where it is used first. */
static bool put_keys(FILE *out, const struct proxy_config *config)
{
    struct name_table keys = NAME_TABLE_INIT;
    bool good = true;
    struct certificate_walk walk = {0};
    const struct certificate_config *certificate;
    while (good && (certificate = certificate_walk_next(config, &walk)) != NULL) {
        size_t known = keys.count;
        good = name_table_add(&keys, certificate->key, NULL);
        if (keys.count > known)
            put_key(out, config, certificate);
    }
    name_table_free(&keys);
    return good;
}

char *keyd_text(const struct proxy_config *config, const struct keyd_keys *keys)
{
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    if (out == NULL)
        return NULL;
    conf_pass_on(&proxy_grammar, SECTION_KEYS, config, out);
    conf_pass_on(&proxy_grammar, SECTION_TOP, config, out);
    /* the signers must not keep event loops from running, unless those wait for them */
    conf_write_directive(out, "yield", config->signing == SIGNING_ASYNC ? "yes" : "no");
    if (keys != NULL)
        keyd_keys_write(keys, config, out);
    bool good = put_keys(out, config) && ferror(out) == 0;
    if (fclose(out) == 0 && good)
        return text;
    free(text);
    return NULL;
}

/* Adds the files that directives of this section pass on. */
static bool add_files(unsigned section, const void *base, struct name_table *names)
{
    char room[CONF_SHOW_SIZE];
    for (size_t i = 0; i < proxy_grammar.directive_count; i++) {
        const struct conf_directive *directive = &proxy_grammar.directives[i];
        if (directive->section != section || directive->passed_on_as == NULL ||
            directive->type != &type_file)
            continue;
        const char *file = conf_show(directive, base, room);
        if (file != NULL && !name_table_add(names, file, NULL))
            return false;
    }
    return true;
}

bool keyd_files(const struct proxy_config *config, struct name_table *names)
{
    bool good = add_files(SECTION_KEYS, config, names);
    struct certificate_walk walk = {0};
    const struct certificate_config *certificate;
    while (good && (certificate = certificate_walk_next(config, &walk)) != NULL)
        good = add_files(SECTION_CERTIFICATE, certificate, names);
    if (!good)
        errno = ENOMEM;
    return good;
}
