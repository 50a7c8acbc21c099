/*
 * The commands of immure. One table defines dispatch, help, and the options that each command
 * takes. A command writes its result to standard output, reports errors in one line on standard
 * error, and returns an enum exit_status.
 */
#ifndef OPERATOR_COMMAND_H
#define OPERATOR_COMMAND_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* Part of the public interface: docs/immure.md has the same list. */
enum exit_status {
    EXIT_GOOD = 0,
    EXIT_FAILED = 1,      /* the operation failed, or the check found a fault */
    EXIT_USAGE = 2,       /* error in the command line */
    EXIT_UNREACHABLE = 3, /* no immured, a timeout, or immured does not serve this user */
    EXIT_NO_KEY = 4       /* immured has no such key */
};

/* A bit mask: the options that a command takes, or that were given. */
enum option_bit {
    OPTION_SOCKET = 1 << 0,
    OPTION_TIMEOUT = 1 << 1,
    OPTION_JSON = 1 << 2,
    OPTION_CERTIFICATE = 1 << 3,
    OPTION_MODULE = 1 << 4,
    OPTION_COUNT = 1 << 5,
    OPTION_INTO = 1 << 6,
    OPTION_NAME = 1 << 7,
    OPTION_PROXY = 1 << 8,
    OPTION_FOLDER = 1 << 9,
    OPTION_AS = 1 << 10
};

#define OPERANDS_MAX 3

struct tool_options {
    const char *operands[OPERANDS_MAX]; /* NAME, FILE...; NULL: none */
    const char *socket;
    const char *proxy;       /* the control socket of immure-proxy */
    const char *folder;      /* NULL: not given */
    const char *as;          /* name of the files; NULL: not given */
    const char *certificate; /* file; NULL: not given */
    const char *module;      /* path of the provider; NULL: in libcrypto's directory of modules */
    const char *into;        /* configuration; NULL: not given */
    const char *name;        /* the program's section name in openssl.cnf; NULL: not given */
    uint64_t timeout;        /* ns */
    uint64_t count;          /* 0: not given */
    bool json;
};

struct command {
    const char *name;    /* one word, or two separated by a space */
    const char *operand; /* "NAME", or "[NAME]" if it is optional, or several; NULL: none */
    unsigned options;    /* a mask of enum option_bit */
    enum exit_status (*run)(const struct tool_options *options);
    const char *summary; /* a line without a full stop */
    const char *text;    /* sentences */
};

extern const struct command commands[];
extern const size_t command_count;

enum exit_status backend_list_run(const struct tool_options *options);
enum exit_status backend_enable_run(const struct tool_options *options);
enum exit_status backend_drain_run(const struct tool_options *options);
enum exit_status backend_disable_run(const struct tool_options *options);
enum exit_status backend_weight_run(const struct tool_options *options);
enum exit_status certificate_list_run(const struct tool_options *options);
enum exit_status certificate_show_run(const struct tool_options *options);
enum exit_status certificate_check_run(const struct tool_options *options);
enum exit_status certificate_add_run(const struct tool_options *options);
enum exit_status certificate_replace_run(const struct tool_options *options);
enum exit_status certificate_remove_run(const struct tool_options *options);
enum exit_status key_list_run(const struct tool_options *options);
enum exit_status key_reference_run(const struct tool_options *options);
enum exit_status key_test_run(const struct tool_options *options);
enum exit_status status_run(const struct tool_options *options);
enum exit_status top_run(const struct tool_options *options);
enum exit_status openssl_config_run(const struct tool_options *options);
enum exit_status check_run(const struct tool_options *options);

/* One line on standard output, and "immure: ..." on standard error. Control characters become '?'.
 */
void print_line(const char *format, ...) __attribute__((format(printf, 1, 2)));
void complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
