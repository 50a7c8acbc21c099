/* The store of certificates: what is put into it is found again, and no damage leads out of it. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/descriptor.h"
#include "proxy/store/builder.h"
#include "proxy/store/compare.h"
#include "proxy/store/layout.h"
#include "proxy/store/store.h"
#include "proxy/store/wildcard.h"
#include "store_walk.h"

#define MANY 20000

static uint32_t add(struct store_builder *builder, uint32_t route, enum certificate_kind kind,
                    const char *name)
{
    const uint32_t chain[] = {store_builder_chain_certificate(builder, "issuer", 6),
                              store_builder_chain_certificate(builder, "root", 4)};
    struct store_certificate certificate = {
        .leaf = store_builder_bytes(builder, name, strlen(name)),
        .names = store_builder_text(builder, name),
        .name_count = 1,
        .route = route,
        .kind = kind,
        .chain = store_builder_chain(builder, chain, 2),
        .chain_count = 2,
        .key_type = store_builder_common_text(builder, "P-256")};
    certificate.names.length++;
    uint32_t number = store_builder_add(builder, &certificate);
    store_builder_name(builder, route, name, number);
    return number;
}

static struct store *seal(struct store_builder *builder, uint32_t routes)
{
    struct conf_error error = {""};
    int memory = store_builder_seal(builder, routes);
    assert_true(memory >= 0);
    struct store *store = store_open(memory, &error);
    assert_string_equal(error.text, "");
    close(memory);
    return store;
}

static void an_empty_store_has_nothing(void **state)
{
    (void)state;
    const struct store_choice *choices;
    struct store *store = seal(store_builder_new(), 1);
    assert_int_equal(store_certificate_count(store), 0);
    assert_int_equal(store_find(store, 0, "a.example", &choices), 0);
    assert_null(choices);
    assert_null(store_route_default(store, 0));
    assert_null(store_route_default(store, 1));
    store_close(store);
}

static void names_are_those_of_a_frontend(void **state)
{
    (void)state;
    const struct store_choice *choices;
    struct store_builder *builder = store_builder_new();
    uint32_t rsa = add(builder, 0, CERTIFICATE_RSA, "a.example");
    uint32_t ec = add(builder, 0, CERTIFICATE_EC, "a.example");
    uint32_t other = add(builder, 1, CERTIFICATE_EC, "a.example");
    store_builder_publish(builder, 0, 0);
    store_builder_publish(builder, 1, 1);
    struct store *store = seal(builder, 2);
    assert_int_equal(store_find(store, 0, "a.example", &choices), 1);
    assert_int_equal(choices->route, 0);
    assert_int_equal(choices->certificates[CERTIFICATE_RSA], rsa);
    assert_int_equal(choices->certificates[CERTIFICATE_EC], ec);
    assert_int_equal(choices->certificates[CERTIFICATE_ED25519], STORE_NONE);
    assert_int_equal(store_find(store, 1, "a.example", &choices), 1);
    assert_int_equal(choices->certificates[CERTIFICATE_EC], other);
    assert_int_equal(choices->certificates[CERTIFICATE_RSA], STORE_NONE);
    assert_int_equal(store_find(store, 2, "a.example", &choices), 0);
    assert_int_equal(store_find(store, 0, "b.example", &choices), 0);
    store_close(store);
}

static void the_first_of_a_kind_is_served(void **state)
{
    (void)state;
    const struct store_choice *choices;
    struct store_builder *builder = store_builder_new();
    uint32_t first = add(builder, 0, CERTIFICATE_EC, "a.example");
    add(builder, 0, CERTIFICATE_EC, "a.example");
    store_builder_publish(builder, 0, 0);
    struct store *store = seal(builder, 1);
    assert_int_equal(store_find(store, 0, "a.example", &choices), 1);
    assert_int_equal(choices->certificates[CERTIFICATE_EC], first);
    store_close(store);
}

/* A frontend's own route is published last. */
static void each_route_has_a_choice(void **state)
{
    (void)state;
    static const uint32_t order[] = {1, 2, 0};
    const struct store_choice *choices;
    struct store_builder *builder = store_builder_new();
    for (uint32_t route = 0; route < 3; route++)
        add(builder, route, CERTIFICATE_EC, "a.example");
    for (uint32_t route = 0; route < 3; route++)
        store_builder_publish(builder, 0, order[route]);
    struct store *store = seal(builder, 3);
    assert_int_equal(store_find(store, 0, "a.example", &choices), 3);
    for (uint32_t route = 0; route < 3; route++) {
        assert_int_equal(choices[route].route, order[route]);
        assert_int_equal(choices[route].certificates[CERTIFICATE_EC], order[route]);
    }
    store_close(store);
}

