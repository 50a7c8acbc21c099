#include "keyd/driver/provider/module.h"

#include <dlfcn.h>
#include <link.h>
#include <openssl/bio.h>
#include <openssl/conf.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/provider.h>
#include <openssl/store.h>
#include <openssl/ui.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "keyd/driver/provider/engine.h"
#include "keyd/sign/contexts.h"

/* The provider's name in the library context if the configuration gives only a file. */
#define FILE_PROVIDER "device"
#define REASON_SIZE 256
#define HEALTH_EVERY (500 * NS_PER_MS)

/* The last error says what failed, and the earlier ones say why. */
const char *module_reason(char *text, size_t size)
{
    const char *data;
    int flags;
    bool first = true;
    snprintf(text, size, "no reason was given");
    for (unsigned long code; (code = ERR_get_error_all(NULL, NULL, NULL, &data, &flags)) != 0;) {
        char before[REASON_SIZE];
        snprintf(before, sizeof before, "%s%s", first ? "" : "; ", first ? "" : text);
        const char *reason = ERR_reason_error_string(code);
        bool more = (flags & ERR_TXT_STRING) != 0 && *data != '\0';
        snprintf(text, size, "%s%s%s%s", reason != NULL ? reason : "unknown error",
                 more ? ": " : "", more ? data : "", before);
        first = false;
    }
    return text;
}

static bool is_file(const struct provider_config *config)
{
    return strchr(config->module, '/') != NULL;
}

/* Writes the text of an openssl.cnf: in all versions of OpenSSL 3 a provider gets its parameters
 * from one. */
static BIO *write_configuration(const struct provider_config *config)
{
    BIO *text = BIO_new(BIO_s_mem());
    if (text == NULL)
        return NULL;
    BIO_printf(text, "openssl_conf = all\n[all]\nproviders = providers\n"
                     "[providers]\ndefault = plain\n");
    BIO_printf(text, "%s = section\n", is_file(config) ? FILE_PROVIDER : config->module);
    BIO_printf(text, "[plain]\nactivate = 1\n[section]\nactivate = 1\n");
    if (is_file(config))
        BIO_printf(text, "module = %s\n", config->module);
    for (size_t i = 0; i < config->parameters.count; i++)
        BIO_printf(text, "%s\n", config->parameters.texts[i]);
    return text;
}

static bool configure(OSSL_LIB_CTX *context, const struct provider_config *config)
{
    BIO *text = write_configuration(config);
    CONF *conf = NCONF_new_ex(context, NULL);
    long line = 0;
    bool good =
        text != NULL && conf != NULL && NCONF_load_bio(conf, text, &line) > 0 &&
        CONF_modules_load(conf, NULL, 0) > 0 &&
        OSSL_PROVIDER_available(context, is_file(config) ? FILE_PROVIDER : config->module) == 1;
    CONF_modules_finish(); /* only clears libcrypto's record of the loading */
    NCONF_free(conf);
    BIO_free(text);
    return good;
}

/* By convention a provider's algorithms carry its name. */
static char *standard_properties(const char *module)
{
    const char *name = strrchr(module, '/');
    name = name != NULL ? name + 1 : module;
    char *properties;
    int length = (int)strcspn(name, ".");
    return asprintf(&properties, "provider=%.*s", length, name) < 0 ? NULL : properties;
}

static bool provider_load(struct module *module)
{
    const struct provider_config *config = module->config;
    module->context = OSSL_LIB_CTX_new();
    module->properties = config->properties != NULL ? strdup(config->properties)
                                                    : standard_properties(config->module);
    return module->context != NULL && module->properties != NULL &&
           configure(module->context, config);
}

static bool explain(const struct module *module, char *reason, size_t size)
{
    const struct provider_config *config = module->config;
    char text[REASON_SIZE];
    snprintf(reason, size, "%s cannot be opened: %s",
             config->engine != NULL ? config->engine : config->module,
             module_reason(text, sizeof text));
    return false;
}

bool module_open(struct module *module, char *reason, size_t size)
{
    static pthread_once_t builtin = PTHREAD_ONCE_INIT; /* they are global in libcrypto */
    pthread_once(&builtin, OPENSSL_load_builtin_modules);
    ERR_clear_error();
    bool good = module->config->engine != NULL
                    ? (module->engine = engine_open(module->config)) != NULL
                    : provider_load(module);
    return good || explain(module, reason, size);
}

void module_close(struct module *module)
{
    engine_close(module->engine);
    OSSL_LIB_CTX_free(module->context);
    free(module->properties);
    module->engine = NULL;
    module->context = NULL;
    module->properties = NULL;
    ERR_clear_error();
}

bool module_restart(struct module *module, char *reason, size_t size)
{
    if (module->engine != NULL)
        return engine_restart(module->engine) || explain(module, reason, size);
    module_close(module);
    return module_open(module, reason, size);
}

bool module_polled(const struct module *module)
{
    const struct text_list *parameters = &module->config->parameters;
    for (size_t i = 0; module->engine != NULL && i < parameters->count; i++)
        if (strcmp(parameters->texts[i], "ENABLE_EXTERNAL_POLLING") == 0)
            return true;
    return false;
}

