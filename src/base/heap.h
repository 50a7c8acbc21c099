/*
 * An intrusive binary heap: nodes are members of the caller's structs, and the node with the
 * smallest key is first. A node is in at most one heap and knows its place there, so it can be
 * moved or removed in O(log n). Nodes with equal keys are in no particular order.
 */
#ifndef BASE_HEAP_H
#define BASE_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct heap_node {
    uint64_t key;
    size_t place; /* in the heap, counted from 1; 0: in no heap */
};

/* All zero is an empty heap that holds no memory. */
struct heap {
    struct heap_node **nodes;
    size_t count, room;
};

/* The struct that holds `node` as its member `member`. */
#define heap_entry(node, type, member) ((type *)((char *)(node)-offsetof(type, member)))

/* NULL if the heap is empty. */
static inline struct heap_node *heap_first(const struct heap *heap)
{
    return heap->count > 0 ? heap->nodes[0] : NULL;
}

/* The node must not be in a heap. False: out of memory. */
bool heap_put(struct heap *heap, struct heap_node *node, uint64_t key);
/* Changes the key of a node in this heap. */
void heap_move(struct heap *heap, struct heap_node *node, uint64_t key);
void heap_remove(struct heap *heap, struct heap_node *node);
/* Frees the heap's own memory; the nodes belong to the caller. */
void heap_release(struct heap *heap);

#endif