/* For a kind that the exact name has none of. */
static void a_wildcard_fills_in(void **state)
{
    (void)state;
    const struct store_choice *choices;
    struct store_builder *builder = store_builder_new();
    uint32_t exact = add(builder, 0, CERTIFICATE_RSA, "a.wild.example");
    add(builder, 0, CERTIFICATE_RSA, "*.wild.example");
    uint32_t wildcard = add(builder, 0, CERTIFICATE_EC, "*.wild.example");
    store_builder_publish(builder, 0, 0);
    struct store *store = seal(builder, 1);
    assert_int_equal(store_find(store, 0, "a.wild.example", &choices), 1);
    assert_int_equal(choices->certificates[CERTIFICATE_RSA], exact);
    assert_int_equal(choices->certificates[CERTIFICATE_EC], wildcard);
    store_close(store);
}

/* A route that is published by a wildcard has those certificates that are for names under it. */
static void names_under_a_wildcard(void **state)
{
    (void)state;
    const struct store_choice *choices;
    struct store_builder *builder = store_builder_new();
    uint32_t first = add(builder, 0, CERTIFICATE_EC, "a.wild.example");
    uint32_t second = add(builder, 0, CERTIFICATE_EC, "b.wild.example");
    add(builder, 0, CERTIFICATE_EC, "c.other.example");
    store_builder_publish_name(builder, 0, 1, "*.wild.example", 0);
    store_builder_publish_covered(builder, 0, 1, 0);
    struct store *store = seal(builder, 2);
    assert_int_equal(store_find(store, 0, "*.wild.example", &choices), 1);
    assert_int_equal(choices->certificates[CERTIFICATE_EC], first);
    assert_int_equal(store_find(store, 0, "b.wild.example", &choices), 1);
    assert_int_equal(choices->route, 1);
    assert_int_equal(choices->certificates[CERTIFICATE_EC], second);
    assert_int_equal(store_find(store, 0, "c.other.example", &choices), 0);
    store_close(store);
}

/* The certificates of other kinds for the first name of the first one, also those of a wildcard. */
static void a_route_has_a_default(void **state)
{
    (void)state;
    struct store_builder *builder = store_builder_new();
    uint32_t ec = add(builder, 0, CERTIFICATE_EC, "a.example");
    add(builder, 0, CERTIFICATE_RSA, "b.example");
    uint32_t rsa = add(builder, 0, CERTIFICATE_RSA, "*.example");
    struct store *store = seal(builder, 2);
    const struct store_choice *standard = store_route_default(store, 0);
    assert_int_equal(standard->certificates[CERTIFICATE_EC], ec);
    assert_int_equal(standard->certificates[CERTIFICATE_RSA], rsa);
    assert_null(store_route_default(store, 1));
    store_close(store);
}

