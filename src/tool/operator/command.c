#include "operator/command.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#define OPTIONS_ASK (OPTION_SOCKET | OPTION_TIMEOUT | OPTION_JSON)
#define OPTIONS_PROXY (OPTION_PROXY | OPTION_JSON)

const struct command commands[] = {
    {"key list", NULL, OPTIONS_ASK, key_list_run, "list the keys that immured has",
     "Lists the keys that immured has. A line gives the name of a key, its type, the backend that "
     "signs with it, and its key id, which is the SHA-256 of the SubjectPublicKeyInfo. If another "
     "backend signs many requests at once, the line also names that backend, and says from how "
     "many waiting requests it is used and how many it takes at most."},
    {"key reference", "[NAME]", OPTION_SOCKET | OPTION_TIMEOUT | OPTION_CERTIFICATE,
     key_reference_run, "write a key reference, which takes the place of a key file",
     "Writes a key reference to standard output: a PEM file that says which immured has which key, "
     "and that contains no secret. The public key comes from immured, which is asked for the key "
     "NAME, or from the file that --certificate names. In the second case immured need not run."},
    {"key test", "NAME", OPTIONS_ASK, key_test_run, "sign with a key, and verify the signatures",
     "Asks immured to sign a handshake message under each SignatureScheme of the key, verifies "
     "each signature with the public key, and says how long it took. The message is the first one "
     "that the policy of the key allows: of a TLS 1.3 server, a TLS 1.2 server, a TLS 1.3 client "
     "or a TLS 1.2 client."},
    {"certificate list", "[PATTERN]", OPTIONS_PROXY, certificate_list_run,
     "list the certificates that immure-proxy serves",
     "Lists the certificates that a running immure-proxy serves: all, or those that have PATTERN "
     "in "
     "a name, in the path of their file or in their key id."},
    {"certificate show", "NAME", OPTIONS_PROXY, certificate_show_run,
     "show all about the certificates of a name, file or key id",
     "Shows what immure-proxy knows about the certificates that have this name, this file (its "
     "path, or the last part of it) or this key id."},
    {"certificate check", NULL, OPTIONS_PROXY, certificate_check_run,
     "say what has changed on disk, without taking it",
     "Has immure-proxy read the files of its certificates, and says which it would add, replace "
     "and "
     "remove, and which it cannot use. Nothing comes into force. Keys are not read, so it does not "
     "find one that does not belong to its certificate."},
    {"certificate add", "CHAIN [KEY]", OPTIONS_PROXY | OPTION_FOLDER | OPTION_AS,
     certificate_add_run, "add a certificate to immure-proxy's folder",
     "Copies a certificate with its chain, and its key, into the folder from which immure-proxy "
     "serves certificates, and waits until it is served. Without KEY, the file CHAIN has the key, "
     "too. If immure-proxy refuses the certificate, the files are taken away again."},
    {"certificate replace", "NAME CHAIN [KEY]", OPTIONS_PROXY, certificate_replace_run,
     "replace a certificate in immure-proxy's folder",
     "Puts a certificate with its chain, and its key, in the place of the one that has this name, "
     "file or key id, and waits until it is served. If immure-proxy refuses it, the files before "
     "are put back."},
    {"certificate remove", "NAME", OPTIONS_PROXY, certificate_remove_run,
     "remove a certificate from immure-proxy's folder",
     "Removes the files of the certificate that has this name, file or key id, with its key and "
     "its OCSP response, once immure-proxy does not serve it any more. The key may be missing."},
    {"backend list", "[NAME]", OPTIONS_PROXY, backend_list_run,
     "list the servers of immure-proxy's backends",
     "Lists the servers of all backends of a running immure-proxy, or of the backend NAME: their "
     "state, what the checks and the operator say of them, and their weights."},
    {"backend drain", "NAME SERVER", OPTIONS_PROXY, backend_drain_run,
     "give a server no more new connections",
     "Gives the server SERVER of the backend NAME no more new connections. Those that it has go "
     "on, and so do its checks."},
    {"backend disable", "NAME SERVER", OPTIONS_PROXY, backend_disable_run,
     "give a server no more new connections, and do not check it",
     "Gives the server SERVER of the backend NAME no more new connections, and stops its checks. "
     "The connections that it has go on."},
    {"backend enable", "NAME SERVER", OPTIONS_PROXY, backend_enable_run,
     "let a server have connections again",
     "Ends what drain or disable has begun: whether the server SERVER of the backend NAME gets "
     "connections depends on the configuration and the checks again. A weight that was set stays."},
    {"backend weight", "NAME SERVER N", OPTIONS_PROXY, backend_weight_run,
     "set the weight of a server",
     "Sets the weight of the server SERVER of the backend NAME, from 1 to 256, until it is set "
     "again. With N = default it is the weight of the configuration again."},
    {"status", NULL, OPTIONS_ASK, status_run, "show the figures of immured",
     "Shows all figures of immured as they are now."},
    {"top", NULL, OPTIONS_ASK | OPTION_COUNT, top_run, "watch the figures of immured live",
     "Shows every second what immured is doing. On a terminal it fills the screen until you press "
     "q or Ctrl-C; elsewhere it prints lines."},
    {"openssl-config", NULL, OPTION_MODULE | OPTION_INTO | OPTION_NAME, openssl_config_run,
     "print what openssl.cnf needs to load the provider",
     "Prints the lines that load the provider. They are a configuration of OpenSSL by themselves, "
     "or they go to the end of an existing one. If standard output is appended to a file (>> "
     "openssl.cnf), or --into names a file, the lines extend the sections that are in force in "
     "that file, so that all other settings in them stay in force. With --into, the file itself "
     "is printed first."},
    {"check", "FILE", OPTION_TIMEOUT | OPTION_JSON | OPTION_CERTIFICATE, check_run,
     "check a key reference, or a configuration of immured",
     "Checks that FILE is a valid key reference, that its immured answers and has the key, and "
     "that the certificate belongs to the key. If FILE is not a PEM file, it is taken for a "
     "configuration of immured, and immured --test checks it."},
};

const size_t command_count = sizeof commands / sizeof commands[0];

/* Names in certificates, and of files, may contain control characters. These could forge lines or
 * talk to the terminal, so they become '?', as in the log. In UTF-8 those from U+0080 to U+009F
 * have two bytes. */
static void write_line(FILE *out, const char *format, va_list arguments)
{
    char *text = NULL;
    if (vasprintf(&text, format, arguments) < 0)
        return;
    for (unsigned char *at = (unsigned char *)text; *at != '\0'; at++)
        if (*at < ' ' || *at == 0x7f)
            *at = '?';
        else if (at[0] == 0xc2 && at[1] >= 0x80 && at[1] < 0xa0)
            at[0] = at[1] = '?';
    fputs(text, out);
    fputc('\n', out);
    free(text);
}

void print_line(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    write_line(stdout, format, arguments);
    va_end(arguments);
}

void complain(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("immure: ", stderr);
    write_line(stderr, format, arguments);
    va_end(arguments);
}
