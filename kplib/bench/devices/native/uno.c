/* An Arduino Uno: the serial port, and a register that tells the simulator when to count. */
#include "device.h"
#include "stack.h"

#include <avr/interrupt.h>
#include <avr/io.h>
#include <avr/sleep.h>

void device_start(void)
{
    paint_stack();
    UBRR0 = 0; /* 1 megabaud at 16 MHz */
    UCSR0B = 1 << RXEN0 | 1 << TXEN0;
}

void device_receive(void *to, size_t bytes)
{
    for (uint8_t *next = to; bytes; bytes--) {
        while (!(UCSR0A & 1 << RXC0))
            ;
        *next++ = UDR0;
    }
}

void device_send(const void *from, size_t bytes)
{
    for (const uint8_t *next = from; bytes; bytes--) {
        while (!(UCSR0A & 1 << UDRE0))
            ;
        UDR0 = *next++;
    }
}

void device_count(void)
{
    GPIOR0 = 1;
}

void device_send_count(void)
{
    GPIOR0 = 0;
}

uint16_t device_untouched_stack(void)
{
    return untouched_stack();
}

void device_end(void)
{
    cli();
    sleep_enable();
    sleep_cpu(); /* with interrupts off it ends the simulation */
}
