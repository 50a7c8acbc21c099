/*
 * Untrusted key references: a valid one with the changes that the input describes, as DER and as
 * text, and the input itself. Whatever is accepted has only one encoding.
 */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "immure/reference.h"
#include "target.h"

#define ROUNDS 4 /* of one input */

static const uint8_t spki[] = {0x30, 0x06, 0x04, 0x04, 1, 2, 3, 4};
static struct {
    uint8_t der[IMMURE_REFERENCE_DER_MAX];
    char pem[IMMURE_REFERENCE_PEM_SIZE];
    size_t der_length, pem_length;
} good;

static void parse_der(const uint8_t *der, size_t length)
{
    struct immure_reference reference;
    uint8_t again[IMMURE_REFERENCE_DER_MAX];
    size_t again_length;
    if (immure_reference_parse_der(&reference, der, length) != IMMURE_REFERENCE_OK)
        return;
    if (immure_reference_write_der(&reference, again, &again_length) != IMMURE_REFERENCE_OK ||
        again_length != length || memcmp(again, der, length) != 0)
        abort();
}

static void parse_pem(const char *text, size_t length)
{
    struct immure_reference reference;
    uint8_t der[IMMURE_REFERENCE_DER_MAX];
    char again[IMMURE_REFERENCE_PEM_SIZE];
    if (immure_reference_parse_pem(&reference, text, length, der) == IMMURE_REFERENCE_OK &&
        immure_reference_write_pem(&reference, again) != IMMURE_REFERENCE_OK)
        abort();
}

static void change(struct reader *changes, uint8_t *bytes, size_t length)
{
    for (unsigned count = read_u8(changes) % 4; count > 0; count--) {
        size_t place = read_u16(changes) % length;
        bytes[place] = read_u8(changes);
    }
}

static void make_good(void)
{
    const struct immure_reference reference = {
        .socket = "/run/immured.sock", .spki = spki, .spki_length = sizeof spki};
    if (immure_reference_write_der(&reference, good.der, &good.der_length) != IMMURE_REFERENCE_OK ||
        immure_reference_write_pem(&reference, good.pem) != IMMURE_REFERENCE_OK)
        abort();
    good.pem_length = strlen(good.pem);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (good.pem_length == 0)
        make_good();
    parse_der(data, size);
    parse_pem((const char *)data, size);
    struct reader changes = reader_of(data, size);
    for (unsigned round = 0; round < ROUNDS && !changes.failed; round++) {
        uint8_t changed[sizeof good.pem];
        memcpy(changed, good.der, good.der_length);
        change(&changes, changed, good.der_length);
        parse_der(changed, good.der_length);
        memcpy(changed, good.pem, good.pem_length);
        change(&changes, changed, good.pem_length);
        parse_pem((const char *)changed, good.pem_length);
    }
    return 0;
}
