"""How a command ends where the user can mend what is wrong: one line, status 2."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def refused_in_one_line(*errors: type[Exception]) -> Iterator[None]:
    """Turn an error into one line on stderr and status 2, without a traceback.

    Parameters
    ----------
    *errors : type of Exception, default ValueError
        What is turned; all else goes on as it is.

    Raises
    ------
    SystemExit
        With status 2.

    Examples
    --------
    >>> try:
    ...     with refused_in_one_line():
    ...         raise ValueError("no benchmark 'mnist'")
    ... except SystemExit as end:
    ...     end.code
    2
    """
    kinds = errors or (ValueError,)
    try:
        yield
    except kinds as error:
        print_refusal(error)
        sys.exit(2)


def print_refusal(error: object) -> None:
    """Print what is wrong, in the one form that all commands have."""
    print(f"kplib: {error}", file=sys.stderr)
