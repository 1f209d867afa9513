"""The errors that kplib raises: each one carries the numbers that do not fit."""


class ShapeError(ValueError):
    """Sizes that do not fit together, or a size that a method is not defined for."""


class DtypeError(ValueError):
    """A dtype that is not supported, or one whose conversion would lose bits."""


class BufferLayoutError(ValueError):
    """A buffer that compiled code cannot use: strided, read-only, misaligned or overlapping."""


class MissingExtraError(ImportError):
    """An optional part of kplib is not installed; the message names the extra that brings it."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(
            f"{package} is not installed; it comes with the extra {extra!r}: "
            f"pip install 'kplib[{extra}]'",
            name=package,
        )
