"""Every cell with every structure against torch.nn: outputs, states and every gradient, float64.

``pytest tests/nn/test_parity.py -s -q`` prints the largest differences as tables. Cells that
torch.nn has not are compared with their equations, written once more for one vector.
"""

import itertools

import pytest
import torch
from torch.nn.utils.rnn import pack_sequence

from kplib.nn import (
    GRU,
    LSTM,
    RNN,
    Dense,
    FastRNN,
    Hybrid,
    Kronecker,
    KroneckerChain,
    LowRank,
    Sparse,
    prune,
)

INPUT, HIDDEN, LENGTHS = 4, 10, (2, 4, 1)
IN_TORCH = {
    "RNN tanh": lambda **options: RNN(INPUT, HIDDEN, **options),
    "RNN relu": lambda **options: RNN(INPUT, HIDDEN, nonlinearity="relu", **options),
    "LSTM": lambda **options: LSTM(INPUT, HIDDEN, **options),
    "GRU": lambda **options: GRU(INPUT, HIDDEN, **options),
}
BY_HAND = {
    "RNN modrelu": lambda **options: RNN(INPUT, HIDDEN, nonlinearity="modrelu", **options),
    "GRU before": lambda **options: GRU(INPUT, HIDDEN, reset_after=False, **options),
    "FastRNN": lambda **options: FastRNN(INPUT, HIDDEN, **options),
}
CELLS = IN_TORCH | BY_HAND
STRUCTURES = {
    "dense": Dense(),
    "kronecker": Kronecker(),
    "sum of 2": Kronecker(terms=2),
    "stacked": Kronecker(stacked=True),
    "hybrid": Hybrid(2),
    "low rank": LowRank(3),
    "sparse": Sparse(0.4),
    "chain": KroneckerChain(2),
    "split": KroneckerChain([(5, 2), (2, 5)], input=LowRank(2)),
    "complex": KroneckerChain(2, complex=True),
}
COMBINATIONS = [
    (cell, structure)
    for cell, structure in itertools.product(CELLS, STRUCTURES)
    if cell == "RNN modrelu" or structure != "complex"  # the only cell with a complex state
]
# each of the three kinds of bias with each value of every other option
LAYOUTS = [
    dict(
        zip(("num_layers", "bidirectional", "batch_first", "packed", "given"), values, strict=True)
    )
    | {"bias": bias}
    for values, bias in zip(
        itertools.product((1, 2), *[(False, True)] * 4),
        itertools.cycle((True, "one", False)),
        strict=False,
    )
]
QUANTITIES = ("outputs", "states", "gradients")


@pytest.fixture(scope="module")
def table():
    """Collect {(cell, structure): errors}, and print them at last."""
    errors = {}
    yield errors
    print("\n" + "\n\n".join(as_text(errors, quantity) for quantity in QUANTITIES))


def as_text(errors, quantity):
    """Return a table in Markdown, cells x structures."""
    columns = [name for name in STRUCTURES if any(s == name for _, s in errors)]
    lines = [f"| {quantity} | {' | '.join(columns)} |", "|:---|" + "---:|" * len(columns)]
    for cell in CELLS:
        row = [errors.get((cell, s)) for s in columns]
        if any(row):
            text = ["-" if each is None else f"{each[quantity]:.0e}" for each in row]
            lines.append(f"| {cell} | {' | '.join(text)} |")
    return "\n".join(lines)


def tensors(state):
    return state if isinstance(state, tuple) else (state,)


def make(cell, structure, *, packed=False, given=False, **options):
    """Return the layer, its input, the tensors that have gradients beside it, and the state."""
    layer = CELLS[cell](weight=STRUCTURES[structure], dtype=torch.float64, **options)
    if structure == "sparse":
        prune(layer, 0.4)
    for name, parameter in layer.named_parameters():
        # modrelu with its first bias, 0, is linear, and FastRNN hardly moves with its first scalars
        if name.endswith(("modrelu_bias", "alpha", "beta")):
            torch.nn.init.uniform_(parameter, -0.1, -0.01)
    rows = [torch.randn(n if packed else 4, INPUT, dtype=torch.float64) for n in LENGTHS]
    leaves = [row.requires_grad_() for row in rows]
    if packed:
        x = pack_sequence(rows, enforce_sorted=False)
    else:
        x = torch.stack(rows, 0 if options["batch_first"] else 1)
    if not given:
        return layer, x, leaves, None
    dtype = torch.complex128 if layer.is_complex else torch.float64
    shape = (len(layer.cells), len(LENGTHS), HIDDEN)
    state = tuple(torch.randn(shape, dtype=dtype, requires_grad=True) for _ in range(layer.states))
    return layer, x, [*leaves, *state], state if layer.states > 1 else state[0]


def loss_of(output, states):
    total = sum(
        torch.view_as_real(o).sin().sum() if o.is_complex() else o.sin().sum() for o in output
    )
    for k, s in enumerate(states):
        total = total + (k + 2) * (torch.view_as_real(s) if s.is_complex() else s).cos().sum()
    return total


def run(layer, x, state):
    """Return the outputs as a list of tensors, and the final states."""
    output, final = layer(x, state)
    return [output if isinstance(output, torch.Tensor) else output.data], list(tensors(final))


