/*
 * Intrusive doubly linked lists: nodes are members of the caller's structs. A node that is in no
 * list points at itself, so removing it twice is harmless and "is it in a list" is one comparison.
 */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
    struct list *next, *previous;
};

/* The struct that holds `node` as its member `member`. */
#define list_entry(node, type, member) ((type *)((char *)(node)-offsetof(type, member)))

/* The loop body may remove `node`, but no other node. */
#define list_for_each(node, head)                                                                  \
    for (struct list *node = (head)->next, *node##_next = node->next; node != (head);              \
         node = node##_next, node##_next = node->next)

static inline void list_init(struct list *list)
{
    list->next = list->previous = list;
}

static inline bool list_empty(const struct list *list)
{
    return list->next == list;
}

static inline bool list_linked(const struct list *node)
{
    return node->next != node;
}

static inline void list_append(struct list *list, struct list *node)
{
    node->previous = list->previous;
    node->next = list;
    list->previous->next = node;
    list->previous = node;
}

static inline void list_prepend(struct list *list, struct list *node)
{
    list_append(list->next, node);
}

static inline void list_remove(struct list *node)
{
    node->previous->next = node->next;
    node->next->previous = node->previous;
    list_init(node);
}

/* Removes and returns the first node, or NULL. */
static inline struct list *list_take(struct list *list)
{
    struct list *node = list->next;
    if (node == list)
        return NULL;
    list_remove(node);
    return node;
}

/* Moves all of `from` to the end of `list`. */
static inline void list_move_all(struct list *list, struct list *from)
{
    if (list_empty(from))
        return;
    from->next->previous = list->previous;
    list->previous->next = from->next;
    from->previous->next = list;
    list->previous = from->previous;
    list_init(from);
}

#endif
