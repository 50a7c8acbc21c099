/*
 * immure certificate add, replace and remove. The truth is in the files: they are changed first,
 * then immure-proxy is asked to take what has changed, and if it does not, they are as before.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "operator/certificate_target.h"
#include "operator/control.h"
#include "operator/key_owner.h"

#define REASON_SIZE 1024

#define BUSY_LIMIT (20 * NS_PER_S)
#define BUSY_PAUSE (100 * NS_PER_MS)

/* ---- what immure-proxy says ---- */

struct refresh {
    struct control_answer answer;
    const char *chain;         /* the file that was changed */
    char refusal[REASON_SIZE]; /* why it cannot be used; "": it can */
};

static void refresh_line(struct control_answer *answer, const struct json_object *object)
{
    struct refresh *refresh = (struct refresh *)answer;
    const char *file = json_read_text(object, "unusable");
    const char *reason = json_read_text(object, "reason");
    if (file != NULL && reason != NULL && strcmp(file, refresh->chain) == 0)
        snprintf(refresh->refusal, sizeof refresh->refusal, "%s", reason);
}

static bool has_result(const struct json_object *end, const char *wanted)
{
    const char *result = json_read_text(end, "result");
    return result != NULL && strcmp(result, wanted) == 0;
}

/* Asks for a refresh, and again while immure-proxy is busy: a configuration that is coming up may
 * have seen the files in any state, so it has to look at them again. */
static enum exit_status ask_until_free(struct control_answer *answer,
                                       const struct tool_options *options, char *reason,
                                       size_t size)
{
    const struct timespec pause = {.tv_nsec = BUSY_PAUSE};
    uint64_t deadline = clock_now() + BUSY_LIMIT;
    for (;;) {
        enum exit_status status =
            control_ask(answer, options->proxy, "refresh", NULL, reason, size);
        if (!has_result(&answer->end, "busy") || clock_now() > deadline)
            return status;
        control_free(answer);
        nanosleep(&pause, NULL);
    }
}

/* Whether immure-proxy has taken the change; `reason` says why not. */
static bool refresh_ask(const struct tool_options *options, const struct certificate_target *target,
                        char *reason, size_t size)
{
    struct refresh refresh = {.answer = {.line = refresh_line, .raw = options->json},
                              .chain = target->chain};
    enum exit_status status = ask_until_free(&refresh.answer, options, reason, size);
    if (status == EXIT_GOOD && refresh.refusal[0] != '\0')
        snprintf(reason, size, "%s", refresh.refusal);
    if (has_result(&refresh.answer.end, "reload")) {
        char what[REASON_SIZE / 2];
        snprintf(what, sizeof what, "%.*s", (int)sizeof what - 1, reason);
        snprintf(reason, size, "this takes a reload of immure-proxy, with another worker: %s",
                 what);
    }
    control_free(&refresh.answer);
    return status == EXIT_GOOD && refresh.refusal[0] == '\0';
}

/* The files are as before, and what immure-proxy knows about them shall be, too. */
static void refresh_back(const struct tool_options *options)
{
    char reason[REASON_SIZE];
    struct control_answer answer = {.line = NULL};
    ask_until_free(&answer, options, reason, sizeof reason);
    control_free(&answer);
}

static enum exit_status refuse(const struct tool_options *options, const char *reason)
{
    complain("%s; nothing has changed", reason);
    refresh_back(options);
    return EXIT_FAILED;
}

static void say(const struct tool_options *options, const char *change, const char *chain)
{
    if (!options->json)
        print_line("%-8s  %s", change, chain);
}

/* ---- the files that are given ---- */

static bool complain_of(const char *reason)
{
    complain("%s", reason);
    return false;
}

/* A chain and its key, which belong together. */
static bool read_files(struct chain_file *chain, const char *chain_path, const char *key_path)
{
    char reason[REASON_SIZE];
    if (!chain_file_read(chain, chain_path, reason, sizeof reason))
        return complain_of(reason);
    bool good = true;
    if (key_path == NULL && !chain->has_key) {
        snprintf(reason, sizeof reason, "%s: there is no private key in it; say its file, too",
                 chain_path);
        good = complain_of(reason);
    }
    if (good &&
        !key_belongs(key_path != NULL ? key_path : chain_path, chain, reason, sizeof reason))
        good = complain_of(reason);
    if (!good)
        chain_file_free(chain);
    return good;
}

