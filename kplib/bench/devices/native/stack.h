/* How deep the stack gets: its bytes are painted first, and looked at in the end. */
#ifndef STACK_H
#define STACK_H

#include <stdint.h>

/* The lowest byte that the stack may use, and the byte after its highest. */
extern char stack_bottom[], stack_top[];

/* For the caller's own use while it paints. What is below its frame by less counts as used. */
#define STACK_MARGIN 16
#define STACK_PAINT ((char)0xA5)

static inline __attribute__((always_inline)) void paint_stack(void)
{
    const char *end = (const char *)__builtin_frame_address(0) - STACK_MARGIN;
    for (volatile char *byte = stack_bottom; (const char *)byte < end; byte++)
        *byte = STACK_PAINT;
}

static inline uint16_t untouched_stack(void)
{
    uint16_t count = 0;
    for (const volatile char *byte = stack_bottom;
         (const char *)byte < stack_top && *byte == STACK_PAINT; byte++)
        count++;
    return count;
}

#endif
