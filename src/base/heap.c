#include "base/heap.h"

#include <stdlib.h>

#define ROOM_MIN 8

static void set(struct heap *heap, size_t index, struct heap_node *node)
{
    heap->nodes[index] = node;
    node->place = index + 1;
}

/* Puts the node at `index`, then moves it up or down to where its key belongs. */
static void settle(struct heap *heap, size_t index, struct heap_node *node)
{
    while (index > 0 && node->key < heap->nodes[(index - 1) / 2]->key) {
        set(heap, index, heap->nodes[(index - 1) / 2]);
        index = (index - 1) / 2;
    }
    for (size_t child; (child = 2 * index + 1) < heap->count; index = child) {
        if (child + 1 < heap->count && heap->nodes[child + 1]->key < heap->nodes[child]->key)
            child++;
        if (node->key <= heap->nodes[child]->key)
            break;
        set(heap, index, heap->nodes[child]);
    }
    set(heap, index, node);
}

bool heap_put(struct heap *heap, struct heap_node *node, uint64_t key)
{
    if (heap->count == heap->room) {
        size_t room = heap->room > 0 ? 2 * heap->room : ROOM_MIN;
        struct heap_node **nodes = realloc(heap->nodes, room * sizeof(struct heap_node *));
        if (nodes == NULL)
            return false;
        heap->nodes = nodes;
        heap->room = room;
    }
    node->key = key;
    heap->nodes[heap->count++] = node;
    settle(heap, heap->count - 1, node);
    return true;
}

void heap_move(struct heap *heap, struct heap_node *node, uint64_t key)
{
    node->key = key;
    settle(heap, node->place - 1, node);
}

void heap_remove(struct heap *heap, struct heap_node *node)
{
    size_t index = node->place - 1;
    struct heap_node *last = heap->nodes[--heap->count];
    node->place = 0;
    if (last != node)
        settle(heap, index, last);
}

void heap_release(struct heap *heap)
{
    free(heap->nodes);
    *heap = (struct heap){.nodes = NULL};
}