static void given_names_find_their_certificates(void **state)
{
    (void)state;
    const struct store_choice *choices;
    struct store_builder *builder = store_builder_new();
    uint32_t first = add(builder, 0, CERTIFICATE_EC, "a.example");
    uint32_t wildcard = add(builder, 0, CERTIFICATE_EC, "*.test");
    store_builder_publish_name(builder, 0, 0, "a.example", 0);
    store_builder_publish_name(builder, 0, 0, "www.test", 0);
    store_builder_publish_name(builder, 0, 0, "foreign.invalid", 0);
    store_builder_publish_name(builder, 0, 1, "borrowed.test", 0);
    store_builder_publish_name(builder, 0, 2, "passed.on", STORE_NONE);
    struct store *store = seal(builder, 3);
    assert_int_equal(store_find(store, 0, "a.example", &choices), 1);
    assert_int_equal(choices->certificates[CERTIFICATE_EC], first);
    assert_int_equal(store_find(store, 0, "www.test", &choices), 1);
    assert_int_equal(choices->certificates[CERTIFICATE_EC], wildcard);
    assert_int_equal(store_find(store, 0, "foreign.invalid", &choices), 1);
    assert_int_equal(choices->certificates[CERTIFICATE_EC], first);
    assert_int_equal(store_find(store, 0, "borrowed.test", &choices), 1);
    assert_int_equal(choices->route, 1);
    assert_int_equal(choices->certificates[CERTIFICATE_EC], wildcard);
    assert_int_equal(store_find(store, 0, "passed.on", &choices), 1);
    assert_int_equal(choices->certificates[CERTIFICATE_EC], STORE_NONE);
    assert_int_equal(store_find(store, 0, "*.test", &choices), 0); /* it was not given */
    store_close(store);
}

static void wildcards_stand_for_one_label(void **state)
{
    (void)state;
    char wildcard[STORE_NAME_MAX + 1];
    assert_true(store_wildcard_for("www.a.example", wildcard));
    assert_string_equal(wildcard, "*.a.example");
    assert_false(store_wildcard_for("localhost", wildcard));
    assert_false(store_wildcard_for(".example", wildcard));
    assert_false(store_wildcard_for("ip:192.0.2.1", wildcard));
}

static void equal_chains_are_in_it_once(void **state)
{
    (void)state;
    size_t length;
    struct store_builder *builder = store_builder_new();
    add(builder, 0, CERTIFICATE_EC, "a.example");
    add(builder, 0, CERTIFICATE_EC, "b.example");
    struct store *store = seal(builder, 1);
    assert_int_equal(store_chain_certificate_count(store), 2);
    for (uint32_t i = 0; i < 2; i++) {
        const struct store_certificate *certificate = store_certificate(store, i);
        const uint32_t *chain = store_chain(store, certificate);
        assert_int_equal(certificate->chain_count, 2);
        assert_memory_equal(store_chain_certificate(store, chain[0], &length), "issuer", 6);
        assert_int_equal(length, 6);
        assert_memory_equal(store_chain_certificate(store, chain[1], &length), "root", 4);
    }
    assert_int_equal(store_certificate(store, 0)->key_type.offset,
                     store_certificate(store, 1)->key_type.offset);
    store_close(store);
}

static void many_names_are_found(void **state)
{
    (void)state;
    char name[32];
    const struct store_choice *choices;
    struct store_builder *builder = store_builder_new();
    for (unsigned i = 0; i < MANY; i++) {
        snprintf(name, sizeof name, "n%u.example", i);
        add(builder, 0, CERTIFICATE_EC, name);
    }
    store_builder_publish(builder, 0, 0);
    struct store *store = seal(builder, 1);
    for (unsigned i = 0; i < MANY; i++) {
        snprintf(name, sizeof name, "n%u.example", i);
        assert_int_equal(store_find(store, 0, name, &choices), 1);
        assert_int_equal(choices->certificates[CERTIFICATE_EC], i);
        const struct store_certificate *certificate = store_certificate(store, i);
        assert_string_equal(store_text(store, certificate->names), name);
        assert_memory_equal(store_bytes(store, certificate->leaf), name, strlen(name));
    }
    store_close(store);
}

