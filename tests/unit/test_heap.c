/* The heap: the smallest key is first, whatever is added, moved and removed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/heap.h"

#define NODES 200
#define STEPS 20000

/* Checks the invariants on all nodes after each step. */
static void check(const struct heap *heap, struct heap_node *nodes)
{
    size_t count = 0;
    uint64_t least = UINT64_MAX;
    for (size_t i = 0; i < NODES; i++) {
        if (nodes[i].place == 0)
            continue;
        count++;
        least = nodes[i].key < least ? nodes[i].key : least;
        assert_ptr_equal(heap->nodes[nodes[i].place - 1], &nodes[i]);
    }
    assert_int_equal(heap->count, count);
    if (count == 0)
        assert_null(heap_first(heap));
    else
        assert_int_equal(heap_first(heap)->key, least);
}

static void the_least_is_in_front(void **state)
{
    (void)state;
    static struct heap_node nodes[NODES];
    struct heap heap = {.nodes = NULL};
    srandom(1);
    check(&heap, nodes);
    for (int step = 0; step < STEPS; step++) {
        struct heap_node *node = &nodes[random() % NODES];
        uint64_t key = (uint64_t)random() % 100;
        if (node->place == 0)
            assert_true(heap_put(&heap, node, key));
        else if (random() % 2 == 0)
            heap_move(&heap, node, key);
        else
            heap_remove(&heap, node);
        check(&heap, nodes);
    }
    heap_release(&heap);
    assert_null(heap_first(&heap));
}

static void emptied_in_order(void **state)
{
    (void)state;
    static struct heap_node nodes[NODES];
    struct heap heap = {.nodes = NULL};
    for (size_t i = 0; i < NODES; i++)
        assert_true(heap_put(&heap, &nodes[i], (i * 37) % NODES));
    for (size_t i = 0; i < NODES; i++) {
        assert_int_equal(heap_first(&heap)->key, i);
        heap_remove(&heap, heap_first(&heap));
    }
    assert_null(heap_first(&heap));
    heap_release(&heap);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_least_is_in_front),
        cmocka_unit_test(emptied_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
