#include "keyd/process/supervise_edition.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/descriptor.h"
#include "keyd/process/load.h"

static bool anybody_may_connect(const struct keyd_config *config)
{
    bool anybody = config->allow.users.count > 0 || config->allow.groups.count > 0;
    for (size_t i = 0; i < config->key_count; i++)
        anybody |= config->keys[i].allow.users.count > 0 || config->keys[i].allow.groups.count > 0;
    return anybody;
}

static bool refuse(struct conf_error *error, const char *file, const char *what, const char *reason)
{
    snprintf(error->text, sizeof error->text, "%s: %s%s", file, what, reason);
    return false;
}

/* Like the key process for its own memory, warns if the key of the vault is not in secret memory.
 */
static bool judge_vault(const struct vault *vault, const char *file,
                        const struct keyd_config *config, const char *reason,
                        struct conf_error *error)
{
    if (vault->page != PAGES_SECRET && config->require_secret_memory)
        return refuse(error, file, "require-secret-memory = yes, but there is none: ", reason);
    if (vault->page == PAGES_UNLOCKED)
        log_warning("THE KEY OF THE VAULT, FROM WHICH KEY PROCESSES ARE RESTARTED, IS NOT LOCKED: "
                    "it may be written to swap. %s",
                    reason);
    return true;
}

static bool fill(struct edition *edition, const char *file, const struct keyd_config *config,
                 const char *text, struct conf_error *error)
{
    char reason[128] = "";
    edition->mode = anybody_may_connect(config) ? 0666 : 0600;
    edition->log_level = (enum log_level)config->log_level;
    edition->log_json = config->log_json;
    if (!config_name_files(config, &edition->names))
        return refuse(error, file, "out of memory", "");
    edition->text = descriptor_of_bytes("immured.conf", text, strlen(text));
    if (edition->text < 0 || !vault_make_room(&edition->vault, reason, sizeof reason))
        return refuse(error, file, strerror(errno), "");
    return judge_vault(&edition->vault, file, config, reason, error);
}

bool edition_make(struct edition *edition, const char *file, const struct keyd_config *config,
                  const char *text, struct conf_error *error)
{
    if (fill(edition, file, config, text, error))
        return true;
    edition_drop(edition);
    return false;
}

void edition_drop(struct edition *edition)
{
    descriptor_close(&edition->text);
    name_table_free(&edition->names);
    vault_drop(&edition->vault);
    *edition = EDITION_INIT;
}
