"""Three ways to run a program, behind one interface: cppyy, the system's compiler, NumPy."""

import os
import warnings
from typing import cast

from kplib.kernels.loaders import compiler_loader, cppyy_loader, numpy_loader
from kplib.kernels.loaders.base import Implementation, Loader

__all__ = ["Implementation", "KernelFallbackWarning", "Loader", "available", "choose"]

_LOADERS: dict[str, Loader] = {
    module.name: cast(Loader, module) for module in (cppyy_loader, compiler_loader, numpy_loader)
}
_told: set[str] = set()


class KernelFallbackWarning(UserWarning):
    """A loader that comes first in the order cannot be used; the next one takes over.

    Examples
    --------
    A program that must not be slow makes it an error. A loader asked for by name warns of nothing:

    >>> import warnings, numpy as np, kplib
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("error", kplib.kernels.KernelFallbackWarning)
    ...     product = kplib.compile_kron(np.eye(3), np.eye(2), loader="numpy")
    >>> product.loader == "numpy"
    True
    """


def available() -> dict[str, str]:
    """Return each loader, in the order of preference, and why it cannot be used ("" if it can).

    Examples
    --------
    >>> import kplib
    >>> list(kplib.kernels.available())
    ['cppyy', 'compiler', 'numpy']
    >>> kplib.kernels.available()["numpy"] == ""
    True
    """
    return {name: loader.missing() for name, loader in _LOADERS.items()}


def choose(name: str | None = None) -> Loader:
    """Return the loader asked for, by name or by ``KPLIB_LOADER``, else the first that works.

    Raises
    ------
    ValueError
        If there is no such loader, or if the one asked for cannot be used here.
    """
    asked = name or os.environ.get("KPLIB_LOADER")
    if asked:
        if asked not in _LOADERS:
            raise ValueError(f"loader is {asked!r}, but must be one of {list(_LOADERS)}")
        if reason := _LOADERS[asked].missing():
            raise ValueError(f"loader {asked!r} cannot be used here: {reason}")
        return _LOADERS[asked]
    reasons = []
    for loader in _LOADERS.values():
        reason = loader.missing()
        if not reason:
            break
        reasons.append(reason)
    message = f"kplib kernels use the loader {loader.name!r}: {'; '.join(reasons)}"
    if reasons and message not in _told:
        _told.add(message)
        warnings.warn(message, KernelFallbackWarning, stacklevel=5)  # where compile_* is called
    return loader
