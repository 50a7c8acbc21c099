#include "trespass.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The arguments do no harm where the call is permitted. The order is that of the tests. */
static const struct {
    long call, arguments[4];
} forbidden[] = {
    {SYS_open, {(long)"/etc/passwd", O_RDONLY}},
    {SYS_openat, {AT_FDCWD, (long)"/etc/passwd", O_RDONLY}},
    {SYS_socketpair, {1, 1, 0, 0}},
    {SYS_bind, {-1, 0, 0}},
    {SYS_listen, {-1, 0}},
    {SYS_execve, {(long)"/bin/true", 0, 0}},
    {SYS_fork, {0}},
    {SYS_clone, {SIGCHLD, 0, 0, 0}},
    {SYS_ptrace, {PTRACE_TRACEME, 0, 0, 0}},
    {SYS_process_vm_readv, {1, 0, 0, 0}},
    {SYS_process_vm_writev, {1, 0, 0, 0}},
    {SYS_memfd_create, {(long)"trespass", 0}},
    {SYS_prctl, {PR_SET_DUMPABLE, 1, 0, 0}},
    {SYS_kill, {1, 0}},
    {SYS_setuid, {0}},
    {SYS_unshare, {CLONE_NEWUSER}},
    {SYS_mount, {0, 0, 0, 0}},
    {SYS_bpf, {0, 0, 0}},
    {SYS_userfaultfd, {0}},
    {SYS_io_uring_setup, {1, 0}},
    {SYS_perf_event_open, {0, 0, -1, -1}},
    {SYS_mmap, {0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS}},
};

void trespass(unsigned number)
{
    if (number < sizeof forbidden / sizeof forbidden[0])
        syscall(forbidden[number].call, forbidden[number].arguments[0],
                forbidden[number].arguments[1], forbidden[number].arguments[2],
                forbidden[number].arguments[3], -1, 0);
}
