/* A Cortex-M with nothing on it: vectors, start-up, semihosting, SysTick.

   The emulator gives every instruction the same virtual time, so that SysTick, which counts clock
   ticks downwards, counts instructions. */
#include "device.h"
#include "stack.h"

#include <errno.h>
#undef errno

#define REGISTER(address) (*(volatile uint32_t *)(address))
#define SYSTICK_CONTROL REGISTER(0xE000E010)
#define SYSTICK_RELOAD REGISTER(0xE000E014)
#define SYSTICK_VALUE REGISTER(0xE000E018)
#define COPROCESSORS REGISTER(0xE000ED88)
#define LAST_24_BITS 0xFFFFFFu

enum { SYS_OPEN = 1, SYS_WRITE = 5, SYS_READ = 6, SYS_EXIT = 0x18, SYS_EXIT_EXTENDED = 0x20 };
enum { READ_BYTES = 1, WRITE_BYTES = 5 }; /* modes "rb" and "wb" of SYS_OPEN */
#define APPLICATION_EXIT 0x20026
#define RUN_TIME_ERROR 0x20023

extern char data_begin[], data_end[], data_in_flash[], bss_begin[], bss_end[];
int main(void);
void reset(void);
static void fault(void);

/* The C library's would bring the whole of its `struct _reent`, some hundred bytes of RAM. */
static int error_number;
int *__errno(void);
int *__errno(void)
{
    return &error_number;
}

__attribute__((section(".vectors"), used)) static void (*const vectors[16])(void) = {
    (void (*)(void))stack_top, reset, fault, fault, fault, fault, fault,
};

static int semihost(int operation, const void *arguments)
{
    register int r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = arguments;
    __asm__ volatile("bkpt 0xAB" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

static void end(uint32_t reason, uint32_t status)
{
    const uint32_t arguments[2] = {reason, status};
    semihost(SYS_EXIT_EXTENDED, arguments);
    for (;;)
        ;
}

__attribute__((used)) static void end_after_fault(void)
{
    end(RUN_TIME_ERROR, 1);
}

/* The stack may have been at fault: begin a new one. */
__attribute__((naked)) static void fault(void)
{
    __asm__ volatile("ldr r0, =stack_top\n\tmsr msp, r0\n\tbl end_after_fault");
}

void reset(void)
{
#ifdef __ARM_FP
    COPROCESSORS |= 0xFu << 20; /* the floating-point unit is off after a reset */
    __asm__ volatile("dsb\n\tisb");
#endif
    const char *from = data_in_flash;
    for (volatile char *to = data_begin; (char *)to < data_end; to++)
        *to = *from++;
    for (volatile char *to = bss_begin; (char *)to < bss_end; to++)
        *to = 0;
    main();
}

static int input, output;
static uint32_t count_begin;

static int open_terminal(uint32_t mode)
{
    static const char name[] = ":tt";
    const uint32_t arguments[3] = {(uint32_t)name, mode, sizeof name - 1};
    return semihost(SYS_OPEN, arguments);
}

void device_start(void)
{
    paint_stack();
    input = open_terminal(READ_BYTES);
    output = open_terminal(WRITE_BYTES);
    SYSTICK_RELOAD = LAST_24_BITS;
    SYSTICK_VALUE = 0;
    SYSTICK_CONTROL = 5; /* on, with the processor's clock, without an interrupt */
}

void device_receive(void *to, size_t bytes)
{
    char *next = to;
    while (bytes) {
        const uint32_t arguments[3] = {(uint32_t)input, (uint32_t)next, bytes};
        const size_t missing = (size_t)semihost(SYS_READ, arguments);
        if (missing >= bytes)
            end(RUN_TIME_ERROR, 2); /* the input has ended */
        next += bytes - missing;
        bytes = missing;
    }
}

void device_send(const void *from, size_t bytes)
{
    const uint32_t arguments[3] = {(uint32_t)output, (uint32_t)from, bytes};
    semihost(SYS_WRITE, arguments);
}

void device_count(void)
{
    count_begin = SYSTICK_VALUE;
}

void device_send_count(void)
{
    const uint32_t ticks = (count_begin - SYSTICK_VALUE) & LAST_24_BITS;
    device_send(&ticks, sizeof ticks);
}

uint16_t device_untouched_stack(void)
{
    return untouched_stack();
}

void device_end(void)
{
    end(APPLICATION_EXIT, 0);
}
