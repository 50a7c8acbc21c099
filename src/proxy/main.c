#include <getopt.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/descriptor.h"
#include "base/log.h"
#include "base/signals.h"
#include "proxy/config/config.h"
#include "proxy/master/master.h"
#include "proxy/master/title.h"

#define EXIT_USAGE 2

static const char usage[] =
    "usage: immure-proxy --config FILE [--test] [--upgrade-fd N]\n"
    "       immure-proxy --directives | --help | --version\n"
    "\n"
    "Terminates TLS with its private keys in a process of their own. See immure-proxy.conf(5).\n"
    "Stays in the foreground; logs to standard error.\n"
    "\n"
    "  --config FILE    read the configuration from FILE, and again after HUP\n"
    "  --test           check the configuration, certificates and keys included, then exit\n"
    "  --upgrade-fd N   take over from the running master on socket N (passed by that master)\n"
    "  --directives     print the table of directives\n";

enum option_number {
    OPTION_CONFIG = 1,
    OPTION_TEST,
    OPTION_UPGRADE,
    OPTION_DIRECTIVES,
    OPTION_HELP,
    OPTION_VERSION
};
static const struct option long_options[] = {
    {"config", required_argument, NULL, OPTION_CONFIG},
    {"test", no_argument, NULL, OPTION_TEST},
    {"upgrade-fd", required_argument, NULL, OPTION_UPGRADE},
    {"directives", no_argument, NULL, OPTION_DIRECTIVES},
    {"help", no_argument, NULL, OPTION_HELP},
    {"version", no_argument, NULL, OPTION_VERSION},
    {NULL, 0, NULL, 0},
};

struct options {
    char *config;
    bool test;
    int link; /* to the previous master; -1: none */
};

static int parse_descriptor(const char *text)
{
    int descriptor = descriptor_parse(text);
    if (descriptor >= 0)
        return descriptor;
    fprintf(stderr, "immure-proxy: %s is not the number of an inherited descriptor\n", text);
    exit(EXIT_USAGE);
}

/* Exits for options such as --help, and after an error, which getopt_long() has reported. */
static void parse_options(int argc, char **argv, struct options *options)
{
    for (int number; (number = getopt_long(argc, argv, "", long_options, NULL)) != -1;) {
        switch (number) {
        case OPTION_CONFIG:
            options->config = optarg;
            break;
        case OPTION_TEST:
            options->test = true;
            break;
        case OPTION_UPGRADE:
            options->link = parse_descriptor(optarg);
            break;
        case OPTION_DIRECTIVES:
            config_print_directives(stdout);
            exit(EXIT_SUCCESS);
        case OPTION_HELP:
            fputs(usage, stdout);
            exit(EXIT_SUCCESS);
        case OPTION_VERSION:
            puts("immure-proxy " IMMURE_VERSION);
            exit(EXIT_SUCCESS);
        default:
            exit(EXIT_USAGE);
        }
    }
    if (optind < argc) {
        fprintf(stderr, "%s: unexpected argument '%s'\n", argv[0], argv[optind]);
        exit(EXIT_USAGE);
    }
    if (options->config == NULL) {
        fprintf(stderr, "%s: --config FILE is required; see --help\n", argv[0]);
        exit(EXIT_USAGE);
    }
}

int main(int argc, char **argv)
{
    struct options options = {.link = -1};
    /* Without this, libssl would apply the system_default of openssl.cnf to every SSL_CTX, in any
     * library context. */
    OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL);
    log_setup("immure-proxy", LOG_LEVEL_INFO, false);
    parse_options(argc, argv, &options);
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
