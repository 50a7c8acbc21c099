#include "proxy/master/command_record.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/hex.h"
#include "proxy/store/problem.h"

static const struct route_config *find_route(const struct proxy_config *config, uint32_t number,
                                             const struct frontend_config **frontend)
{
    for (size_t i = 0; i < config->frontend_count; i++) {
        *frontend = &config->frontends[i];
        for (size_t j = 0; j < (*frontend)->route_count; j++)
            if ((*frontend)->routes[j].number == number)
                return &(*frontend)->routes[j];
    }
    return NULL;
}

void record_place(struct answer_line *line, const struct proxy_config *config, uint32_t number)
{
    const struct frontend_config *frontend;
    const struct route_config *route = find_route(config, number, &frontend);
    if (route == NULL)
        return;
    answer_text(line, "frontend", frontend->name);
    if (!route->own)
        answer_text(line, "route", route->name);
}

void record_names(struct answer_line *line, const struct store *store, struct store_span *left)
{
    answer_list(line, "names");
    for (size_t i = 0; i < RECORD_NAMES_MAX && left->length > 0; i++) {
        const char *name = store_text(store, *left);
        uint32_t size = (uint32_t)strlen(name) + 1;
        answer_item(line, name);
        left->offset += size;
        left->length -= size;
    }
    answer_list_end(line);
}

static bool is_of_list(const struct proxy_config *config, const struct store *store,
                       const struct store_certificate *certificate)
{
    return strcmp(store_text(store, certificate->where), config->file) != 0;
}

const char *record_folder(const struct proxy_config *config, const struct store *store,
                          const struct store_certificate *certificate)
{
    const struct frontend_config *frontend;
    const struct route_config *route = find_route(config, certificate->route, &frontend);
    return certificate->required || is_of_list(config, store, certificate) || route == NULL
               ? NULL
               : route->directory;
}

static void write_source(struct answer_line *line, const struct proxy_config *config,
                         const struct store *store, const struct store_certificate *certificate)
{
    const char *folder = record_folder(config, store, certificate);
    answer_text(line, "source",
                folder != NULL          ? "folder"
                : certificate->required ? "section"
                                        : "list");
    if (folder != NULL)
        answer_text(line, "folder", folder);
    answer_text(line, "where", store_text(store, certificate->where));
    answer_count(line, "line", certificate->line);
}

static void write_problems(struct answer_line *line, const struct store_certificate *certificate)
{
    unsigned problems = store_problems(certificate, (int64_t)(clock_wall() / NS_PER_S));
    answer_list(line, "problems");
    for (unsigned i = 0; i < CHAIN_PROBLEM_COUNT; i++)
        if ((problems >> i & 1) != 0)
            answer_item(line, chain_problem_names[i]);
    answer_list_end(line);
}

static void write_staple(struct answer_line *line, const struct store *store,
                         const struct store_certificate *certificate)
{
    const char *path = store_text(store, certificate->files[STORE_STAPLE_FILE].path);
    if (path[0] == '\0')
        return;
    answer_text(line, "ocsp", path);
    answer_word(line, "stapled",
                store_staples(certificate, (int64_t)(clock_wall() / NS_PER_S)) ? "true" : "false");
}

/* The worker tells the master only whether any key is missing. */
static void write_key(struct answer_line *line, const struct generation *generation,
                      const struct store *store, const struct store_certificate *certificate)
{
    char id[2 * STORE_HASH_SIZE + 1];
    answer_text(line, "key", store_text(store, certificate->key_path));
    answer_text(line, "key_type", store_text(store, certificate->key_type));
    answer_text(line, "key_id", hex_encode(certificate->key_id, STORE_HASH_SIZE, id));
    answer_word(line, "key_held", generation->keyless.count > 0 ? "null" : "true");
}

void record_write(struct answer_line *line, const struct generation *generation,
                  const struct store *store, const struct store_certificate *certificate)
{
    const struct proxy_config *config = generation->config;
    answer_text(line, "chain", store_text(store, certificate->files[STORE_CHAIN_FILE].path));
    write_key(line, generation, store, certificate);
    write_staple(line, store, certificate);
    record_place(line, config, certificate->route);
    write_source(line, config, store, certificate);
    answer_count(line, "not_before", certificate->not_before);
    answer_count(line, "not_after", certificate->not_after);
    write_problems(line, certificate);
    answer_count(line, "name_count", certificate->name_count);
}
