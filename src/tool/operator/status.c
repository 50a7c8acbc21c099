/* immure status */
#include <inttypes.h>

#include "base/clock.h"
#include "operator/figures.h"
#include "operator/json.h"

static void write_json(const struct figures *figures, const char *socket, double answer)
{
    json_open(NULL, '{');
    json_text("socket", socket);
    json_number("answer_seconds", answer);
    json_open("figures", '{');
    for (size_t i = 0; i < figures->count; i++)
        json_count(figures->list[i].name, figures->list[i].value);
    json_close('}');
    json_count("unknown_figures", figures->unknown);
    json_close('}');
}

static void write_table(const struct figures *figures, const char *socket, double answer)
{
    printf("immured at %s answers in %.3f ms\n\n", socket, 1000 * answer);
    for (size_t i = 0; i < figures->count; i++)
        printf("%-30s %14" PRIu64 "  %s\n", figures->list[i].name, figures->list[i].value,
               figures->list[i].help);
    if (figures->unknown > 0)
        printf("\n%zu more figures are newer than this immure\n", figures->unknown);
}

enum exit_status status_run(const struct tool_options *options)
{
    struct tool_connection connection;
    struct figures figures;
    enum exit_status status = EXIT_UNREACHABLE;
    if (!connection_open(&connection, options->socket, options->timeout)) {
        complain("%s", connection.problem);
        return status;
    }
    uint64_t asked = clock_now();
    enum immure_error error = figures_ask(&figures, &connection);
    double answer = (double)(figures.at - asked) / (double)NS_PER_S;
    status = error == IMMURE_OK ? EXIT_GOOD : connection_explain(&connection, error);
    if (error != IMMURE_OK)
        complain("%s", connection.problem);
    else if (options->json)
        write_json(&figures, options->socket, answer);
    else
        write_table(&figures, options->socket, answer);
    connection_close(&connection);
    return status;
}
