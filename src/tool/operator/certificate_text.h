/* How the commands about certificates write what they say more than once. */
#ifndef OPERATOR_CERTIFICATE_TEXT_H
#define OPERATOR_CERTIFICATE_TEXT_H

#include <stdint.h>
#include <stdio.h>
#include <time.h>

#define CERTIFICATE_DATE_SIZE 32

/* "2027-01-31". Returns text. */
static inline const char *certificate_date(int64_t seconds, char text[CERTIFICATE_DATE_SIZE])
{
    struct tm broken;
    time_t time = (time_t)seconds;
    if (gmtime_r(&time, &broken) == NULL ||
        strftime(text, CERTIFICATE_DATE_SIZE, "%Y-%m-%d", &broken) == 0)
        snprintf(text, CERTIFICATE_DATE_SIZE, "-");
    return text;
}

#endif
