#include "keyd/process/options.h"

#include <openssl/crypto.h>
#include <stdlib.h>

#include "daemon/options.h"
#include "keyd/process/load.h"

static const char usage[] =
    "usage: immured --config FILE [--test]\n"
    "       immured --config FILE [--config-fd N] [--hand-over-fd N | --files-fd N]\n"
    "               [--listen-fd N] [--session-fd N]\n"
    "       immured --config FILE --explain-sandbox\n"
    "       immured --directives | --help | --version\n"
    "\n"
    "Keeps private keys and signs TLS handshakes with them. See immured.conf(5).\n"
    "\n";

static const struct option_row rows[] = {
    {"config", "FILE", option_text, OPTION_FIELD(struct keyd_options, config), .required = true,
     .text = "read the configuration from FILE; read it again after HUP"},
    {"test", NULL, option_flag, OPTION_FIELD(struct keyd_options, test),
     .text = "check the configuration and the keys, then end"},
    {"explain-sandbox", NULL, option_flag, OPTION_FIELD(struct keyd_options, explain),
     .text = "start, say what walls the key process has, then end"},
    {"config-fd", "N", option_descriptor, OPTION_FIELD(struct keyd_options, text),
     .text = "FILE is open already, here"},
    {"hand-over-fd", "N", option_descriptor, OPTION_FIELD(struct keyd_options, hand_over),
     .text = "a supervisor hands over what FILE names on this socket: immured(8)"},
    {"files-fd", "N", option_descriptor, OPTION_FIELD(struct keyd_options, files),
     .text = "a list of files that are open already: immured(8)"},
    {"listen-fd", "N", option_descriptor, OPTION_FIELD(struct keyd_options, listener),
     .text = "accept clients on this listening unix stream socket"},
    {"session-fd", "N", option_descriptor, OPTION_FIELD(struct keyd_options, session),
     .text = "this connected unix stream socket is the first client"},
    {"directives", NULL, option_print, .print = config_print_directives,
     .text = "print the table of directives"},
};

void options_parse(struct keyd_options *options, int argc, char **argv)
{
    char version[128];
    const struct daemon_program program = {.name = "immured",
                                           .version = version,
                                           .usage = usage,
                                           .rows = rows,
                                           .count = sizeof rows / sizeof rows[0]};
    snprintf(version, sizeof version, "immured " IMMURE_VERSION ", %s",
             OpenSSL_version(OPENSSL_VERSION));
    *options = (struct keyd_options){
        .text = -1, .hand_over = -1, .files = -1, .listener = -1, .session = -1};
    daemon_options_parse(&program, argc, argv, options);
}
