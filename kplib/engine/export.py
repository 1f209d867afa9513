"""Export of a classifier as a C header and source that a microcontroller can compile."""

import copy
import math
import os
import re
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from kplib._atomic import atomic_file
from kplib.engine.c_source import MAX_STEPS, Check, c_text
from kplib.engine.plain import require_plain
from kplib.engine.stored import Weights, check_weights
from kplib.errors import DtypeError, ShapeError
from kplib.nn import GRU, LSTM, RNN, Classifier, FastRNN
from kplib.nn.compression import TORCH_LAYERS
from kplib.nn.quantized import quantize
from kplib.nn.recurrent import Recurrent
from kplib.nn.state import assign_state

LAYERS: tuple[type[Recurrent], ...] = (LSTM, GRU, RNN, FastRNN)
IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
EXAMPLE_STEPS = 8
TOLERANCE = 1e-4  # of the largest logit


@dataclass(frozen=True)
class CExport:
    """What `export_c` has written.

    Parameters
    ----------
    header, source : Path
        The files.
    name : str
        With which all public names of C begin.
    weight_bytes : int
        Of all constants: parameters, scales, indices. They stay in flash; code comes on top.
    state_bytes : int
        Of RAM: states and scratch. The stack comes on top, some hundred bytes.
    tolerance : float
        Of the self-test: the most by which a logit may differ.

    Examples
    --------
    >>> import tempfile, torch
    >>> from kplib.engine.export import export_c
    >>> from kplib.nn import Classifier, FastRNN
    >>> model = Classifier(FastRNN(16, 32), torch.nn.Linear(32, 10))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     exported = export_c(model, f"{folder}/usps")
    ...     exported.name, exported.header.name, exported.source.name
    ('usps', 'usps.h', 'usps.c')
    >>> exported.weight_bytes >= 4 * sum(p.numel() for p in model.parameters())
    True
    """

    header: Path
    source: Path
    name: str
    weight_bytes: int
    state_bytes: int
    tolerance: float


def export_c(
    model: Classifier,
    path: str | os.PathLike[str],
    *,
    weights: Weights = "float32",
    name: str | None = None,
    example: ArrayLike | None = None,
) -> CExport:
    """Write a classifier as C99: a header and a source without dependencies or allocation.

    Sizes are constants, loops are plain, weights are ``static const`` and stay in flash (on AVR
    too). tanh and sigmoid are part of it, in integers (``kplib.engine.c_activations``), so that it
    needs nothing of the C library but ``memcpy`` and ``memset``; on an AVR ``expf`` and ``tanhf``,
    too. It compiles without warnings with gcc, clang, arm-none-eabi-gcc and avr-gcc at
    ``-std=c99 -Wall -Wextra -Wconversion -pedantic``. The same model gives the same bytes.

    Parameters
    ----------
    model : kplib.nn.Classifier
        Of an LSTM, GRU, RNN or FastRNN of kplib, or an LSTM, GRU or RNN of torch.nn, with any
        structure of real weights, any number of layers, one direction or both; float32. Dropout is
        left out, as in evaluation.
    path : str or path
        Where to: "build/usps" writes build/usps.h and build/usps.c. A suffix .c or .h is dropped.
        The folder must exist; files that are there are replaced, both or none.
    weights : {"float32", "int8"}
        ``"int8"`` stores every matrix and bias of gates and head as integers of 8 bits with a
        scale, as ``kplib.nn.quantized.quantize(model, 8, head=True)`` does; they are multiplied by
        float states.
    name : str, optional
        With which all names begin; by default the file's, its other characters turned into _.
    example : array_like, shape (steps, input), optional
        Input of the self-test, such as one of the data; by default 8 steps of fixed numbers. With
        several bidirectional layers its steps are also the longest sequence,
        ``-DNAME_MAX_STEPS=...`` says otherwise (without an example: 128).

    Returns
    -------
    CExport
        The files, and the bytes of flash and RAM.

    Raises
    ------
    TypeError
        If the model is not a `Classifier`, or it or a part of it has no form in C: a subclass, a
        complex weight, hooks, parametrizations.
    DtypeError
        If the parameters or the example are not float32, or scales leave its range.
    ShapeError
        If the example is not (steps, input) with a step at least.
    ValueError
        If a parameter or the example is not finite, the name is no identifier, or the files cannot
        be written.

    Notes
    -----
    The C functions, for a name "usps":

    - ``void usps_run(const float *x, int steps, float *logits)``, a whole sequence;
    - in one direction also ``usps_reset(&state)``, ``usps_step(&state, x)`` and
      ``usps_logits(&state, logits)``, with as many ``usps_state`` as there are streams;
    - ``int usps_self_test(void)`` with ``-DUSPS_SELF_TEST``: how many logits of the example are
      wrong by more than ``USPS_TOLERANCE``, 1e-4 of the largest, or more where the model itself
      differs as much between float32 and float64;
    - ``USPS_INPUTS``, ``USPS_CLASSES``, ``USPS_WEIGHT_BYTES`` (flash) and ``USPS_STATE_BYTES``
      (RAM), which the compiler checks.

    RAM is ``x``, the states, and what a step leaves of its products: of two factors
    gates * n1 * m2 numbers (or gates * m1 * n2: the cheaper order, `FactorShape.order`), of a low
    rank the rank. Every gate's entry is computed when the cell asks for it, so that no vector of
    gates is stored, and the new state replaces the old one in place. A GRU keeps one more copy of
    its state, and so do dense and pruned weights. Several bidirectional layers also keep the
    outputs of all steps.

    Why int8 weights with float states: the nets are small, so that the flash is in the weights and
    the RAM in a few vectors; rounded states would save little of it, and their error would go
    through all steps. The error then is that of the rounded weights alone, which training can take
    into account (``kplib.nn.quantized.prepare_qat``). Two factors share one scale, the product of
    theirs.

    With float32 the logits differ from the model in float64 by some 1e-6 of the largest, as
    PyTorch's own do; the self-test's tolerance is far above.

    See Also
    --------
    kplib.compile : the same network as fast code for this machine.

    Examples
    --------
    >>> import tempfile, torch
    >>> from pathlib import Path
    >>> from kplib.engine.export import export_c
    >>> from kplib.nn import Classifier, FastRNN
    >>> model = Classifier(FastRNN(16, 32), torch.nn.Linear(32, 10))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     exported = export_c(model, Path(folder) / "usps", weights="int8")
    ...     "void usps_step(" in exported.header.read_text()
    True
    >>> exported.weight_bytes < 550 and exported.state_bytes < 300
    True
    """
    check_weights(weights)
    target = _target(path)
    name = _identifier(name, target.name)
    network = _checked(model)
    check = _check(network, weights, example)
    max_steps = MAX_STEPS if example is None else len(check.x)
    from kplib import __version__

    text = c_text(name, target.name, network, weights, check, max_steps, __version__)
    header, source = target.with_name(f"{target.name}.h"), target.with_name(f"{target.name}.c")
    _write({header: text.header, source: text.source})
    return CExport(header, source, name, text.weight_bytes, text.state_bytes, check.tolerance)


