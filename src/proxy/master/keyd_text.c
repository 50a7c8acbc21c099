#include "proxy/master/keyd_text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"

/* Longer names immured refuses (docs/protocol.md); of a longer path the end says most. */
#define NAME_MAX_BYTES 255

/* In single quotes libconfuse takes everything but these two as it is. */
static void put_text(FILE *out, const char *name, const char *text)
{
    if (text == NULL)
        return;
    fprintf(out, "%s '", name);
    for (; *text != '\0'; text++)
        fprintf(out, "%s%c", *text == '\'' || *text == '\\' ? "\\" : "", *text);
    fprintf(out, "'\n");
}

static void put_key(FILE *out, const struct config *config,
                    const struct certificate_config *certificate)
{
    char location[512];
    size_t length = strlen(certificate->key);
    size_t skip = length > NAME_MAX_BYTES ? length - NAME_MAX_BYTES : 0;
    snprintf(location, sizeof location, "%s:%d", config->file, certificate->line);
    put_text(out, "key", certificate->key + skip);
    fprintf(out, "{\n");
    put_text(out, "file =", certificate->key);
    put_text(out, "pass-phrase-file =", certificate->pass_phrase_file);
    put_text(out, "policy =", certificate->policy);
    put_text(out, "tls12-groups =", certificate->tls12_groups);
    put_text(out, "location =", location);
    fprintf(out, "}\n");
}

/* Each where it is used first. */
static bool put_keys(FILE *out, const struct config *config)
{
    struct name_table keys = NAME_TABLE_INIT;
    bool good = true;
    for (size_t i = 0; i < config->frontend_count; i++)
        for (size_t j = 0; good && j < config->frontends[i].certificate_count; j++) {
            const struct certificate_config *certificate = &config->frontends[i].certificates[j];
            size_t known = keys.count;
            good = name_table_add(&keys, certificate->key, NULL);
            if (keys.count > known)
                put_key(out, config, certificate);
        }
    name_table_free(&keys);
    return good;
}

char *keyd_text(const struct config *config)
{
    static const char *const levels[] = {[LOG_LEVEL_ERROR] = "error",
                                         [LOG_LEVEL_WARNING] = "warning",
                                         [LOG_LEVEL_INFO] = "info",
                                         [LOG_LEVEL_DEBUG] = "debug"};
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    if (out == NULL)
        return NULL;
    fprintf(out, "threads = %u\n", config->keys.threads);
    put_text(out, "yield =", config->signing == SIGNING_ASYNC ? "yes" : "no");
    put_text(out, "backend =", config->keys.backend);
    put_text(out, "multibuffer-library =", config->keys.library);
    put_text(out, "verify =", config->keys.ecdsa_unverified ? "not-ecdsa" : "all");
    put_text(out, "ticket-secret-file =", config->keys.ticket_secret_file);
    if (config->keys.ticket_epoch > 0) /* without a keys section immured's own default holds */
        fprintf(out, "ticket-epoch = %" PRIu64 "ms\n", config->keys.ticket_epoch / NS_PER_MS);
    put_text(out, "user =", config->keys.user);
    put_text(out, "log =", config->log_json ? "json" : "plain");
    put_text(out, "log-level =", levels[config->log_level]);
    bool good = put_keys(out, config) && ferror(out) == 0;
    if (fclose(out) == 0 && good)
        return text;
    free(text);
    return NULL;
}

bool keyd_files(const struct config *config, struct name_table *names)
{
    const char *secret = config->keys.ticket_secret_file;
    bool good = secret == NULL || name_table_add(names, secret, NULL);
    for (size_t i = 0; i < config->frontend_count; i++)
        for (size_t j = 0; good && j < config->frontends[i].certificate_count; j++) {
            const struct certificate_config *certificate = &config->frontends[i].certificates[j];
            const char *phrase = certificate->pass_phrase_file;
            good = name_table_add(names, certificate->key, NULL) &&
                   (phrase == NULL || name_table_add(names, phrase, NULL));
        }
    if (!good)
        errno = ENOMEM;
    return good;
}
