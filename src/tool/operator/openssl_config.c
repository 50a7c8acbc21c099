/*
 * immure openssl-config
 *
 * The provider `default` comes first and is activated by name, and ours stands behind a property
 * query: otherwise OpenSSL might fetch our EC keys for a key exchange, which they cannot do.
 * [default] is the name of the section that a configuration begins with, so the text may also stand
 * at the end of one: sections of the same name are one section, and Debian's openssl.cnf has three
 * of these.
 */
#include <errno.h>
#include <openssl/crypto.h>
#include <string.h>
#include <unistd.h>

#include "operator/command.h"

#define NOT_IN_A_VALUE "$\\\"'#\n"

static const char config[] = "[default]\n"
                             "openssl_conf = openssl_init\n"
                             "\n"
                             "[openssl_init]\n"
                             "providers = provider_sect\n"
                             "alg_section = algorithm_sect\n"
                             "\n"
                             "[provider_sect]\n"
                             "default = default_sect\n"
                             "immure = immure_sect\n"
                             "\n"
                             "[default_sect]\n"
                             "activate = 1\n"
                             "\n"
                             "[immure_sect]\n"
                             "module = %s\n"
                             "activate = 1\n"
                             "\n"
                             "[algorithm_sect]\n"
                             "default_properties = ?provider!=immure\n";

enum exit_status openssl_config_run(const struct options *options)
{
    char standard[4096];
    const char *module = options->module, *directory = OPENSSL_info(OPENSSL_INFO_MODULES_DIR);
    if (module == NULL) {
        snprintf(standard, sizeof standard, "%s/immure.so", directory != NULL ? directory : "");
        module = standard;
    }
    if (module[0] != '/' || strpbrk(module, NOT_IN_A_VALUE) != NULL) {
        complain("--module: \"%s\" is not an absolute path that openssl.cnf can hold", module);
        return EXIT_USAGE;
    }
    if (access(module, R_OK) != 0)
        complain("note: %s: %s", module, strerror(errno));
    printf(config, module);
    return EXIT_GOOD;
}
