/*
 * A binary heap of nodes that are threaded through the structs they hold, the node with the least
 * key in front. A node is in one heap at most and knows its place there, so that it can be moved
 * or removed in O(log n). Among equals there is no order.
 */
#ifndef BASE_HEAP_H
#define BASE_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct heap_node {
    uint64_t key;
    size_t place; /* in the heap, from 1 on; 0: in none */
};

/* All zero: an empty heap, without memory. */
struct heap {
    struct heap_node **nodes;
    size_t count, room;
};

/* The struct that holds `node` as its member `member`. */
#define heap_entry(node, type, member) ((type *)((char *)(node)-offsetof(type, member)))

/* NULL: it is empty. */
static inline struct heap_node *heap_first(const struct heap *heap)
{
    return heap->count > 0 ? heap->nodes[0] : NULL;
}

/* The node is in no heap. False: out of memory. */
bool heap_put(struct heap *heap, struct heap_node *node, uint64_t key);
/* Another key for a node of this heap. */
void heap_move(struct heap *heap, struct heap_node *node, uint64_t key);
void heap_remove(struct heap *heap, struct heap_node *node);
/* Gives the memory back; the nodes are the caller's. */
void heap_release(struct heap *heap);

#endif
