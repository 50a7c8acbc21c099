#include "control.h"

#include <err.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static struct control control_defaults = {.instances = 1, .delay = 1000, .ring = 64};
static struct control *control;

static void control_map(void)
{
    const char *path = getenv(CONTROL_VARIABLE);
    if (path == NULL) {
        control = &control_defaults;
        return;
    }
    int file = open(path, O_RDWR | O_CLOEXEC);
    if (file < 0)
        err(1, "%s=%s", CONTROL_VARIABLE, path);
    struct stat status;
    if (fstat(file, &status) != 0 || status.st_size < (off_t)sizeof *control)
        errx(1, "%s=%s: shorter than %zu bytes", CONTROL_VARIABLE, path, sizeof *control);
    control = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (control == MAP_FAILED)
        err(1, "%s=%s", CONTROL_VARIABLE, path);
    close(file);
}

struct control *control_get(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, control_map);
    return control;
}
