/* immured.conf: what is accepted, and that each mistake is reported with its line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "conf/error.h"
#include "conf/text.h"
#include "keyd/process/load.h"

#include "file_fixture.h"

static const struct driver *const drivers[] = {&driver_openssl, &driver_provider, NULL};

static struct conf_error error;

static bool load(struct keyd_config *config, const char *text)
{
    file_write(text, strlen(text));
    char *read = conf_text_read(file);
    bool good = config_load(config, file, read, drivers, &error);
    free(read);
    return good;
}

static void assert_refused(const char *text, int line, const char *reason)
{
    struct keyd_config config;
    char expected[sizeof error.text];
    if (load(&config, text))
        fail_msg("accepted: %s", text);
    snprintf(expected, sizeof expected, "%s:%d: %s", file, line, reason);
    assert_string_equal(error.text, expected);
}

static void everything(void **state)
{
    (void)state;
    struct keyd_config config;
    assert_true(load(&config, "# a comment\n"
                              "threads = 3\n"
                              "listen = \"/run/x.sock\" // another\n"
                              "user = 65533\n"
                              "allow-users = {\"www-data\",\n"
                              "  33}\n"
                              "allow-groups = ssl-cert rate = \"1000/s\" audit = all\n"
                              "backend = \"openssl\"\n"
                              "queue-age = 5s hold = 300us verify = not-ecdsa\n"
                              "log = json\n"
                              "log-level = debug\n"
                              "stall-timeout = \"500ms\"\n"
                              "key \"one\" {\n"
                              "  /* two\n lines */\n"
                              "  policy = tls13-server tls12-groups = all\n"
                              "  file = \"one.pem\" backend = auto\n"
                              "  pass-phrase-file = \"one.txt\"\n"
                              "}\n"
                              "key \"two\" { location = \"front.conf:7\" file = \"two.pem\"\n"
                              "  allow-users = {postgres} allow-groups = {tls, 7}\n"
                              "  rate = \"50/s burst 3\" }\n"));
    assert_int_equal(config.threads, 3);
    assert_string_equal(config.listen, "/run/x.sock");
    assert_string_equal(config.user, "65533");
    assert_true(config.compact.ecdsa_unverified);
    assert_int_equal(config.allow.users.count, 2);
    assert_string_equal(config.allow.users.texts[0], "www-data");
    assert_string_equal(config.allow.users.texts[1], "33");
    assert_int_equal(config.allow.groups.count, 1);
    assert_string_equal(config.allow.groups.texts[0], "ssl-cert");
    assert_int_equal(config.server.rate.interval, NS_PER_MS);
    assert_int_equal(config.server.rate.burst, NS_PER_S);
    assert_true(config.audit_all);
    assert_string_equal(config.driver, "openssl");
    assert_int_equal(config.queue_age, 5 * NS_PER_S);
    assert_int_equal(config.hold, 300 * NS_PER_US);
    assert_true(config.log_json);
    assert_int_equal(config.log_level, LOG_LEVEL_DEBUG);
    assert_int_equal(config.server.stall_timeout, 500 * NS_PER_MS);
    assert_int_equal(config.key_count, 2);
    assert_string_equal(config.keys[0].name, "one");
    assert_string_equal(config.keys[0].file, "one.pem");
    assert_string_equal(config.keys[0].driver, "auto");
    assert_string_equal(config.keys[0].pass_phrase_file, "one.txt");
    assert_int_equal(config.keys[0].policy, POLICY_TLS13_SERVER);
    assert_true(config.keys[0].every_group);
    char location[128];
    snprintf(location, sizeof location, "%s:17", file);
    assert_string_equal(config.keys[0].location, location);
    assert_string_equal(config.keys[1].location, "front.conf:7");
    assert_int_equal(config.keys[1].policy, POLICY_TLS_SERVER);
    assert_false(config.keys[1].every_group);
    assert_int_equal(config.keys[0].allow.users.count + config.keys[0].allow.groups.count, 0);
    assert_int_equal(config.keys[0].rate.interval, 0);
    assert_int_equal(config.keys[1].allow.users.count, 1);
    assert_int_equal(config.keys[1].allow.groups.count, 2);
    assert_string_equal(config.keys[1].allow.groups.texts[1], "7");
    assert_int_equal(config.keys[1].rate.interval, 20 * NS_PER_MS);
    assert_int_equal(config.keys[1].rate.burst, 60 * NS_PER_MS);
    config_free(&config);
}

