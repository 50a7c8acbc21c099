#include "provider/question.h"

#include <stdio.h>
#include <string.h>

void question_end(struct question *question, enum immure_error error, const char *text)
{
    question->done = true;
    question->error = error;
    if (error != IMMURE_OK)
        snprintf(question->error_text, sizeof question->error_text, "%s", text);
}

static void answered(void *arg, const struct immure_reply *reply)
{
    struct question *question = arg;
    question_end(question, reply->error, reply->error_text);
    question->backend = reply->backend;
    question->queue_ns = reply->queue_ns;
    question->work_ns = reply->work_ns;
    question->length = reply->output_length;
    if (reply->error == IMMURE_OK && reply->output_length <= question->size)
        memcpy(question->output, reply->output, reply->output_length);
    if (question->answered != NULL)
        question->answered(question);
}

enum immure_error question_send(struct question *question, struct immure_client *client,
                                uint64_t deadline, immure_request_id *id)
{
    memcpy(question->request.key_id, question->key->id, sizeof question->request.key_id);
    question->request.deadline = deadline;
    question->request.callback = answered;
    question->request.arg = question;
    return immure_request_submit(client, &question->request, id);
}
