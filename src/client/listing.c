/*
 * The reply to LIST comes in pages, and immured may be replaced between two of them. So the pages
 * are kept until the last one has arrived; then there is one callback for each key. The pages count
 * towards max_bytes.
 */
#include "client/listing.h"

#include <stdlib.h>
#include <string.h>

#include "client/request.h"
#include "client/text.h"
#include "wire/message.h"
#include "wire/stats.h"

static enum immure_error check_page(const struct wire_frame *frame, uint32_t *next)
{
    struct wire_keys_reader keys;
    enum immure_error error = wire_keys_begin(frame, &keys);
    *next = keys.next;
    while (error == IMMURE_OK && keys.left > 0) {
        struct wire_key key;
        error = wire_keys_next(&keys, &key);
    }
    return error;
}

static enum immure_error keep_page(struct immure_client *client, struct request *request,
                                   const struct wire_frame *frame)
{
    if (frame->length > client->max_bytes - client->bytes)
        return IMMURE_E_FULL;
    struct page *page = malloc(sizeof *page + frame->length);
    if (page == NULL)
        return IMMURE_E_MEMORY;
    page->length = frame->length;
    memcpy(page->payload, frame->payload, frame->length);
    list_append(&request->pages, &page->order);
    request->bytes += page->length;
    client->bytes += page->length;
    return IMMURE_OK;
}

static void call_back_key(const struct request *request, const struct wire_key *key)
{
    char name[WIRE_KEY_NAME_MAX + 1];
    text_copy(name, sizeof name, key->name, key->name_length);
    struct immure_key public = {
        .name = name,
        .spki = key->spki,
        .spki_length = key->spki_length,
        .backend = wire_backend_name(key->backend),
        .lanes_backend = key->lanes_backend != 0 ? wire_backend_name(key->lanes_backend) : NULL,
        .lanes_from = key->lanes_from,
        .lanes = key->lanes,
        .schemes = key->schemes,
        .scheme_count = key->scheme_count};
    memcpy(public.id, key->id, sizeof public.id);
    request->asked.callback(
        request->asked.arg,
        &(struct immure_reply){.error_text = immure_error_text(IMMURE_OK), .key = &public});
}

/* False: a callback has cancelled the listing, and `id` no longer names a request. */
static bool call_back_page(struct immure_client *client, immure_request_id id,
                           const struct page *page)
{
    struct wire_frame frame = {.type = WIRE_KEYS, .payload = page->payload, .length = page->length};
    struct wire_keys_reader keys;
    struct wire_key key;
    struct request *request = request_find(client, id);
    wire_keys_begin(&frame, &keys);
    while (request != NULL && keys.left > 0 && wire_keys_next(&keys, &key) == IMMURE_OK) {
        call_back_key(request, &key);
        request = request_find(client, id);
    }
    return request != NULL;
}

static void deliver(struct immure_client *client, struct request *request)
{
    /* immured has answered completely, so a callback that cancels the listing frees the request at
     * once. The pages are therefore moved here. */
    immure_request_id id = request->id;
    struct list pages, *node;
    bool wanted = true;
    list_init(&pages);
    list_move_all(&pages, &request->pages);
    request->state = REQUEST_UNSENT;
    list_remove(&request->order);
    while ((node = list_take(&pages)) != NULL) {
        struct page *page = list_entry(node, struct page, order);
        wanted = wanted && call_back_page(client, id, page);
        free(page);
    }
    if (wanted)
        request_end(client, request, IMMURE_OK);
}

enum immure_error listing_take(struct immure_client *client, struct request *request,
                               const struct wire_frame *frame)
{
    uint32_t next;
    enum immure_error error = check_page(frame, &next);
    if (error != IMMURE_OK)
        return error;
    if (next != 0 && next <= request->first)
        return IMMURE_E_UNEXPECTED;
    error = keep_page(client, request, frame);
    if (error != IMMURE_OK) {
        request_end(client, request, error);
    } else if (next == 0) {
        deliver(client, request);
    } else {
        request->first = next;
        request->state = REQUEST_UNSENT;
        list_remove(&request->order);
        list_append(&client->unsent, &request->order);
    }
    return IMMURE_OK;
}
