/* The configuration of immure-proxy: every directive with its default, every error with its line.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <sys/un.h>

#include "base/clock.h"
#include "base/log.h"
#include "proxy/config/address.h"
#include "proxy/config/descriptors.h"
#include "proxy/config/directives.h"
#include "proxy/config/load.h"
#include "proxy/config/network.h"

static char folder[] = "/tmp/immure-config-XXXXXX";
static char file[128];

static void write_file(const char *name, const char *text)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *out = fopen(path, "w");
    assert_non_null(out);
    fputs(text, out);
    fclose(out);
}

static int make_folder(void **state)
{
    (void)state;
    if (mkdtemp(folder) == NULL)
        return -1;
    snprintf(file, sizeof file, "%s/proxy.conf", folder);
    write_file("a.crt", "certificate");
    write_file("a.key", "key");
    write_file("b.key", "key");
    write_file("phrase", "secret");
    log_setup("test_config", LOG_LEVEL_ERROR, false);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    const char *names[] = {"proxy.conf", "a.crt", "a.key", "b.key", "phrase"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[128];
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        unlink(path);
    }
    return rmdir(folder);
}

static struct proxy_config *load_good(const char *text)
{
    struct conf_error error;
    write_file("proxy.conf", text);
    struct proxy_config *config = config_load(file, &error);
    if (config == NULL)
        fail_msg("refused: %s", error.text);
    return config;
}

#define CERTIFICATE "certificate { chain = a.crt key = a.key }"
#define BACKEND "backend app { address = \"127.0.0.1:8080\" }\n"
#define FRONTEND "frontend www { listen = \"*:8443\" backend = app " CERTIFICATE " }\n"
#define MINIMAL BACKEND FRONTEND
#define ROUTES BACKEND "frontend b { listen = \"*:1\" backend = app "

static void defaults(void **state)
{
    (void)state;
    struct proxy_config *config = load_good(MINIMAL);
    assert_string_equal(config->file, file);
    assert_in_range(config->workers, 1, 256);
    assert_in_range(config->keys.threads, 1, 256);
    assert_int_equal(config->signing, SIGNING_ASYNC);
    assert_false(config->real_time);
    assert_string_equal(config->user, "nobody");
    assert_false(config->log_json);
    assert_int_equal(config->log_level, LOG_LEVEL_INFO);
    assert_int_equal(config->max_connections, descriptors_connections(config->workers));
    assert_int_equal(config->listen_backlog, SOMAXCONN);
    assert_int_equal(config->handshake_budget, 200 * NS_PER_US);
    assert_int_equal(config->handshake_timeout, 10 * NS_PER_S);
    assert_int_equal(config->connect_timeout, 5 * NS_PER_S);
    assert_int_equal(config->idle_timeout, 600 * NS_PER_S);
    assert_int_equal(config->half_close_timeout, 30 * NS_PER_S);
    assert_int_equal(config->drain_timeout, 30 * NS_PER_S);
    assert_false(config->admin.enabled);
    assert_null(config->keys.socket);
    assert_null(config->keys.program);
    assert_null(config->keys.signing_backend);
    assert_null(config->keys.user);

    const struct frontend_config *frontend = &config->frontends[0];
    assert_int_equal(config->frontend_count, 1);
    assert_string_equal(frontend->name, "www");
    assert_int_equal(frontend->line, 2);
    assert_int_equal(frontend->routes->policy.tls_min, TLS1_2_VERSION);
    assert_int_equal(frontend->routes->policy.tls_max, TLS1_3_VERSION);
    assert_int_equal(frontend->routes->policy.tickets, 1);
    assert_int_equal(frontend->accept_proxy, PROXY_PROTOCOL_NONE);
    assert_null(frontend->routes->policy.alpn);
    assert_string_equal(frontend->routes->policy.ciphers,
                        conf_find(&proxy_grammar, SECTION_ROUTE, "ciphers")->standard);
    assert_string_equal(frontend->routes->policy.ciphersuites,
                        conf_find(&proxy_grammar, SECTION_ROUTE, "ciphersuites")->standard);
    assert_null(frontend->routes->policy.groups);
    assert_null(frontend->routes->certificates[0].pass_phrase_file);
    assert_string_equal(frontend->routes->certificates[0].policy, "tls-server");
    assert_int_equal(config->backends[0].proxy_protocol, PROXY_PROTOCOL_NONE);
    config_free(config);
}

static void top_level(void **state)
{
    (void)state;
    struct proxy_config *config = load_good("workers = 3\n"
                                            "signing = in-process\n"
                                            "priority = real-time\n"
                                            "user = www-data\n"
                                            "log = json\n"
                                            "log-level = debug\n"
                                            "max-connections = 7\n"
                                            "listen-backlog = 11\n"
                                            "handshake-budget = 250us\n"
                                            "handshake-timeout = 1s\n"
                                            "connect-timeout = 20ms\n"
                                            "idle-timeout = 2m\n"
                                            "half-close-timeout = 3s\n"
                                            "drain-timeout = 1h\n" MINIMAL);
    assert_int_equal(config->workers, 3);
    assert_int_equal(config->signing, SIGNING_IN_PROCESS);
    assert_string_equal(signing_mode_name(config->signing), "in-process");
    assert_true(config->real_time);
    assert_string_equal(config->user, "www-data");
    assert_true(config->log_json);
    assert_int_equal(config->log_level, LOG_LEVEL_DEBUG);
    assert_int_equal(config->max_connections, 7);
    assert_int_equal(config->listen_backlog, 11);
    assert_int_equal(config->handshake_budget, 250 * NS_PER_US);
    assert_int_equal(config->handshake_timeout, NS_PER_S);
    assert_int_equal(config->connect_timeout, 20 * NS_PER_MS);
    assert_int_equal(config->idle_timeout, 120 * NS_PER_S);
    assert_int_equal(config->half_close_timeout, 3 * NS_PER_S);
    assert_int_equal(config->drain_timeout, 3600 * NS_PER_S);
    config_free(config);
}

static void frontend_section(void **state)
{
    (void)state;
    char path[128];
    struct proxy_config *config =
        load_good(BACKEND "backend \"second\" { address = \"unix:app.sock\"\n"
                          "  proxy-protocol = v2 }\n"
                          "# a comment line\n"
                          "/* and a block\n"
                          "   of them */\n"
                          "frontend \"all\" {\n"
                          "  listen = { \"*:1\", \"127.0.0.1:2\", // one more\n"
                          "             \"[::1]:3\", \"unix:/run/front.sock\" }\n"
                          "  certificate { chain = a.crt key = b.key\n"
                          "    pass-phrase-file = phrase policy = any }\n" //
                  CERTIFICATE "\n"
                          "  alpn = { \"h2\", \"http/1.1\" }\n"
                          "  backend = second\n"
                          "  tls-min = 1.3 tls-max = 1.3\n"
                          "  ciphers = ECDHE ciphersuites = \"A:B\"\n"
                          "  groups = X25519\n"
                          "  tickets = 0 accept-proxy = any\n"
                          "}\n");
    const struct frontend_config *frontend = &config->frontends[0];
    assert_int_equal(frontend->line, 7);
    assert_int_equal(frontend->listen_count, 4);
    assert_string_equal(frontend->listen[0].text, "*:1");
    assert_int_equal(frontend->listen[0].line, 8);
    assert_int_equal(frontend->listen[3].line, 9);
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)&frontend->listen[1].socket;
    assert_int_equal(v4->sin_family, AF_INET);
    assert_int_equal(ntohs(v4->sin_port), 2);
    assert_int_equal(ntohl(v4->sin_addr.s_addr), INADDR_LOOPBACK);
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&frontend->listen[2].socket;
    assert_int_equal(v6->sin6_family, AF_INET6);
    assert_int_equal(ntohs(v6->sin6_port), 3);
    const struct sockaddr_un *local = (const struct sockaddr_un *)&frontend->listen[3].socket;
    assert_int_equal(local->sun_family, AF_UNIX);
    assert_string_equal(local->sun_path, "/run/front.sock");

    assert_int_equal(frontend->routes->certificate_count, 2);
    assert_int_equal(frontend->routes->certificates[0].line, 10);
    assert_int_equal(frontend->routes->certificates[1].line, 12);
    snprintf(path, sizeof path, "%s/phrase", folder);
    assert_string_equal(frontend->routes->certificates[0].pass_phrase_file, path);
    assert_string_equal(frontend->routes->certificates[0].policy, "any");
    snprintf(path, sizeof path, "%s/a.crt", folder);
    assert_string_equal(frontend->routes->certificates[0].chain, path);

    assert_int_equal(frontend->routes->policy.alpn_length, 12);
    assert_memory_equal(frontend->routes->policy.alpn, "\2h2\10http/1.1", 12);
    assert_int_equal(frontend->routes->backend, 1);
    assert_int_equal(frontend->routes->policy.tls_min, TLS1_3_VERSION);
    assert_string_equal(frontend->routes->policy.ciphers, "ECDHE");
    assert_string_equal(frontend->routes->policy.ciphersuites, "A:B");
    assert_string_equal(frontend->routes->policy.groups, "X25519");
    assert_int_equal(frontend->routes->policy.tickets, 0);
    assert_int_equal(frontend->accept_proxy, PROXY_PROTOCOL_ANY);

    const struct backend_config *backend = &config->backends[1];
    assert_string_equal(backend->name, "second");
    assert_int_equal(backend->line, 2);
    assert_int_equal(backend->proxy_protocol, PROXY_PROTOCOL_V2);
    snprintf(path, sizeof path, "%s/app.sock", folder);
    local = (const struct sockaddr_un *)&backend->servers[0].address.socket;
    assert_string_equal(local->sun_path, path);
    config_free(config);
}

