#include "proxy/admin/admin.h"

#include <errno.h>
#include <microhttpd.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "proxy/admin/host.h"
#include "proxy/admin/render.h"

#define CONNECTIONS_MAX 128
#define CONNECTION_TIMEOUT_SECONDS 15
#define CONNECTION_MEMORY_BYTES (16 * 1024)

/* The embedded files (cmake/embed.cmake). */
extern const char embedded_page_html[], embedded_page_css[], embedded_page_js[],
    embedded_icon_svg[];

struct admin {
    struct admin_setup setup;
    struct usage_source *usage;
    uint64_t started; /* seconds since 1970 */
    struct MHD_Daemon *daemon;
    pthread_mutex_t rendering; /* held while a page is made, and while its certificates change */
};

/* Writes page.html, with the figures in place of its placeholders. */
static void render_page(FILE *out, const struct status *status)
{
    static const struct {
        const char *mark;
        void (*render)(FILE *out, const struct status *status);
    } parts[] = {{"<!-- summary -->", render_summary}, {"<!-- tables -->", render_tables}};
    const char *rest = embedded_page_html;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        const char *mark = strstr(rest, parts[i].mark);
        if (mark == NULL)
            continue;
        fwrite(rest, 1, (size_t)(mark - rest), out);
        parts[i].render(out, status);
        rest = mark + strlen(parts[i].mark);
    }
    fputs(rest, out);
}

static const struct resource {
    const char *path, *type;
    const char *fixed;                                      /* the body, or */
    void (*render)(FILE *out, const struct status *status); /* the function that writes it */
} resources[] = {
    {"/", "text/html; charset=utf-8", NULL, render_page},
    {"/page.css", "text/css; charset=utf-8", embedded_page_css, NULL},
    {"/page.js", "text/javascript; charset=utf-8", embedded_page_js, NULL},
    {"/icon.svg", "image/svg+xml", embedded_icon_svg, NULL},
    {"/metrics", "text/plain; version=0.0.4; charset=utf-8", NULL, render_metrics},
    {"/status.json", "application/json", NULL, render_status},
};

static struct MHD_Response *response_static(const char *text)
{
    return MHD_create_response_from_buffer(strlen(text), (void *)text, MHD_RESPMEM_PERSISTENT);
}

static struct MHD_Response *response_rendered(struct admin *admin, const struct resource *resource,
                                              const struct certificate_query *query)
{
    char *text = NULL;
    size_t length = 0;
    pthread_mutex_lock(&admin->rendering);
    struct status *status = status_take(&admin->setup, admin->usage, admin->started);
    FILE *out = status != NULL ? open_memstream(&text, &length) : NULL;
    bool failed = out == NULL;
    if (out != NULL) {
        status->query = *query;
        resource->render(out, status);
        failed = ferror(out) != 0;
        failed = fclose(out) != 0 || failed;
    }
    status_free(status);
    pthread_mutex_unlock(&admin->rendering);
    struct MHD_Response *response =
        failed ? NULL : MHD_create_response_from_buffer(length, text, MHD_RESPMEM_MUST_FREE);
    if (response == NULL)
        free(text);
    return response;
}

