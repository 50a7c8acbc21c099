#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/signals.h"
#include "daemon/options.h"
#include "daemon/title.h"
#include "proxy/config/load.h"
#include "proxy/master/master.h"

static const char usage[] =
    "usage: immure-proxy --config FILE [--test] [--upgrade-fd N]\n"
    "       immure-proxy --directives | --help | --version\n"
    "\n"
    "Terminates TLS with its private keys in a process of their own. See immure-proxy.conf(5).\n"
    "Stays in the foreground; logs to standard error.\n"
    "\n";

struct arguments {
    const char *config;
    bool test;
    int link; /* to the previous master; -1: none */
};

static const struct option_row rows[] = {
    {"config", "FILE", option_text, OPTION_FIELD(struct arguments, config), .required = true,
     .text = "read the configuration from FILE; read it again after HUP"},
    {"test", NULL, option_flag, OPTION_FIELD(struct arguments, test),
     .text = "try the configuration out, certificates and keys included, then end"},
    {"upgrade-fd", "N", option_descriptor, OPTION_FIELD(struct arguments, link),
     .text = "take over from the master on this socket, which starts this one"},
    {"directives", NULL, option_print, .print = config_print_directives,
     .text = "print the table of directives"},
};

static const struct daemon_program program = {.name = "immure-proxy",
                                              .version = "immure-proxy " IMMURE_VERSION,
                                              .usage = usage,
                                              .rows = rows,
                                              .count = sizeof rows / sizeof rows[0]};

int main(int argc, char **argv)
{
    struct arguments options = {.link = -1};
    /* Without this, libssl would apply the system_default of openssl.cnf to every SSL_CTX, in any
     * library context. */
    OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL);
    log_setup("immure-proxy", LOG_LEVEL_INFO, false);
    daemon_options_parse(&program, argc, argv, &options);
    signals_reset(true);
    char *file = strdup(options.config); /* title_set() overwrites argv's memory */
    if (file == NULL)
        return EXIT_FAILURE;
    title_setup(argc, argv);
    title_set("immure-proxy: master %s", file);
    int status = master_run(file, options.test, options.link);
    free(file);
    return status;
}
