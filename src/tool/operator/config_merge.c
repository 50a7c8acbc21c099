#include "operator/config_merge.h"

#include <openssl/bio.h>
#include <openssl/conf.h>
#include <openssl/err.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define NAME_MAX_LENGTH 128
#define TOP "default" /* OpenSSL's name of the section at the beginning of a configuration */
#define STANDARD_NAME "openssl_conf"
#define OURS "immure"
#define OWN_SECTION "immure_sect" /* may already exist, with settings for the provider */
#define PROPERTY "?provider!=immure"

/* The names of the relevant sections, and which of the lines that refer to them are missing. */
struct plan {
    const char *init, *providers, *standard, *ours, *algorithms;
    char own[4][NAME_MAX_LENGTH]; /* buffers for new names */
    size_t own_count;
    const char *properties; /* already in force; NULL: none */
    bool adds_init, adds_providers, adds_standard, activates_standard;
    bool adds_ours, adds_module, activates_ours;
    bool adds_algorithms, adds_properties;
};

/* Looks in this section only. NCONF_get_string() would fall back to the first section. */
static const char *value_of(const CONF *conf, const char *section, const char *name)
{
    const STACK_OF(CONF_VALUE) *values = NCONF_get_section(conf, section);
    for (int i = 0; values != NULL && i < sk_CONF_VALUE_num(values); i++) {
        const CONF_VALUE *value = sk_CONF_VALUE_value(values, i);
        if (strcmp(value->name, name) == 0)
            return value->value;
    }
    return NULL;
}

static CONF *parse(struct config_merge *merge, const char *text, size_t length)
{
    long line = 0;
    CONF *conf = NCONF_new(NULL);
    BIO *bio = BIO_new_mem_buf(text, (int)length);
    bool loaded = conf != NULL && bio != NULL && NCONF_load_bio(conf, bio, &line) > 0;
    BIO_free(bio);
    if (loaded)
        return conf;
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());
    snprintf(merge->problem, sizeof merge->problem, "%s:%ld: %s", merge->file, line,
             reason != NULL ? reason : "it cannot be read");
    ERR_clear_error();
    NCONF_free(conf);
    return NULL;
}

static bool is_off(const char *value)
{
    return strcmp(value, "0") == 0 || strcasecmp(value, "no") == 0 ||
           strcasecmp(value, "off") == 0 || strcasecmp(value, "false") == 0;
}

static bool is_activated(const CONF *conf, const char *provider)
{
    const char *activate = value_of(conf, provider, "activate");
    return activate != NULL && !is_off(activate);
}

/* If none is, OpenSSL activates `default` by itself. */
static bool any_is_activated(const CONF *conf, const char *providers)
{
    const STACK_OF(CONF_VALUE) *values = NCONF_get_section(conf, providers);
    for (int i = 0; values != NULL && i < sk_CONF_VALUE_num(values); i++)
        if (is_activated(conf, sk_CONF_VALUE_value(values, i)->value))
            return true;
    return false;
}

/* Makes a section name that is not in use yet. */
static const char *new_section(struct plan *plan, const CONF *conf, const char *name)
{
    char *own = plan->own[plan->own_count++];
    snprintf(own, NAME_MAX_LENGTH, "%s", name);
    for (unsigned i = 2; NCONF_get_section(conf, own) != NULL; i++)
        snprintf(own, NAME_MAX_LENGTH, "%s_%u", name, i);
    return own;
}

static void plan_make(struct plan *plan, const CONF *conf, const struct config_merge *merge)
{
    *plan = (struct plan){.init = value_of(conf, TOP, merge->name)};
    if (plan->init == NULL) {
        plan->adds_init = true;
        plan->init = value_of(conf, TOP, STANDARD_NAME);
    }
    if (plan->init == NULL)
        plan->init = new_section(plan, conf, "openssl_init");

    plan->providers = value_of(conf, plan->init, "providers");
    plan->adds_providers = plan->providers == NULL;
    if (plan->adds_providers)
        plan->providers = new_section(plan, conf, "provider_sect");
    plan->activates_standard = !any_is_activated(conf, plan->providers);
    plan->standard = value_of(conf, plan->providers, "default");
    plan->adds_standard = plan->standard == NULL && plan->activates_standard;
    if (plan->adds_standard)
        plan->standard = new_section(plan, conf, "default_sect");
    plan->ours = value_of(conf, plan->providers, OURS);
    plan->adds_ours = plan->ours == NULL;
    if (plan->adds_ours)
        plan->ours = OWN_SECTION;
    plan->activates_ours = plan->adds_ours || !is_activated(conf, plan->ours);
    plan->adds_module =
        plan->adds_ours || (plan->activates_ours && value_of(conf, plan->ours, "module") == NULL);

    plan->algorithms = value_of(conf, plan->init, "alg_section");
    plan->adds_algorithms = plan->algorithms == NULL;
    if (plan->adds_algorithms)
        plan->algorithms = new_section(plan, conf, "algorithm_sect");
    plan->properties = value_of(conf, plan->algorithms, "default_properties");
    plan->adds_properties = plan->properties == NULL || strstr(plan->properties, PROPERTY) == NULL;
}

