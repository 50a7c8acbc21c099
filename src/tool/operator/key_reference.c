/* immure key reference */
#include <string.h>

#include "immure/reference.h"
#include "operator/keys.h"

static enum exit_status write_reference(const char *socket, const struct public_key *key)
{
    struct immure_reference reference = {.spki = key->spki, .spki_length = key->spki_length};
    char pem[IMMURE_REFERENCE_PEM_SIZE];
    memcpy(reference.key_id, key->id, sizeof reference.key_id);
    strncat(reference.socket, socket, IMMURE_SOCKET_PATH_MAX);
    enum immure_reference_error error = strlen(socket) > IMMURE_SOCKET_PATH_MAX
                                            ? IMMURE_REFERENCE_E_SOCKET
                                            : immure_reference_write_pem(&reference, pem);
    if (error != IMMURE_REFERENCE_OK) {
        complain("%s: %s", socket, immure_reference_error_text(error));
        return EXIT_FAILED;
    }
    fputs(pem, stdout);
    return EXIT_GOOD;
}

static enum exit_status from_certificate(const struct tool_options *options)
{
    struct public_key key;
    const char *problem = public_key_read(&key, options->certificate);
    if (problem != NULL) {
        complain("%s: %s", options->certificate, problem);
        return EXIT_FAILED;
    }
    enum exit_status status = EXIT_FAILED;
    if (public_key_is_taken(&key))
        status = write_reference(options->socket, &key);
    else
        complain("%s: its public key is %s; immured takes %s", options->certificate, key.type,
                 public_keys_taken);
    public_key_free(&key);
    return status;
}

static enum exit_status from_immured(const struct tool_options *options)
{
    struct tool_connection connection;
    struct keys keys;
    const struct listed_key *key;
    enum exit_status status = key_ask(&connection, options, &keys, &key);
    if (status != EXIT_GOOD)
        return status;
    status = write_reference(options->socket, &key->public_key);
    keys_free(&keys);
    connection_close(&connection);
    return status;
}

enum exit_status key_reference_run(const struct tool_options *options)
{
    if ((options->operands[0] != NULL) == (options->certificate != NULL)) {
        complain("key reference: either NAME or --certificate FILE is needed");
        return EXIT_USAGE;
    }
    return options->operands[0] != NULL ? from_immured(options) : from_certificate(options);
}
