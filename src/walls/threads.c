#include "walls/threads.h"

#include <sys/stat.h>

#define LINKS_OF_A_FOLDER 2

size_t threads_count(void)
{
    struct stat tasks;
    if (stat("/proc/self/task", &tasks) != 0 || tasks.st_nlink < LINKS_OF_A_FOLDER)
        return 0;
    return tasks.st_nlink - LINKS_OF_A_FOLDER;
}
