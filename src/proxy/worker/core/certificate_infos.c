#include "proxy/worker/core/certificate_infos.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/hex.h"
#include "proxy/store/problem.h"

#define NAMES_TEXT_MAX 256

/* DNS names, then addresses as "ip:192.0.2.1". */
static char *join_names(const struct store *store, const struct store_certificate *certificate)
{
    char text[NAMES_TEXT_MAX] = "";
    const char *name = store_text(store, certificate->names);
    size_t length = 0;
    for (uint32_t i = 0; i < certificate->name_count && length + 1 < sizeof text; i++) {
        int more = snprintf(text + length, sizeof text - length, "%s%s", i > 0 ? ", " : "", name);
        length += more > 0 ? (size_t)more : 0;
        name += strlen(name) + 1;
    }
    return strdup(text);
}

static void note_key(struct certificate_info *info, bool keyless)
{
    const unsigned no_key = 1u << CHAIN_NO_KEY;
    unsigned others = atomic_load_explicit(&info->problems, memory_order_relaxed) & ~no_key;
    atomic_store_explicit(&info->problems, others | (keyless ? no_key : 0), memory_order_relaxed);
}

static bool describe(struct certificate_info *info, const struct proxy_config *config,
                     const struct store *store, uint32_t number)
{
    const struct store_certificate *certificate = store_certificate(store, number);
    *info = (struct certificate_info){
        .frontend = config->frontends[certificate->frontend].name,
        .names = join_names(store, certificate),
        .key_type = store_text(store, certificate->key_type),
        .file = store_text(store, certificate->files[STORE_CHAIN_FILE].path),
        .not_after = certificate->not_after > 0 ? (uint64_t)certificate->not_after : 0,
        .problems = store_problems(certificate, time(NULL))};
    hex_encode(certificate->key_id, IMMURE_KEY_ID_SIZE, info->key_id);
    return info->names != NULL;
}

bool certificate_infos_make(struct certificate_infos *infos, const struct proxy_config *config,
                            const struct store *store, const struct keyd_watch *watch)
{
    size_t count = store_certificate_count(store);
    *infos = (struct certificate_infos){.of = calloc(count + 1, sizeof *infos->of)};
    while (infos->of != NULL && infos->count < count) {
        uint32_t number = (uint32_t)infos->count++;
        if (!describe(&infos->of[number], config, store, number))
            return false;
    }
    certificate_infos_note_keys(infos, watch);
    return infos->of != NULL;
}

void certificate_infos_note_keys(struct certificate_infos *infos, const struct keyd_watch *watch)
{
    for (size_t i = 0; i < infos->count; i++)
        note_key(&infos->of[i], watch != NULL && watch->keyless[i]);
}

void certificate_infos_free(struct certificate_infos *infos)
{
    for (size_t i = 0; i < infos->count; i++)
        free((char *)infos->of[i].names);
    free(infos->of);
    *infos = (struct certificate_infos){.of = NULL};
}
