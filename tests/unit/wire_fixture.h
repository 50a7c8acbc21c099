/* A decoder that gets what was encoded in pieces of every size. */
#ifndef TESTS_WIRE_FIXTURE_H
#define TESTS_WIRE_FIXTURE_H

#include "wire/message.h"

/* Bytes that differ from each other. */
extern uint8_t some[WIRE_MESSAGE_MAX];
extern struct wire_decoder decoder;

#define BUFFER BUFFER_INIT(1u << 20)

void some_fill(void);
/* The decoder of one end, after the greeting. */
void decoder_begin(enum wire_end reads);
/* Group tear-down. */
int decoder_end(void **state);
/* Decodes one frame from pieces of `chunk` bytes. */
enum immure_error decode(const void *data, size_t length, size_t chunk, struct wire_frame *frame,
                         bool *more);
/* Decodes the frame in `output`, and checks that the result is the same for every size of piece. */
struct wire_frame through(struct buffer *output, enum wire_end reads);

#endif
