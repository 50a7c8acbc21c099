#include "keyd/sign/in_flight.h"

#include <openssl/rand.h>
#include <stdlib.h>

bool in_flight_init(struct in_flight *table)
{
    table->buckets = calloc(IN_FLIGHT_BUCKETS, sizeof(struct job *));
    return table->buckets != NULL &&
           RAND_bytes((unsigned char *)table->tables, sizeof table->tables) == 1;
}

void in_flight_release(struct in_flight *table)
{
    free(table->buckets);
    table->buckets = NULL;
}

static struct job **bucket_of(const struct in_flight *table, uint64_t session, uint64_t id)
{
    uint32_t hash = 0;
    for (unsigned byte = 0; byte < sizeof(uint64_t); byte++) {
        hash ^= table->tables[2 * byte][id >> 8 * byte & UINT8_MAX];
        hash ^= table->tables[2 * byte + 1][session >> 8 * byte & UINT8_MAX];
    }
    return &table->buckets[hash % IN_FLIGHT_BUCKETS];
}

void in_flight_add(struct in_flight *table, struct job *job, uint64_t session)
{
    struct job **bucket = bucket_of(table, session, job->id);
    job->in_flight_session = session;
    job->in_flight_next = *bucket;
    *bucket = job;
}

void in_flight_remove(struct in_flight *table, struct job *job, uint64_t session)
{
    struct job **place = bucket_of(table, session, job->id);
    while (*place != job)
        place = &(*place)->in_flight_next;
    *place = job->in_flight_next;
}

struct job *in_flight_find(const struct in_flight *table, uint64_t session, uint64_t id)
{
    struct job *job = *bucket_of(table, session, id);
    while (job != NULL && (job->id != id || job->in_flight_session != session))
        job = job->in_flight_next;
    return job;
}
