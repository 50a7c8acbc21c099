/* What admission has done since the last line in the log: one line a second at most. */
#ifndef PROXY_WORKER_ADMISSION_JOURNAL_H
#define PROXY_WORKER_ADMISSION_JOURNAL_H

#include "proxy/worker/admission/shares.h"
#include "proxy/worker/admission/standing.h"

/* Where handshakes wait, from the front: in the backlog, for their first step, in immured. */
enum delay { DELAY_ACCEPT, DELAY_BEGIN, DELAY_SIGN, DELAY_COUNT };

/* What is counted for the next line. */
enum deed { DEED_HELD, DEED_SHED_WAITED, DEED_SHED_ROOM, DEED_CONNECTIONS, DEED_RATE, DEED_COUNT };

struct journal {
    unsigned thread; /* its number */
    uint64_t logged; /* ns */
    uint64_t done[DEED_COUNT];
};

/* Each of these logs a line if a second has passed since the last one. */
void journal_overload(struct journal *journal, const struct standing delays[DELAY_COUNT],
                      const struct shares *shares, uint64_t now);
void journal_limit(struct journal *journal, uint64_t prefix, uint64_t now);
/* Returns whether it has logged that the overload is over. */
bool journal_end(struct journal *journal, uint64_t now);

#endif
