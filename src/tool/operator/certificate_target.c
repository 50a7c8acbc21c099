#include "operator/certificate_target.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/ending.h"
#include "base/name_table.h"
#include "operator/control.h"

#define CERTBOT_CHAIN "/fullchain.pem"

void target_free(struct certificate_target *target)
{
    free(target->folder);
    free(target->chain);
    free(target->key);
    *target = (struct certificate_target){.folder = NULL};
}

/* The paths that immure-proxy has for the files of the pair. */
static bool set_paths(struct certificate_target *target)
{
    const struct folder_pair *pair = &target->pair;
    if (asprintf(&target->chain, "%s/%s%s", target->folder, pair->name,
                 pair->one_file ? ".pem" : ".crt") < 0)
        target->chain = NULL;
    if (asprintf(&target->key, "%s/%s%s", target->folder, pair->name,
                 pair->one_file ? ".pem" : ".key") < 0)
        target->key = NULL;
    if (target->chain != NULL && target->key != NULL)
        return true;
    complain("out of memory");
    return false;
}

/* ---- which folder ---- */

struct folder_search {
    struct control_answer answer;
    const char *wanted; /* NULL: any */
    char *found;
    struct name_table all;
};

/* Whether two paths lead to the same folder. */
static bool is_same_folder(const char *one, const char *other)
{
    char *a = realpath(one, NULL), *b = realpath(other, NULL);
    bool same = a != NULL && b != NULL && strcmp(a, b) == 0;
    free(a);
    free(b);
    return same;
}

static void source_line(struct control_answer *answer, const struct json_object *object)
{
    struct folder_search *search = (struct folder_search *)answer;
    const char *folder = json_read_text(object, "folder");
    if (folder == NULL || !name_table_add(&search->all, folder, NULL))
        return;
    if (search->found == NULL && (search->wanted == NULL || is_same_folder(folder, search->wanted)))
        search->found = strdup(folder);
}

/* "/a, /b". Returns text. */
static const char *list_folders(const struct name_table *folders, char *text, size_t size)
{
    size_t length = 0;
    text[0] = '\0';
    for (size_t i = 0; i < folders->count && length < size; i++)
        length += (size_t)snprintf(text + length, size - length, "%s%s", i > 0 ? ", " : "",
                                   folders->names[i]);
    return text;
}

static enum exit_status choose_folder(const struct folder_search *search,
                                      const struct tool_options *options)
{
    char all[1024];
    list_folders(&search->all, all, sizeof all);
    if (search->all.count == 0)
        complain("%s: the configuration of immure-proxy has no folder of certificates",
                 options->proxy);
    else if (search->found == NULL)
        complain("%s is no folder of immure-proxy; there are: %s", options->folder, all);
    else if (options->folder == NULL && search->all.count > 1)
        complain("immure-proxy has several folders; --folder says which: %s", all);
    else
        return EXIT_GOOD;
    return EXIT_FAILED;
}

static enum exit_status find_folder(struct certificate_target *target,
                                    const struct tool_options *options)
{
    struct folder_search search = {
        .answer.line = source_line, .wanted = options->folder, .all = NAME_TABLE_INIT};
    enum exit_status status = control_ask(&search.answer, options->proxy, "sources", NULL, NULL, 0);
    control_free(&search.answer);
    target->folder = search.found;
    if (status == EXIT_GOOD)
        status = choose_folder(&search, options);
    name_table_free(&search.all);
    return status;
}

/* ---- whether there is one already ---- */

struct twin_search {
    struct control_answer answer;
    const struct certificate_target *target;
    const char *key_type;
    char chain[PATH_MAX]; /* of the one that is there; "": none */
};

/* Whether keys are of one kind, of which a name has one certificate: "RSA-2048" and "RSA-4096". */
static bool is_same_kind(const char *one, const char *other)
{
    static const char digits[] = "0123456789";
    size_t length = strcspn(one, digits);
    return length == strcspn(other, digits) && strncmp(one, other, length) == 0;
}

static void twin_line(struct control_answer *answer, const struct json_object *object)
{
    struct twin_search *search = (struct twin_search *)answer;
    const char *folder = json_read_text(object, "folder"), *chain = json_read_text(object, "chain");
    const char *key_type = json_read_text(object, "key_type");
    if (folder != NULL && chain != NULL && key_type != NULL &&
        strcmp(folder, search->target->folder) == 0 && is_same_kind(key_type, search->key_type))
        snprintf(search->chain, sizeof search->chain, "%s", chain);
}

static bool has_twin(struct twin_search *search, const struct tool_options *options,
                     const char *name)
{
    char reason[256]; /* there is none, or one is found */
    control_ask(&search->answer, options->proxy, "show", name, reason, sizeof reason);
    control_free(&search->answer);
    return search->chain[0] != '\0';
}

