#include "operator/command.h"

#include <stdarg.h>
#include <stddef.h>

#define OPTIONS_ASK (OPTION_SOCKET | OPTION_TIMEOUT | OPTION_JSON)

const struct command commands[] = {
    {"key list", NULL, OPTIONS_ASK, key_list_run, "list the keys that immured has",
     "Lists the keys that immured has: name; type; the backend that signs with it; the one that "
     "signs many at once, with from how many waiting requests it does, up to how many; and the key "
     "id, which is the SHA-256 of the SubjectPublicKeyInfo."},
    {"key reference", "[NAME]", OPTION_SOCKET | OPTION_TIMEOUT | OPTION_CERTIFICATE,
     key_reference_run, "write a key reference, to stand in place of a key file",
     "Writes a key reference to standard output: a PEM file that says which immured has which key, "
     "and holds nothing secret. immured is asked for the key NAME; or the public key is taken from "
     "a certificate, and immured need not run."},
    {"key test", "NAME", OPTIONS_ASK, key_test_run, "sign with a key, and verify",
     "Lets immured sign a handshake message under each SignatureScheme of the key, the first of "
     "TLS 1.3 and TLS 1.2, server's and client's, that the key's policy allows; verifies with the "
     "public key, and says how long it took."},
    {"status", NULL, OPTIONS_ASK, status_run, "show the figures of immured",
     "Shows every figure of immured, as it is now."},
    {"top", NULL, OPTIONS_ASK | OPTION_COUNT, top_run, "watch the figures of immured live",
     "Shows each second what immured does: on a terminal until q or Ctrl-C is pressed, else as "
     "lines."},
    {"openssl-config", NULL, OPTION_MODULE | OPTION_INTO | OPTION_NAME, openssl_config_run,
     "print what openssl.cnf needs for the provider",
     "Prints what loads the provider, to be added to the end of a configuration of OpenSSL, or to "
     "be "
     "one of its own. Where standard output is the end of a file (>> openssl.cnf), or a file is "
     "named with --into, it goes into the sections that are in force there, so that everything "
     "else "
     "that they say stays in force. With --into the whole is printed, that file first."},
    {"check", "FILE", OPTION_TIMEOUT | OPTION_JSON | OPTION_CERTIFICATE, check_run,
     "check a key reference, or a configuration of immured",
     "Checks a key reference: that it parses, that immured is there and has the key, and that the "
     "certificate is for this key. What is no PEM file is taken for a configuration, and given to "
     "immured --test."},
};

const size_t command_count = sizeof commands / sizeof commands[0];

void complain(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("immure: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
}
