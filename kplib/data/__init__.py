"""The data sets: found or downloaded, checked, split and preprocessed as in the papers.

``load(name)`` returns a `DataSet`; `DATA_SETS` says where each one comes from. A data set has a
module, with its `Source` and a function that loads it.
"""

from collections.abc import Callable, Mapping
from typing import Any

from kplib._checks import require_options
from kplib.errors import DataError, MissingExtraError

try:
    import pooch  # noqa: F401  (only to give the error that names the extra)
except ModuleNotFoundError as error:
    if error.name != "pooch":
        raise
    raise MissingExtraError("pooch", "data") from error

from kplib.data import actrectut, dsads, images, opportunity, speech
from kplib.data.files import File, Source, locate
from kplib.data.sets import DataSet, Sequences

__all__ = ["DATA_SETS", "DataSet", "File", "Sequences", "Source", "load", "locate"]

_LOADERS: Mapping[str, tuple[Source, Callable[..., DataSet]]] = {
    "mnist": (images.MNIST, images.load_mnist),
    "usps": (images.USPS, images.load_usps),
    "keywords": (speech.KEYWORDS, speech.load_keywords),
    "opportunity": (opportunity.SOURCE, opportunity.load),
    "dsads": (dsads.SOURCE, dsads.load),
    "actrectut": (actrectut.SOURCE, actrectut.load),
}

DATA_SETS: Mapping[str, Source] = {name: source for name, (source, _) in _LOADERS.items()}


def load(name: str, **options: Any) -> DataSet:
    """Load a data set; download it first if it is not here.

    Parameters
    ----------
    name : str
        One of `DATA_SETS`.
    **options
        The keyword arguments of its loader, such as `kplib.data.speech.load_keywords`.

    Returns
    -------
    DataSet

    Raises
    ------
    DataError
        If there is no such data set, or if a file of it is not what was published.
    ValueError
        If it has no such option, or an option does not make sense.
    MissingDataError
        If a file is not here and cannot be downloaded.

    Examples
    --------
    ``load("mnist").test`` are `Sequences` of 28 steps; the first call downloads it. An option
    that is none of the loader's is refused before anything is downloaded:

    >>> import kplib.data
    >>> try:
    ...     kplib.data.load("actrectut", split="days")
    ... except ValueError as error:
    ...     "'repetitions', 'subjects'" in str(error)
    True
    """
    if name not in _LOADERS:
        raise DataError(f"there is no data set {name!r}, but {', '.join(_LOADERS)}")
    _, loader = _LOADERS[name]
    require_options(name, loader, options)
    return loader(**options)