/* ---- damage ---- */

static void it_must_be_sealed(void **state)
{
    (void)state;
    struct conf_error error;
    int memory = memfd_create("unsealed", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    assert_int_equal(ftruncate(memory, 4096), 0);
    assert_null(store_open(memory, &error));
    assert_string_equal(error.text, "the store of certificates: it is not sealed");
    close(memory);
}

static void it_must_be_whole(void **state)
{
    (void)state;
    size_t size;
    struct conf_error error;
    struct store_builder *builder = store_builder_new();
    add(builder, 0, CERTIFICATE_EC, "a.example");
    struct store *store = seal(builder, 1);
    const void *bytes = store_mapping(store, &size);
    for (size_t length = 0; length < size; length++) {
        int memory = descriptor_of_bytes("cut", bytes, length);
        assert_null(store_open(memory, &error));
        close(memory);
    }
    store_close(store);
}

/* Every word of the header and of the tables is replaced by such values as lead out of it. */
static void no_word_leads_out_of_it(void **state)
{
    (void)state;
    size_t size, opened = 0;
    struct store_builder *builder = store_builder_new();
    add(builder, 0, CERTIFICATE_EC, "a.example");
    add(builder, 1, CERTIFICATE_RSA, "*.example");
    store_builder_publish(builder, 0, 0);
    store_builder_publish(builder, 0, 1);
    struct store *store = seal(builder, 2);
    const uint8_t *bytes = store_mapping(store, &size);
    uint8_t *changed = malloc(size);
    const uint32_t values[] = {
        0, 1, 2, 7, (uint32_t)size, UINT32_MAX, UINT32_MAX - 1, INT32_MAX, UINT32_C(1) << 31};
    for (size_t at = 0; at + sizeof(uint32_t) <= size; at += sizeof(uint32_t))
        for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
            memcpy(changed, bytes, size);
            memcpy(changed + at, &values[i], sizeof values[i]);
            opened += store_walk(changed, size);
        }
    assert_true(opened > 0); /* some words are free, as times are */
    free(changed);
    store_close(store);
}

static void a_store_has_no_free_slot(void **state)
{
    (void)state;
    size_t size;
    struct store_builder *builder = store_builder_new();
    add(builder, 0, CERTIFICATE_EC, "a.example");
    store_builder_publish(builder, 0, 0);
    struct store *store = seal(builder, 1);
    const uint8_t *bytes = store_mapping(store, &size);
    uint8_t *changed = malloc(size);
    memcpy(changed, bytes, size);
    const struct store_table *slots = &((const struct store_header *)bytes)->tables[TABLE_SLOTS];
    for (size_t i = 0; i < slots->count; i++)
        ((uint32_t *)(changed + slots->offset))[i] = 1;
    assert_true(store_walk(changed, size)); /* and looking for an absent name comes to an end */
    free(changed);
    store_close(store);
}

struct noted {
    size_t counts[STORE_REMOVED + 1];
    uint32_t last[STORE_REMOVED + 1];
};

static void note(void *owner, enum store_change change, uint32_t number)
{
    struct noted *noted = owner;
    noted->counts[change]++;
    noted->last[change] = number;
}

/* A certificate without a name of its own: what counts are its route, file and content. */
static void put(struct store_builder *builder, uint32_t route, const char *path, const char *leaf,
                const char *staple, const char *issuer)
{
    uint32_t chain = store_builder_chain_certificate(builder, issuer, strlen(issuer));
    struct store_certificate certificate = {
        .leaf = store_builder_bytes(builder, leaf, strlen(leaf)),
        .staple = store_builder_bytes(builder, staple, strlen(staple)),
        .route = route,
        .kind = route == 0 ? CERTIFICATE_EC : CERTIFICATE_RSA,
        .chain = store_builder_chain(builder, &chain, 1),
        .chain_count = 1};
    certificate.files[STORE_CHAIN_FILE].path = store_builder_text(builder, path);
    store_builder_add(builder, &certificate);
}

