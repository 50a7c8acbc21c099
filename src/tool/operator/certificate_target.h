/* What a command changes: the folder, and the files of a certificate in it. immure-proxy is asked
 * where they are. */
#ifndef OPERATOR_CERTIFICATE_TARGET_H
#define OPERATOR_CERTIFICATE_TARGET_H

#include "operator/chain_file.h"
#include "operator/command.h"
#include "operator/folder.h"

struct certificate_target {
    char *folder;      /* as immure-proxy names it */
    char *chain, *key; /* the same for the files */
    struct folder_pair pair;
};

/* For a new certificate. Otherwise than with EXIT_GOOD it has complained, and there is nothing to
 * free. */
enum exit_status target_new(struct certificate_target *target, const struct tool_options *options,
                            const struct chain_file *chain);
/* The certificate that is served and has this name, file or key id. */
enum exit_status target_find(struct certificate_target *target, const struct tool_options *options);
void target_free(struct certificate_target *target);

#endif