/* A server has what it gives, and what its backend gives, except for its address. */
static void servers(void **state)
{
    (void)state;
    struct proxy_config *config = load_good(
        "backend first { address = \"127.0.0.1:1\" max-connections = 7 }\n"
        "backend app { address = \"127.0.0.1:2\" weight = 3 balance = source check = http\n"
        "  check-status = 204 slow-start = 10s\n"
        "  server { address = \"localhost:3\" weight = 4 max-connections = none }\n"
        "  server { address = \"unix:/run/app.sock\" backup = yes max-connections = 9 } "
        "}\n" FRONTEND);
    const struct backend_config *backend = &config->backends[1];
    assert_int_equal(config->backend_count, 2);
    assert_int_equal(config->server_count, 4);
    assert_int_equal(config->backends[0].server_count, 1);
    assert_int_equal(config->backends[0].servers[0].max_connections, 7);
    assert_int_equal(config->backends[0].balance, BALANCE_LEAST_CONNECTIONS);
    assert_int_equal(config->backends[0].check.kind, CHECK_NONE);
    assert_int_equal(config->backends[0].check.status.least, 200);
    assert_int_equal(config->backends[0].check.status.most, 399);
    assert_int_equal(config->backends[0].slow_start, 0);
    assert_ptr_equal(backend->servers, &config->servers[1]);
    assert_int_equal(backend->server_count, 3);
    assert_int_equal(backend->balance, BALANCE_SOURCE);
    assert_int_equal(backend->check.kind, CHECK_HTTP);
    assert_int_equal(backend->check.status.least, 204);
    assert_int_equal(backend->check.status.most, 204);
    assert_int_equal(backend->slow_start, 10 * NS_PER_S);
    for (int i = 0; i < 3; i++)
        assert_int_equal(backend->servers[i].backend, 1);
    assert_int_equal(backend->servers[0].weight, 3);
    assert_int_equal(backend->servers[0].max_connections, 0);
    assert_int_equal(backend->servers[0].addresses.count, 1);
    assert_string_equal(backend->servers[1].address.host, "localhost");
    assert_int_equal(backend->servers[1].addresses.count, 0);
    assert_int_equal(backend->servers[1].weight, 4);
    assert_false(backend->servers[1].backup);
    assert_int_equal(backend->servers[1].line, 4);
    assert_true(backend->servers[2].backup);
    assert_int_equal(backend->servers[2].weight, 3);
    assert_int_equal(backend->servers[2].max_connections, 9);
    config_free(config);
}

