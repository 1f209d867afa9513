/* Run a program for the Arduino Uno in simavr: its serial port is this program's standard input and
   output. What it does from GPIOR0 = 1 to GPIOR0 = 0 is counted, and the cycles are written to the
   output, in four bytes, the lowest first. */
#include <simavr/avr_uart.h>
#include <simavr/sim_avr.h>
#include <simavr/sim_elf.h>
#include <simavr/sim_io.h>
#include <stdio.h>
#include <unistd.h>

#define CLOCK 16000000
#define GPIOR0 0x3E /* addresses in the data space of an ATmega328P */
#define UCSR0B 0xC1
#define RECEIVER_IS_ON 0x10

static avr_t *avr;
static FILE *output;
static avr_cycle_count_t begin;
static int ready; /* whether the serial port can take more */

static void on_output(avr_irq_t *irq, uint32_t value, void *parameter)
{
    (void)irq, (void)parameter;
    putc((int)value, output);
}

static void on_room(avr_irq_t *irq, uint32_t value, void *parameter)
{
    (void)irq, (void)value, (void)parameter;
    ready = 1;
}

static void on_full(avr_irq_t *irq, uint32_t value, void *parameter)
{
    (void)irq, (void)value, (void)parameter;
    ready = 0;
}

static void on_switch(avr_irq_t *irq, uint32_t value, void *parameter)
{
    (void)irq, (void)parameter;
    ready = (value & RECEIVER_IS_ON) != 0;
}

static void on_mark(avr_irq_t *irq, uint32_t value, void *parameter)
{
    (void)irq, (void)parameter;
    if (value) {
        begin = avr->cycle;
        return;
    }
    const avr_cycle_count_t cycles = avr->cycle - begin;
    for (int shift = 0; shift < 32; shift += 8)
        putc((int)(cycles >> shift & 0xFF), output);
}

int main(int count, char **arguments)
{
    static elf_firmware_t firmware;
    output = fdopen(dup(STDOUT_FILENO), "wb");
    dup2(STDERR_FILENO, STDOUT_FILENO); /* simavr prints there what it loads */
    if (count != 2 || elf_read_firmware(arguments[1], &firmware)) {
        fprintf(stderr, "usage: simulate_uno PROGRAM.elf\n");
        return 2;
    }
    avr = avr_make_mcu_by_name("atmega328p");
    avr_init(avr);
    firmware.frequency = CLOCK;
    avr_load_firmware(avr, &firmware);
    avr->log = LOG_ERROR;
    avr->run_cycle_limit = 1000000; /* between looks at its timers: else it is half as fast */
    uint32_t flags = 0; /* no echo, no pauses */
    avr_ioctl(avr, AVR_IOCTL_UART_SET_FLAGS('0'), &flags);
    avr_irq_t *to_device = avr_io_getirq(avr, AVR_IOCTL_UART_GETIRQ('0'), UART_IRQ_INPUT);
    avr_irq_register_notify(avr_io_getirq(avr, AVR_IOCTL_UART_GETIRQ('0'), UART_IRQ_OUTPUT),
                            on_output, NULL);
    avr_irq_register_notify(avr_io_getirq(avr, AVR_IOCTL_UART_GETIRQ('0'), UART_IRQ_OUT_XON),
                            on_room, NULL);
    avr_irq_register_notify(avr_io_getirq(avr, AVR_IOCTL_UART_GETIRQ('0'), UART_IRQ_OUT_XOFF),
                            on_full, NULL);
    avr_irq_register_notify(avr_iomem_getirq(avr, GPIOR0, NULL, AVR_IOMEM_IRQ_ALL), on_mark, NULL);
    avr_irq_register_notify(avr_iomem_getirq(avr, UCSR0B, NULL, AVR_IOMEM_IRQ_ALL), on_switch,
                            NULL);
    int state = cpu_Running, byte = 0;
    while (state != cpu_Done && state != cpu_Crashed) {
        while (ready && byte != EOF && (byte = getchar()) != EOF)
            avr_raise_irq(to_device, (uint32_t)byte);
        state = avr_run(avr);
    }
    fflush(output);
    return state == cpu_Crashed;
}
