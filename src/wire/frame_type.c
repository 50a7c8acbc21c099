#include "wire/frame_type.h"

const struct wire_frame_type wire_frame_types[] = {
#define ROW(name, number, sender, since, shortest, longest)                                        \
    {WIRE_##name, #name, WIRE_##sender, since, shortest, longest},
    WIRE_FRAME_TYPES(ROW)
#undef ROW
};

const size_t wire_frame_type_count = sizeof wire_frame_types / sizeof wire_frame_types[0];

const struct wire_frame_type *wire_frame_type_find(unsigned type)
{
    for (size_t i = 0; i < wire_frame_type_count; i++)
        if (wire_frame_types[i].type == type)
            return &wire_frame_types[i];
    return NULL;
}