static void it_is_compared_with_the_next(void **state)
{
    (void)state;
    static const struct {
        const char *path, *leaf, *staple, *issuer;
    } next[] = {{"/a", "leaf", "staple", "issuer"},
                {"/b", "other", "staple", "issuer"},
                {"/c", "leaf", "other", "issuer"},
                {"/d", "leaf", "staple", "other"},
                {"/new", "leaf", "staple", "issuer"}};
    static const char *const paths[] = {"/gone", "/d", "/c", "/b", "/a"};
    struct store_builder *builder = store_builder_new(), *after = store_builder_new();
    for (size_t i = 0; i < 5; i++)
        put(builder, 0, paths[i], "leaf", "staple", "issuer");
    for (size_t i = 0; i < 5; i++)
        put(after, 0, next[i].path, next[i].leaf, next[i].staple, next[i].issuer);
    struct store *one = seal(builder, 2), *other = seal(after, 2);
    struct noted noted = {{0}, {0}};
    assert_true(store_compare(one, other, note, &noted));
    assert_int_equal(noted.counts[STORE_ADDED], 1);
    assert_int_equal(noted.last[STORE_ADDED], 4);
    assert_int_equal(noted.counts[STORE_REPLACED], 3);
    assert_int_equal(noted.last[STORE_REPLACED], 3);
    assert_int_equal(noted.counts[STORE_REMOVED], 1);
    assert_int_equal(noted.last[STORE_REMOVED], 0);
    noted = (struct noted){{0}, {0}};
    assert_true(store_compare(one, one, note, &noted));
    assert_int_equal(
        noted.counts[STORE_ADDED] + noted.counts[STORE_REPLACED] + noted.counts[STORE_REMOVED], 0);
    assert_true(store_same_kinds(one, other, 2));
    store_close(one);
    store_close(other);
}

/* The same file is another certificate in another route. */
static void a_certificate_belongs_to_a_route(void **state)
{
    (void)state;
    struct store_builder *before = store_builder_new(), *after = store_builder_new();
    put(before, 0, "/a", "leaf", "", "issuer");
    put(after, 0, "/a", "leaf", "", "issuer");
    put(after, 1, "/a", "leaf", "", "issuer");
    struct store *one = seal(before, 2), *other = seal(after, 2);
    struct noted noted = {{0}, {0}};
    assert_true(store_compare(one, other, note, &noted));
    assert_int_equal(noted.counts[STORE_ADDED], 1);
    assert_int_equal(noted.last[STORE_ADDED], 1);
    assert_int_equal(noted.counts[STORE_REPLACED] + noted.counts[STORE_REMOVED], 0);
    assert_false(store_same_kinds(one, other, 2));
    store_close(one);
    store_close(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_store_has_nothing),
        cmocka_unit_test(names_are_those_of_a_frontend),
        cmocka_unit_test(the_first_of_a_kind_is_served),
        cmocka_unit_test(each_route_has_a_choice),
        cmocka_unit_test(a_wildcard_fills_in),
        cmocka_unit_test(names_under_a_wildcard),
        cmocka_unit_test(a_route_has_a_default),
        cmocka_unit_test(given_names_find_their_certificates),
        cmocka_unit_test(wildcards_stand_for_one_label),
        cmocka_unit_test(equal_chains_are_in_it_once),
        cmocka_unit_test(many_names_are_found),
        cmocka_unit_test(it_must_be_sealed),
        cmocka_unit_test(it_must_be_whole),
        cmocka_unit_test(no_word_leads_out_of_it),
        cmocka_unit_test(a_store_has_no_free_slot),
        cmocka_unit_test(it_is_compared_with_the_next),
        cmocka_unit_test(a_certificate_belongs_to_a_route),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
