"""The errors that kplib raises: each one carries the numbers that do not fit."""


class ShapeError(ValueError):
    """Sizes that do not fit together, or a size that a method is not defined for."""


class DtypeError(ValueError):
    """A dtype that is not supported, or one whose conversion would lose bits."""


class BufferLayoutError(ValueError):
    """A buffer that compiled code cannot use: strided, read-only, misaligned or overlapping."""


class DataError(ValueError):
    """A data file, or an option of a data set, that is not what it should be."""


class MissingDataError(DataError):
    """A data file that is not here and cannot be downloaded; the message says where to put it."""


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