static void files_are_named(void **state)
{
    (void)state;
    struct keyd_config config;
    struct name_table files = NAME_TABLE_INIT;
    static const char *const names[] = {"/nonexistent/secret", "/nonexistent/one", "/",
                                        "/nonexistent/two", "/nonexistent/pin"};
    assert_true(load(&config,
                     "listen = \"/nonexistent/socket\" user = 65533\n"
                     "multibuffer-library = \"/nonexistent/library\"\n"
                     "ticket-secret-file = \"/nonexistent/secret\"\n"
                     "key a { file = \"/nonexistent/one\" pass-phrase-file = \"/\" }\n"
                     "key b { file = \"/nonexistent/one\" backend = openssl }\n"
                     "key c { uri = \"file:/nonexistent/two\" backend = \"provider:hsm\" }\n"
                     "key d { uri = \"pkcs11:file=x\" backend = \"provider:hsm\" }\n"
                     "provider hsm { engine = pkcs11 pin-file = \"/nonexistent/pin\" }\n"));
    assert_true(config_name_files(&config, &files));
    assert_int_equal(files.count, sizeof names / sizeof names[0]);
    for (size_t i = 0; i < files.count; i++)
        assert_string_equal(files.names[i], names[i]);
    name_table_free(&files);
    config_free(&config);
}

static void providers(void **state)
{
    (void)state;
    struct keyd_config config;
    char location[128];
    assert_true(load(&config, "key one { uri = \"pkcs11:object=one\" backend = \"provider:hsm\" }\n"
                              "provider hsm {\n"
                              "  parameters = {\"QUIET\", \"A=b=c\"}\n"
                              "  engine = pkcs11\n"
                              "  environment = {\"X=y\"} pin-file = pin timeout = 250ms\n"
                              "  system-calls = {files, socket} threads = 4\n"
                              "}\n"
                              "provider card { module = \"/x/qat.so\" asynchronous = yes\n"
                              "  properties = \"provider=qatprovider\" }\n"));
    assert_null(config.keys[0].file);
    assert_string_equal(config.keys[0].uri, "pkcs11:object=one");
    assert_string_equal(config.keys[0].driver, "provider:hsm");
    assert_int_equal(config.provider_count, 2);
    const struct provider_config *hsm = &config.providers[0], *card = &config.providers[1];
    snprintf(location, sizeof location, "%s:4", file);
    assert_string_equal(hsm->location, location);
    assert_string_equal(hsm->name, "hsm");
    assert_string_equal(hsm->engine, "pkcs11");
    assert_null(hsm->module);
    assert_int_equal(hsm->parameters.count, 2);
    assert_string_equal(hsm->parameters.texts[1], "A=b=c");
    assert_string_equal(hsm->environment.texts[0], "X=y");
    assert_string_equal(hsm->pin_file, "pin");
    assert_int_equal(hsm->timeout, 250 * NS_PER_MS);
    assert_int_equal(hsm->system_calls.count, 2);
    assert_int_equal(hsm->threads, 4);
    assert_false(hsm->asynchronous);
    assert_string_equal(card->module, "/x/qat.so");
    assert_string_equal(card->properties, "provider=qatprovider");
    assert_true(card->asynchronous);
    assert_int_equal(card->timeout, 5 * NS_PER_S);
    assert_int_equal(card->threads, 1);
    config_free(&config);
}

static void defaults(void **state)
{
    (void)state;
    struct keyd_config config;
    assert_true(load(&config, "key k { file = f }"));
    assert_int_equal(config.threads, sysconf(_SC_NPROCESSORS_ONLN));
    assert_null(config.listen);
    assert_null(config.user);
    assert_int_equal(config.allow.users.count + config.allow.groups.count, 0);
    assert_int_equal(config.server.rate.interval, 0);
    assert_false(config.audit_all);
    assert_string_equal(config.driver, "auto");
    assert_int_equal(config.queue_age, 2 * NS_PER_S);
    assert_int_equal(config.hold, 0);
    assert_null(config.keys[0].driver);
    assert_false(config.log_json);
    assert_int_equal(config.log_level, LOG_LEVEL_INFO);
    assert_int_equal(config.server.stall_timeout, 10 * NS_PER_S);
    assert_null(config.keys[0].pass_phrase_file);
    config_free(&config);
}

