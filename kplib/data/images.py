"""The digits: MNIST (28 rows of 28 pixels) and USPS (16 rows of 16), one row a step."""

import gzip
import math
import numbers
import zipfile
import zlib
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from kplib.data.files import File, Source, digest, locate
from kplib.data.sets import DataSet, Sequences
from kplib.errors import DataError

Images = NDArray[np.float32]
Labels = NDArray[np.int64]
Scaling = Literal["pixel", "range"]

_DIGITS = tuple("0123456789")
_MNIST_ADDRESSES = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)
_WHITE = -1.0  # in the files of USPS
_LIBSVM = "https://www.csie.ntu.edu.tw/~cjlin/libsvmtools/datasets/multiclass/"


def _mnist_file(name: str, size: int, sha256: str) -> File:
    return File(name, tuple(url + name for url in _MNIST_ADDRESSES), size, f"sha256:{sha256}")


MNIST = Source(
    name="mnist",
    title="MNIST handwritten digits",
    folder="mnist",
    editions={
        "original": (
            _mnist_file(
                "train-images-idx3-ubyte.gz",
                9912422,
                "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            ),
            _mnist_file(
                "train-labels-idx1-ubyte.gz",
                28881,
                "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            ),
            _mnist_file(
                "t10k-images-idx3-ubyte.gz",
                1648877,
                "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            ),
            _mnist_file(
                "t10k-labels-idx1-ubyte.gz",
                4542,
                "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
            ),
        )
    },
    licence="no official text; commonly labelled CC BY-SA 3.0",
    citation="Y. LeCun, L. Bottou, Y. Bengio and P. Haffner, Gradient-based learning applied to "
    "document recognition, Proceedings of the IEEE 86 (1998)",
    complete="whole: 60,000 + 10,000",
)

USPS = Source(
    name="usps",
    title="USPS zip-code digits",
    folder="usps",
    editions={
        "npz": (
            File(
                "usps.npz",
                size=2369596,
                hash="sha256:9ae3c933e9b2b7bfc4369c0952eeab777661bde8b4785be15c630e8339cff721",
            ),
        ),
        "libsvm": (
            File("usps.bz2", (_LIBSVM + "usps.bz2",), hash="md5:ec16c51db3855ca6c91edd34d0e9b197"),
            File(
                "usps.t.bz2",
                (_LIBSVM + "usps.t.bz2",),
                hash="md5:8ea070ee2aca1ac39742fdd1ef5ed118",
            ),
        ),
    },
    licence="none stated",
    citation="J. J. Hull, A database for handwritten text recognition research, IEEE Transactions "
    "on Pattern Analysis and Machine Intelligence 16 (1994)",
    complete="whole: 7,291 + 2,007",
)


def load_mnist(
    *,
    validation_fraction: float = 0.2,
    split_seed: int = 0,
    shifts: int = 0,
    progress: bool = True,
) -> DataSet:
    """Load MNIST as sequences of 28 rows of 28 pixels in [0, 1].

    Parameters
    ----------
    validation_fraction : float, default 0.2
        Of the 60,000 training images, each class in proportion: the papers' 80/20.
    split_seed : int, default 0
        Which images those are.
    shifts : int, default 0
        The training images' variants: shifted by up to so many pixels in both directions, black
        coming in. With s, (2 s + 1)^2 of them, the image itself among them; with 0, none.
    progress : bool, default True
        Whether a download shows a progress bar.

    Returns
    -------
    DataSet
        48,000 + 12,000 + 10,000 sequences of 28 steps and 28 inputs.

    Raises
    ------
    DataError
        If a file is missing or not as published, or `shifts` is negative or as large as an image.
    """
    files = MNIST.edition()
    paths = [locate(MNIST, file, progress=progress) for file in files]
    images, labels, test_images, test_labels = (read_idx(path) for path in paths)
    x, test_x = (np.divide(array, 255, dtype=np.float32) for array in (images, test_images))
    parts, split = _split(x, labels.astype(np.int64), validation_fraction, split_seed)
    return DataSet(
        "mnist",
        _DIGITS,
        *parts,
        Sequences(test_x, test_labels.astype(np.int64)),
        shifted(parts[0].x, shifts, 0.0) if shifts else None,
        files={path.name: digest(path) for path in paths},
        protocol={
            "step": "one row",
            "scaling": "pixel / 255",
            "split": split,
            **({"shifts, pixels": shifts} if shifts else {}),
        },
    )


def load_usps(
    *,
    edition: str | None = None,
    validation_fraction: float = 0.2,
    split_seed: int = 0,
    scaling: Scaling = "pixel",
    shifts: int = 0,
    progress: bool = True,
) -> DataSet:
    """Load USPS as sequences of 16 rows of 16 pixels, by default normalised as in EdgeML.

    That is each pixel minus its mean, over its standard deviation (1 where that is below 1e-6),
    both over the training part. EdgeML has no validation part; its statistics are over all 7,291
    images. A pixel of the corners, which is nearly always white, is multiplied by up to 20 that
    way, so that one that is not lies up to 30 deviations away; ``scaling="range"`` does not.

    Parameters
    ----------
    edition : str, optional
        ``"npz"`` or ``"libsvm"``, which have the same numbers; if not given, the one that is here.
    validation_fraction : float, default 0.2
        Of the 7,291 training images, each class in proportion: the papers' 80/20.
    split_seed : int, default 0
        Which images those are.
    scaling : {"pixel", "range"}, default "pixel"
        ``"pixel"``: EdgeML's, each pixel by its own mean and standard deviation. ``"range"``: from
        the files' [-1, 1] to [0, 1], all pixels alike, as MNIST's.
    shifts : int, default 0
        The training images' variants: shifted by up to so many pixels in both directions, white
        coming in. With s, (2 s + 1)^2 of them, the image itself among them; with 0, none.
    progress : bool, default True
        Whether a download shows a progress bar.

    Returns
    -------
    DataSet
        5,832 + 1,459 + 2,007 sequences of 16 steps and 16 inputs.

    Raises
    ------
    DataError
        If a file is missing or not as published, or an argument is none of these.
    """
    if scaling not in get_args(Scaling):
        raise DataError(f"scaling must be one of {', '.join(get_args(Scaling))}, found {scaling!r}")
    files = USPS.edition(edition)
    paths = [locate(USPS, file, progress=progress) for file in files]
    x, y, test_x, test_y = read_usps_npz(*paths) if len(paths) == 1 else read_libsvm(*paths)
    (train, validation), split = _split(x, y, validation_fraction, split_seed)
    if scaling == "pixel":
        mean, deviation = train.x.mean(0, np.float64), train.x.std(0, np.float64)
        deviation[deviation < 1e-6] = 1
        words = "each pixel: (x - mean) / std of the training part, std < 1e-6 -> 1"
    else:
        mean, deviation, words = np.float64(_WHITE), np.float64(2), "(pixel + 1) / 2"

    def scaled(x: Images) -> Images:
        return ((x - mean) / deviation).astype(np.float32)

    return DataSet(
        "usps",
        _DIGITS,
        Sequences(scaled(train.x), train.y),
        Sequences(scaled(validation.x), validation.y),
        Sequences(scaled(test_x), test_y),
        scaled(shifted(train.x, shifts, _WHITE)) if shifts else None,
        files={path.name: digest(path) for path in paths},
        protocol={
            "step": "one row",
            "scaling": words,
            "split": split,
            **({"shifts, pixels": shifts} if shifts else {}),
        },
    )


def shifted(x: Images, by: int, background: float) -> Images:
    """Return images shifted by all vectors of up to `by` pixels a direction.

    Parameters
    ----------
    x : ndarray, shape (N, height, width)
    by : int
        At least 0, and below height and width.
    background : float
        What comes in at the edges.

    Returns
    -------
    ndarray, shape ((2 by + 1)^2, N, height, width)
        The images themselves are in the middle.

    Raises
    ------
    DataError
        If `by` is not whole, negative or as large as an image.

    Examples
    --------
    >>> x = np.arange(6, dtype=np.float32).reshape(1, 2, 3)
    >>> shifted(x, 1, -1.0)[0, 0].tolist()  # down and to the right
    [[-1.0, -1.0, -1.0], [-1.0, 0.0, 1.0]]
    >>> bool((shifted(x, 1, -1.0)[4] == x).all())
    True
    """
    whole = isinstance(by, numbers.Integral) and not isinstance(by, bool)
    if not whole or not 0 <= by < min(x.shape[1:]):
        raise DataError(
            f"shifts must be a whole number from 0 to below {min(x.shape[1:])} pixels, found {by!r}"
        )
    height, width = x.shape[1:]
    padded = np.pad(x, ((0, 0), (by, by), (by, by)), constant_values=background)
    corners = range(2 * by + 1)
    return np.stack([padded[:, i : i + height, j : j + width] for i in corners for j in corners])


def read_idx(path: Path | str) -> NDArray[np.uint8]:
    """Read a gzipped idx file of bytes, the format of MNIST.

    Two zero bytes, the type (8: unsigned byte), the number of axes, their lengths as big-endian
    32-bit integers, then the entries in C order.

    Raises
    ------
    DataError
        If it is not such a file, or has more or fewer entries than its head says.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "labels.gz")
    ...     _ = path.write_bytes(gzip.compress(bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 2, 1])))
    ...     read_idx(path).tolist() == [7, 2, 1]
    True
    """
    try:
        content = gzip.decompress(Path(path).read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} is not a whole gzip file: {error}") from None
    axes = content[3] if len(content) > 3 else 0
    body = 4 + 4 * axes
    if content[:3] != b"\0\0\x08" or axes == 0 or len(content) < body:
        raise DataError(f"{path} is not an idx file of bytes: it begins with {content[:4]!r}")
    shape = tuple(int(n) for n in np.frombuffer(content[4:body], ">u4"))
    if len(content) - body != math.prod(shape):
        raise DataError(
            f"{path} has {len(content) - body:,} entries, but its head says {shape}: "
            f"{math.prod(shape):,}"
        )
    return np.frombuffer(content, np.uint8, offset=body).reshape(shape)


def read_usps_npz(path: Path | str) -> tuple[Images, Labels, Images, Labels]:
    """Read ``x_train``, ``y_train``, ``x_test``, ``y_test`` from a file with these arrays."""
    path, names = Path(path), ("x_train", "y_train", "x_test", "y_test")
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            x, y, test_x, test_y = (file[name] for name in names)
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise DataError(f"{path} does not have the arrays {', '.join(names)}: {error}") from None
    return (
        *_checked_usps(path, x, y.astype(np.int64)),
        *_checked_usps(path, test_x, test_y.astype(np.int64)),
    )


def read_libsvm(train: Path | str, test: Path | str) -> tuple[Images, Labels, Images, Labels]:
    """Read USPS in LIBSVM's form, where the labels are 1 to 10, from two bz2 files."""
    return (*_read_libsvm(Path(train)), *_read_libsvm(Path(test)))


def _read_libsvm(path: Path) -> tuple[Images, Labels]:
    from sklearn.datasets import load_svmlight_file

    try:
        x, y = load_svmlight_file(str(path), n_features=256, dtype=np.float32)
    except (OSError, EOFError, ValueError) as error:
        raise DataError(f"{path} is not a whole bz2 file in LIBSVM's form: {error}") from None
    return _checked_usps(path, x.toarray().reshape(-1, 16, 16), y.astype(np.int64) - 1)


def _checked_usps(path: Path, x: Images, y: Labels) -> tuple[Images, Labels]:
    if x.shape != (len(y), 16, 16) or not set(np.unique(y)) <= set(range(10)):
        raise DataError(
            f"{path} must have images of 16 x 16 and labels of ten digits, found images "
            f"{x.shape} and labels {sorted({int(label) for label in y})}"
        )
    return x, y


def _split(
    x: Images, y: Labels, fraction: float, seed: int
) -> tuple[tuple[Sequences, Sequences], dict[str, Any]]:
    """Return training and validation, each class in proportion, and what the protocol says."""
    from sklearn.model_selection import train_test_split

    if not 0 < fraction < 1:
        raise DataError(f"validation_fraction must be between 0 and 1, found {fraction}")
    train, validation = train_test_split(
        np.arange(len(y)), test_size=fraction, stratify=y, random_state=seed
    )
    parts = (Sequences(x[train], y[train]), Sequences(x[validation], y[validation]))
    return parts, {"validation_fraction": fraction, "seed": seed, "stratified": True}
