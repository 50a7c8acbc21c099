#include "proxy/worker/route/server_name.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"

static int slot = -1; /* where an SSL keeps its name */

static void free_name(void *parent, void *name, CRYPTO_EX_DATA *data, int index, long argl,
                      void *argp)
{
    (void)parent, (void)data, (void)index, (void)argl, (void)argp;
    free(name);
}

bool server_name_init(void)
{
    if (slot < 0)
        slot = SSL_get_ex_new_index(0, NULL, NULL, NULL, free_name);
    return slot >= 0;
}

/* One name of type host_name, as libssl takes it. */
static bool read_extension(SSL *ssl, char name[SERVER_NAME_MAX + 1])
{
    const unsigned char *bytes;
    size_t size;
    if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &bytes, &size) != 1)
        return false;
    struct reader reader = reader_of(bytes, size);
    bool whole = read_u16(&reader) == size - sizeof(uint16_t);
    bool host = read_u8(&reader) == TLSEXT_NAMETYPE_host_name;
    size_t length = read_u16(&reader);
    const uint8_t *text = read_bytes(&reader, length);
    if (!reader_done(&reader) || !whole || !host || length == 0 || length > SERVER_NAME_MAX ||
        memchr(text, '\0', length) != NULL)
        return false;
    for (size_t i = 0; i < length; i++)
        name[i] = (char)tolower(text[i]);
    name[length] = '\0';
    return true;
}

const char *server_name_take(SSL *ssl)
{
    char name[SERVER_NAME_MAX + 1];
    free(SSL_get_ex_data(ssl, slot));
    char *kept = read_extension(ssl, name) ? strdup(name) : NULL;
    if (SSL_set_ex_data(ssl, slot, kept) != 1) {
        free(kept);
        kept = NULL;
    }
    return kept;
}

const char *server_name_of(const SSL *ssl)
{
    return SSL_get_ex_data(ssl, slot);
}