/* A route has what it gives, and what its frontend gives, except for certificates. */
static void routes(void **state)
{
    (void)state;
    struct proxy_config *config = load_good(
        BACKEND "backend second { address = \"127.0.0.1:2\" }\n"
                "frontend www { listen = \"*:1\" backend = app tls-min = 1.3 alpn = h2\n"
                "  certificates = certs unknown-name = reject\n"
                "  route \"api\" { backend = second tickets = 3\n"
                "    names = { \"API.example\", \"*.api.example\" }\n"
                "    client-alpn = \"h2\"\n"
                "    client-networks = { \"192.0.2.0/24\", \"2001:db8::1\" } }\n"
                "  route raw { passthrough = yes names = raw.example }\n"
                "  route own { tls-min = 1.2 certificate-list = a.crt " CERTIFICATE "} }\n"
                "frontend other { listen = \"*:2\" backend = app " CERTIFICATE "\n"
                "  route late { names = late.example } }\n");
    const struct frontend_config *www = &config->frontends[0];
    const struct route_config *own = &www->routes[0], *api = &www->routes[1];
    assert_int_equal(config->route_count, 6);
    assert_int_equal(www->route_count, 4);
    assert_true(www->unknown_name_reject);
    assert_false(config->frontends[1].unknown_name_reject);
    assert_int_equal(config->frontends[1].routes[1].number, 5);

    assert_true(own->own);
    assert_string_equal(own->name, "www");
    assert_int_equal(own->name_count, 0);
    assert_int_equal(own->backend, 0);
    assert_string_equal(strrchr(own->directory, '/'), "/certs");

    assert_false(api->own);
    assert_string_equal(api->name, "api");
    assert_int_equal(api->line, 5);
    assert_int_equal(api->backend, 1);
    assert_int_equal(api->name_count, 2);
    assert_string_equal(api->names[0], "api.example");
    assert_string_equal(api->names[1], "*.api.example");
    assert_memory_equal(api->conditions.alpn, "\2h2", 3);
    assert_int_equal(api->conditions.network_count, 2);
    assert_int_equal(api->policy.tickets, 3);
    assert_int_equal(api->policy.tls_min, TLS1_3_VERSION);
    assert_memory_equal(api->policy.alpn, "\2h2", 3);
    assert_null(api->directory);
    assert_int_equal(api->certificate_count, 0);
    assert_false(api->passthrough);

    assert_true(www->routes[2].passthrough);
    assert_int_equal(www->routes[3].policy.tls_min, TLS1_2_VERSION);
    assert_int_equal(www->routes[3].certificate_count, 1);
    assert_string_equal(strrchr(www->routes[3].list, '/'), "/a.crt");
    config_free(config);
}

static bool is_within(const char *text, const char *address)
{
    struct network network;
    const char *reason;
    struct sockaddr_storage socket = {.ss_family = strchr(address, ':') ? AF_INET6 : AF_INET};
    void *place = socket.ss_family == AF_INET6
                      ? (void *)&((struct sockaddr_in6 *)&socket)->sin6_addr
                      : (void *)&((struct sockaddr_in *)&socket)->sin_addr;
    assert_true(network_parse(text, &network, &reason));
    assert_int_equal(inet_pton(socket.ss_family, address, place), 1);
    return network_has(&network, &socket);
}

static void networks(void **state)
{
    (void)state;
    assert_true(is_within("192.0.2.0/24", "192.0.2.255"));
    assert_true(is_within("192.0.2.0/24", "::ffff:192.0.2.7"));
    assert_false(is_within("192.0.2.0/24", "192.0.3.0"));
    assert_true(is_within("192.0.2.128/25", "192.0.2.128"));
    assert_false(is_within("192.0.2.128/25", "192.0.2.127"));
    assert_true(is_within("192.0.2.1", "192.0.2.1"));
    assert_false(is_within("192.0.2.1", "192.0.2.0"));
    assert_true(is_within("0.0.0.0/0", "203.0.113.9"));
    assert_false(is_within("0.0.0.0/0", "2001:db8::1"));
    assert_true(is_within("::/0", "203.0.113.9"));
    assert_true(is_within("2001:db8::/33", "2001:db8:7fff::1"));
    assert_false(is_within("2001:db8::/33", "2001:db8:8000::1"));
}

