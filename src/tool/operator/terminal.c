#include "operator/terminal.h"

#include <errno.h>
#include <langinfo.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "base/clock.h"
#include "operator/command.h"

#define HEIGHT_DEFAULT 24
#define CTRL_C 3
#define CTRL_D 4

/* Alternate screen, no cursor, no line wrapping; and back. */
#define ENTER "\033[?1049h\033[?25l\033[?7l"
#define LEAVE "\033[?7h\033[?25h\033[?1049l"

static struct termios before;
static volatile sig_atomic_t ended;

static void end(int number)
{
    (void)number;
    ended = 1;
}

bool terminal_enter(void)
{
    if (!isatty(STDOUT_FILENO) || tcgetattr(STDIN_FILENO, &before) != 0)
        return false;
    struct termios raw = before;
    raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO | ISIG); /* Ctrl-C arrives as a character */
    raw.c_cc[VMIN] = 0;
    raw.c_cc[VTIME] = 0;
    struct sigaction action = {.sa_handler = end};
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    if (tcsetattr(STDIN_FILENO, TCSANOW, &raw) != 0)
        return false;
    setlocale(LC_CTYPE, "");
    fputs(ENTER, stdout);
    fflush(stdout);
    return true;
}

void terminal_leave(void)
{
    fputs(LEAVE, stdout);
    fflush(stdout);
    tcsetattr(STDIN_FILENO, TCSANOW, &before);
}

unsigned terminal_height(void)
{
    struct winsize size;
    return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 ? size.ws_row
                                                                           : HEIGHT_DEFAULT;
}

unsigned terminal_width(void)
{
    struct winsize size;
    return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

void terminal_put_line(char line[TERMINAL_LINE_SIZE])
{
    unsigned width = terminal_width();
    if (width > 0 && strlen(line) > width)
        line[width] = '\0';
    print_line("%s", line);
}

bool terminal_utf8(void)
{
    return strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
}

bool terminal_wait_for_end(uint64_t until)
{
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    for (uint64_t now; !ended && (now = clock_now()) < until;) {
        int ready = poll(&input, 1, clock_poll_timeout(until, now));
        if (ready <= 0)
            continue;
        char key;
        ssize_t got = read(STDIN_FILENO, &key, 1);
        if (got == 0 || (got < 0 && errno != EINTR && errno != EAGAIN))
            return true; /* the terminal is gone */
        if (got == 1 && (key == 'q' || key == 'Q' || key == CTRL_C || key == CTRL_D))
            return true;
    }
    return ended;
}
