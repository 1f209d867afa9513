"""The errors that kplib raises: each one carries the numbers that do not fit."""


class ShapeError(ValueError):
    """Sizes that do not fit together, or a size that a method is not defined for.

    Examples
    --------
    >>> import kplib
    >>> try:
    ...     kplib.factor_shapes(0, 10)
    ... except kplib.errors.ShapeError as error:
    ...     isinstance(error, ValueError) and "0" in str(error)
    True
    """


class DtypeError(ValueError):
    """A dtype that is not supported, or one whose conversion would lose bits.

    Examples
    --------
    >>> import numpy as np, kplib
    >>> try:
    ...     kplib.compile_kron(np.ones((2, 3), complex), np.ones((4, 5)))
    ... except kplib.errors.DtypeError as error:
    ...     "complex" in str(error)
    True
    """


class BufferLayoutError(ValueError):
    """A buffer that compiled code cannot use: strided, read-only, misaligned or overlapping.

    Examples
    --------
    >>> import numpy as np, kplib
    >>> product = kplib.compile_kron(np.ones((2, 3)), np.ones((4, 5)))
    >>> every_other = np.empty(16)[::2]
    >>> try:
    ...     call = product.bind(np.ones(15), every_other)
    ... except kplib.errors.BufferLayoutError as error:
    ...     "contiguous" in str(error)
    True
    """


class DataError(ValueError):
    """A data file, or an option of a data set, that is not what it should be.

    Examples
    --------
    >>> import kplib.data
    >>> try:
    ...     kplib.data.load("minst")
    ... except kplib.errors.DataError as error:
    ...     print(error)
    there is no data set 'minst', but mnist, usps, keywords, opportunity, dsads, actrectut
    """


class MissingDataError(DataError):
    """A data file that is not here and cannot be downloaded; the message says where to put it.

    Examples
    --------
    One ``except`` catches a data set that is wrong and one that is not here:

    >>> import kplib
    >>> issubclass(kplib.errors.MissingDataError, kplib.errors.DataError)
    True
    """


class MissingExtraError(ImportError):
    """An optional part of kplib is not installed; the message names the extra that brings it.

    Parameters
    ----------
    package : str
        What is missing.
    extra : str
        The extra of kplib that brings it.

    Attributes
    ----------
    package, extra : str
        As given; ``name``, as in every ImportError, is the package.

    Examples
    --------
    >>> import kplib
    >>> error = kplib.errors.MissingExtraError("torch", "nn")
    >>> "pip install 'kplib[nn]'" in str(error) and error.name == "torch"
    True
    """

    def __init__(self, package: str, extra: str) -> None:
        self.package = package
        self.extra = extra
        super().__init__(
            f"{package} is not installed; it comes with the extra {extra!r}: "
            f"pip install 'kplib[{extra}]'",
            name=package,
        )

    def __reduce__(self) -> tuple[type["MissingExtraError"], tuple[str, str], dict[str, object]]:
        """Pickle with the arguments of `__init__`: an error has to pass between processes."""
        return type(self), (self.package, self.extra), self.__dict__
