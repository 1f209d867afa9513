/* The computer itself, for the logits that the devices' are compared with. */
#include "device.h"

#include <stdio.h>
#include <stdlib.h>

void device_start(void)
{
}

void device_receive(void *to, size_t bytes)
{
    if (fread(to, 1, bytes, stdin) != bytes)
        exit(2);
}

void device_send(const void *from, size_t bytes)
{
    fwrite(from, 1, bytes, stdout);
}

void device_count(void)
{
}

void device_send_count(void)
{
    const uint32_t nothing = 0;
    device_send(&nothing, sizeof nothing);
}

uint16_t device_untouched_stack(void)
{
    return 0;
}

void device_end(void)
{
}
