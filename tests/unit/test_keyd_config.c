/* immured.conf: what is taken, and that each mistake is named with its line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "conf/text.h"
#include "keyd/config.h"

#include "file_fixture.h"

static const struct backend *const backends[] = {&backend_openssl, NULL};

static bool load(struct config *config, const char *text)
{
    file_write(text, strlen(text));
    char *read = conf_text_read(file);
    bool good = config_load(config, file, read, backends);
    free(read);
    return good;
}

/* Loads what must be refused; what was said about it is on standard error. */
static void assert_refused(const char *text, int line, const char *reason)
{
    struct config config;
    int saved = dup(STDERR_FILENO), said[2];
    assert_int_equal(pipe(said), 0);
    dup2(said[1], STDERR_FILENO);
    bool good = load(&config, text);
    dup2(saved, STDERR_FILENO);
    close(saved);
    close(said[1]);
    char lines[2048] = "", expected[512];
    ssize_t length = read(said[0], lines, sizeof lines - 1);
    close(said[0]);
    assert_false(good);
    assert_true(length > 0);
    snprintf(expected, sizeof expected, "%s:%d: %s", file, line, reason);
    if (strstr(lines, expected) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", lines, expected);
}

static void everything(void **state)
{
    (void)state;
    struct config config;
    assert_true(load(&config, "# a comment\n"
                              "threads = 3\n"
                              "listen = \"/run/x.sock\" // another\n"
                              "user = 65533\n"
                              "allow-users = {\"www-data\",\n"
                              "  33}\n"
                              "allow-groups = ssl-cert rate = \"1000/s\" audit = all\n"
                              "backend = \"openssl\"\n"
                              "queue-age = 5s hold = 300us\n"
                              "log = json\n"
                              "log-level = debug\n"
                              "stall-timeout = \"500ms\"\n"
                              "key \"one\" {\n"
                              "  /* two\n lines */\n"
                              "  policy = tls13-server\n"
                              "  file = \"one.pem\" backend = auto\n"
                              "  pass-phrase-file = \"one.txt\"\n"
                              "}\n"
                              "key \"two\" { location = \"front.conf:7\" file = \"two.pem\"\n"
                              "  allow-users = {postgres} allow-groups = {tls, 7}\n"
                              "  rate = \"50/s burst 3\" }\n"));
    assert_int_equal(config.threads, 3);
    assert_string_equal(config.listen, "/run/x.sock");
    assert_string_equal(config.user, "65533");
    assert_int_equal(config.allow.users.count, 2);
    assert_string_equal(config.allow.users.texts[0], "www-data");
    assert_string_equal(config.allow.users.texts[1], "33");
    assert_int_equal(config.allow.groups.count, 1);
    assert_string_equal(config.allow.groups.texts[0], "ssl-cert");
    assert_int_equal(config.rate.interval, NS_PER_MS);
    assert_int_equal(config.rate.burst, NS_PER_S);
    assert_true(config.audit_all);
    assert_string_equal(config.backend, "openssl");
    assert_int_equal(config.queue_age, 5 * NS_PER_S);
    assert_int_equal(config.hold, 300 * NS_PER_US);
    assert_true(config.log_json);
    assert_int_equal(config.log_level, LOG_LEVEL_DEBUG);
    assert_int_equal(config.stall_timeout, 500 * NS_PER_MS);
    assert_int_equal(config.key_count, 2);
    assert_string_equal(config.keys[0].name, "one");
    assert_string_equal(config.keys[0].file, "one.pem");
    assert_string_equal(config.keys[0].backend, "auto");
    assert_string_equal(config.keys[0].pass_phrase_file, "one.txt");
    assert_int_equal(config.keys[0].policy, POLICY_TLS13_SERVER);
    char location[128];
    snprintf(location, sizeof location, "%s:17", file);
    assert_string_equal(config.keys[0].location, location);
    assert_string_equal(config.keys[1].location, "front.conf:7");
    assert_int_equal(config.keys[1].policy, POLICY_TLS_SERVER);
    assert_int_equal(config.keys[0].allow.users.count + config.keys[0].allow.groups.count, 0);
    assert_int_equal(config.keys[0].rate.interval, 0);
    assert_int_equal(config.keys[1].allow.users.count, 1);
    assert_int_equal(config.keys[1].allow.groups.count, 2);
    assert_string_equal(config.keys[1].allow.groups.texts[1], "7");
    assert_int_equal(config.keys[1].rate.interval, 20 * NS_PER_MS);
    assert_int_equal(config.keys[1].rate.burst, 60 * NS_PER_MS);
    config_free(&config);
}

static void files_are_opened(void **state)
{
    (void)state;
    struct config config;
    struct file_table files = FILE_TABLE_INIT;
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
    assert_true(config_open_files(&config, &files));
    assert_int_equal(files.count, sizeof names / sizeof names[0]);
    for (size_t i = 0; i < files.count; i++) {
        assert_string_equal(files.files[i].name, names[i]);
        assert_int_equal(files.files[i].descriptor, strcmp(names[i], "/") == 0 ? -EISDIR : -ENOENT);
    }
    file_table_close(&files);
    config_free(&config);
}

static void providers(void **state)
{
    (void)state;
    struct config config;
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
    assert_string_equal(config.keys[0].backend, "provider:hsm");
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
    struct config config;
    assert_true(load(&config, "key k { file = f }"));
    assert_int_equal(config.threads, sysconf(_SC_NPROCESSORS_ONLN));
    assert_null(config.listen);
    assert_null(config.user);
    assert_int_equal(config.allow.users.count + config.allow.groups.count, 0);
    assert_int_equal(config.rate.interval, 0);
    assert_false(config.audit_all);
    assert_string_equal(config.backend, "auto");
    assert_int_equal(config.queue_age, 2 * NS_PER_S);
    assert_int_equal(config.hold, 0);
    assert_null(config.keys[0].backend);
    assert_false(config.log_json);
    assert_int_equal(config.log_level, LOG_LEVEL_INFO);
    assert_int_equal(config.stall_timeout, 10 * NS_PER_S);
    assert_null(config.keys[0].pass_phrase_file);
    config_free(&config);
}

static void mistakes_are_named(void **state)
{
    (void)state;
    assert_refused("# c\n\nthreads = 0\n", 3,
                   "threads: \"0\" was given, expected: number from 1 to 256");
    assert_refused("threads = 257\n", 1, "threads: \"257\"");
    assert_refused("rate = \"5\"\n", 1, "rate: \"5\" was given, expected: \"1000/s\"");
    assert_refused("audit = none\n", 1, "audit: \"none\" was given, expected: refusals or all");
    assert_refused("threads = 2x\n", 1, "threads: \"2x\"");
    assert_refused("threads = -1\n", 1, "threads: \"-1\"");
    assert_refused("\nbogus = 1\n", 2, "unknown directive 'bogus'");
    assert_refused("\n\"\" = 1\n", 2, "cannot be parsed");
    assert_refused("key a {\n file = f\n bogus = 1\n}", 3, "unknown directive 'bogus'");
    assert_refused("listn = s\n", 1, "unknown directive 'listn'; did you mean 'listen'?");
    assert_refused("key a {\n fiel = f\n}", 2, "unknown directive 'fiel'; did you mean 'file'?");
    assert_refused("key a {\n file = f\n policy = tls\n}", 3,
                   "policy: \"tls\" was given, expected: tls-server");
    assert_refused("key k { uri = u file = f }", 1, "key \"k\": it has a file, or a uri, not both");
    assert_refused("provider p {\n}\nkey k { file = f }", 2,
                   "provider \"p\": it is a module, or an engine");
    assert_refused("provider p { module = m engine = e }", 1, "provider \"p\": it is a module, or");
    assert_refused("key k { file = f\n backend = \"provider:p\" }", 1,
                   "key \"k\": backend = provider:p: there is no such provider section");
    assert_refused("backend = \"magic\"\n", 1,
                   "backend: \"magic\" was given, expected: auto, or name of");
    assert_refused("log = xml\n", 1, "log: \"xml\" was given, expected: plain or json");
    assert_refused("log-level = all\n", 1, "log-level: \"all\"");
    assert_refused("key a {\n\n}\n", 3, "key \"a\": file is missing");
    assert_refused("key a { file = f }\nkey a { file = g }\n", 2, "found duplicate title 'a'");
    static const char *const durations[] = {"10", "0s", "s", "10h", "-5s", "1.5s", "99999999999s"};
    for (size_t i = 0; i < sizeof durations / sizeof durations[0]; i++) {
        char text[64];
        snprintf(text, sizeof text, "\n\nstall-timeout = \"%s\"\n", durations[i]);
        assert_refused(text, 3, "stall-timeout: ");
    }
}

static void directives_document(void **state)
{
    (void)state;
    FILE *out = tmpfile();
    config_print_directives(out);
    char text[8192];
    rewind(out);
    size_t length = fread(text, 1, sizeof text - 1, out);
    text[length] = '\0';
    fclose(out);
    FILE *document = fopen(DIRECTIVES_DOCUMENT, "r");
    assert_non_null(document);
    static char whole[32768];
    length = fread(whole, 1, sizeof whole - 1, document);
    whole[length] = '\0';
    fclose(document);
    /* run immured --directives again if this fails */
    assert_non_null(strstr(whole, text));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything),         cmocka_unit_test(files_are_opened),
        cmocka_unit_test(providers),          cmocka_unit_test(defaults),
        cmocka_unit_test(mistakes_are_named), cmocka_unit_test(directives_document),
    };
    return cmocka_run_group_tests(tests, file_make, file_remove);
}
