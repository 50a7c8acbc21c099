/* immure check: the kind of the file decides what is checked. */
#include "operator/check.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FILE_MAX (1u << 20) /* a reference with its certificate chain, or a configuration */

/* The whole file, zero-terminated; the caller frees it. NULL with errno. */
static char *read_file(const char *path, size_t *length)
{
    FILE *file = fopen(path, "re");
    char *text = file != NULL ? malloc(FILE_MAX + 1) : NULL;
    int reason = errno;
    if (text != NULL) {
        *length = fread(text, 1, FILE_MAX + 1, file);
        reason = ferror(file) ? errno : *length > FILE_MAX ? EFBIG : 0;
    }
    if (file != NULL)
        fclose(file);
    if (text != NULL && reason == 0) {
        text[*length] = '\0';
        return text;
    }
    free(text);
    errno = reason;
    return NULL;
}

static bool is_pem(const char *text)
{
    static const char begin[] = "-----BEGIN ";
    const char *found = strstr(text, begin);
    while (found != NULL && found > text && found[-1] != '\n')
        found = strstr(found + 1, begin);
    return found != NULL;
}

enum exit_status check_run(const struct tool_options *options)
{
    size_t length;
    char *text = read_file(options->operands[0], &length);
    if (text == NULL) {
        complain("%s: %s", options->operands[0], strerror(errno));
        return EXIT_FAILED;
    }
    enum exit_status status =
        is_pem(text) ? check_reference(options, text, length) : check_config(options);
    free(text);
    return status;
}
