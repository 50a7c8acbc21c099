/*
 * Static trace points (USDT): a no-op instruction and a note in the program's file, until a tracer
 * turns it into a trap. docs/tracing.md lists them, with their arguments.
 *
 *     PROBE(immure_proxy, turn_end, ns);
 *
 * Up to 12 arguments, integers or pointers. They are computed always: pass what is at hand. Without
 * <sys/sdt.h> (systemtap-sdt-dev) there are no probes.
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
/* The arguments count as used. */
#define PROBE(program, name, ...) (0 ? probe_nothing(0, __VA_ARGS__) : (void)0)
#endif

#endif
