"""Networks on microcontrollers of 32 KB of flash and 2 KB of RAM, without having one.

``kplib bench devices`` is the command. Each network is exported as C, linked with a small test
program within the limits of a device, and run by an emulator: instructions or cycles are counted,
the depth of the stack is measured, the logits are compared with those of the same C here. Nothing
of it is time: an emulator's says nothing of a device's.
"""
