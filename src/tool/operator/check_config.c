/* Checks a configuration by running immured --test. */
#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "operator/check.h"
#include "operator/json.h"

extern char **environ;

/* Relative to this program's directory: in the build tree, and installed (/usr/sbin is in root's
 * PATH only). */
static const char *const places[] = {"immured", "../sbin/immured"};

static bool find_immured(char path[PATH_MAX])
{
    char own[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", own, sizeof own - 1);
    own[length > 0 ? length : 0] = '\0';
    const char *directory = dirname(own);
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        int size = snprintf(path, PATH_MAX, "%s/%s", directory, places[i]);
        if (size < PATH_MAX && access(path, X_OK) == 0)
            return true;
    }
    return false;
}

/* The exit status of immured; -1: it could not be run. */
static int run_immured(char *file)
{
    char path[PATH_MAX];
    char *arguments[] = {path, "--test", "--config", file, NULL};
    pid_t pid;
    int status;
    if (!find_immured(path)) {
        complain("immured, which checks configurations, is not installed next to this program");
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
        complain("%s is no key reference, so no certificate can be for its key", options->operand);
        return EXIT_FAILED;
    }
    fflush(stdout);
    char *file = strdup(options->operand);
    bool good = file != NULL && run_immured(file) == EXIT_SUCCESS;
    free(file);
    if (options->json) {
        json_open(NULL, '{');
        json_text("file", options->operand);
        json_text("kind", "configuration");
        json_bool("good", good);
        json_close('}');
    } else if (good) {
        printf("good   %s is a configuration that immured takes\n", options->operand);
    }
    return good ? EXIT_GOOD : EXIT_FAILED;
}
