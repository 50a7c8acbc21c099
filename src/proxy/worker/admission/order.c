#include "proxy/worker/admission/order.h"

#include <math.h>

/* Of one source, so many may have taken the first step and wait for a signature. They hold memory
 * of libssl. Those behind them have cost nothing. */
#define STARTED_MOST 8
/* How many of these are compared for the cheapest. */
#define COMPARED_MOST STARTED_MOST
/* How many outdated places at the top of a heap are corrected for one choice. What is not corrected
 * then is at most out of order. */
#define CORRECTIONS_MOST 8
/* Only a source gives up places for others that has cost at least an eighth of what the heaviest
 * has: whoever comes instead may be of any source. */
#define WORST_DOUBLINGS 3
/* The key of a heap: above, the level in parts of a doubling of the cost; below, what decides among
 * equals, in units of about a millisecond. */
#define LEVEL_PARTS 4
#define AGE_BITS 40
#define AGE_MOST ((UINT64_C(1) << AGE_BITS) - 1)
#define NS_TO_MS_BITS 20

void order_release(struct order *order)
{
    for (int at = 0; at < HELD_AT_COUNT; at++)
        heap_release(&order->heaps[at]);
}

static enum held_at place_of(const struct held_line *line)
{
    return line == &line->share->lines[HELD_HELLO] ? HELD_HELLO : HELD_SIGNATURE;
}

static struct visit *visit_at(struct list *node)
{
    return list_entry(node, struct visit, node);
}

static struct visit *cheapest(const struct held_line *line, bool newest)
{
    const struct list *head = &line->visits;
    struct visit *found = NULL;
    struct list *node = newest ? head->previous : head->next;
    for (int i = 0; i < COMPARED_MOST && node != head; i++) {
        struct visit *visit = visit_at(node);
        if (found == NULL || visit->expected < found->expected)
            found = visit;
        node = newest ? node->previous : node->next;
    }
    return found;
}

static bool is_late(const struct order *order, const struct visit *visit, uint64_t now)
{
    return now - visit->since > order->patience / 2;
}

/* Whether the newest of a source, and of those that are its equals, is next. */
static bool newest_first(const struct order *order, const struct held_line *line, uint64_t now)
{
    return now < order->newest_until || is_late(order, visit_at(line->visits.next), now);
}

/* The next one of a source that has some at this place. */
static struct visit *next_of(const struct order *order, const struct held_line *line, uint64_t now)
{
    bool newest = newest_first(order, line, now);
    if (place_of(line) == HELD_SIGNATURE)
        return cheapest(line, newest);
    return visit_at(newest ? line->visits.previous : line->visits.next);
}

static uint64_t key_of(const struct order *order, const struct held_line *line, uint64_t now)
{
    const struct visit *next = next_of(order, line, now);
    double level = shares_level(order->shares, line->share, next->source.wide);
    level = shares_raised(order->shares, level, next->expected, now);
    uint64_t came = next->since >> NS_TO_MS_BITS & AGE_MOST;
    uint64_t age = newest_first(order, line, now) ? AGE_MOST - came : came;
    return (uint64_t)(level * LEVEL_PARTS) << AGE_BITS | age;
}

static bool may_be_next(const struct held_line *line)
{
    return line->length > 0 && (place_of(line) == HELD_SIGNATURE ||
                                line->share->lines[HELD_SIGNATURE].length < STARTED_MOST);
}

/* Puts the line into its heap or takes it out, or puts it where it belongs there. */
static bool settle(struct order *order, struct held_line *line, uint64_t now)
{
    struct heap *heap = &order->heaps[place_of(line)];
    bool wanted = may_be_next(line), placed = line->node.place > 0;
    if (wanted && !placed)
        return heap_put(heap, &line->node, key_of(order, line, now));
    if (wanted)
        heap_move(heap, &line->node, key_of(order, line, now));
    else if (placed)
        heap_remove(heap, &line->node);
    return true;
}

