/* Checks a configuration by running immured --test. */
#include <errno.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "operator/check.h"
#include "operator/immured_program.h"
#include "operator/json.h"

extern char **environ;

/* The exit status of immured; -1: it could not be run. */
static int run_immured(char *file)
{
    char path[PATH_MAX], reason[128];
    char *arguments[] = {path, "--test", "--config", file, NULL};
    pid_t pid;
    int status;
    if (!immured_program_find(path, reason, sizeof reason)) {
        complain("%s", reason);
        return -1;
    }
    int error = posix_spawn(&pid, path, NULL, NULL, arguments, environ);
    if (error != 0) {
        complain("%s: %s", path, strerror(error));
        return -1;
    }
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

enum exit_status check_config(const struct tool_options *options)
{
    if (options->certificate != NULL) {
        complain("%s is no key reference, so no certificate can be for its key",
                 options->operands[0]);
        return EXIT_FAILED;
    }
    fflush(stdout);
    char *file = strdup(options->operands[0]);
    bool good = file != NULL && run_immured(file) == EXIT_SUCCESS;
    free(file);
    if (options->json) {
        json_open(NULL, '{');
        json_text("file", options->operands[0]);
        json_text("kind", "configuration");
        json_bool("good", good);
        json_close('}');
    } else if (good) {
        printf("good   %s is a configuration that immured takes\n", options->operands[0]);
    }
    return good ? EXIT_GOOD : EXIT_FAILED;
}