def ours(layer, x, leaves, state):
    output, final = run(layer, x, state)
    parameters = list(layer.parameters())
    gradients = torch.autograd.grad(
        loss_of(output, final), [*leaves, *parameters], retain_graph=True
    )
    return output, final, gradients


def by_torch(layer, x, leaves, state):
    """Run the layer of torch.nn; take its gradients back through what makes the matrices."""
    theirs = layer.to_torch()
    output, final = run(theirs, x, state)
    given = dict(theirs.named_parameters())
    of_leaves = torch.autograd.grad(
        loss_of(output, final), [*leaves, *given.values()], retain_graph=True
    )
    of_torch = dict(zip(given, of_leaves[len(leaves) :], strict=True))
    gradients = {}
    for name, cell in layer.cells.items():
        W = cell.weight.matrix()
        both = torch.cat([of_torch[f"weight_{k}_{name}"] for k in ("ih", "hh")], 1).view_as(W)
        weights = dict(cell.weight.named_parameters(prefix=f"cells.{name}.weight"))
        gradients |= dict(
            zip(weights, torch.autograd.grad(W, list(weights.values()), both), strict=True)
        )
        if layer.bias == "one":
            gradients[f"cells.{name}.bias"] = of_torch[f"bias_ih_{name}"]
        elif layer.bias:
            for k in ("ih", "hh"):
                gradients[f"cells.{name}.bias_{k}"] = of_torch[f"bias_{k}_{name}"]
    of_parameters = [gradients[name] for name, _ in layer.named_parameters()]
    return output, final, [*of_leaves[: len(leaves)], *of_parameters]


def by_hand(layer, x, leaves, state):
    """Run each sequence for itself, one vector a step."""
    rows = leaves[: len(LENGTHS)]
    if state is None:
        dtype = torch.complex128 if layer.is_complex else torch.float64
        state = torch.zeros(len(layer.cells), len(rows), HIDDEN, dtype=dtype)
    results = [one_sequence(layer, row, state[:, b]) for b, row in enumerate(rows)]
    outputs, finals = zip(*results, strict=True)
    if isinstance(x, torch.Tensor):
        output = torch.stack(outputs, 0 if layer.batch_first else 1)
    else:
        # torch cannot pack complex numbers that have gradients
        longest_first = sorted(outputs, key=len, reverse=True)
        steps = range(len(longest_first[0]))
        output = torch.stack([row[k] for k in steps for row in longest_first if len(row) > k])
    final = torch.stack(finals, 1)
    loss = loss_of([output], [final])
    return [output], [final], torch.autograd.grad(loss, [*leaves, *layer.parameters()])


def one_sequence(layer, row, state):
    finals = []
    for k in range(layer.num_layers):
        outputs = []
        for suffix in ("", "_reverse")[: layer.directions]:
            cell, h, steps = layer.cells[f"l{k}{suffix}"], state[len(finals)], []
            for x in row.flip(0) if suffix else row:
                h = equations(layer, cell, x, h)
                steps.append(h)
            outputs.append(torch.stack(steps[::-1] if suffix else steps))
            finals.append(h)
        row = torch.cat(outputs, 1)
    return row, torch.stack(finals)


def equations(layer, cell, x, h):
    W = cell.weight.matrix()
    vectors = [v for v in (cell.bias, cell.bias_ih, cell.bias_hh) if v is not None]
    b = sum(vectors) if vectors else torch.zeros(W.shape[:2], dtype=W.dtype)
    if W.is_complex() and vectors:
        b = torch.view_as_complex(b.view(-1, 2))
    b = b.view(W.shape[:2])
    z = [W[gate] @ torch.cat((x.to(W.dtype), h)) + b[gate] for gate in range(layer.gates)]
    if isinstance(layer, RNN):
        return z[0] * (1 + cell.modrelu_bias / z[0].abs().clamp(min=1e-9)).relu()
    if isinstance(layer, FastRNN):
        return cell.alpha.sigmoid() * z[0].tanh() + cell.beta.sigmoid() * h
    r, u = z[0].sigmoid(), z[1].sigmoid()
    n = (W[2] @ torch.cat((x, r * h)) + b[2]).tanh()
    return (1 - u) * n + u * h


@pytest.mark.parametrize(("cell", "structure"), COMBINATIONS)
def test_outputs_states_and_gradients(cell, structure, table):
    reference = by_torch if cell in IN_TORCH else by_hand
    errors = dict.fromkeys(QUANTITIES, 0.0)
    for layout in LAYOUTS:
        layer, x, leaves, state = make(cell, structure, **layout)
        expected = reference(layer, x, leaves, state)
        for method in ("fused", "factors"):
            layer.method = method
            for quantity, mine, other in zip(
                QUANTITIES, ours(layer, x, leaves, state), expected, strict=True
            ):
                assert len(mine) == len(other) > 0
                assert max(t.abs().max() for t in other) > 0.01
                for a, b in zip(mine, other, strict=True):
                    assert a.shape == b.shape
                    assert a.dtype == b.dtype
                    errors[quantity] = max(errors[quantity], (a - b).abs().max().item())
    table[cell, structure] = errors
    assert errors["outputs"] < 1e-13
    assert errors["states"] < 1e-13
    assert errors["gradients"] < 1e-11
