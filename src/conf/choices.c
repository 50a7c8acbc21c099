#include "conf/choices.h"

#include "base/log.h"

const struct conf_choice conf_automatic[] = {{"auto", 0}, {NULL, 0}};
const struct conf_choice conf_log_forms[] = {{"plain", false}, {"json", true}, {NULL, 0}};
const struct conf_choice conf_log_levels[] = {{"error", LOG_LEVEL_ERROR},
                                              {"warning", LOG_LEVEL_WARNING},
                                              {"info", LOG_LEVEL_INFO},
                                              {"debug", LOG_LEVEL_DEBUG},
                                              {NULL, 0}};
