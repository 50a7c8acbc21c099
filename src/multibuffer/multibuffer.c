#include "multibuffer/multibuffer.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

static const char *const sonames[] = {"libcrypto_mb.so.13", "libcrypto_mb.so.12",
                                      "libcrypto_mb.so.11"};

static void *load(const char *name)
{
    return dlopen(name, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
}

static void *load_known(const char **name, char *reason, size_t size)
{
    for (size_t i = 0; i < sizeof sonames / sizeof sonames[0]; i++) {
        void *library = load(*name = sonames[i]);
        if (library != NULL)
            return library;
    }
    snprintf(reason, size, "there is no libcrypto_mb.so.11 to .so.13 here");
    return NULL;
}

static void *load_path(const char *path, char *reason, size_t size)
{
    void *library = load(path);
    if (library == NULL)
        snprintf(reason, size, "%s", dlerror());
    return library;
}

const char *multibuffer_load(const char *path, const struct multibuffer_symbol *symbols,
                             size_t count, void *functions, char *reason, size_t size)
{
    const char *name = path;
    void *library = path != NULL ? load_path(path, reason, size) : load_known(&name, reason, size);
    if (library == NULL)
        return NULL;
    for (size_t i = 0; name != NULL && i < count; i++) {
        void *symbol = dlsym(library, symbols[i].name);
        if (symbol == NULL) {
            snprintf(reason, size, "%s has no %s", name, symbols[i].name);
            name = NULL;
        }
        memcpy((char *)functions + symbols[i].offset, &symbol, sizeof symbol);
    }
    dlclose(library); /* RTLD_NODELETE: drops the reference, unloads nothing */
    return name;
}
