/* The test program around an exported network, the same on every device and on the computer.

   It holds no test data. An image arrives row by row, as from a sensor, and is never whole in
   memory. The computer sends the number of steps in two bytes, then the rows; after each row it is
   told what the step has cost, and after the last one what the head has cost, and the logits. No
   steps end the program; then it sends how many bytes of the stack were never touched. */
#include "device.h"
#include "net.h"

static net_state state;

int main(void)
{
    float x[NET_INPUTS], logits[NET_CLASSES];
    uint16_t steps;
    device_start();
    for (device_receive(&steps, sizeof steps); steps; device_receive(&steps, sizeof steps)) {
        net_reset(&state);
        for (uint16_t t = 0; t < steps; t++) {
            device_receive(x, sizeof x);
            device_count();
            net_step(&state, x);
            device_send_count();
        }
        device_count();
        net_logits(&state, logits);
        device_send_count();
        device_send(logits, sizeof logits);
    }
    steps = device_untouched_stack();
    device_send(&steps, sizeof steps);
    device_end();
    return 0;
}
