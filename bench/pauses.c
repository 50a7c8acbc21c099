/*
 * What the machine itself takes from a thread: a loop that only reads the clock of its CPU, for so
 * many seconds, and the longest time that one reading of it was after the one before. A virtual
 * machine counts what its host takes from it as CPU time of whichever thread is running, so no turn
 * of an event loop can be measured more exactly than that. Prints seconds.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"

int main(int argc, char **argv)
{
    double seconds = argc == 2 ? strtod(argv[1], NULL) : 0;
    if (seconds <= 0) {
        fputs("usage: bench-pauses SECONDS\n", stderr);
        return 2;
    }
    uint64_t end = clock_now() + (uint64_t)(seconds * (double)NS_PER_S);
    uint64_t longest = 0;
    for (uint64_t before = clock_thread(); clock_now() < end;) {
        uint64_t cpu = clock_thread();
        longest = cpu - before > longest ? cpu - before : longest;
        before = cpu;
    }
    printf("%.6f\n", (double)longest / (double)NS_PER_S);
    return 0;
}
