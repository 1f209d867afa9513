"""Weight structures: how the gate matrices of a recurrent layer are made.

A *structure* (`Dense()`, `Kronecker()`) is a frozen description that the user passes to any
number of layers; each layer calls its ``build`` and gets a *weight*, the module that is trained.
A weight treats its gate matrices as one stack of shape (gates, rows, columns) and offers what
every layer needs, whatever the cell:

========================  =======================================================================
``kind``                  ``"dense"``, ``"kronecker"``
``gates, rows, columns``  the size of the stack
``matrix()``              the stack itself, differentiable
``operator()``            the function V (columns, batch) -> (gates, rows, batch), for many calls
``params``                parameters stored, all gates
``macs``                  multiplications of one step of one sequence, all gates
``nbytes``                bytes of the parameters
========================  =======================================================================
"""

from kplib.nn.structures.base import Initializer, Structure, Weight
from kplib.nn.structures.dense import Dense, DenseWeight
from kplib.nn.structures.kronecker import Kronecker, KroneckerWeight

__all__ = [
    "Dense",
    "DenseWeight",
    "Initializer",
    "Kronecker",
    "KroneckerWeight",
    "Structure",
    "Weight",
]