#define KEY "key k { file = f }\n"

static const struct refusal {
    const char *text;
    int line;
    const char *reason;
} refusals[] = {
    /* truncated files */
    {"key a { file = f }\nkey b {\n file = g\n", 2, "this '{' is not closed"},
    {KEY "allow-users = {\"www-data\",\n", 2, "this '{' is not closed"},
    {KEY "user = \"x\n", 2, "this string does not end"},
    {KEY "\n/* no end\n", 3, "this comment does not end"},
    {KEY "listen\n", 3, "premature end of file"},
    {KEY "}\n", 2, "unexpected closing brace"},
    /* duplicates */
    {"key a {\n policy = tls-server\n file = f\n policy = any\n}\n", 4,
     "'policy' is given twice (first in line 2)"},
    {"threads = 1\nthreads = 1\n" KEY, 2, "'threads' is given twice (first in line 1)"},
    {"allow-users = {a}\nallow-users = {b}\n" KEY, 2,
     "'allow-users' is given twice (first in line 1)"},
    {"allow-users = {a}\nallow-users = { }\n" KEY, 2, "this list is empty"},
    {"key a { file = f }\nkey a { file = g }\n", 2, "the name 'a' is used twice"},
    /* names */
    {"\nbogus = 1\n", 2, "unknown directive 'bogus'"},
    {"\n\"\" = 1\n", 2, "cannot be parsed"},
    {"key a {\n file = f\n bogus = 1\n}", 3, "unknown directive 'bogus' in key"},
    {"listn = s\n", 1, "unknown directive 'listn'; did you mean 'listen'?"},
    {"kye a { }\n", 1, "unknown directive 'kye'; did you mean 'key'?"},
    {"key a {\n fiel = f\n}", 2, "unknown directive 'fiel' in key; did you mean 'file'?"},
    {"file = f\n" KEY, 1, "unknown directive 'file'; it belongs in key"},
    {"key a { listen = x }", 1,
     "unknown directive 'listen' in key; it belongs outside of all sections"},
    {"key a { key b { } }", 1,
     "unknown directive 'key' in key; this section belongs outside of all others"},
    {"key { file = f }\n", 1, "key needs a name: NAME { ... }"},
    {"key \"\" { file = f }\n", 1, "the name of a key has 1 to 255 bytes"},
    {"threads 2\n", 1, "'threads' needs '=' and a value"},
    {"threads += 2\n" KEY, 1, "'threads' takes one value, not a list"},
    /* values */
    {"# c\n\nthreads = 0\n" KEY, 3, "threads must be 1 to 256 or auto, not '0'"},
    {"threads = 257\n" KEY, 1, "threads must be 1 to 256 or auto, not '257'"},
    {"threads = 2x\n" KEY, 1, "threads must be 1 to 256 or auto, not '2x'"},
    {"threads = -1\n" KEY, 1, "threads must be 1 to 256 or auto, not '-1'"},
    {"rate = \"5\"\n" KEY, 1, "rate must be \"1000/s\", \"90/m\" or \"1000/s burst 50\", not '5'"},
    {"audit = none\n" KEY, 1, "audit must be refusals or all, not 'none'"},
    {"yield = maybe\n" KEY, 1, "yield must be no or yes, not 'maybe'"},
    {"log = xml\n" KEY, 1, "log must be plain or json, not 'xml'"},
    {"log-level = all\n" KEY, 1, "log-level must be error, warning, info or debug, not 'all'"},
    {"user = \"\"\n" KEY, 1, "user is empty"},
    {"allow-groups = {a,\n\"\"}\n" KEY, 2, "allow-groups is empty"},
    {"listen = \"a\\0b\"\n" KEY, 1, "this string has a zero byte in it"},
    {"listen = \"a\\x00b\"\n" KEY, 1, "this string has a zero byte in it"},
    {"listen = ${HOME}\n" KEY, 1,
     "nothing is taken from the environment here: '${' must be written as \"\\${\""},
    {"listen = \"x${HOME}\"\n" KEY, 1,
     "nothing is taken from the environment here: '${' must be written as \"\\${\""},
    {"\nlisten = \"@name\"\n" KEY, 2,
     "listen: @name would be an abstract socket, whose name anybody can take and which has no "
     "mode; "
     "it must be a path"},
    {"key a {\n file = f\n policy = tls\n}", 3,
     "policy must be tls-server, tls13-server, tls12-server, tls-client or any, not 'tls'"},
    {"key a { file = f\n decrypt = yes }", 2,
     "decrypt must be no or tls-rsa-key-exchange, not 'yes'"},
    {"ticket-epoch = 1500ms\n" KEY, 1,
     "ticket-epoch must be 1s to 24h, whole seconds, not '1500ms'"},
    {"hold = 10\n" KEY, 1, "hold must be 1us to 1h, not '10'; it needs a unit: ms, s, m or h"},
    {"hold = 0s\n" KEY, 1, "hold must be 1us to 1h, not '0s'"},
    {"hold = s\n" KEY, 1, "hold must be 1us to 1h, not 's'"},
    {"hold = 10h\n" KEY, 1, "hold must be 1us to 1h, not '10h'"},
    {"hold = -5s\n" KEY, 1, "hold must be 1us to 1h, not '-5s'"},
    {"hold = \"1.5s\"\n" KEY, 1, "hold must be 1us to 1h, not '1.5s'"},
    {"hold = 99999999999s\n" KEY, 1, "hold must be 1us to 1h, not '99999999999s'"},
    /* contradictions */
    {"", 1, "there is no 'key'"},
    {"threads = 2\n\n", 3, "there is no 'key'"},
    {"\nkey a {\n\n}\n", 2, "key 'a' has no 'file' or 'uri'"},
    {"key k { uri = u\n file = f }", 1,
     "key 'k' has 'file' (line 2) and 'uri': only one of them can be"},
    {"provider p {\n}\n" KEY, 1, "provider 'p' has no 'module' or 'engine'"},
    {"provider p { module = m\n engine = e }\n" KEY, 2,
     "provider 'p' has 'module' (line 1) and 'engine': only one of them can be"},
    {"key k { file = f\n backend = \"provider:p\" }", 2, "there is no provider 'p'"},
    {"\nbackend = \"provider:p\"\n" KEY, 2, "there is no provider 'p'"},
    {"backend = \"magic\"\n" KEY, 1,
     "backend must be auto, openssl, multibuffer or provider:NAME, not 'magic'"},
};

