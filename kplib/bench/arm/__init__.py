"""Evidence for Arm without a board: counted, modelled and predicted, never timed.

``kplib bench arm`` compiles every kernel and network for aarch64, checks it against x86, counts its
instructions in an emulator, and models its cycles. An emulator's time says nothing about a board's:
none is taken here.
"""
