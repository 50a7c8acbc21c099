#include "proxy/store/problem.h"

#include <stdio.h>
#include <time.h>

const char *const chain_problem_names[CHAIN_PROBLEM_COUNT] = {
    [CHAIN_EXPIRED] = "expired",       [CHAIN_NOT_YET_VALID] = "not-yet-valid",
    [CHAIN_MISORDERED] = "misordered", [CHAIN_MUST_STAPLE] = "must-staple",
    [CHAIN_BAD_STAPLE] = "bad-staple", [CHAIN_NO_KEY] = "no-key"};

bool store_staples(const struct store_certificate *certificate, int64_t now)
{
    return certificate->staple.length > 0 && certificate->staple_before <= now &&
           now <= certificate->staple_after;
}

unsigned store_problems(const struct store_certificate *certificate, int64_t now)
{
    unsigned expired = certificate->chain_after < now;
    unsigned early = certificate->chain_before > now;
    unsigned stale = certificate->staple.length > 0 && !store_staples(certificate, now);
    return certificate->problems | expired << CHAIN_EXPIRED | early << CHAIN_NOT_YET_VALID |
           stale << CHAIN_BAD_STAPLE;
}

/* "Jan  2 03:04:05 2026 GMT", as libcrypto prints times. */
static void print_time(int64_t seconds, char *text, size_t size)
{
    struct tm utc;
    time_t time = seconds;
    if (gmtime_r(&time, &utc) == NULL || strftime(text, size, "%b %e %H:%M:%S %Y GMT", &utc) == 0)
        text[0] = '\0';
}

void chain_problem_describe(enum chain_problem problem, int64_t not_before, int64_t not_after,
                            char *text, size_t size)
{
    char when[64];
    switch (problem) {
    case CHAIN_EXPIRED:
        print_time(not_after, when, sizeof when);
        snprintf(text, size, "it, or one above it, has expired; its own validity ends on %s", when);
        break;
    case CHAIN_NOT_YET_VALID:
        print_time(not_before, when, sizeof when);
        snprintf(text, size, "it, or one above it, is not valid yet; its own validity begins on %s",
                 when);
        break;
    case CHAIN_MISORDERED:
        snprintf(text, size,
                 "a certificate in it is not issued by the one that follows; many clients refuse "
                 "such a chain");
        break;
    case CHAIN_BAD_STAPLE:
        snprintf(text, size,
                 "its OCSP response cannot be read, is out of date or malformed, or does not say "
                 "that this certificate is good; it is not sent");
        break;
    default:
        snprintf(text, size,
                 "it asks for a stapled OCSP response, which is not served; some clients refuse "
                 "it");
    }
}