static void write_own_section(const struct plan *plan, const struct config_merge *merge, FILE *out)
{
    fprintf(out, "[%s]\n", plan->ours);
    if (plan->adds_module)
        fprintf(out, "module = %s\n", merge->module);
    fputs("activate = 1\n", out);
}

/*
 * `default` comes first and is activated explicitly, and a property query prefers it to ours.
 * Otherwise OpenSSL might fetch our EC key management for a key exchange, which it does not
 * support.
 */
static void write_provider(const struct plan *plan, const struct config_merge *merge, FILE *out)
{
    if (plan->adds_providers || plan->adds_algorithms)
        fprintf(out, "[%s]\n", plan->init);
    if (plan->adds_providers)
        fprintf(out, "providers = %s\n", plan->providers);
    if (plan->adds_algorithms)
        fprintf(out, "alg_section = %s\n", plan->algorithms);
    fprintf(out, "%s[%s]\n", plan->adds_providers || plan->adds_algorithms ? "\n" : "",
            plan->providers);
    if (plan->adds_standard)
        fprintf(out, "default = %s\n", plan->standard);
    fprintf(out, OURS " = %s\n\n", plan->ours);
    if (plan->activates_standard)
        fprintf(out, "[%s]\nactivate = 1\n\n", plan->standard);
    write_own_section(plan, merge, out);
    if (plan->adds_properties)
        fprintf(out, "\n[%s]\ndefault_properties = %s%s" PROPERTY "\n", plan->algorithms,
                plan->properties != NULL ? plan->properties : "",
                plan->properties != NULL && plan->properties[0] != '\0' ? "," : "");
}

static char *plan_write(const struct plan *plan, const struct config_merge *merge)
{
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    if (out == NULL)
        return NULL;
    if (plan->adds_init)
        fprintf(out, "[" TOP "]\n%s = %s\n", merge->name, plan->init);
    if (plan->adds_init && plan->activates_ours)
        fputc('\n', out);
    if (plan->adds_ours)
        write_provider(plan, merge, out);
    else if (plan->activates_ours)
        write_own_section(plan, merge, out);
    fclose(out);
    return text;
}

/* Parses the result to verify that it has the intended effect: quoted or escaped names in the
 * original may not survive being written again. */
static bool is_in_force(struct config_merge *merge, const struct plan *plan, const char *added)
{
    char *whole = NULL;
    int length = asprintf(&whole, "%.*s\n%s", (int)merge->length, merge->text, added);
    CONF *conf = length > 0 ? parse(merge, whole, (size_t)length) : NULL;
    const char *init = conf != NULL ? value_of(conf, TOP, merge->name) : NULL;
    const char *providers = init != NULL ? value_of(conf, init, "providers") : NULL;
    const char *ours = providers != NULL ? value_of(conf, providers, OURS) : NULL;
    const char *module = ours != NULL ? value_of(conf, ours, "module") : NULL;
    bool good = ours != NULL && strcmp(init, plan->init) == 0 && strcmp(ours, plan->ours) == 0 &&
                (!plan->adds_module || (module != NULL && strcmp(module, merge->module) == 0)) &&
                is_activated(conf, ours);
    if (!good)
        snprintf(
            merge->problem, sizeof merge->problem,
            "%s: nothing can be added to its section [%s]; write \"providers = provider_sect\" and "
            "\"alg_section = algorithm_sect\" there, and then what `immure openssl-config` prints "
            "without a file, but for its first section",
            merge->file, plan->init);
    NCONF_free(conf);
    free(whole);
    return good;
}

char *config_merge(struct config_merge *merge)
{
    struct plan plan;
    CONF *conf = parse(merge, merge->text, merge->length);
    if (conf == NULL)
        return NULL;
    plan_make(&plan, conf, merge);
    char *added = plan_write(&plan, merge);
    if (added == NULL)
        snprintf(merge->problem, sizeof merge->problem, "out of memory");
    if (added != NULL && added[0] != '\0' && !is_in_force(merge, &plan, added)) {
        free(added);
        added = NULL;
    }
    NCONF_free(conf);
    return added;
}
