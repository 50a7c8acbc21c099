#include "keyd/process/options.h"

#include <getopt.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/descriptor.h"
#include "keyd/process/config.h"

#define EXIT_USAGE 2

static const char usage[] =
    "usage: immured --config FILE [--test]\n"
    "       immured --config FILE [--config-fd N] [--hand-over-fd N | --files-fd N]\n"
    "               [--listen-fd N] [--session-fd N]\n"
    "       immured --config FILE --explain-sandbox\n"
    "       immured --directives | --help | --version\n"
    "\n"
    "Keeps private keys and signs TLS handshakes with them. See immured.conf(5).\n"
    "\n"
    "  --config FILE      read the configuration from FILE; read it again after HUP\n"
    "  --test             check the configuration and the keys, then end\n"
    "  --explain-sandbox  start, say what walls the key process has, then end\n"
    "  --config-fd N      FILE is open already, here\n"
    "  --hand-over-fd N   a supervisor hands over what FILE names on this socket: immured(8)\n"
    "  --files-fd N       a list of files that are open already: immured(8)\n"
    "  --listen-fd N      accept clients on this listening unix stream socket\n"
    "  --session-fd N     this connected unix stream socket is the first client\n"
    "  --directives       print the table of directives\n";

enum option_number {
    OPTION_CONFIG = 1,
    OPTION_TEST,
    OPTION_EXPLAIN,
    OPTION_TEXT,
    OPTION_HAND_OVER,
    OPTION_FILES,
    OPTION_LISTEN,
    OPTION_SESSION,
    OPTION_DIRECTIVES,
    OPTION_HELP,
    OPTION_VERSION
};
static const struct option long_options[] = {
    {"config", required_argument, NULL, OPTION_CONFIG},
    {"test", no_argument, NULL, OPTION_TEST},
    {"explain-sandbox", no_argument, NULL, OPTION_EXPLAIN},
    {"config-fd", required_argument, NULL, OPTION_TEXT},
    {"hand-over-fd", required_argument, NULL, OPTION_HAND_OVER},
    {"files-fd", required_argument, NULL, OPTION_FILES},
    {"listen-fd", required_argument, NULL, OPTION_LISTEN},
    {"session-fd", required_argument, NULL, OPTION_SESSION},
    {"directives", no_argument, NULL, OPTION_DIRECTIVES},
    {"help", no_argument, NULL, OPTION_HELP},
    {"version", no_argument, NULL, OPTION_VERSION},
    {NULL, 0, NULL, 0},
};

static int parse_descriptor(const char *text)
{
    int descriptor = descriptor_parse(text);
    if (descriptor >= 0)
        return descriptor;
    fprintf(stderr, "immured: %s is not the number of an inherited descriptor\n", text);
    exit(EXIT_USAGE);
}

void options_parse(struct options *options, int argc, char **argv)
{
    *options =
        (struct options){.text = -1, .hand_over = -1, .files = -1, .listener = -1, .session = -1};
    for (int number; (number = getopt_long(argc, argv, "", long_options, NULL)) != -1;) {
        switch (number) {
        case OPTION_CONFIG:
            options->config = optarg;
            break;
        case OPTION_TEST:
            options->test = true;
            break;
        case OPTION_EXPLAIN:
            options->explain = true;
            break;
        case OPTION_TEXT:
            options->text = parse_descriptor(optarg);
            break;
        case OPTION_HAND_OVER:
            options->hand_over = parse_descriptor(optarg);
            break;
        case OPTION_FILES:
            options->files = parse_descriptor(optarg);
            break;
        case OPTION_LISTEN:
            options->listener = parse_descriptor(optarg);
            break;
        case OPTION_SESSION:
            options->session = parse_descriptor(optarg);
            break;
        case OPTION_DIRECTIVES:
            config_print_directives(stdout);
            exit(EXIT_SUCCESS);
        case OPTION_HELP:
            fputs(usage, stdout);
            exit(EXIT_SUCCESS);
        case OPTION_VERSION:
            printf("immured " IMMURE_VERSION ", %s\n", OpenSSL_version(OPENSSL_VERSION));
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
        fprintf(stderr, "%s: --config FILE is needed; --help tells more\n", argv[0]);
        exit(EXIT_USAGE);
    }
}
