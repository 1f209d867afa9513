"""The networks that are measured: the papers' five, and one on public activity data."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from kplib._checks import positive_integer
from kplib.experiments import sizes
from kplib.experiments.cells import CELLS

__all__ = ["BENCHMARKS", "TASKS", "Benchmark", "benchmark"]

_MOST_LAYERS = 1_000  # what a damaged record may ask for is not built, but refused

_COUNTS = ("input_size", "hidden_size", "steps", "classes", "layers", "kp_hidden_size", "kp_layers")


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """One network: a recurrent layer over a sequence, and a linear head on its last state.

    What it computes and how large it is; how it is trained is said elsewhere.

    Parameters
    ----------
    name : str
        Its key in `BENCHMARKS`.
    title : str
        As the papers write it.
    cell : {"rnn", "lstm", "gru", "fastrnn"}
        The recurrent cell.
    input_size : int
        Entries of one step of the input.
    hidden_size : int
        Units of one direction.
    steps : int
        Length of the sequence.
    classes : int
        Outputs of the head.
    layers : int, default 1
        Recurrent layers, one above the other.
    directions : {1, 2}, default 1
        2 for a bidirectional layer; the head then reads both last states.
    kp_hidden_size : int, optional
        Units of the KP network where they differ (0: they do not): the papers' HAR1 has 179, a
        prime, and with factors 178.
    kp_layers : int, optional
        Layers of the KP network where they differ (0: they do not): the papers' KP GRU has two.
    counted_with_biases : bool, default True
        Whether the papers' count of this network has its biases: not for FastRNN.

    Examples
    --------
    >>> network = BENCHMARKS["kws-lstm"]
    >>> network.gates, network.gate_shape
    (4, (118, 128))
    >>> network.weight_parameters, network.bias_parameters, network.head_parameters
    (60416, 472, 1428)
    >>> network.parameters == 60416 + 472 + 1428
    True
    """

    name: str
    title: str
    cell: Literal["rnn", "lstm", "gru", "fastrnn"]
    input_size: int
    hidden_size: int
    steps: int
    classes: int
    layers: int = 1
    directions: Literal[1, 2] = 1
    kp_hidden_size: int = 0
    kp_layers: int = 0
    counted_with_biases: bool = True

    def __post_init__(self) -> None:
        if self.cell not in CELLS:
            raise ValueError(f"cell must be one of {list(CELLS)}, found {self.cell!r}")
        if self.directions not in (1, 2):
            raise ValueError(f"directions must be 1 or 2, found {self.directions!r}")
        object.__setattr__(self, "kp_hidden_size", self.kp_hidden_size or self.hidden_size)
        object.__setattr__(self, "kp_layers", self.kp_layers or self.layers)
        for name in _COUNTS:
            positive_integer(name, getattr(self, name))

    @property
    def gates(self) -> int:
        """Gate matrices of a cell: 4 of an LSTM, 3 of a GRU, 1 of a FastRNN."""
        return CELLS[self.cell].gates

    @property
    def stacks(self) -> tuple[int, ...]:
        """How many gates each of the cell's products serves: a GRU's candidate stands alone."""
        return CELLS[self.cell].stacks

    def gate_shapes(
        self, *, hidden_size: int | None = None, layers: int | None = None
    ) -> tuple[tuple[int, int], ...]:
        """Shape of one gate's matrix [W_x W_h] in each layer, m = h and n = inputs + h.

        Parameters
        ----------
        hidden_size : int, optional
            Units of a direction; the baseline's if not given.
        layers : int, optional
            Recurrent layers; the baseline's if not given.

        Returns
        -------
        tuple of (int, int)
            One (m, n) a layer. From the second on, the inputs are the states of all directions.

        Raises
        ------
        ValueError
            If a number is no positive integer, or there are more than 1,000 layers.

        Examples
        --------
        >>> BENCHMARKS["kws-gru"].gate_shapes(layers=2)
        ((154, 164), (154, 308))
        """
        h = (
            self.hidden_size
            if hidden_size is None
            else positive_integer("hidden_size", hidden_size)
        )
        count = self.layers if layers is None else positive_integer("layers", layers)
        if count > _MOST_LAYERS:
            raise ValueError(f"layers must be at most {_MOST_LAYERS:,}, found {count:,}")
        inputs = [self.input_size] + [self.directions * h] * (count - 1)
        return tuple((h, i + h) for i in inputs)

    @property
    def gate_shape(self) -> tuple[int, int]:
        """(m, n) of one gate's matrix of the dense network, first layer."""
        return self.gate_shapes()[0]

    @property
    def kp_gate_shape(self) -> tuple[int, int]:
        """(m, n) of one gate's matrix of the KP network, first layer."""
        return self.gate_shapes(hidden_size=self.kp_hidden_size)[0]

    @property
    def size(self) -> sizes.Size:
        """The baseline's parameters, biases included."""
        return sizes.dense(self)

    @property
    def weight_parameters(self) -> int:
        """Of the baseline's gate matrices, all layers and directions."""
        return self.size.weights

    @property
    def bias_parameters(self) -> int:
        """Of the baseline's gates, one vector a gate."""
        return self.size.biases

    @property
    def head_parameters(self) -> int:
        """Of the head, its biases included."""
        return self.size.head

    @property
    def parameters(self) -> int:
        """The baseline as the papers count it: without any bias or scalar for FastRNN."""
        return self.size.total if self.counted_with_biases else self.size.weights_only

    @property
    def kilobytes(self) -> float:
        """KB of `parameters` in float32, 1024 bytes a KB."""
        return sizes.kilobytes(self.parameters)