/* Of two certificates of a kind for one name, only one is served. */
static enum exit_status refuse_twin(const struct certificate_target *target,
                                    const struct tool_options *options,
                                    const struct chain_file *chain)
{
    struct twin_search search = {
        .answer.line = twin_line, .target = target, .key_type = chain->key.type};
    for (size_t i = 0; i < chain->name_count; i++) {
        if (!has_twin(&search, options, chain->names[i]))
            continue;
        complain("%s has a certificate already, in %s; immure certificate replace replaces it",
                 chain->names[i], search.chain);
        return EXIT_FAILED;
    }
    return EXIT_GOOD;
}

/* ---- which name ---- */

static bool is_control(char letter)
{
    return (unsigned char)letter < ' ' || letter == 0x7f;
}

/* "*.example.com" has the files "_.example.com", as lego calls them. */
static bool set_name(struct certificate_target *target, const char *name)
{
    static const char *const refused[] = {".crt", ".key", ".pem", ".ocsp", ".issuer"};
    char *own = target->pair.name;
    if (strlen(name) > FOLDER_NAME_MAX || name[0] == '\0' || name[0] == '.' ||
        strchr(name, '/') != NULL)
        return false;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        if (ends_with(name, refused[i]))
            return false;
    for (const char *letter = name; *letter != '\0'; letter++)
        if (is_control(*letter))
            return false;
    snprintf(own, sizeof target->pair.name, "%s", name);
    for (char *star; (star = strchr(own, '*')) != NULL;)
        *star = '_';
    return true;
}

enum exit_status target_new(struct certificate_target *target, const struct tool_options *options,
                            const struct chain_file *chain)
{
    *target = (struct certificate_target){.pair.one_file = options->operands[1] == NULL};
    enum exit_status status = find_folder(target, options);
    const char *name = options->as != NULL ? options->as : chain->names[0];
    if (status == EXIT_GOOD && !set_name(target, name)) {
        complain(options->as != NULL ? "--as: \"%s\" cannot be the name of files, without an ending"
                                     : "files cannot be called \"%s\"; --as says another name",
                 name);
        status = EXIT_FAILED;
    }
    if (status == EXIT_GOOD && !set_paths(target))
        status = EXIT_FAILED;
    if (status == EXIT_GOOD)
        status = refuse_twin(target, options, chain);
    if (status != EXIT_GOOD)
        target_free(target);
    return status;
}

/* ---- which certificate ---- */

struct certificate_search {
    struct control_answer answer;
    struct certificate_target *target;
    char complaint[2 * PATH_MAX];
};

/* Only what is not written by another program, or in the configuration, is ours to change. */
static void check_source(struct certificate_search *search, const struct json_object *object)
{
    const char *chain = json_read_text(object, "chain"), *where = json_read_text(object, "where");
    const char *source = json_read_text(object, "source");
    if (source == NULL || strcmp(source, "folder") != 0)
        snprintf(
            search->complaint, sizeof search->complaint,
            "%s is named in %s:%d: change the files or the text there, and reload immure-proxy",
            chain, where != NULL ? where : "the configuration",
            (int)json_read_number(object, "line", 0));
    else if (ends_with(chain, CERTBOT_CHAIN))
        snprintf(search->complaint, sizeof search->complaint,
                 "%s is certbot's: certbot renews and deletes it", chain);
}

static void take_found(struct certificate_search *search, const struct json_object *object)
{
    struct certificate_target *target = search->target;
    const char *folder = json_read_text(object, "folder"), *chain = json_read_text(object, "chain");
    const char *slash = strrchr(chain, '/');
    const char *name = slash != NULL ? slash + 1 : chain;
    size_t length = strlen(name) - strlen(".crt");
    if (length > FOLDER_NAME_MAX) {
        snprintf(search->complaint, sizeof search->complaint, "%s: its name is too long", chain);
        return;
    }
    target->pair.one_file = ends_with(name, ".pem");
    snprintf(target->pair.name, sizeof target->pair.name, "%.*s", (int)length, name);
    target->folder = folder != NULL ? strdup(folder) : NULL;
    if (target->folder == NULL || !set_paths(target))
        snprintf(search->complaint, sizeof search->complaint, "out of memory");
}

static void found_line(struct control_answer *answer, const struct json_object *object)
{
    struct certificate_search *search = (struct certificate_search *)answer;
    const char *chain = json_read_text(object, "chain");
    const char *before = search->target->chain;
    if (chain == NULL || search->complaint[0] != '\0')
        return; /* more names */
    check_source(search, object);
    if (search->complaint[0] != '\0')
        return;
    if (before == NULL)
        take_found(search, object);
    else if (strcmp(before, chain) != 0)
        snprintf(search->complaint, sizeof search->complaint,
                 "there are several: %s and %s; say which file", before, chain);
}

enum exit_status target_find(struct certificate_target *target, const struct tool_options *options)
{
    struct certificate_search search = {.answer.line = found_line, .target = target};
    *target = (struct certificate_target){.folder = NULL};
    enum exit_status status =
        control_ask(&search.answer, options->proxy, "show", options->operands[0], NULL, 0);
    control_free(&search.answer);
    if (status == EXIT_GOOD && search.complaint[0] != '\0') {
        complain("%s", search.complaint);
        status = EXIT_FAILED;
    }
    if (status != EXIT_GOOD)
        target_free(target);
    return status;
}
