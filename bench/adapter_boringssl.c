/* Calls the adapter as BoringSSL does: sign(), and complete() when woken. */
#include "boringssl.c"

#include "adapters.h"

struct slot {
    struct immure_boringssl_waiter waiter;
    struct window *window;
    SSL *ssl;
    struct slot *next; /* in the list of free slots */
};

static struct slot *free_slots;

static void woken(struct immure_boringssl_waiter *waiter)
{
    struct slot *slot = (struct slot *)waiter; /* the waiter is its first member */
    uint8_t signature[IMMURE_SIGNATURE_MAX];
    size_t length;
    if (complete(slot->ssl, signature, &length, sizeof signature) != ssl_private_key_success)
        window_fail("complete", immure_error_text(waiter->error));
    slot->next = free_slots;
    free_slots = slot;
    window_signed(slot->window, waiter->error);
}

static void ask_adapter(struct window *window)
{
    enum { ROOM = 80 }; /* at least what libssl provides for a P-256 signature */
    struct slot *slot = free_slots;
    const struct immure_request *request = &window->request;
    size_t length;
    free_slots = slot->next;
    slot->window = window;
    if (sign(slot->ssl, NULL, &length, ROOM, request->scheme, request->input,
             request->input_length) != ssl_private_key_retry)
        window_fail("sign", immure_error_text(slot->waiter.error));
}

void adapter_begin(struct window *window, size_t size)
{
    struct slot *slots = calloc(size, sizeof *slots);
    SSL_CTX *context = SSL_CTX_new(TLS_method());
    struct boringssl_key *key = malloc(sizeof *key);
    if (slots == NULL || context == NULL || key == NULL)
        window_fail("adapter", "out of memory");
    pthread_once(&once, make_indices);
    memcpy(key->id, window->request.key_id, sizeof key->id);
    SSL_CTX_set_ex_data(context, key_index, key);
    for (size_t i = 0; i < size; i++) {
        slots[i] = (struct slot){.waiter = {.client = window->client, .wake = woken},
                                 .ssl = SSL_new(context),
                                 .next = free_slots};
        immure_boringssl_wait_with(slots[i].ssl, &slots[i].waiter);
        free_slots = &slots[i];
    }
    window->ask = ask_adapter;
}