def load_state(model: nn.Module, path: str | os.PathLike[str]) -> None:
    """Load a model's trained state from a safetensors file; float16 becomes the model's dtype.

    Parameters
    ----------
    model : torch.nn.Module
        Gets the state.
    path : str or path
        The file, as ``safetensors.torch.save_file(model.state_dict(), path)`` writes it.

    Raises
    ------
    ValueError
        If there is no such file, or it is that of another model.

    Examples
    --------
    >>> import tempfile, torch
    >>> from safetensors.torch import save_file
    >>> trained, other = torch.nn.Linear(3, 2), torch.nn.Linear(3, 2)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_file(trained.state_dict(), f"{folder}/linear.safetensors")
    ...     load_state(other, f"{folder}/linear.safetensors")
    >>> torch.equal(trained.weight, other.weight)
    True
    """
    try:
        state = load_file(path)
    except (OSError, SafetensorError) as error:
        raise ValueError(f"cannot read {path}: {error}") from error
    assign_state(model, state, path)


# What is asked for --------------------------------------------------------------------------------


def _target(path: str | os.PathLike[str]) -> Path:
    """Return the files' path without suffix; a ValueError if nothing can be written there."""
    target = Path(path)
    if target.is_dir():
        raise ValueError(f"{target} is a folder; name the files in it: {target / 'network'}")
    if target.suffix in (".c", ".h"):
        target = target.with_suffix("")
    if not target.name:
        raise ValueError(f"path is {str(path)!r}, which names no file")
    if not re.fullmatch(r"[ !#-\[\]-~]+", target.name):
        raise ValueError(
            f"the file's name is {target.name!r}, but must be printable ASCII without quotes and "
            "backslashes: it stands in an #include"
        )
    if not target.parent.is_dir():
        raise ValueError(f"there is no folder {target.parent} to write {target.name}.c to")
    return target


def _identifier(name: str | None, file: str) -> str:
    """Return the C name; a ValueError if it cannot be one."""
    chosen = re.sub(r"[^A-Za-z0-9_]", "_", file) if name is None else name
    if not (isinstance(chosen, str) and IDENTIFIER.fullmatch(chosen)):
        raise ValueError(
            f"name is {chosen!r}, but must begin with a letter, and go on with letters, digits and "
            f"_ (ASCII): C functions are named after it"
        )
    return chosen