void module_poll(struct module *module)
{
    if (!module_polled(module))
        return;
    uint64_t now = clock_now();
    bool health = now >= module->health_at;
    if (health)
        module->health_at = now + HEALTH_EVERY;
    engine_poll(module->engine, health);
    ERR_clear_error();
}

static int pin_give(char *buffer, int size, int writing, void *arg)
{
    (void)writing;
    const struct module *module = arg;
    if (module->pin->bytes == NULL || module->pin->length > (size_t)size)
        return -1;
    memcpy(buffer, module->pin->bytes, module->pin->length);
    return (int)module->pin->length;
}

static OSSL_STORE_CTX *store_open(const struct module *module, const char *uri, BIO *file,
                                  UI_METHOD *ui, void *ui_data)
{
    if (file == NULL)
        return OSSL_STORE_open_ex(uri, module->context, NULL, ui, ui_data, NULL, NULL, NULL);
    return OSSL_STORE_attach(file, "file", module->context, NULL, ui, ui_data, NULL, NULL, NULL);
}

static EVP_PKEY *store_find_key(OSSL_STORE_CTX *store)
{
    EVP_PKEY *key = NULL;
    OSSL_STORE_expect(store, OSSL_STORE_INFO_PKEY);
    while (key == NULL && !OSSL_STORE_eof(store)) {
        OSSL_STORE_INFO *info = OSSL_STORE_load(store);
        if (info == NULL)
            break;
        key = OSSL_STORE_INFO_get1_PKEY(info);
        OSSL_STORE_INFO_free(info);
    }
    return key;
}

EVP_PKEY *module_find_key(const struct module *module, const char *uri, const struct secret *file)
{
    EVP_PKEY *key = NULL;
    UI_METHOD *ui = UI_UTIL_wrap_read_pem_callback(pin_give, 0);
    BIO *bio = file->bytes != NULL ? BIO_new_mem_buf(file->bytes, (int)file->length) : NULL;
    ERR_clear_error();
    if (module->engine != NULL) {
        key = engine_find_key(module->engine, uri, ui, (void *)module);
    } else {
        OSSL_STORE_CTX *store = store_open(module, uri, bio, ui, (void *)module);
        if (store != NULL)
            key = store_find_key(store);
        OSSL_STORE_close(store);
    }
    BIO_free(bio);
    UI_destroy_method(ui);
    return key;
}

static EVP_PKEY *provider_take_key(const struct module *module, EVP_PKEY *pair)
{
    EVP_PKEY *key = NULL;
    OSSL_PARAM *parts = NULL;
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(
        module->context, EVP_PKEY_get0_type_name(pair), module->properties);
    if (context != NULL && EVP_PKEY_todata(pair, EVP_PKEY_KEYPAIR, &parts) == 1 &&
        EVP_PKEY_fromdata_init(context) == 1)
        EVP_PKEY_fromdata(context, &key, EVP_PKEY_KEYPAIR, parts);
    for (OSSL_PARAM *part = parts; part != NULL && part->key != NULL; part++)
        OPENSSL_cleanse(part->data, part->data_size);
    OSSL_PARAM_free(parts);
    EVP_PKEY_CTX_free(context);
    return key;
}

EVP_PKEY *module_take_key(const struct module *module, EVP_PKEY *pair)
{
    ERR_clear_error();
    return module->engine != NULL ? engine_take_key(module->engine, pair)
                                  : provider_take_key(module, pair);
}

static bool sign_message(const struct module *module, EVP_PKEY *key, const uint8_t *message,
                         size_t message_length, uint8_t *signature, size_t *length)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool good = context != NULL &&
                EVP_DigestSignInit_ex(context, NULL, NULL, module->context, module->properties, key,
                                      NULL) > 0 &&
                EVP_DigestSign(context, signature, length, message, message_length) > 0;
    EVP_MD_CTX_free(context);
    return good;
}

bool module_sign(const struct module *module, EVP_PKEY *key, const struct wire_scheme *scheme,
                 const uint8_t *input, size_t input_length, uint8_t *signature, size_t *length)
{
    ERR_clear_error();
    if (scheme->digest == NULL)
        return sign_message(module, key, input, input_length, signature, length);
    EVP_PKEY_CTX *context =
        module->engine != NULL
            ? EVP_PKEY_CTX_new(key, NULL)
            : EVP_PKEY_CTX_new_from_pkey(module->context, key, module->properties);
    bool good = context != NULL && context_set_up(context, CONTEXTS_SIGN, scheme) &&
                EVP_PKEY_sign(context, signature, length, input, input_length) > 0;
    EVP_PKEY_CTX_free(context);
    return good;
}

static int pin_library(struct dl_phdr_info *info, size_t size, void *arg)
{
    (void)size, (void)arg;
    void *handle = dlopen(info->dlpi_name, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE);
    if (handle != NULL)
        dlclose(handle);
    return 0;
}

void modules_pin(void)
{
    dl_iterate_phdr(pin_library, NULL);
}
