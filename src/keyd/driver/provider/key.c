#include "keyd/driver/provider/key.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/regular_file.h"
#include "keyd/keys/files.h"

struct device_key *device_key_new(struct key *key, const char *uri, const struct files *files,
                                  char *reason, size_t size)
{
    struct device_key *device_key = calloc(1, sizeof *device_key);
    if (device_key == NULL || (uri != NULL && (device_key->uri = strdup(uri)) == NULL)) {
        snprintf(reason, size, "out of memory");
        goto failed;
    }
    device_key->key = key;
    const char *file = uri != NULL ? files_name_of_uri(uri) : NULL;
    if (file == NULL || files_read(files, file, FILES_LONGEST, &device_key->file))
        return device_key;
    snprintf(reason, size, "%s: %s", file, regular_file_reason(errno));
failed:
    device_key_free(device_key);
    return NULL;
}

void device_key_free(struct device_key *key)
{
    if (key == NULL)
        return;
    EVP_PKEY_free(key->handle);
    secret_free(&key->file);
    free(key->uri);
    free(key);
}

EVP_PKEY *device_key_find(const struct device_key *key, const struct module *module)
{
    return key->uri != NULL ? module_find_key(module, key->uri, &key->file)
                            : module_take_key(module, key->key->pair);
}

uint64_t device_key_bit(const struct wire_scheme *scheme)
{
    return UINT64_C(1) << (scheme - wire_schemes);
}
