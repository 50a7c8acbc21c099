#include "proxy/shared/keyd_figures.h"

#include <string.h>

#include "base/clock.h"

#define STALE (5 * NS_PER_S)

void keyd_figures_set(struct keyd_figures *figures, const struct immure_stat *stats, size_t count)
{
    pthread_mutex_lock(&figures->mutex);
    figures->taken = clock_now();
    figures->count = 0;
    for (size_t i = 0; i < count && figures->count < KEYD_FIGURES_MAX; i++)
        if (stats[i].name != NULL)
            figures->stats[figures->count++] = stats[i];
    pthread_mutex_unlock(&figures->mutex);
}

size_t keyd_figures_get(struct keyd_figures *figures, struct immure_stat *stats)
{
    pthread_mutex_lock(&figures->mutex);
    bool fresh = figures->taken != 0 && clock_now() - figures->taken < STALE;
    size_t count = fresh ? figures->count : 0;
    memcpy(stats, figures->stats, count * sizeof *stats);
    pthread_mutex_unlock(&figures->mutex);
    return count;
}