static void mistakes_are_named(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++)
        assert_refused(refusals[i].text, refusals[i].line, refusals[i].reason);
    struct keyd_config config;
    assert_true(load(&config, KEY)); /* the last mistake leaves nothing behind in the parser */
    config_free(&config);
}

/* A truncated file is refused, because it might admit users, or drop a key's policy. */
static void what_is_cut_off_is_refused(void **state)
{
    (void)state;
    static const char text[] = "threads = 2\n"
                               "allow-users = {root, \"33\"} # these two\n"
                               "key \"one\" {\n"
                               "  file = 'one.pem' /* the one */\n"
                               "  allow-users = {\"34\"}\n"
                               "  policy = tls13-server\n"
                               "}\n"
                               "key two { file = two.pem }\n";
    const size_t whole = sizeof text - 1, first = (size_t)(strstr(text, "key two") - text);
    for (size_t length = 0; length <= whole; length++) {
        char *prefix = strndup(text, length);
        struct keyd_config config;
        bool good = load(&config, prefix);
        /* good only if the text ends after a complete section */
        if (good != (length >= whole - 1 || length == first || length == first - 1))
            fail_msg("%s: %s", good ? "accepted" : "refused", prefix);
        if (good)
            config_free(&config);
        else
            assert_memory_equal(error.text, file, strlen(file));
        free(prefix);
    }
}

static void directives_document(void **state)
{
    (void)state;
    char *text = NULL, *documented = NULL;
    size_t length = 0, room = 0;
    FILE *out = open_memstream(&text, &length);
    config_print_directives(out);
    fclose(out);
    FILE *document = fopen(DIRECTIVES_DOCUMENT, "r");
    assert_non_null(document);
    assert_true(getdelim(&documented, &room, '\0', document) > 0);
    fclose(document);
    /* run immured --directives again if this fails */
    assert_non_null(strstr(documented, text));
    free(documented);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything),          cmocka_unit_test(files_are_named),
        cmocka_unit_test(providers),           cmocka_unit_test(defaults),
        cmocka_unit_test(mistakes_are_named),  cmocka_unit_test(what_is_cut_off_is_refused),
        cmocka_unit_test(directives_document),
    };
    return cmocka_run_group_tests(tests, file_make, file_remove);
}
