#include "proxy/master/refresh_obstacle.h"

#include <stdlib.h>
#include <string.h>

#include "conf/text.h"
#include "proxy/config/load.h"
#include "proxy/master/processes.h"

static bool is_running(const struct generation *generation)
{
    return generation->state == GENERATION_RUNNING;
}

static bool has_worker(const struct generation *generation)
{
    return generation->worker.pid > 0;
}

static bool has_keyd(const struct generation *generation)
{
    const struct hand_over *hand_over = &generation->keyd_hand_over;
    return !generation_needs_keyd(generation) ||
           (generation->keyd.pid > 0 && hand_over->socket >= 0 && hand_over->done);
}

static bool has_folders(const struct generation *generation)
{
    return keyd_keys_wanted(generation->config);
}

/* A key that immured lacks has the id that it had; only its file is another, so no comparison of
 * stores would find it. */
static bool knows_what_lacks(const struct generation *generation)
{
    return generation->keyless.count <= KEYLESS_IDS_MAX;
}

static bool has_same_text(const struct generation *generation)
{
    char *text = conf_text_read(generation->config->file);
    bool same = text != NULL && strcmp(text, generation->config->text) == 0;
    free(text);
    return same;
}

static bool has_same_authorities(const struct generation *generation)
{
    return authorities_hold(generation->config);
}

static bool has_sockets(const struct generation *generation)
{
    for (size_t i = 0; i < generation->listening_count; i++)
        if (!listening_is_there(generation->listening[i]))
            return false;
    return true;
}

/* Keys of `certificate` sections are in the text that immured was started with. */
static bool has_same_files(const struct generation *generation)
{
    return !generation_needs_keyd(generation) ||
           file_states_hold(&generation->keyd_files, &generation->keyd_names);
}

static const struct {
    bool (*holds)(const struct generation *generation);
    enum report_outcome otherwise;
    const char *reason;
} conditions[] = {
    {is_running, REPORT_BUSY, "the configuration is not in force yet, or not any more"},
    {has_folders, REPORT_TOO_MUCH, "the configuration has no folder or list of certificates"},
    {has_worker, REPORT_BUSY, "the worker has ended, and is being started again"},
    {has_keyd, REPORT_BUSY, "immured is being started"},
    {knows_what_lacks, REPORT_TOO_MUCH, "immured lacks many keys of certificates in force"},
    {has_same_text, REPORT_TOO_MUCH, "the text of the configuration has changed"},
    {has_same_authorities, REPORT_TOO_MUCH, "a file of client-ca-file or client-crl has changed"},
    {has_sockets, REPORT_TOO_MUCH, "the file of a unix: listener was removed"},
    {has_same_files, REPORT_TOO_MUCH,
     "a key of a certificate section, or a pass phrase, has changed"},
};

enum report_outcome refresh_obstacle(const struct generation *generation, const char **reason)
{
    for (size_t i = 0; i < sizeof conditions / sizeof *conditions; i++)
        if (!conditions[i].holds(generation)) {
            *reason = conditions[i].reason;
            return conditions[i].otherwise;
        }
    return REPORT_DONE;
}

bool refresh_is_enough(const struct generation *generation)
{
    const char *reason;
    return refresh_obstacle(generation, &reason) == REPORT_DONE;
}
