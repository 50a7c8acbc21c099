/* Whether a refresh is enough: what it cannot bring, a reload does. */
#ifndef PROXY_MASTER_REFRESH_OBSTACLE_H
#define PROXY_MASTER_REFRESH_OBSTACLE_H

#include "proxy/master/core.h"

/* REPORT_DONE: there is none. Otherwise *reason says what it is: "the text of the configuration has
 * changed". */
enum report_outcome refresh_obstacle(const struct generation *generation, const char **reason);
bool refresh_is_enough(const struct generation *generation);

#endif