/* From the operator's files, in any form, to those of the pair. */
static bool put(struct folder *folder, const struct folder_pair *pair,
                const struct chain_file *chain, const char *key_path)
{
    const char *key = key_path != NULL ? key_path : chain->path;
    bool separate = key_path != NULL || !pair->one_file;
    const struct folder_content chain_content = {.text = separate ? chain->text : NULL,
                                                 .length = chain->length,
                                                 .copied_from = pair->one_file ? key : NULL};
    const struct folder_content key_content = {.copied_from = key};
    return folder_put(folder, pair, &chain_content, &key_content);
}

/* ---- add ---- */

static enum exit_status add_to(struct folder *folder, const struct certificate_target *target,
                               const struct tool_options *options, const struct chain_file *chain)
{
    char reason[REASON_SIZE];
    if (folder_has(folder, target->pair.name)) {
        complain("%s/%s has files already; immure certificate replace replaces them",
                 target->folder, target->pair.name);
        return EXIT_FAILED;
    }
    if (!put(folder, &target->pair, chain, options->operands[1])) {
        complain("%s", folder->problem);
        return EXIT_FAILED;
    }
    if (refresh_ask(options, target, reason, sizeof reason)) {
        say(options, "added", target->chain);
        return EXIT_GOOD;
    }
    if (!folder_hide(folder, &target->pair) || !folder_settle(folder, &target->pair)) {
        complain("%s; and the files stay: %s", reason, folder->problem);
        return EXIT_FAILED;
    }
    return refuse(options, reason);
}

enum exit_status certificate_add_run(const struct tool_options *options)
{
    struct chain_file chain;
    struct certificate_target target;
    struct folder folder;
    if (!read_files(&chain, options->operands[0], options->operands[1]))
        return EXIT_FAILED;
    enum exit_status status = target_new(&target, options, &chain);
    if (status == EXIT_GOOD) {
        if (folder_open(&folder, target.folder)) {
            status = add_to(&folder, &target, options, &chain);
            folder_close(&folder);
        } else {
            complain("%s", folder.problem);
            status = EXIT_FAILED;
        }
        target_free(&target);
    }
    chain_file_free(&chain);
    return status;
}

/* ---- replace and remove ---- */

/* The folder of a certificate that is served, opened, if its files are ours to change. */
static enum exit_status open_target(const struct tool_options *options, bool needs_key,
                                    struct certificate_target *target, struct folder *folder)
{
    enum exit_status status = target_find(target, options);
    if (status != EXIT_GOOD)
        return status;
    bool good = folder_open(folder, target->folder);
    const char *manager = good ? folder_manager(folder, &target->pair) : NULL;
    if (manager != NULL)
        snprintf(folder->problem, sizeof folder->problem, "%s is %s's: %s renews and deletes it",
                 target->chain, manager, manager);
    bool ours = good && manager == NULL && folder_has_pair(folder, &target->pair, needs_key);
    if (ours)
        return EXIT_GOOD;
    complain("%s", folder->problem);
    if (good)
        folder_close(folder);
    target_free(target);
    return EXIT_FAILED;
}

/* The files are changed; what was there is hidden. */
static enum exit_status conclude(struct folder *folder, const struct certificate_target *target,
                                 const struct tool_options *options, const char *change)
{
    char reason[REASON_SIZE];
    if (refresh_ask(options, target, reason, sizeof reason)) {
        if (!folder_settle(folder, &target->pair)) {
            complain("%s", folder->problem);
            return EXIT_FAILED;
        }
        say(options, change, target->chain);
        return EXIT_GOOD;
    }
    if (!folder_restore(folder, &target->pair)) {
        complain("%s; and the files are not put back: %s", reason, folder->problem);
        return EXIT_FAILED;
    }
    return refuse(options, reason);
}

enum exit_status certificate_replace_run(const struct tool_options *options)
{
    struct chain_file chain;
    struct certificate_target target;
    struct folder folder;
    if (!read_files(&chain, options->operands[1], options->operands[2]))
        return EXIT_FAILED;
    enum exit_status status = open_target(options, true, &target, &folder);
    if (status == EXIT_GOOD) {
        if (put(&folder, &target.pair, &chain, options->operands[2])) {
            status = conclude(&folder, &target, options, "replaced");
        } else {
            complain("%s", folder.problem);
            status = EXIT_FAILED;
        }
        folder_close(&folder);
        target_free(&target);
    }
    chain_file_free(&chain);
    return status;
}

enum exit_status certificate_remove_run(const struct tool_options *options)
{
    struct certificate_target target;
    struct folder folder;
    enum exit_status status = open_target(options, false, &target, &folder);
    if (status != EXIT_GOOD)
        return status;
    if (folder_hide(&folder, &target.pair)) {
        status = conclude(&folder, &target, options, "removed");
    } else {
        complain("%s", folder.problem);
        status = EXIT_FAILED;
    }
    folder_close(&folder);
    target_free(&target);
    return status;
}