_ALL = (
    Benchmark(
        name="mnist-lstm",
        title="MNIST-LSTM",
        cell="lstm",
        input_size=28,
        hidden_size=40,
        steps=28,
        classes=10,
    ),
    Benchmark(
        name="usps-fastrnn",
        title="USPS-FastRNN",
        cell="fastrnn",
        input_size=16,
        hidden_size=32,
        steps=16,
        classes=10,
        counted_with_biases=False,
    ),
    Benchmark(
        name="kws-lstm",
        title="KWS-LSTM",
        cell="lstm",
        input_size=10,
        hidden_size=118,
        steps=25,
        classes=12,
    ),
    Benchmark(
        name="kws-gru",
        title="KWS-GRU",
        cell="gru",
        input_size=10,
        hidden_size=154,
        steps=25,
        classes=12,
        kp_layers=2,
    ),
    Benchmark(
        name="har1-bilstm",
        title="HAR1-BiLSTM",
        cell="lstm",
        input_size=77,
        hidden_size=179,
        steps=81,
        classes=18,
        directions=2,
        kp_hidden_size=178,
    ),
    # Not of the papers: it stands in where HAR1's data cannot be had.
    Benchmark(
        name="dsads-bilstm",
        title="DSADS-BiLSTM",
        cell="lstm",
        input_size=45,
        hidden_size=180,
        steps=125,
        classes=19,
        directions=2,
    ),
)

BENCHMARKS: Mapping[str, Benchmark] = MappingProxyType({network.name: network for network in _ALL})
"""The networks by name: the papers' five, then dsads-bilstm."""

_TASKS = (
    Benchmark(
        name="copy-rnn",
        title="Copy memory",
        cell="rnn",
        input_size=10,
        hidden_size=128,
        steps=110,
        classes=8,
    ),
    Benchmark(
        name="adding-rnn",
        title="Adding",
        cell="rnn",
        input_size=2,
        hidden_size=128,
        steps=100,
        classes=2,
    ),
    Benchmark(
        name="pixels-rnn",
        title="Pixel MNIST",
        cell="rnn",
        input_size=1,
        hidden_size=128,
        steps=196,
        classes=10,
    ),
)

TASKS: Mapping[str, Benchmark] = MappingProxyType({network.name: network for network in _TASKS})
"""Networks for the tasks of long memory that Kronecker recurrent units were shown on, by name.

They are in no table of the papers; their data is made by `kplib.experiments.tasks`.
"""


def benchmark(name: str) -> Benchmark:
    """Return a network of `BENCHMARKS` or `TASKS`, or say which there are.

    Parameters
    ----------
    name : str
        Such as "kws-lstm".

    Returns
    -------
    Benchmark

    Raises
    ------
    ValueError
        If there is none of that name; it lists those that there are.

    Examples
    --------
    >>> benchmark("har1-bilstm").kp_gate_shape
    (178, 255)
    """
    known = {**BENCHMARKS, **TASKS}
    if name not in known:
        raise ValueError(f"there is no benchmark {name!r}; there are {', '.join(known)}")
    return known[name]
