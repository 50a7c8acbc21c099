/* A certificate, as the answers on the control socket describe it. */
#ifndef PROXY_MASTER_COMMAND_RECORD_H
#define PROXY_MASTER_COMMAND_RECORD_H

#include "proxy/master/command_client.h"

/* The most names in one line; they are of any number. */
#define RECORD_NAMES_MAX 16

/* Writes the frontend and, if it is not the frontend's own, the route of this number. */
void record_place(struct answer_line *line, const struct proxy_config *config, uint32_t route);
/* Writes the list of names at *left, as many as fit into a line, and goes on behind them. */
void record_names(struct answer_line *line, const struct store *store, struct store_span *left);
/* Writes all members but the names. */
void record_write(struct answer_line *line, const struct generation *generation,
                  const struct store *store, const struct store_certificate *certificate);

/* Where a folder's certificate lies: the folder of its route. NULL: it is not of a folder. */
const char *record_folder(const struct proxy_config *config, const struct store *store,
                          const struct store_certificate *certificate);

#endif
