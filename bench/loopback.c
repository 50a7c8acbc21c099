#include "loopback.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>

void fail(const char *what)
{
    perror(what);
    exit(EXIT_FAILURE);
}

int loopback_listen(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (listener == -1 || bind(listener, (void *)&address, length) != 0 ||
        listen(listener, SOMAXCONN) != 0 || getsockname(listener, (void *)&address, &length) != 0)
        fail("bench: listen");
    printf("%u\n", ntohs(address.sin_port));
    fflush(stdout);
    return listener;
}
