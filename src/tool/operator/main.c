/* immure: the operator's tool. */
#include <errno.h>
#include <string.h>

#include "base/signals.h"
#include "operator/options.h"

int main(int argc, char **argv)
{
    const struct command *command;
    struct tool_options options;
    enum exit_status status;
    signals_reset(false);
    if (options_parse(argc, argv, &command, &options, &status))
        status = command->run(&options);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        complain("standard output: %s", strerror(errno));
        status = EXIT_FAILED;
    }
    return (int)status;
}
