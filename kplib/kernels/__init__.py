"""C++ matrix-vector products with all sizes known at compile time, called from NumPy.

Three loaders stand behind one interface: cppyy's Cling (the default), the system's C++ compiler
with ctypes, and NumPy. All three run the same operations; the first two compile the same headers,
`include/kplib/*.hpp`, which use portable vector extensions and no intrinsics.

=====================  ===========================================================================
environment variable   meaning
=====================  ===========================================================================
``KPLIB_LOADER``       ``cppyy``, ``compiler`` or ``numpy``, instead of the first that works
``KPLIB_CXX``          the compiler of the loader ``compiler`` (else ``CXX``, g++, clang++, c++)
``KPLIB_CXXFLAGS``     its flags (``-O3 -march=native``; on Arm ``-O3 -mcpu=native``);
                       ``-fno-fast-math`` is added, for the activations need exact rounding
=====================  ===========================================================================

cppyy's own variable ``EXTRA_CLING_ARGS`` chooses neither the vector extensions nor ``__OPTIMIZE__``
in cppyy 3.5: with ``-O2 -march=x86-64`` or ``-O0`` the code sees the macros of this machine all the
same. For code for another machine take the loader ``compiler`` and ``KPLIB_CXXFLAGS``.
"""

from kplib.kernels.loaders import KernelFallbackWarning, available
from kplib.kernels.matvec import (
    CompiledMatvec,
    compile_dense,
    compile_hybrid,
    compile_kron,
    compile_lowrank,
)

__all__ = [
    "CompiledMatvec",
    "KernelFallbackWarning",
    "available",
    "compile_dense",
    "compile_hybrid",
    "compile_kron",
    "compile_lowrank",
]