def _checked(model: Classifier) -> Classifier:
    """Return a copy of the model, in evaluation mode, with a layer of kplib.

    TypeError for all that computes something else than its C form would.
    """
    if not isinstance(model, Classifier):
        raise TypeError(
            f"export_c takes a kplib.nn.Classifier (a recurrent layer and a head), found "
            f"{type(model).__name__}; wrap it: kplib.nn.Classifier(rnn, head)"
        )
    require_plain(model, "export_c")
    if type(model.rnn) not in LAYERS and type(model.rnn) not in TORCH_LAYERS:
        raise TypeError(f"export_c has no form for a layer of {type(model.rnn).__name__}")
    if getattr(model.rnn, "is_complex", False):
        raise TypeError("export_c has no form for complex weights")
    _check_parameters(model)
    rnn = copy.deepcopy(model.rnn).cpu()
    if not isinstance(rnn, Recurrent):
        rnn = TORCH_LAYERS[type(rnn)].from_torch(rnn)
    if getattr(rnn, "nonlinearity", "tanh") not in ("tanh", "relu"):
        raise TypeError(f"export_c has no form for nonlinearity {rnn.nonlinearity!r}")
    return Classifier(rnn, copy.deepcopy(model.head).cpu()).eval()


def _check_parameters(model: Classifier) -> None:
    """Raise an error unless all are there, in float32, and finite."""
    for name, parameter in model.named_parameters():
        if parameter.dtype != torch.float32:
            raise DtypeError(
                f"{name} is {parameter.dtype}, but export_c takes torch.float32: model.float()"
            )
        bad = int((~torch.isfinite(parameter)).sum())
        if bad:
            raise ValueError(f"{name} has {bad} NaN or infinite entries")


# The self-test ------------------------------------------------------------------------------------


def _check(model: Classifier, weights: Weights, example: ArrayLike | None) -> Check:
    """Return the example, and what the exported network should make of it."""
    x = _example(cast("Recurrent", model.rnn).input_size, example)
    stored = quantize(model, 8, head=True).model if weights == "int8" else model
    with torch.inference_mode(), torch.autocast("cpu", enabled=False):
        near = stored(torch.from_numpy(x)).double()
        logits = copy.deepcopy(stored).double()(torch.from_numpy(x).double())
    if not torch.isfinite(logits.float()).all():
        raise ValueError("the logits of the example are NaN or infinite")
    largest = float(logits.abs().max())
    if largest == 0:
        return Check(x, logits.float().numpy(), TOLERANCE)
    error = float((near - logits).abs().max()) / largest
    # where one rounding moves the logits by much, another compiler's may, too; a power of two, so
    # that the text does not depend on the last bits of this machine's rounding
    relative = TOLERANCE if 4 * error <= TOLERANCE else 2.0 ** math.ceil(math.log2(4 * error))
    return Check(x, logits.float().numpy(), float(np.float32(largest * relative)))


def _example(inputs: int, example: ArrayLike | None) -> NDArray[np.float32]:
    """Return the checked example, or 8 steps of short numbers from -2 to 2."""
    if example is None:
        steps = np.random.default_rng(0).integers(-128, 129, (EXAMPLE_STEPS, inputs))
        return (steps / 64).astype(np.float32)
    given = np.asarray(example)
    if given.ndim != 2 or given.shape[0] == 0 or given.shape[1] != inputs:
        raise ShapeError(
            f"example has shape {given.shape}, but must be (steps, {inputs}) with at least one step"
        )
    if given.dtype.kind not in "biuf":
        raise DtypeError(f"example has dtype {given.dtype}, but must be float32")
    with np.errstate(over="ignore"):
        x = given.astype(np.float32)
    if not np.isfinite(x).all():
        raise ValueError(f"example has {int((~np.isfinite(x)).sum())} NaN or infinite entries")
    if (x != given).any():
        raise DtypeError(
            f"example has dtype {given.dtype} and numbers that float32 has not: convert it first"
        )
    return np.ascontiguousarray(x)


# The files ----------------------------------------------------------------------------------------


def _write(texts: dict[Path, str]) -> None:
    """Write all files or none: each beside its place first, then all are moved."""
    try:
        for path in texts:
            if path.is_dir():
                raise IsADirectoryError(f"{path} is a folder")
        with ExitStack() as drafts:
            for path, text in texts.items():
                drafts.enter_context(atomic_file(path)).write(text.encode("ascii"))
    except OSError as error:
        raise ValueError(f"cannot write {' and '.join(map(str, texts))}: {error}") from error
