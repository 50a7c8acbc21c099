/*
 * LIST: the keys that a client may use, a frame at a time. A position in the list is that of a key
 * in the keyring, or a group of compact keys and a place in it; keys that come and go meanwhile do
 * not move others. So a frame costs what it holds, wherever in the list it is.
 */
#ifndef KEYD_FRONT_KEY_LIST_H
#define KEYD_FRONT_KEY_LIST_H

#include "keyd/front/session.h"

enum immure_error key_list_answer(struct session *session, const struct wire_frame *frame);
/* The keys that one answer looks at, at most, in a list of `count`. */
size_t key_list_most(size_t count);

#endif
