#include "keyd/keys/key_intake.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/descriptor.h"
#include "base/hex.h"
#include "base/log.h"
#include "base/regular_file.h"

#define LINES_MAX 100 /* about files that cannot be used at the start; then they are counted */

/* "SECTION ID NAME", taken apart. */
struct item {
    struct key_group *group;
    uint8_t id[WIRE_KEY_ID_SIZE];
    const char *name;
};

bool key_intake_begin(struct key_intake *intake, struct compact_keys *keys)
{
    *intake = (struct key_intake){.keys = keys};
    intake->pass_phrases = calloc(keys->group_count + 1, sizeof *intake->pass_phrases);
    if (intake->pass_phrases == NULL)
        log_error("keys: out of memory");
    return intake->pass_phrases != NULL;
}

bool key_intake_read_phrases(struct key_intake *intake, const struct files *files)
{
    for (size_t i = 0; i < intake->keys->group_count; i++) {
        const struct key_group_config *config = intake->keys->groups[i].config;
        if (config->pass_phrase_file == NULL || intake->pass_phrases[i].bytes != NULL ||
            files_read_line(files, config->pass_phrase_file, PASS_PHRASE_MAX,
                            &intake->pass_phrases[i]))
            continue;
        log_error("%s: keys \"%s\": %s: %s", config->location, config->name,
                  config->pass_phrase_file, regular_file_reason(errno));
        return false;
    }
    return true;
}

static bool take_apart(const struct key_intake *intake, const char *text, struct item *item)
{
    char section[WIRE_KEY_NAME_MAX + 1];
    const size_t digits = 2 * sizeof item->id;
    size_t length = strcspn(text, " ");
    if (length >= sizeof section || text[length] != ' ' ||
        !hex_decode(text + length + 1, item->id, sizeof item->id) ||
        text[length + 1 + digits] != ' ')
        return false;
    memcpy(section, text, length);
    section[length] = '\0';
    item->name = text + length + 1 + digits + 1;
    item->group = compact_find_group(intake->keys, section);
    return item->group != NULL && item->name[0] != '\0' && strlen(item->name) <= KEY_NAME_MAX;
}

static struct compact_key *refuse(const struct item *item, const char *why, char *reason,
                                  size_t size)
{
    snprintf(reason, size, "%s: %s: %s", item->group->config->location, item->name, why);
    return NULL;
}

static struct compact_key *add(struct key_intake *intake, const struct item *item, int descriptor,
                               bool *known, char *reason, size_t size)
{
    char why[256];
    struct envelope envelope;
    struct compact_key *key = NULL;
    size_t group = (size_t)(item->group - intake->keys->groups);
    int error = descriptor >= 0 ? 0 : -descriptor;
    if (error == 0 && intake->reading.bytes == NULL && !files_make_room(&intake->reading))
        error = ENOMEM;
    if (error == 0)
        error = files_read_open(descriptor, &intake->reading);
    if (error != 0)
        return refuse(item, regular_file_reason(error), reason, size);
    const struct secret *phrase = &intake->pass_phrases[group];
    if (!envelope_open(&envelope, &intake->reading, phrase->bytes != NULL ? phrase : NULL, why,
                       sizeof why))
        return refuse(item, why, reason, size);
    enum compact_added added =
        compact_add(intake->keys, item->group, item->id, item->name, &envelope, &key);
    envelope_close(&envelope);
    *known = added == COMPACT_KNOWN;
    return added != COMPACT_NO_ROOM ? key
                                    : refuse(item, "there is no room for its key", reason, size);
}

struct compact_key *key_intake_add(struct key_intake *intake, const char *text, int descriptor,
                                   bool *known, char *reason, size_t size)
{
    struct item item;
    struct compact_key *key = NULL;
    *known = false;
    if (take_apart(intake, text, &item))
        key = add(intake, &item, descriptor, known, reason, size);
    else
        snprintf(reason, size, "\"%s\" names no key of a section that there is", text);
    if (intake->reading.bytes != NULL)
        OPENSSL_cleanse(intake->reading.bytes, intake->reading.length);
    descriptor_close(&descriptor);
    return key;
}

void key_intake_refuse(struct key_intake *intake, const char *reason)
{
    if (intake->refused++ < LINES_MAX)
        log_error("%s; the key is left out", reason);
}

void key_intake_end(struct key_intake *intake)
{
    if (intake->refused > LINES_MAX)
        log_error("%zu more key files are left out", intake->refused - LINES_MAX);
    for (size_t i = 0; intake->pass_phrases != NULL && i < intake->keys->group_count; i++)
        secret_free(&intake->pass_phrases[i]);
    free(intake->pass_phrases);
    secret_free(&intake->reading);
    *intake = (struct key_intake){.keys = NULL};
}
