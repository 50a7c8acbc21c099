/* What can be asked for over the control socket. docs/control.md has the same list. */
#ifndef PROXY_MASTER_COMMAND_VERBS_H
#define PROXY_MASTER_COMMAND_VERBS_H

#include "proxy/master/command_client.h"

extern const struct command_verb command_verbs[];
extern const size_t command_verb_count;

/* command_certificates.c */
void command_list_begin(struct command_client *client, const struct command_view *view);
void command_list_go_on(struct command_client *client);
void command_show_begin(struct command_client *client, const struct command_view *view);
void command_show_go_on(struct command_client *client);
void command_sources_begin(struct command_client *client, const struct command_view *view);
void command_sources_go_on(struct command_client *client);

/* command_refresh.c */
void command_refresh_begin(struct command_client *client, const struct command_view *view);
void command_check_begin(struct command_client *client, const struct command_view *view);
void command_refresh_go_on(struct command_client *client);

/* command_backends.c */
void command_backends_begin(struct command_client *client, const struct command_view *view);
void command_backends_go_on(struct command_client *client);
void command_enable_begin(struct command_client *client, const struct command_view *view);
void command_drain_begin(struct command_client *client, const struct command_view *view);
void command_disable_begin(struct command_client *client, const struct command_view *view);
void command_weight_begin(struct command_client *client, const struct command_view *view);

#endif
