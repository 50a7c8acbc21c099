#include "conf/show.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/duration.h"

/* The fields are unsigned numbers, enums, ints and bools. As none is ever negative, only their
 * width matters. */
static uint64_t get_number(const struct conf_directive *directive, const void *field)
{
    switch (directive->size) {
    case sizeof(uint8_t):
        return *(const uint8_t *)field;
    case sizeof(uint32_t):
        return *(const uint32_t *)field;
    default:
        return *(const uint64_t *)field;
    }
}

const char *conf_show_choice(const struct conf_directive *directive, const void *field,
                             char room[CONF_SHOW_SIZE])
{
    (void)room;
    const struct conf_choice *choice = directive->choices;
    uint64_t number = get_number(directive, field);
    while (choice != NULL && choice->name != NULL && (uint64_t)choice->value != number)
        choice++;
    return choice != NULL ? choice->name : NULL;
}

const char *conf_show_number(const struct conf_directive *directive, const void *field,
                             char room[CONF_SHOW_SIZE])
{
    uint64_t number = get_number(directive, field);
    if (number < directive->least || number > directive->most)
        return conf_show_choice(directive, field, room);
    snprintf(room, CONF_SHOW_SIZE, "%" PRIu64, number);
    return room;
}

const char *conf_show_duration(const struct conf_directive *directive, const void *field,
                               char room[CONF_SHOW_SIZE])
{
    uint64_t ns = get_number(directive, field);
    static_assert(CONF_SHOW_SIZE >= DURATION_TEXT_SIZE, "for a duration");
    return ns < directive->least || ns > directive->most ? conf_show_choice(directive, field, room)
                                                         : duration_format(ns, room);
}

const char *conf_show_text(const struct conf_directive *directive, const void *field,
                           char room[CONF_SHOW_SIZE])
{
    (void)directive;
    (void)room;
    return *(char *const *)field;
}

const char *conf_show(const struct conf_directive *directive, const void *base,
                      char room[CONF_SHOW_SIZE])
{
    return directive->type->show(directive, (const char *)base + directive->offset, room);
}
