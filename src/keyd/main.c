#include <stddef.h>

#include "keyd/process/keyd.h"

int main(int argc, char **argv)
{
    static const struct driver *const drivers[] = {&driver_openssl, &driver_multibuffer,
                                                   &driver_provider, NULL};
    return keyd_main(argc, argv, drivers);
}
