/* immure top: a screen that is redrawn each second, or one line per second. */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "operator/json.h"
#include "operator/rates.h"
#include "operator/terminal.h"

#define INTERVAL NS_PER_S
#define HISTORY 60         /* samples */
#define LINES_A_HEADING 20 /* in line mode */

struct top {
    const struct tool_options *options;
    struct tool_connection connection;
    struct figures figures, before;
    enum exit_status status; /* of the last request */
    double history[HISTORY]; /* of the first column, newest last */
};

static bool ask(struct top *top)
{
    bool asked_before = top->status == EXIT_GOOD;
    top->before = top->figures;
    enum immure_error error = figures_ask(&top->figures, &top->connection);
    top->status = error == IMMURE_OK ? EXIT_GOOD : connection_explain(&top->connection, error);
    if (!asked_before)
        top->before = top->figures; /* there is nothing to compare with */
    return top->status == EXIT_GOOD;
}

static void format_value(char *text, size_t size, double value, unsigned decimals)
{
    if (isfinite(value))
        snprintf(text, size, "%.*f", (int)decimals, value);
    else
        snprintf(text, size, "-");
}

/* ---- line mode ---- */

static void write_json(const struct top *top)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    json_open(NULL, '{');
    json_count("time", (uint64_t)now.tv_sec);
    for (size_t i = 0; i < column_count; i++)
        json_number(columns[i].name, column_value(&columns[i], &top->figures, &top->before));
    json_open("figures", '{');
    for (size_t i = 0; i < top->figures.count; i++)
        json_count(top->figures.list[i].name, top->figures.list[i].value);
    json_close('}');
    json_close('}');
}

static void write_line(const struct top *top, uint64_t line)
{
    char text[32];
    for (size_t i = 0; line % LINES_A_HEADING == 0 && i < column_count; i++)
        printf("%s%*s", i > 0 ? "  " : "", (int)strlen(columns[i].label), columns[i].label);
    if (line % LINES_A_HEADING == 0)
        putchar('\n');
    for (size_t i = 0; i < column_count; i++) {
        format_value(text, sizeof text, column_value(&columns[i], &top->figures, &top->before),
                     columns[i].decimals);
        printf("%s%*s", i > 0 ? "  " : "", (int)strlen(columns[i].label), text);
    }
    putchar('\n');
    fflush(stdout);
}

static void sleep_until(uint64_t moment)
{
    struct timespec time = {.tv_sec = (time_t)(moment / NS_PER_S),
                            .tv_nsec = (long)(moment % NS_PER_S)};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL) == EINTR)
        continue;
}

static enum exit_status run_lines(struct top *top)
{
    const struct tool_options *options = top->options;
    uint64_t count = options->count > 0 ? options->count : isatty(STDOUT_FILENO) ? UINT64_MAX : 1;
    uint64_t next = clock_now();
    bool answered = ask(top);
    for (uint64_t line = 0; answered && line < count && !ferror(stdout); line++) {
        sleep_until(next += INTERVAL);
        answered = ask(top);
        if (answered && options->json)
            write_json(top);
        else if (answered)
            write_line(top, line);
    }
    if (!answered)
        complain("%s", top->connection.problem);
    return top->status;
}

/* ---- screen mode: each frame is one write, so that it does not flicker ---- */

static void draw_history(FILE *screen, const struct top *top)
{
    static const char *const levels[] = {" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    double most = 0;
    for (size_t i = 0; i < HISTORY; i++)
        most = fmax(most, top->history[i]);
    for (size_t i = 0; i < HISTORY; i++) {
        double height = most > 0 ? ceil(8 * top->history[i] / most) : 0;
        fputs(levels[(size_t)fmin(fmax(height, 0), 8)], screen);
    }
    fprintf(screen, "  at most %.0f a second in the last minute\033[K\n\033[K\n", most);
}

/* Draws the columns in pairs, side by side. Returns the number of lines. */
static unsigned draw_columns(FILE *screen, const struct top *top)
{
    char text[32];
    for (size_t i = 0; i < column_count; i++) {
        format_value(text, sizeof text, column_value(&columns[i], &top->figures, &top->before),
                     columns[i].decimals);
        fprintf(screen, "%-14s %14s%s", columns[i].label, text,
                i % 2 == 0 && i + 1 < column_count ? "      " : "\033[K\n");
    }
    return (unsigned)(column_count + 1) / 2;
}

static void draw_figures(FILE *screen, const struct top *top, unsigned lines)
{
    const struct figures *figures = &top->figures;
    char text[32];
    fprintf(screen, "\033[K\n%-30s %14s  %14s\033[K\n", "FIGURE", "NOW", "A SECOND");
    for (size_t i = 0; i < figures->count && i + 2 < lines; i++) {
        const struct immure_stat *stat = &figures->list[i];
        format_value(text, sizeof text, figures_rate(figures, &top->before, stat->name), 0);
        fprintf(screen, "%-30s %14" PRIu64 "  %14s\033[K\n", stat->name, stat->value,
                stat->counter ? text : "");
    }
}

static void draw(const struct top *top)
{
    char *bytes = NULL;
    size_t length = 0;
    FILE *screen = open_memstream(&bytes, &length);
    if (screen == NULL)
        return;
    unsigned lines = 2;
    if (top->status != EXIT_GOOD)
        fprintf(screen, "\033[H%s\033[K\n\033[K\n", top->connection.problem);
    else
        fprintf(screen, "\033[Himmured at %s   (q ends)\033[K\n\033[K\n", top->options->socket);
    if (terminal_utf8()) {
        draw_history(screen, top);
        lines += 2;
    }
    if (top->status == EXIT_GOOD) {
        lines += draw_columns(screen, top);
        if (terminal_height() > lines + 3)
            draw_figures(screen, top, terminal_height() - lines - 1);
    }
    fputs("\033[J", screen);
    if (fclose(screen) == 0)
        fwrite(bytes, 1, length, stdout);
    fflush(stdout);
    free(bytes);
}

static void run_screen(struct top *top)
{
    uint64_t next = clock_now();
    do {
        double value = ask(top) ? column_value(&columns[0], &top->figures, &top->before) : 0;
        memmove(top->history, top->history + 1, sizeof top->history - sizeof top->history[0]);
        top->history[HISTORY - 1] = isfinite(value) ? value : 0;
        draw(top);
        uint64_t now = clock_now();
        next = next + INTERVAL > now ? next + INTERVAL : now + INTERVAL;
    } while (!terminal_wait_for_end(next));
}

enum exit_status top_run(const struct tool_options *options)
{
    struct top *top = calloc(1, sizeof *top);
    enum exit_status status = EXIT_UNREACHABLE;
    if (top == NULL) {
        complain("out of memory");
        return EXIT_FAILED;
    }
    top->options = options;
    /* In screen mode a request waits at most one interval, and top continues when immured comes
     * back. */
    if (!connection_open(&top->connection, options->socket, options->timeout)) {
        complain("%s", top->connection.problem);
    } else if (options->count == 0 && !options->json && terminal_enter()) {
        if (top->connection.timeout > INTERVAL)
            top->connection.timeout = INTERVAL;
        run_screen(top);
        terminal_leave();
        status = EXIT_GOOD;
    } else {
        status = run_lines(top);
    }
    if (top->connection.blocking != NULL)
        connection_close(&top->connection);
    free(top);
    return status;
}
