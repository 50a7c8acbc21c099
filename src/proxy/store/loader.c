#include "proxy/store/loader.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/descriptor.h"
#include "base/log.h"
#include "proxy/store/index.h"
#include "proxy/store/problem.h"
#include "proxy/store/sources.h"
#include "walls/landlock.h"

#define WARNINGS_MAX 100 /* about problems of certificates; the status page has all */

static void warn(const struct store *store, const struct store_certificate *certificate,
                 enum chain_problem problem)
{
    char text[256];
    chain_problem_describe(problem, certificate->not_before, certificate->not_after, text,
                           sizeof text);
    log_warning("%s:%u: certificate: %s: %s", store_text(store, certificate->where),
                certificate->line, store_text(store, certificate->files[STORE_CHAIN_FILE].path),
                text);
}

static void warn_of_all(const struct store *store)
{
    size_t told = 0, found = 0;
    int64_t now = time(NULL);
    for (uint32_t i = 0; i < store_certificate_count(store); i++) {
        const struct store_certificate *certificate = store_certificate(store, i);
        unsigned problems = store_problems(certificate, now);
        for (int problem = 0; problems != 0 && problem < CHAIN_PROBLEM_COUNT; problem++) {
            if ((problems & 1u << problem) == 0)
                continue;
            found++;
            if (told < WARNINGS_MAX) {
                warn(store, certificate, (enum chain_problem)problem);
                told++;
            }
        }
    }
    if (found > told)
        log_warning("certificates: %zu more problems, which the status page lists", found - told);
}

/* An index that cannot be used costs time only, so it is no error. */
static struct store *open_index(const struct proxy_config *config)
{
    char reason[256];
    struct conf_error error;
    int memory = index_read(config->certificate_index, reason, sizeof reason);
    struct store *store = memory >= 0 ? store_open(memory, &error) : NULL;
    if (memory >= 0 && store == NULL)
        log_warning("certificate-index: %s: %s", config->certificate_index, error.text);
    else if (memory < 0 && errno != ENOENT)
        log_warning("certificate-index: %s: %s", config->certificate_index, reason);
    descriptor_close(&memory);
    return store;
}

static void write_index(const struct proxy_config *config, const struct store *store)
{
    char reason[256];
    if (!index_write(config->certificate_index, store, reason, sizeof reason))
        log_warning("certificate-index: %s: %s", config->certificate_index, reason);
}

/* After the store has been sent: the index is for the next start. */
static void conclude(const struct proxy_config *config, const struct sources_result *result)
{
    struct conf_error error;
    struct store *store = store_open(result->memory, &error);
    if (store == NULL)
        return;
    warn_of_all(store);
    if (config->certificate_index != NULL)
        write_index(config, store);
    store_close(store);
}

int loader_run(const struct proxy_config *config, const struct store *before,
               const struct refusals *refused, bool tries, int socket)
{
    const struct landlock_exceptions exceptions = {.files = true};
    struct report walls = {0};
    struct sources_result result;
    struct loader_answer answer = {.error.text = ""};
    struct store *index = NULL;
    landlock_apply(&exceptions, &walls);
    if (before == NULL && config->certificate_index != NULL)
        before = index = open_index(config);
    sources_load(config, before, refused, tries, &result);
    store_close(index);
    if (result.memory < 0)
        answer.error = result.error;
    if (descriptor_send(socket, &answer, sizeof answer, result.memory) != (ssize_t)sizeof answer)
        return EXIT_FAILURE;
    if (result.memory >= 0 && !tries)
        conclude(config, &result);
    descriptor_close(&result.memory);
    return EXIT_SUCCESS;
}
