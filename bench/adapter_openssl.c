/* Signs as libssl does: an async job calls EVP_DigestSign(). */
#include <openssl/async.h>
#include <stddef.h>
#include <stdlib.h>

#include "adapters.h"
#include "immure/openssl.h"

struct slot {
    struct immure_waiter waiter;
    struct window *window;
    ASYNC_JOB *job;
    ASYNC_WAIT_CTX *waiting;
    struct slot *next; /* in the list of free slots */
};

static struct slot *free_slots;
static OSSL_LIB_CTX *context;
static EVP_PKEY *key;

static int sign_in_job(void *arg)
{
    const struct immure_request *request = &(*(struct slot **)arg)->window->request;
    uint8_t signature[IMMURE_SIGNATURE_MAX];
    size_t length = sizeof signature;
    EVP_MD_CTX *signing = EVP_MD_CTX_new();
    int good =
        EVP_DigestSignInit_ex(signing, NULL, "SHA256", context, NULL, key, NULL) == 1 &&
        EVP_DigestSign(signing, signature, &length, request->input, request->input_length) == 1;
    EVP_MD_CTX_free(signing);
    return good;
}

static void slot_run(struct slot *slot)
{
    int good;
    immure_waiter_enter(&slot->waiter);
    int result =
        ASYNC_start_job(&slot->job, slot->waiting, &good, sign_in_job, &slot, sizeof(void *));
    immure_waiter_leave();
    if (result == ASYNC_PAUSE)
        return;
    if (result != ASYNC_FINISH || !good)
        window_fail("sign", "the job failed");
    slot->next = free_slots;
    free_slots = slot;
    window_signed(slot->window, slot->waiter.error);
}

static void woken(struct immure_waiter *waiter)
{
    slot_run((struct slot *)waiter); /* the waiter is its first member */
}

static void ask(struct window *window)
{
    struct slot *slot = free_slots;
    free_slots = slot->next;
    slot->window = window;
    slot_run(slot);
}

void adapter_begin(struct window *window, size_t size)
{
    struct slot *slots = calloc(size, sizeof *slots);
    context = immure_openssl_context();
    key = context != NULL ? immure_openssl_key(context, window->spki, window->spki_length) : NULL;
    if (slots == NULL || key == NULL)
        window_fail("adapter", "it cannot be set up");
    for (size_t i = 0; i < size; i++) {
        slots[i] = (struct slot){.waiter = {.client = window->client, .wake = woken},
                                 .waiting = ASYNC_WAIT_CTX_new(),
                                 .next = free_slots};
        free_slots = &slots[i];
    }
    window->ask = ask;
}