static bool settle_all(struct order *order, struct share *share, uint64_t now)
{
    bool good = true;
    for (int at = 0; at < HELD_AT_COUNT; at++)
        good = settle(order, &share->lines[at], now) && good;
    return good;
}

bool order_put(struct order *order, struct visit *visit, enum held_at at, uint64_t now)
{
    struct share *share = shares_take(order->shares, visit->source.narrow);
    struct held_line *line = &share->lines[at];
    visit->line = line;
    list_append(&line->visits, &visit->node);
    line->length++;
    order->held++;
    if (settle_all(order, share, now))
        return true;
    order_remove(order, visit, now);
    return false;
}

void order_remove(struct order *order, struct visit *visit, uint64_t now)
{
    struct held_line *line = visit->line;
    if (line == NULL)
        return;
    if (is_late(order, visit, now))
        order->newest_until = now + order->patience / 2;
    visit->line = NULL;
    list_remove(&visit->node);
    line->length--;
    order->held--;
    settle_all(order, line->share, now);
}

/* The line at the top, with a key that is right. NULL: there is none. */
static struct held_line *top(struct order *order, enum held_at at, uint64_t now)
{
    struct heap *heap = &order->heaps[at];
    for (int i = 0; i < CORRECTIONS_MOST && heap->count > 0; i++) {
        struct heap_node *node = heap_first(heap);
        uint64_t key = key_of(order, heap_entry(node, struct held_line, node), now);
        if (key <= node->key)
            break;
        heap_move(heap, node, key);
    }
    return heap->count > 0 ? heap_entry(heap_first(heap), struct held_line, node) : NULL;
}

struct visit *order_take(struct order *order, bool signs, uint64_t now)
{
    struct held_line *line = signs ? top(order, HELD_SIGNATURE, now) : NULL;
    if (line == NULL)
        line = top(order, HELD_HELLO, now);
    if (line == NULL)
        return NULL;
    struct visit *visit = next_of(order, line, now);
    order_remove(order, visit, now);
    return visit;
}

bool order_has_next(const struct order *order, bool signs)
{
    return order->heaps[HELD_HELLO].count > 0 || (signs && order->heaps[HELD_SIGNATURE].count > 0);
}

static struct visit *oldest_of(const struct share *share)
{
    for (int at = 0; at < HELD_AT_COUNT; at++)
        if (share->lines[at].length > 0)
            return visit_at(share->lines[at].visits.next);
    return NULL;
}

static double heaviest_level(const struct shares *shares)
{
    double most = 0;
    for (int i = 0; i < SHARES_HEAVIEST; i++)
        most = fmax(most, shares->heaviest[i].level);
    return most;
}

static struct visit *oldest_of_heaviest(const struct shares *shares, double least)
{
    for (int i = 0; i < SHARES_HEAVIEST; i++) {
        uint64_t prefix = shares->heaviest[i].prefix;
        const struct share *share = prefix != PREFIX_NONE ? shares_find(shares, prefix) : NULL;
        struct visit *oldest = share != NULL && share->level >= least ? oldest_of(share) : NULL;
        if (oldest != NULL)
            return oldest;
    }
    return NULL;
}

/* If many sources have had much, some are not among the heaviest that are known. The last place of
 * a heap is then as good as any. */
struct visit *order_worst(const struct order *order)
{
    double least = heaviest_level(order->shares) - WORST_DOUBLINGS;
    struct visit *found = oldest_of_heaviest(order->shares, least);
    for (int at = 0; found == NULL && at < HELD_AT_COUNT; at++) {
        const struct heap *heap = &order->heaps[at];
        const struct share *share =
            heap->count > 0
                ? heap_entry(heap->nodes[heap->count - 1], struct held_line, node)->share
                : NULL;
        found = share != NULL && share->level >= least ? oldest_of(share) : NULL;
    }
    return found;
}
