#include "keyd/sign/job.h"

#include <stdlib.h>
#include <string.h>

struct job *job_new(const struct key *key, const struct wire_scheme *scheme, const uint8_t *message,
                    size_t message_length)
{
    struct job *job = malloc(sizeof *job + message_length + key->signature_max);
    if (job == NULL)
        return NULL;
    uint8_t *room = (uint8_t *)(job + 1);
    *job = (struct job){.key = key,
                        .operation = scheme != NULL ? JOB_SIGN : JOB_DECRYPT,
                        .scheme = scheme,
                        .deadline = UINT64_MAX,
                        .message = room,
                        .message_length = message_length,
                        .result = room + message_length,
                        .result_max = key->signature_max};
    memcpy(room, message, message_length);
    list_init(&job->queue_node);
    list_init(&job->age_node);
    list_init(&job->session_node);
    return job;
}

#define OVERHEAD 64 /* of the allocator and of the reply's frame */

size_t job_cost(const struct key *key, size_t message_length)
{
    return sizeof(struct job) + message_length + 2 * key->signature_max + OVERHEAD;
}

void job_free(struct job *job)
{
    explicit_bzero(job, sizeof *job + job->message_length + job->result_max);
    free(job);
}
