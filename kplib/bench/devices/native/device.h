/* What a device gives the test program in main.c. */
#ifndef DEVICE_H
#define DEVICE_H

#include <stddef.h>
#include <stdint.h>

/* Begin: the stack is painted, the connection to the computer is open. */
void device_start(void);

/* Wait for bytes from the computer; send some there. */
void device_receive(void *to, size_t bytes);
void device_send(const void *from, size_t bytes);

/* Begin to count; end, and send the computer four bytes: how much was counted. */
void device_count(void);
void device_send_count(void);

/* Bytes of the stack that nothing has ever been written to. */
uint16_t device_untouched_stack(void);

void device_end(void);

#endif
