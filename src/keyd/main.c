#include <stddef.h>

#include "keyd/process/keyd.h"

int main(int argc, char **argv)
{
    static const struct backend *const backends[] = {&backend_openssl, &backend_multibuffer,
                                                     &backend_provider, NULL};
    return keyd_main(argc, argv, backends);
}
