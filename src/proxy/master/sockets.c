#include "proxy/master/sockets.h"

#include <stdlib.h>

static bool open_one(struct generation *generation, const struct frontend_config *frontend,
                     const struct address *address, unsigned thread, struct conf_error *error)
{
    (void)frontend;
    struct listening *listening =
        listening_open(&generation->setup->listening, generation->config, address, thread, error);
    if (listening != NULL)
        generation->listening[generation->listening_count++] = listening;
    return listening != NULL;
}

/* Calls back for each address of each thread in turn, then for the address of the admin page,
 * without a frontend. This is the order of generation->listening. */
static bool for_each_address(struct generation *generation,
                             bool (*visit)(struct generation *, const struct frontend_config *,
                                           const struct address *, unsigned thread,
                                           struct conf_error *),
                             struct conf_error *error)
{
    const struct proxy_config *config = generation->config;
    for (unsigned thread = 0; thread < config->workers; thread++)
        for (size_t i = 0; i < config->frontend_count; i++)
            for (size_t j = 0; j < config->frontends[i].listen_count; j++)
                if (!visit(generation, &config->frontends[i], &config->frontends[i].listen[j],
                           thread, error))
                    return false;
    return !config->admin.enabled || visit(generation, NULL, &config->admin.listen, 0, error);
}

bool sockets_open(struct generation *generation, struct conf_error *error)
{
    const struct proxy_config *config = generation->config;
    for (size_t i = 0; i < config->frontend_count; i++)
        generation->address_count += config->frontends[i].listen_count;
    generation->listening =
        calloc(config->workers * generation->address_count + 1, sizeof(struct listening *));
    return generation->listening != NULL && for_each_address(generation, open_one, error);
}

static bool begin_one(struct generation *generation, const struct frontend_config *frontend,
                      const struct address *address, unsigned thread, struct conf_error *error)
{
    (void)thread;
    return listening_begin(generation->listening[generation->listening_count++], generation->config,
                           frontend, address, error);
}

bool sockets_listen(struct generation *generation, struct conf_error *error)
{
    size_t count = generation->listening_count;
    generation->listening_count = 0; /* counts up again along the addresses */
    bool good = for_each_address(generation, begin_one, error);
    generation->listening_count = count;
    return good;
}

void sockets_release(struct generation *generation)
{
    while (generation->listening_count > 0)
        listening_release(generation->listening[--generation->listening_count]);
}
