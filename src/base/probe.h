/*
 * Static trace points (USDT): a no-op instruction and an ELF note, until a tracer replaces the
 * instruction by a trap. docs/tracing.md lists them, with their arguments.
 *
 *     PROBE(immure_proxy, turn_end, ns);
 *
 * Up to 12 arguments, integers or pointers. They are evaluated whether or not anybody traces, so
 * pass values that are at hand. Without <sys/sdt.h> (systemtap-sdt-dev) there are no probes.
 */
#ifndef BASE_PROBE_H
#define BASE_PROBE_H

#if __has_include(<sys/sdt.h>)
#define SDT_USE_VARIADIC
#include <sys/sdt.h>
#define PROBE(program, name, ...) STAP_PROBEV(program, name, __VA_ARGS__)
#else
static inline void probe_nothing(int first, ...)
{
    (void)first;
}
/* Keeps the compiler from reporting the arguments as unused. */
#define PROBE(program, name, ...) (0 ? probe_nothing(0, __VA_ARGS__) : (void)0)
#endif

#endif