/* A route that has no certificates uses those of its frontend. */
static void policies_fit_the_routes(void **state)
{
    (void)state;
    static const struct {
        const char *route, *policy;
    } cases[] = {{"names = a.example", "tls-server"},
                 {"names = a.example tls-max = 1.2", "tls12-server"},
                 {"names = a.example tls-max = 1.2 passthrough = yes", "tls-server"},
                 {"tls-max = 1.2 certificate { chain = a.crt key = b.key }", "tls-server"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[512];
        snprintf(text, sizeof text, ROUTES CERTIFICATE " route x { %s } }\n", cases[i].route);
        struct proxy_config *config = load_good(text);
        assert_string_equal(config->frontends[0].routes[0].certificates[0].policy, cases[i].policy);
        config_free(config);
    }
}

/* What a frontend without TLS 1.3 needs, its keys get, wherever else they are; no others. */
static void policies_fit_the_versions(void **state)
{
    (void)state;
    static const struct {
        const char *top, *versions, *given, *policy;
    } cases[] = {
        {"", "", "", "tls-server"},
        {"", "tls-max = 1.2", "", "tls12-server"},
        {"", "tls-max = 1.2", "policy = tls-server", "tls12-server"},
        {"", "tls-max = 1.2", "policy = tls13-server", "tls13-server"},
        {"", "tls-max = 1.2", "policy = any", "any"},
        {"", "tls-min = 1.3", "", "tls-server"},
        {"", "tls-min = 1.3", "policy = tls12-server", "tls12-server"},
        {"keys { socket = \"/run/s\" }\n", "tls-max = 1.2", "", "tls12-server"},
        {"signing = in-process\n", "tls-max = 1.2", "", "tls-server"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[1024];
        snprintf(text, sizeof text,
                 "%s" BACKEND "frontend first { listen = \"*:1\" backend = app %s\n"
                 "certificate { chain = a.crt key = a.key %s } }\n"
                 "frontend second { listen = \"*:2\" backend = app\n"
                 "certificate { chain = a.crt key = a.key %s }\n"
                 "certificate { chain = a.crt key = b.key tls12-groups = all } }\n",
                 cases[i].top, cases[i].versions, cases[i].given, cases[i].given);
        struct proxy_config *config = load_good(text);
        const struct certificate_config *second = config->frontends[1].routes->certificates;
        assert_string_equal(config->frontends[0].routes->certificates[0].policy, cases[i].policy);
        assert_string_equal(second[0].policy, cases[i].policy);
        assert_string_equal(second[0].tls12_groups, "common");
        assert_string_equal(second[1].policy, "tls-server");
        assert_string_equal(second[1].tls12_groups, "all");
        config_free(config);
    }
}

static void admin_and_keys(void **state)
{
    (void)state;
    struct proxy_config *config =
        load_good(MINIMAL "admin { listen = \"127.0.0.1:9443\" }\n"
                          "keys { threads = 5 program = /usr/lib/immured\n"
                          "  backend = slow user = 123 }\n");
    assert_true(config->admin.enabled);
    assert_string_equal(config->admin.listen.text, "127.0.0.1:9443");
    assert_int_equal(config->keys.threads, 5);
    assert_string_equal(config->keys.program, "/usr/lib/immured");
    assert_string_equal(config->keys.signing_backend, "slow");
    assert_string_equal(config->keys.user, "123");
    config_free(config);
    config = load_good(MINIMAL "keys { signing-backend = quick }\n");
    assert_string_equal(config->keys.signing_backend, "quick");
    config_free(config);
    config = load_good(MINIMAL "keys { socket = /run/immured.sock }\n");
    assert_string_equal(config->keys.socket, "/run/immured.sock");
    config_free(config);
}

/* The example with which the project began. */
static void example(void **state)
{
    (void)state;
    struct proxy_config *config =
        load_good("workers = 2\n"
                  "signing = async\n"
                  "frontend \"https\" {\n"
                  "    listen = \"*:8443\"\n"
                  "    certificate { chain = \"a.crt\"  key = \"a.key\" }\n"
                  "    certificate { chain = \"a.crt\"   key = \"a.key\" }\n"
                  "    alpn = { \"h2\", \"http/1.1\" }\n"
                  "    backend = \"app\"\n"
                  "}\n"
                  "backend \"app\" { address = \"127.0.0.1:8080\"  proxy-protocol = v2 }\n"
                  "admin { listen = \"127.0.0.1:9443\" }\n"
                  "keys { threads = 2 }             # or: socket = \"/run/immure/immured.sock\"\n");
    assert_int_equal(config->frontends[0].routes->certificate_count, 2);
    assert_int_equal(config->frontends[0].routes->backend, 0);
    assert_int_equal(config->keys.threads, 2);
    config_free(config);
}

static const struct refusal {
    const char *text;
    int line;
    const char *reason;
} refusals[] = {
    /* syntax */
    {"workers 2\n" MINIMAL, 1, "'workers' needs '=' and a value"},
    {"workers = \"2\nuser = x\n", 1, "this string does not end"},
    {"\n/* no end\n" MINIMAL, 2, "this comment does not end"},
    {MINIMAL "frontend b {\n  tickets = 1\n", 3, "this '{' is not closed"},
    {MINIMAL "}\n", 3, "unexpected closing brace"},
    {"frontend { }\n", 1, "frontend needs a name: NAME { ... }"},
    {"frontend a listen\n", 1, "frontend needs '{ ... }'"},
    {"workers += 2\n" MINIMAL, 1, "'workers' takes one value, not a list"},
    {"workers = 1\n\nworkers = 2\n" MINIMAL, 3, "'workers' is given twice (first in line 1)"},
    {BACKEND "frontend b { listen = \"*:1\" backend = app alpn = {\n} }\n", 2,
     "this list is empty"},
    {"user = \"a\\0b\"\n" MINIMAL, 1, "this string has a zero byte in it"},
    /* names */
    {"# comment\n# comment\nnonsense = 2\n" MINIMAL, 3, "unknown directive 'nonsense'"},
    {"\nworker = 2\n" MINIMAL, 2, "unknown directive 'worker'; did you mean 'workers'?"},
    {"sigining = async\n" MINIMAL, 1, "unknown directive 'sigining'; did you mean 'signing'?"},
    {"singing = sync\n" MINIMAL, 1, "unknown directive 'singing'; did you mean 'signing'?"},
    {"keys { frontend x { } }\n" MINIMAL, 1,
     "unknown directive 'frontend' in keys; this section belongs outside of all others"},
    {"certificate { }\n" MINIMAL, 1,
     "unknown directive 'certificate'; this section belongs in frontend"},
    {"fronted x { }\n" MINIMAL, 1, "unknown directive 'fronted'; did you mean 'frontend'?"},
    {"\nsection-begin = 2\n" MINIMAL, 2, "unknown directive 'section-begin'"},
    {"chain = x\n" MINIMAL, 1, "unknown directive 'chain'; it belongs in certificate"},
    {BACKEND "frontend b {\n  workers = 1 }\n", 3,
     "unknown directive 'workers' in frontend; it belongs outside of all sections"},
    {MINIMAL FRONTEND, 3, "the name 'www' is used twice"},
    {MINIMAL BACKEND, 3, "the name 'app' is used twice"},
    {MINIMAL "admin { listen = \"127.0.0.1:1\" }\nadmin { listen = \"127.0.0.1:2\" }\n", 4,
     "there is a second 'admin'"},
    {MINIMAL "keys { threads = 1 }\nkeys { threads = 2 }\n", 4, "there is a second 'keys'"},
    /* values */
    {"workers = 0\n" MINIMAL, 1, "workers must be 1 to 256 or auto, not '0'"},
    {"workers = 257\n" MINIMAL, 1, "workers must be 1 to 256 or auto, not '257'"},
    {"workers = -1\n" MINIMAL, 1, "workers must be 1 to 256 or auto, not '-1'"},
    {"workers = 2x\n" MINIMAL, 1, "workers must be 1 to 256 or auto, not '2x'"},
    {"max-connections = 99999999999999999999999\n" MINIMAL, 1,
     "max-connections must be 1 to 10000000 or auto, not '99999999999999999999999'"},
    {"signing = maybe\n" MINIMAL, 1, "signing must be async, sync or in-process, not 'maybe'"},
    {"log = xml\n" MINIMAL, 1, "log must be plain or json, not 'xml'"},
    {"log-level = all\n" MINIMAL, 1, "log-level must be error, warning, info or debug, not 'all'"},
    {"user = \"\"\n" MINIMAL, 1, "user is empty"},
    {"handshake-budget = 99us\n" MINIMAL, 1, "handshake-budget must be 100us to 1s, not '99us'"},
    {"handshake-budget = 1001ms\n" MINIMAL, 1,
     "handshake-budget must be 100us to 1s, not '1001ms'"},
    {"idle-timeout = 10\n" MINIMAL, 1,
     "idle-timeout must be 1ms to 24h, not '10'; it needs a unit: ms, s, m or h"},
    {"idle-timeout = 1d\n" MINIMAL, 1, "idle-timeout must be 1ms to 24h, not '1d'"},
    {"idle-timeout = 99999999999999999h\n" MINIMAL, 1,
     "idle-timeout must be 1ms to 24h, not '99999999999999999h'"},
    /* a frontend */
    {BACKEND, 2, "there is no 'frontend'"},
    {"", 1, "there is no 'frontend'"},
    {BACKEND "frontend b {\n backend = app " CERTIFICATE " }\n", 2, "frontend 'b' has no 'listen'"},
    {BACKEND "frontend b {\n listen = \"*:1\" " CERTIFICATE " }\n", 2,
     "frontend 'b' has no 'backend'"},
    {BACKEND "frontend b {\n listen = \"*:1\" backend = app }\n", 2,
     "frontend 'b' has no 'certificate'"},
    {BACKEND "frontend b {\n listen = \"*:1\"\n backend = ap " CERTIFICATE " }\n", 4,
     "there is no backend 'ap'"},
    {BACKEND "frontend b {\n listen = \"*:1\" backend = app\n tls-min = 1.3\n tls-max = 1.2\n"
             "  " CERTIFICATE " }\n",
     2, "frontend 'b': tls-min is higher than tls-max"},
    {BACKEND "frontend b { tls-min = 1.1 }\n", 2, "frontend 'b' has no 'listen'"},
    {BACKEND "frontend b { listen = \"*:1\" backend = app\n tls-min = 1.1 }\n", 3,
     "tls-min must be 1.2 or 1.3, not '1.1'"},
    {BACKEND "frontend b { listen = \"*:1\" backend = app\n alpn = { h2,\n\"\" } }\n", 4,
     "alpn: '' is not a name of 1 to 255 bytes"},
    {BACKEND "frontend b { listen = \"*:1\" backend = app\n tickets = 9 }\n", 3,
     "tickets must be 0 to 8, not '9'"},
    {BACKEND "frontend b { listen = \"*:1\" backend = app\n accept-proxy = v3 }\n", 3,
     "accept-proxy must be none, v1, v2 or any, not 'v3'"},
    /* its addresses */
    {BACKEND "frontend b { listen = { \"*:1\",\n\"*:0\" } }\n", 3,
     "listen: '*:0' is not HOST:PORT, [IPV6]:PORT, *:PORT, systemd:NAME or unix:PATH"},
    {BACKEND "frontend b { listen = \"*:65536\" }\n", 2,
     "listen: '*:65536' is not HOST:PORT, [IPV6]:PORT, *:PORT, systemd:NAME or unix:PATH"},
    {BACKEND "frontend b { listen = \"8443\" }\n", 2,
     "listen: '8443' is not HOST:PORT, [IPV6]:PORT, *:PORT, systemd:NAME or unix:PATH"},
    {BACKEND "frontend b { listen = \"::1:8443\" }\n", 2,
     "listen: '::1:8443' is not HOST:PORT, [IPV6]:PORT, *:PORT, systemd:NAME or unix:PATH"},
    {BACKEND "frontend b { listen = \"unix:\" }\n", 2,
     "listen: '' is not a socket's path of 1 to 107 bytes"},
    {MINIMAL "frontend b { listen = {\n\"*:1\",\n\"*:8443\" } backend = app " CERTIFICATE "}\n", 5,
     "listen *:8443 is used twice (first in line 2)"},
    {BACKEND "frontend b { listen = {\n\"*:1\",\n\"*:1\" } backend = app " CERTIFICATE "}\n", 4,
     "listen *:1 is used twice (first in line 3)"},
    {MINIMAL "admin { listen = \"127.0.0.1:1\"\n hosts = { a.example,\n\"b.example:9443\" } }\n", 5,
     "hosts: 'b.example:9443' is not the name of a host, without a port"},
    {MINIMAL "admin { listen = \"*:8443\" }\n", 3, "listen *:8443 is used twice (first in line 2)"},
    {MINIMAL "admin {\n}\n", 3, "admin has no 'listen'"},
    /* its routes */
    {ROUTES "unknown-name = reject route x {\n names = a.example } }\n", 2,
     "route 'x' has no 'certificate'"},
    {ROUTES CERTIFICATE "\nroute x {\n } }\n", 3, "route 'x' has neither 'names' nor certificates"},
    {BACKEND "frontend b { listen = \"*:1\" unknown-name = reject\n"
             "route x { " CERTIFICATE " } }\n",
     3, "route 'x' has no 'backend'"},
    {BACKEND "frontend b { listen = \"*:1\" unknown-name = reject " CERTIFICATE "\n"
             "route x { backend = app names = a.example } }\n",
     2, "frontend 'b' has no 'backend'"},
    {ROUTES CERTIFICATE "\nroute x { names = a.example\n backend = no } }\n", 4,
     "there is no backend 'no'"},
    {ROUTES CERTIFICATE "\nroute x { names = a.example\n workers = 2 } }\n", 4,
     "unknown directive 'workers' in route; it belongs outside of all sections"},
    {ROUTES "names = a.example } }\n", 2,
     "unknown directive 'names' in frontend; it belongs in route"},
    {ROUTES CERTIFICATE "\nroute x { names = a.example } route x { names = b.example } }\n", 3,
     "the name 'x' is used twice"},
    {ROUTES CERTIFICATE " tls-max = 1.2\nroute x { names = a.example tls-min = 1.3 } }\n", 3,
     "route 'x': tls-min is higher than tls-max"},
    {ROUTES CERTIFICATE "\nroute x { names = a.example passthrough = yes " CERTIFICATE "} }\n", 3,
     "route 'x' has certificates, which 'passthrough' does not use"},
    {ROUTES CERTIFICATE " passthrough = yes }\n", 2,
     "frontend 'b' has certificates, which 'passthrough' does not use"},
    {"signing = in-process\n" ROUTES CERTIFICATE "\nroute x {\n certificates = d } }\n", 5,
     "'certificates' needs immured: with signing = in-process each certificate must be a section"},
    /* names of routes */
    {ROUTES CERTIFICATE "\nroute x { names = { a.example,\n\"\" } } }\n", 4, "names is empty"},
    {ROUTES CERTIFICATE " route x {\n names = \"a..example\" } }\n", 3,
     "names: 'a..example' is not a DNS name"},
    {ROUTES CERTIFICATE " route x {\n names = \"-a.example\" } }\n", 3,
     "names: '-a.example' is not a DNS name"},
    {ROUTES CERTIFICATE " route x {\n names = \"a.example.\" } }\n", 3,
     "names: 'a.example.' ends with a dot, which clients leave out"},
    {ROUTES CERTIFICATE " route x {\n names = \"*.*.example\" } }\n", 3,
     "names: '*.*.example' has a '*' that is not its first label"},
    {ROUTES CERTIFICATE " route x {\n names = \"w*.example\" } }\n", 3,
     "names: 'w*.example' has a '*' that is not its first label"},
    {ROUTES CERTIFICATE " route x {\n names = \"192.0.2.1\" } }\n", 3,
     "names: '192.0.2.1' is an address, and clients name none"},
    {ROUTES CERTIFICATE " route x {\n names = \"b\xc3\xbc"
                        "cher.example\" } }\n",
     3,
     "names: 'b\xc3\xbc"
     "cher.example' must be written in its ASCII form, xn--..."},
    {ROUTES CERTIFICATE " route x {\n names = { a.example, A.example } } }\n", 2,
     "route 'x': the name 'a.example' is given twice"},
    {ROUTES CERTIFICATE "\nroute x { names = a.example client-alpn = h2 }\n"
                        "route y { names = a.example }\n"
                        "route z { names = { b.example, a.example } client-alpn = h2 } }\n",
     5, "route 'z': the route 'x' in line 3 has the name 'a.example' too, for the same clients"},
    /* networks of routes */
    {ROUTES CERTIFICATE " route x { names = a.example\n client-networks = \"10.0.0.1/8\" } }\n", 3,
     "client-networks: '10.0.0.1/8' has bits behind its prefix"},
    {ROUTES CERTIFICATE " route x { names = a.example\n client-networks = \"10.0.0.0/33\" } }\n", 3,
     "client-networks: '10.0.0.0/33' is neither an address nor a network, such as 192.0.2.0/24"},
    {ROUTES CERTIFICATE " route x { names = a.example\n client-networks = \"here\" } }\n", 3,
     "client-networks: 'here' is neither an address nor a network, such as 192.0.2.0/24"},
    /* its certificates */
    {BACKEND "frontend b { listen = \"*:1\" backend = app certificate {\n key = a.key } }\n", 2,
     "certificate has no 'chain'"},
    {BACKEND "frontend b { listen = \"*:1\" backend = app certificate {\n chain = a.crt } }\n", 2,
     "certificate has no 'key'"},
    {BACKEND "frontend b { listen = \"*:1\" backend = app certificate { chain = a.crt\n"
             " key = a.key policy = none } }\n",
     3, "policy must be tls-server, tls13-server, tls12-server, tls-client or any, not 'none'"},
    /* a backend */
    {"backend x {\n}\n" FRONTEND, 1, "backend 'x' has no 'address'"},
    {"backend x {\n address = \"*:80\" }\n" FRONTEND, 2,
     "address: '*:80' has no host to connect to"},
    {"backend x {\n address = \"nowhere\" }\n" FRONTEND, 2,
     "address: 'nowhere' is not HOST:PORT, [IPV6]:PORT or unix:PATH"},
    {"backend x { address = \"127.0.0.1:80\"\n proxy-protocol = v1\n proxy-tlvs = pass "
     "}\n" FRONTEND,
     3, "proxy-tlvs = pass needs proxy-protocol = v2"},
    {"backend x { address = \"127.0.0.1:80\"\n proxy-tlvs = some }\n" FRONTEND, 2,
     "proxy-tlvs must be none or pass, not 'some'"},
    {"backend x { address = \"127.0.0.1:80\"\n proxy-protocol = any }\n" FRONTEND, 2,
     "proxy-protocol must be none, v1 or v2, not 'any'"},
    {"backend x { address = \"127.0.0.1:80\"\n balance = best }\n" FRONTEND, 2,
     "balance must be least-connections, round-robin, source or random-two, not 'best'"},
    {"backend x { address = \"127.0.0.1:80\"\n failure-pause = 1m }\n" FRONTEND, 2,
     "failure-pause = 1m is longer than failure-pause-max = 30s"},
    {"backend x { address = \"127.0.0.1:80\"\n check-path = health }\n" FRONTEND, 2,
     "check-path: 'health' is not a path such as /health"},
    {"backend x { address = \"127.0.0.1:80\"\n check-path = \"/a b\" }\n" FRONTEND, 2,
     "check-path: '/a b' is not a path such as /health"},
    {"backend x { address = \"127.0.0.1:80\"\n check-host = \"a b\" }\n" FRONTEND, 2,
     "check-host: 'a b' is not the name of a host"},
    {"backend x { address = \"127.0.0.1:80\"\n check-status = 700 }\n" FRONTEND, 2,
     "check-status must be 100 to 599, or a range, not '700'"},
    {"backend x { address = \"127.0.0.1:80\"\n check-status = 399-200 }\n" FRONTEND, 2,
     "check-status must be 100 to 599, or a range, not '399-200'"},
    {"backend x { address = \"127.0.0.1:80\"\n check-interval = 1ms }\n" FRONTEND, 2,
     "check-interval must be 10ms to 24h, not '1ms'"},
    {"backend x { address = \"127.0.0.1:80\"\n backup = yes }\n" FRONTEND, 2,
     "unknown directive 'backup' in backend; it belongs in server"},
    /* a server */
    {"backend x {\n server { weight = 2 } }\n" FRONTEND, 2, "server has no 'address'"},
    {"backend x {\n server { address = \"127.0.0.1:80\"\n weight = 0 } }\n" FRONTEND, 3,
     "weight must be 1 to 256, not '0'"},
    {"backend x { address = \"127.0.0.1:80\"\n server { address = \"127.0.0.1:80\" } }\n" FRONTEND,
     2, "backend 'x': address 127.0.0.1:80 is given twice (first in line 1)"},
    {"server { address = \"127.0.0.1:80\" }\n" MINIMAL, 1,
     "unknown directive 'server'; this section belongs in backend"},
    /* keys */
    {MINIMAL "keys { socket = /x\n threads = 2 }\n", 4,
     "'threads' is for our own immured; with 'socket' there is none"},
    {MINIMAL "keys { socket = /x\n user = me }\n", 4,
     "'user' is for our own immured; with 'socket' there is none"},
    {MINIMAL "keys { signing-backend = a\n backend = b }\n", 4,
     "'backend' is the former name of 'signing-backend', which is given too"},
    {MINIMAL "keys { socket = /x\n backend = b }\n", 4,
     "'signing-backend' is for our own immured; with 'socket' there is none"},
    {MINIMAL "keys { threads = 0 }\n", 3, "threads must be 1 to 256 or auto, not '0'"},
};

static void every_error_with_its_line(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        char expected[sizeof(struct conf_error)];
        struct conf_error error;
        write_file("proxy.conf", refusals[i].text);
        struct proxy_config *config = config_load(file, &error);
        if (config != NULL)
            fail_msg("accepted: %s", refusals[i].text);
        snprintf(expected, sizeof expected, "%s:%d: %s", file, refusals[i].line,
                 refusals[i].reason);
        assert_string_equal(error.text, expected);
    }
    config_free(load_good(MINIMAL)); /* and no error stays behind in the parser */
}

static void expect_error(const char *text, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void expect_error(const char *text, const char *format, ...)
{
    char expected[sizeof(struct conf_error)];
    struct conf_error error;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(expected, sizeof expected, format, arguments);
    va_end(arguments);
    write_file("proxy.conf", text);
    assert_null(config_load(file, &error));
    assert_string_equal(error.text, expected);
}

static void files(void **state)
{
    (void)state;
    expect_error(BACKEND "frontend b { listen = \"*:1\" backend = app\n"
                         " certificate { chain = no.crt\n key = a.key } }\n",
                 "%s:3: chain %s/no.crt: No such file or directory", file, folder);
    expect_error(BACKEND "frontend b { listen = \"*:1\" backend = app\n"
                         " certificate { chain = a.crt\n key = . } }\n",
                 "%s:4: key %s/.: not a file", file, folder);
    expect_error(BACKEND "frontend b { listen = \"*:1\" backend = app\n"
                         " certificate { chain = a.crt key = a.key\n pass-phrase-file = no } }\n",
                 "%s:4: pass-phrase-file %s/no: No such file or directory", file, folder);

    expect_error(BACKEND "frontend b { listen = \"*:1\" backend = app\n" CERTIFICATE "\n"
                         " certificate { chain = a.crt key = a.key policy = any } }\n",
                 "%s:4: key %s/a.key has another policy in line 3", file, folder);

    struct conf_error error;
    assert_null(config_load("/nowhere/proxy.conf", &error));
    assert_string_equal(error.text, "/nowhere/proxy.conf: No such file or directory");
    assert_null(config_load(folder, &error));
    assert_non_null(strstr(error.text, "Is a directory"));
}

static void long_alpn_name(void **state)
{
    (void)state;
    char name[257] = {0}, text[1024];
    memset(name, 'x', 256);
    snprintf(text, sizeof text,
             BACKEND "frontend b { listen = \"*:1\" backend = app\n alpn = %s }\n", name);
    expect_error(text, "%s:3: alpn: 'xxxxxxxxxxxxxxxx...' is not a name of 1 to 255 bytes", file);
    name[255] = '\0';
    snprintf(text, sizeof text,
             BACKEND "frontend b { listen = \"*:1\" backend = app alpn = %s\n" CERTIFICATE "}\n",
             name);
    struct proxy_config *config = load_good(text);
    assert_int_equal(config->frontends[0].routes->policy.alpn_length, 256);
    config_free(config);
}

/* A file that is cut off at any byte is refused or accepted; nothing else. */
static void every_prefix(void **state)
{
    (void)state;
    const char *text = "workers = 2 # two\n" BACKEND
                       "frontend 'b' { listen = { \"*:1\", \"[::1]:2\" } /* all */ backend = app\n"
                       "alpn += { \"h2\" }\n" CERTIFICATE " } keys { threads = ${NO_SUCH:-3} }\n";
    for (size_t length = 0; length <= strlen(text); length++) {
        char *prefix = strndup(text, length);
        struct conf_error error;
        write_file("proxy.conf", prefix);
        struct proxy_config *config = config_load(file, &error);
        if (config == NULL)
            assert_memory_equal(error.text, file, strlen(file));
        config_free(config);
        free(prefix);
    }
    struct proxy_config *config = load_good(text);
    assert_int_equal(config->keys.threads, 3);
    config_free(config);
}

static void addresses_printed(void **state)
{
    (void)state;
    static const struct {
        const char *configured, *printed;
    } cases[] = {
        {"192.0.2.1:443", "192.0.2.1:443"},
        {"[2001:db8::1]:80", "[2001:db8::1]:80"},
        {"[::ffff:192.0.2.1]:443", "192.0.2.1:443"},
        {"unix:/run/app.sock", "unix:/run/app.sock"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct address address = {0};
        char reason[256], text[ADDRESS_TEXT_SIZE];
        assert_true(address_parse(cases[i].configured, ADDRESS_CONNECT, "/", &address, reason,
                                  sizeof reason));
        address_print(&address.socket, text);
        assert_string_equal(text, cases[i].printed);
        free(address.text);
    }
    char text[ADDRESS_TEXT_SIZE];
    address_print(&(struct sockaddr_storage){.ss_family = AF_UNIX}, text);
    assert_string_equal(text, "unix:");
}

static void documentation_is_in_sync(void **state)
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
    assert_string_equal(documented, text);
    free(documented);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults),
        cmocka_unit_test(top_level),
        cmocka_unit_test(frontend_section),
        cmocka_unit_test(servers),
        cmocka_unit_test(routes),
        cmocka_unit_test(networks),
        cmocka_unit_test(policies_fit_the_routes),
        cmocka_unit_test(policies_fit_the_versions),
        cmocka_unit_test(admin_and_keys),
        cmocka_unit_test(example),
        cmocka_unit_test(every_error_with_its_line),
        cmocka_unit_test(files),
        cmocka_unit_test(long_alpn_name),
        cmocka_unit_test(every_prefix),
        cmocka_unit_test(addresses_printed),
        cmocka_unit_test(documentation_is_in_sync),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
