/* store-times CONFIG: how long the store of a configuration's certificates takes to make, without
 * another store and with one, and to open; in CPU time. */
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "proxy/config/load.h"
#include "proxy/store/sources.h"

/* CPU time, so that other programs do not change the figures much. */
static double cpu_ms(void)
{
    struct timespec used;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return (double)used.tv_sec * 1e3 + (double)used.tv_nsec / 1e6;
}

static struct store *measure(const char *label, const struct proxy_config *config,
                             const struct store *before)
{
    struct sources_result result;
    struct conf_error error;
    size_t size = 0;
    double start = cpu_ms();
    sources_load(config, before, NULL, false, &result);
    double made = cpu_ms() - start;
    start = cpu_ms();
    struct store *store = result.memory >= 0 ? store_open(result.memory, &error) : NULL;
    if (store == NULL) {
        fprintf(stderr, "%s\n", result.memory >= 0 ? error.text : result.error.text);
        return NULL;
    }
    store_mapping(store, &size);
    printf("%s: made in %.0f ms, opened in %.1f ms: %zu certificates, %zu read, %zu bytes\n", label,
           made, cpu_ms() - start, store_certificate_count(store), result.read_count, size);
    close(result.memory);
    return store;
}

int main(int argc, char **argv)
{
    struct conf_error error;
    struct proxy_config *config = argc == 2 ? config_load(argv[1], &error) : NULL;
    if (config == NULL) {
        fprintf(stderr, "%s\n", argc == 2 ? error.text : "usage: store-times CONFIG");
        return 1;
    }
    struct store *first = measure("without another store", config, NULL);
    struct store *second = first != NULL ? measure("with another store", config, first) : NULL;
    bool good = second != NULL;
    store_close(first);
    store_close(second);
    config_free(config);
    return good ? 0 : 1;
}
