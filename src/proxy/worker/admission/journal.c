#include "proxy/worker/admission/journal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"

#define HEAVIEST_TEXT_SIZE (SHARES_HEAVIEST * (PREFIX_TEXT_SIZE + 32))

/* Writes "; most work lately: PREFIX (12 ms), ...", or nothing. */
static void print_heaviest(const struct shares *shares, uint64_t now, char *text, size_t size)
{
    char prefix[PREFIX_TEXT_SIZE];
    size_t length = 0;
    text[0] = '\0';
    for (int i = 0; i < SHARES_HEAVIEST; i++) {
        if (shares->heaviest[i].prefix == PREFIX_NONE)
            continue;
        double cost = shares_cost(shares, shares->heaviest[i].level, now);
        int written =
            snprintf(text + length, size - length, "%s%s (%.0f ms)",
                     length == 0 ? "; most work lately: " : ", ",
                     prefix_print(shares->heaviest[i].prefix, prefix), cost / (double)NS_PER_MS);
        if (written < 0 || (size_t)written >= size - length)
            return;
        length += (size_t)written;
    }
}

static uint64_t ms(const struct standing *delay)
{
    return delay->waited / NS_PER_MS;
}

static void forget(struct journal *journal)
{
    memset(journal->done, 0, sizeof journal->done);
}

void journal_overload(struct journal *journal, const struct standing delays[DELAY_COUNT],
                      const struct shares *shares, uint64_t now)
{
    char heaviest[HEAVIEST_TEXT_SIZE];
    if (!log_due(&journal->logged, now))
        return;
    print_heaviest(shares, now, heaviest, sizeof heaviest);
    log_warning("thread %u: handshakes wait too long (%" PRIu64 " ms to be accepted, %" PRIu64
                " ms to begin, %" PRIu64 " ms in immured): %" PRIu64 " held back, %" PRIu64
                " shed after handshake-patience, %" PRIu64 " shed for room%s",
                journal->thread, ms(&delays[DELAY_ACCEPT]), ms(&delays[DELAY_BEGIN]),
                ms(&delays[DELAY_SIGN]), journal->done[DEED_HELD], journal->done[DEED_SHED_WAITED],
                journal->done[DEED_SHED_ROOM], heaviest);
    forget(journal);
}

void journal_limit(struct journal *journal, uint64_t prefix, uint64_t now)
{
    char text[PREFIX_TEXT_SIZE];
    if (!log_due(&journal->logged, now))
        return;
    log_warning("thread %u: connections are refused: %" PRIu64
                " over connections-by-source, %" PRIu64
                " over connection-rate-by-source, the last from %s",
                journal->thread, journal->done[DEED_CONNECTIONS], journal->done[DEED_RATE],
                prefix_print(prefix, text));
    forget(journal);
}

bool journal_end(struct journal *journal, uint64_t now)
{
    if (!log_due(&journal->logged, now))
        return false;
    log_info("thread %u: handshakes no longer wait too long", journal->thread);
    forget(journal);
    return true;
}
