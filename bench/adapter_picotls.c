/* Calls sign_certificate as picotls does, and once more when woken. */
#include <stdlib.h>

#include "adapters.h"
#include "immure/picotls.h"

struct slot {
    struct window *window;
    ptls_async_job_t *job;
    struct slot *next; /* in the list of free slots */
};

static struct slot *free_slots;
static struct immure_picotls_signer signer;
static struct immure_client *client;

static struct immure_client *client_of(struct immure_picotls_signer *self, ptls_t *tls,
                                       uint64_t *deadline)
{
    (void)self, (void)tls, (void)deadline;
    return client;
}

static void woken(void *arg)
{
    struct slot *slot = arg;
    uint16_t scheme;
    ptls_buffer_t output;
    uint8_t room[256];
    ptls_buffer_init(&output, room, sizeof room);
    if (signer.super.cb(&signer.super, NULL, &slot->job, &scheme, &output, ptls_iovec_init(NULL, 0),
                        NULL, 0) != 0)
        window_fail("sign_certificate", "no signature");
    ptls_buffer_dispose(&output);
    slot->next = free_slots;
    free_slots = slot;
    window_signed(slot->window, IMMURE_OK);
}

static void ask(struct window *window)
{
    struct slot *slot = free_slots;
    const struct immure_request *request = &window->request;
    uint16_t scheme;
    free_slots = slot->next;
    slot->window = window;
    if (signer.super.cb(&signer.super, NULL, &slot->job, &scheme, NULL,
                        ptls_iovec_init(request->input, request->input_length), &request->scheme,
                        1) != PTLS_ERROR_ASYNC_OPERATION)
        window_fail("sign_certificate", "not accepted");
    slot->job->set_completion_callback(slot->job, woken, slot);
}

void adapter_begin(struct window *window, size_t size)
{
    struct slot *slots = calloc(size, sizeof *slots);
    if (slots == NULL || !immure_picotls_signer_init(&signer, window->request.key_id, window->spki,
                                                     window->spki_length))
        window_fail("adapter", "it cannot be set up");
    signer.client = client_of;
    client = window->client;
    for (size_t i = 0; i < size; i++) {
        slots[i].next = free_slots;
        free_slots = &slots[i];
    }
    window->ask = ask;
}
