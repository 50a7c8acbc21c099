#include "proxy/master/command_verbs.h"

const struct command_verb command_verbs[] = {
    {"list", 0, 1, command_list_begin, command_list_go_on},
    {"show", 1, 1, command_show_begin, command_show_go_on},
    {"sources", 0, 0, command_sources_begin, command_sources_go_on},
    {"check", 0, 0, command_check_begin, command_refresh_go_on},
    {"refresh", 0, 0, command_refresh_begin, command_refresh_go_on},
    {"backends", 0, 1, command_backends_begin, command_backends_go_on},
    {"enable", 2, 2, command_enable_begin, NULL},
    {"drain", 2, 2, command_drain_begin, NULL},
    {"disable", 2, 2, command_disable_begin, NULL},
    {"weight", 3, 3, command_weight_begin, NULL},
};
const size_t command_verb_count = sizeof command_verbs / sizeof *command_verbs;
