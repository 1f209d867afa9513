"""A compiled network: what `kplib.compile` returns."""

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from kplib.errors import ShapeError
from kplib.kernels.buffers import as_argument, batch_count, check_bound
from kplib.kernels.operation import CompiledOperation
from kplib.kernels.program import Program

if TYPE_CHECKING:
    from kplib.engine.stored import Weights
    from kplib.nn import Classifier


class CompiledNetwork(CompiledOperation):
    """Logits of one sequence in one C++ call; made by `kplib.compile`.

    One network may be called from many threads at a time, and a process may hold many. `step` is
    the exception, since its states are the network's: threads take a `stream` each.

    Attributes
    ----------
    input_size, classes : int
        Features of one step, and logits.
    dtype : numpy.dtype
        Of x, the logits, and the weights that are not int8.
    loader, flags : str
        What compiled it ("cppyy", "compiler" or "numpy"), and the compiler flags.
    parameters : int
        Of the model that it was made from.
    weights : {"float32", "int8"}
        How they are stored, as `kplib.compile` was asked.

    Examples
    --------
    >>> import numpy as np, torch, kplib
    >>> from kplib.nn import LSTM, Classifier
    >>> network = kplib.compile(Classifier(LSTM(10, 118), torch.nn.Linear(118, 12)))
    >>> network.input_size, network.classes, network.dtype.name
    (10, 12, 'float32')
    >>> network(np.zeros((25, 10), np.float32)).shape
    (12,)
    """

    def __init__(
        self,
        program: Program,
        one_step: Program | None,
        operands: tuple[np.ndarray, ...],
        loader: str | None,
        *,
        head_macs: int,
        parameters: int,
        model: "Classifier",
        weights: "Weights" = "float32",
    ) -> None:
        super().__init__(program, operands, loader)
        self._head_macs = head_macs
        self._model = model  # the copy that export_c writes out
        self._one_step_program, self._operands = one_step, operands
        self._one_step: CompiledOperation | None = None
        self._stream: Stream | None = None
        self._lock = threading.Lock()
        self.parameters, self.weights = parameters, weights
        (self.input_size,) = program.x_shape
        (self.classes,) = program.y_shape

    def __copy__(self) -> "CompiledNetwork":
        return self.__deepcopy__({})

    def __deepcopy__(self, memo: dict[int, Any]) -> "CompiledNetwork":
        """Return a network with the same code and weights, which never change, at its own step."""
        other = object.__new__(type(self))
        other.__dict__ |= self.__dict__ | {"_stream": None, "_lock": threading.Lock()}
        return other

    def __call__(self, x: ArrayLike) -> np.ndarray:
        """Return the logits of one sequence, or of each sequence in a batch, one after the other.

        Parameters
        ----------
        x : array_like, shape (steps, input) or (..., steps, input)
            States start at 0. At least one step.

        Returns
        -------
        ndarray, shape (classes,) or (..., classes)

        Raises
        ------
        ShapeError
            If x has fewer than two axes, no steps, or another number of features.
        DtypeError
            If x has more bits than the network computes in.
        """
        shape = np.asarray(x).shape  # np.shape trusts any attribute of that name
        inner = (self._steps(shape), self.input_size)
        argument = as_argument(x, self.dtype, inner)
        y = np.empty((*shape[:-2], self.classes), self.dtype)
        count = batch_count("x", argument, inner)
        if count:
            self._implementation.call(argument, y, count, inner[0])
        return y

    def bind(self, x: np.ndarray, logits: np.ndarray) -> Callable[[], None]:
        """Return ``run``: each ``run()`` computes the logits of what is in x, in place.

        Parameters
        ----------
        x : ndarray, shape (..., steps, input)
        logits : ndarray, shape (..., classes)
            Of exactly this network's dtype, C-contiguous, aligned, not overlapping, logits
            writeable. Checked here, once, and kept alive by ``run``.

        Raises
        ------
        ShapeError, DtypeError, BufferLayoutError
            If they are not.
        """
        steps = self._steps(np.asarray(x).shape)
        inner = (steps, self.input_size)
        count = check_bound(x, logits, self.dtype, inner, (self.classes,), y_name="logits")
        if count == 0:
            return lambda: None
        return self._implementation.bind(x, logits, count, steps)

    def step(self, x_t: ArrayLike) -> np.ndarray:
        """Take the next step of a stream, and return the logits after it.

        The states are carried from one step to the next, from zero on; `reset` starts anew. After
        the last step of a sequence the logits are those of ``net(x)``. The first step compiles it.

        Parameters
        ----------
        x_t : array_like, shape (input,)

        Returns
        -------
        ndarray, shape (classes,)

        Raises
        ------
        ValueError
            If the network is bidirectional: its reverse direction begins at the sequence's end.
        ShapeError, DtypeError
            If x_t has another shape, or more bits than the network computes in.

        Examples
        --------
        >>> import numpy as np, torch, kplib
        >>> from kplib.nn import LSTM, Classifier
        >>> net = kplib.compile(Classifier(LSTM(4, 6), torch.nn.Linear(6, 3)))
        >>> x = np.random.default_rng(0).standard_normal((10, 4), dtype=np.float32)
        >>> for x_t in x:
        ...     logits = net.step(x_t)
        >>> np.allclose(logits, net(x), atol=1e-6)
        True
        """
        if self._stream is None:
            self._stream = self.stream()
        return self._stream.step(x_t)

    def reset(self) -> None:
        """Set the states that `step` carries to zero."""
        if self._stream is None:
            self._stream = self.stream()
        self._stream.reset()

    def stream(self) -> "Stream":
        """Return a stream with states of its own, at zero: ``step(x_t)`` and ``reset()``.

        Raises
        ------
        ValueError
            If the network is bidirectional.
        """
        program = self._one_step_program
        if program is None:
            raise ValueError(
                "a bidirectional network has no steps to stream: its reverse direction begins at "
                "the end of the sequence; call it with the whole of it"
            )
        with self._lock:
            if self._one_step is None:
                self._one_step = CompiledOperation(program, self._operands, self.loader)
        return Stream(self._one_step, self.input_size, self.classes)

    def export_c(self, path: Any, **options: Any) -> Any:
        """Write the network as C99 with its weights as constants; see `kplib.engine.export`.

        Parameters
        ----------
        path, options
            As of `kplib.engine.export.export_c`, which gets the model as it was when compiled, and
            its weights as they are compiled unless ``weights=`` says otherwise.
        """
        from kplib.engine.export import export_c

        return export_c(self._model, path, **{"weights": self.weights, **options})

    def _steps(self, shape: tuple[int, ...]) -> int:
        if len(shape) < 2 or shape[-2] == 0 or shape[-1] != self.input_size:
            raise ShapeError(
                f"x has shape {shape}, but must be (..., steps, {self.input_size}) with at least "
                f"one step"
            )
        return shape[-2]

    def macs(self, steps: int) -> int:
        """Return the multiply-accumulates of one sequence: the gates at each step, and the head."""
        return steps * self._program.macs + self._head_macs

    @property
    def state_bytes(self) -> int:
        """Bytes that a stream carries from step to step; 0 if the network is bidirectional."""
        if self._one_step_program is None:
            return 0
        return self._one_step_program.x_bytes - self._program.x_bytes

    def __repr__(self) -> str:
        stored = "int8 in " if self.weights == "int8" else ""
        return (
            f"<CompiledNetwork: {self.input_size} inputs, {self.classes} classes, "
            f"{self.parameters:,} parameters, {stored}{self.dtype}, {self.loader}>"
        )


class Stream:
    """A sequence that comes step by step: the states, and the compiled step.

    Made by `CompiledNetwork.stream`. One stream belongs to one thread at a time.
    """

    def __init__(self, one_step: CompiledOperation, inputs: int, classes: int) -> None:
        program = one_step._program
        self._inputs, self._classes, self.dtype = inputs, classes, one_step.dtype
        self._before = np.zeros(program.x_shape, self.dtype)  # [x_t; states]
        self._after = np.zeros(program.y_shape, self.dtype)  # [logits; states]
        self._run = one_step._implementation.bind(self._before, self._after, 1)

    def step(self, x_t: ArrayLike) -> np.ndarray:
        """Take one step, as `CompiledNetwork.step`."""
        inner = (self._inputs,)
        x = as_argument(x_t, self.dtype, inner)
        if x.shape != inner:
            raise ShapeError(f"x_t has shape {x.shape}, but one step is {inner}")
        self._before[: self._inputs] = x
        self._run()
        self._before[self._inputs :] = self._after[self._classes :]
        return self._after[: self._classes].copy()

    def reset(self) -> None:
        """Set the states to zero."""
        self._before[self._inputs :] = 0
