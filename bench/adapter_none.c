#include "adapters.h"

void adapter_begin(struct window *window, size_t size)
{
    (void)window;
    (void)size;
}
