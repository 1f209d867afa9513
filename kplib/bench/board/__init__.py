"""``kplib board``: the kernels and the compiled networks timed on an Arm board, honestly.

The rules by which a machine is a board, and the procedure by which it is timed, are C++ headers in
``native/``: the same for Python, which loads them, and for the bundle, which needs no Python.
"""