static enum MHD_Result respond(struct MHD_Connection *connection, unsigned code, const char *type,
                               struct MHD_Response *response)
{
    static const struct {
        const char *name, *value;
    } headers[] = {
        {"Content-Security-Policy",
         "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"},
        {"X-Content-Type-Options", "nosniff"},
        {"Referrer-Policy", "no-referrer"},
        {"Cache-Control", "no-store"},
    };
    if (response == NULL)
        return MHD_NO; /* out of memory: closes the connection */
    for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++)
        MHD_add_response_header(response, headers[i].name, headers[i].value);
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    if (code == MHD_HTTP_METHOD_NOT_ALLOWED)
        MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
    enum MHD_Result result = MHD_queue_response(connection, code, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result respond_error(struct MHD_Connection *connection, unsigned code,
                                     const char *text)
{
    return respond(connection, code, "text/plain; charset=utf-8", response_static(text));
}

static enum MHD_Result handle(void *arg, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *upload,
                              size_t *upload_size, void **request)
{
    (void)version, (void)upload, (void)upload_size, (void)request;
    struct admin *admin = arg;
    const struct proxy_config *config = admin->setup.config;
    const struct resource *found = NULL;
    const char *host =
        MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_HOST);
    /* A request without a Host header (HTTP/1.0) does not come from a browser. */
    if (host != NULL && !host_allowed(host, config->admin.hosts, config->admin.host_count))
        return respond_error(connection, MHD_HTTP_FORBIDDEN,
                             "The Host header names a host that is not allowed here: admin { hosts "
                             "= { \"NAME\" } } in immure-proxy.conf allows one.\n");
    for (size_t i = 0; i < sizeof resources / sizeof resources[0]; i++)
        if (strcmp(url, resources[i].path) == 0)
            found = &resources[i];
    if (found == NULL)
        return respond_error(connection, MHD_HTTP_NOT_FOUND, "There is no such page.\n");
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
        return respond_error(connection, MHD_HTTP_METHOD_NOT_ALLOWED,
                             "These pages are read-only: use GET or HEAD.\n");
    const struct certificate_query query = certificate_query_of(
        MHD_lookup_connection_value(connection, MHD_GET_ARGUMENT_KIND, "search"),
        MHD_lookup_connection_value(connection, MHD_GET_ARGUMENT_KIND, "page"));
    return respond(connection, MHD_HTTP_OK, found->type,
                   found->fixed != NULL ? response_static(found->fixed)
                                        : response_rendered(admin, found, &query));
}

/* Blocks all signals in the daemon's thread, which inherits the mask; other threads handle them. */
static struct MHD_Daemon *daemon_start(struct admin *admin)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    struct MHD_Daemon *daemon = MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_ITC, 0, NULL, NULL, handle, admin,
        MHD_OPTION_LISTEN_SOCKET, admin->setup.listener, MHD_OPTION_CONNECTION_LIMIT,
        (unsigned)CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT,
        (unsigned)CONNECTION_TIMEOUT_SECONDS, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        (size_t)CONNECTION_MEMORY_BYTES, MHD_OPTION_END);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return daemon;
}

struct admin *admin_new(const struct admin_setup *setup)
{
    struct admin *admin = calloc(1, sizeof *admin);
    if (admin == NULL || (admin->usage = usage_source_open()) == NULL) {
        log_error("admin: out of memory");
        free(admin);
        return NULL;
    }
    pthread_mutex_init(&admin->rendering, NULL);
    admin->setup = *setup;
    admin->started = clock_wall() / NS_PER_S;
    return admin;
}

bool admin_start(struct admin *admin)
{
    admin->daemon = daemon_start(admin);
    if (admin->daemon == NULL)
        log_error("admin: cannot serve on %s: %s", admin->setup.config->admin.listen.text,
                  strerror(errno));
    return admin->daemon != NULL;
}

void admin_set_certificates(struct admin *admin, const struct certificate_info *certificates,
                            size_t count, size_t failed)
{
    pthread_mutex_lock(&admin->rendering);
    admin->setup.certificates = certificates;
    admin->setup.certificate_count = count;
    admin->setup.certificates_failed = failed;
    pthread_mutex_unlock(&admin->rendering);
}

void admin_stop(struct admin *admin)
{
    if (admin == NULL)
        return;
    /* MHD_stop_daemon() alone would close the listener, which the next worker needs. */
    if (admin->daemon != NULL) {
        MHD_quiesce_daemon(admin->daemon);
        MHD_stop_daemon(admin->daemon);
    }
    usage_source_close(admin->usage);
    pthread_mutex_destroy(&admin->rendering);
    free(admin);
}
