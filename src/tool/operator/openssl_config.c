/*
 * immure openssl-config
 *
 * The output is made for the end of one particular configuration: it extends the sections that are
 * in force there, so that everything in them, such as the system's TLS policy, stays in force.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file_identity.h"
#include "operator/command.h"
#include "operator/config_merge.h"

#define NOT_IN_A_VALUE "$\\\"'#\n"
#define FILE_MAX (1 << 20) /* bytes */

struct file {
    char name[PATH_MAX]; /* initially zero */
    char *text;
    size_t length;
};

/* NULL, or what is wrong with the file. */
static const char *file_read(struct file *file)
{
    FILE *in = fopen(file->name, "re");
    if (in == NULL)
        return strerror(errno);
    file->text = malloc(FILE_MAX);
    const char *problem = file->text == NULL ? strerror(errno) : NULL;
    if (problem == NULL) {
        file->length = fread(file->text, 1, FILE_MAX, in);
        if (ferror(in))
            problem = strerror(errno);
        else if (file->length == FILE_MAX)
            problem = "it is too long for a configuration";
    }
    fclose(in);
    return problem;
}

/* Whether standard output appends to a file that is not empty (`>> openssl.cnf`). Reads the
 * file. */
static bool output_is_file(struct file *file)
{
    struct stat status;
    if (fstat(STDOUT_FILENO, &status) != 0 || !S_ISREG(status.st_mode) || status.st_size == 0)
        return false;
    if (readlink("/proc/self/fd/1", file->name, sizeof file->name - 1) < 0)
        snprintf(file->name, sizeof file->name, "%s", "standard output");
    return true;
}

/* Detects `--into FILE > FILE`, where the shell truncates the file first, and `>> FILE`, which
 * would duplicate its content. */
static bool output_is(const char *name)
{
    struct stat output, file;
    if (fstat(STDOUT_FILENO, &output) != 0 || !S_ISREG(output.st_mode) || stat(name, &file) != 0)
        return false;
    const struct file_identity identity = file_identity_of(&file);
    return file_identity_is(&identity, &output);
}

static enum exit_status write_into(const struct tool_options *options, const struct file *file,
                                   const char *module)
{
    struct config_merge merge = {.file = file->name,
                                 .text = file->text != NULL ? file->text : "",
                                 .length = file->length,
                                 .name = options->name != NULL ? options->name : "openssl_conf",
                                 .module = module};
    char *added = config_merge(&merge);
    if (added == NULL) {
        complain("%s", merge.problem);
        return EXIT_FAILED;
    }
    if (options->into != NULL)
        fwrite(file->text, 1, file->length, stdout);
    if (added[0] == '\0')
        complain("note: %s loads the provider already", file->name);
    else if (file->length > 0)
        fputs(file->text[file->length - 1] == '\n' ? "\n" : "\n\n", stdout);
    fputs(added, stdout);
    free(added);
    return EXIT_GOOD;
}

enum exit_status openssl_config_run(const struct tool_options *options)
{
    char standard[PATH_MAX];
    struct file file = {.text = NULL};
    const char *problem = NULL;
    const char *module = options->module, *directory = OPENSSL_info(OPENSSL_INFO_MODULES_DIR);
    if (module == NULL) {
        snprintf(standard, sizeof standard, "%s/immure.so", directory != NULL ? directory : "");
        module = standard;
    }
    if (module[0] != '/' || strpbrk(module, NOT_IN_A_VALUE) != NULL) {
        complain("--module: \"%s\" is not an absolute path that openssl.cnf can hold", module);
        return EXIT_USAGE;
    }
    if (options->into != NULL && output_is(options->into)) {
        complain("--into: %s is standard output, too; to add to a file in its place, leave --into "
                 "out, and use >>",
                 options->into);
        return EXIT_USAGE;
    }
    if (access(module, R_OK) != 0)
        complain("note: %s: %s", module, strerror(errno));
    if (options->into != NULL)
        snprintf(file.name, sizeof file.name, "%s", options->into);
    if (options->into != NULL || output_is_file(&file))
        problem = file_read(&file);
    enum exit_status status = EXIT_FAILED;
    if (problem != NULL)
        complain("%s: %s", file.name, problem);
    else
        status = write_into(options, &file, module);
    free(file.text);
    return status;
}
