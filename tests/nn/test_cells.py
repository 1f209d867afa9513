"""Every cell against torch.nn, and against a reference that takes one sequence step by step."""

import inspect
import itertools
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.autograd import forward_ad
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pack_sequence

from kplib.errors import ShapeError
from kplib.nn import GRU, LSTM, RNN, Dense, FastRNN, Kronecker

CELLS = {
    "RNN": lambda **kw: RNN(5, 6, **kw),
    "RNN-relu": lambda **kw: RNN(5, 6, nonlinearity="relu", **kw),
    "LSTM": lambda **kw: LSTM(5, 6, **kw),
    "GRU": lambda **kw: GRU(5, 6, **kw),
    "GRU-before": lambda **kw: GRU(5, 6, reset_after=False, **kw),
    "FastRNN": lambda **kw: FastRNN(5, 6, **kw),
}
IN_TORCH = ("RNN", "RNN-relu", "LSTM", "GRU")
# m = 6; n = 11 in the first layer, 12 or 18 above, so the shape is chosen for each layer.
STRUCTURES = {"dense": Dense()}
LAYOUTS = [
    dict(zip(("num_layers", "bidirectional", "batch_first", "bias"), values, strict=True))
    for values in itertools.product((1, 2), (False, True), (False, True), (True, "one", False))
]


@pytest.fixture(autouse=True)
def _double():
    torch.manual_seed(0)
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def tensors(state):
    return state if isinstance(state, tuple) else (state,)


def random_state(layer, batch):
    cells = layer.num_layers * layer.directions
    state = tuple(torch.randn(cells, batch, layer.hidden_size) for _ in range(layer.states))
    return state if layer.states > 1 else state[0]


def from_scratch(layer, sequence, state):
    """One sequence (steps, input) from a state (cells, hidden): output and final state."""
    finals = []
    for k in range(layer.num_layers):
        outputs = []
        for d in range(layer.directions):
            cell = list(layer.cells.values())[k * layer.directions + d]
            start = [s[len(finals)] for s in state]
            steps = sequence.flip(0) if d else sequence
            rows = []
            for x in steps:
                start = one_step(layer, cell, x, start)
                rows.append(start[0])
            output = torch.stack(rows)
            outputs.append(output.flip(0) if d else output)
            finals.append(start)
        sequence = torch.cat(outputs, -1)
    return sequence, [torch.stack(parts) for parts in zip(*finals, strict=True)]


def one_step(layer, cell, x, state):
    """Write the equations of the docstrings once more, for vectors."""
    W, h = cell.weight.matrix(), state[0]
    first, second = ([*cell.bias_pair(), 0, 0])[:2]
    b, c = (
        v.view(len(W), -1) if isinstance(v, torch.Tensor) else [0] * len(W) for v in (first, second)
    )
    whole, of_x = torch.cat((x, h)), torch.cat((x, 0 * h))
    if isinstance(layer, LSTM):
        i, f, g, o = (W[k] @ whole + b[k] + c[k] for k in range(4))
        memory = f.sigmoid() * state[1] + i.sigmoid() * g.tanh()
        return [o.sigmoid() * memory.tanh(), memory]
    if isinstance(layer, GRU):
        r, z = ((W[k] @ whole + b[k] + c[k]).sigmoid() for k in range(2))
        if layer.reset_after:
            n = (W[2] @ of_x + b[2] + r * (W[2] @ torch.cat((0 * x, h)) + c[2])).tanh()
        else:
            n = (W[2] @ torch.cat((x, r * h)) + b[2] + c[2]).tanh()
        return [(1 - z) * n + z * h]
    value = W[0] @ whole + b[0] + c[0]
    if isinstance(layer, FastRNN):
        return [cell.alpha.sigmoid() * value.tanh() + cell.beta.sigmoid() * h]
    return [value.tanh() if layer.nonlinearity == "tanh" else value.relu()]


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("method", ["fused", "factors"])
@pytest.mark.parametrize("structure", STRUCTURES)
def test_each_sequence_alone_step_by_step(cell, method, structure):
    for options in LAYOUTS:
        layer = CELLS[cell](method=method, weight=STRUCTURES[structure], **options)
        x = torch.randn(3, 4, 5)
        batch = 3 if layer.batch_first else 4
        state = random_state(layer, batch)
        output, final = layer(x, state)
        for b in range(batch):
            sequence = x[b] if layer.batch_first else x[:, b]
            ours = output[b] if layer.batch_first else output[:, b]
            theirs, last = from_scratch(layer, sequence, [s[:, b] for s in tensors(state)])
            torch.testing.assert_close(ours, theirs)
            for s, t in zip(tensors(final), last, strict=True):
                torch.testing.assert_close(s[:, b], t)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("method", ["fused", "factors"])
@pytest.mark.parametrize("sort", [True, False])
def test_packed_sequences_are_as_if_each_were_alone(cell, method, sort):
    for options in LAYOUTS:
        layer = CELLS[cell](method=method, weight=Dense(), **options)
        lengths = [5, 4, 4, 1] if sort else [1, 4, 5, 4]
        sequences = [torch.randn(n, 5) for n in lengths]
        packed = pack_sequence(sequences, enforce_sorted=sort)
        state = random_state(layer, 4)
        output, final = layer(packed, state)
        assert isinstance(output, PackedSequence)
        padded, out_lengths = nn.utils.rnn.pad_packed_sequence(output)
        assert out_lengths.tolist() == lengths
        for b, sequence in enumerate(sequences):
            theirs, last = from_scratch(layer, sequence, [s[:, b] for s in tensors(state)])
            torch.testing.assert_close(padded[: lengths[b], b], theirs)
            for s, t in zip(tensors(final), last, strict=True):
                torch.testing.assert_close(s[:, b], t)


@pytest.mark.parametrize("cell", IN_TORCH)
@pytest.mark.parametrize("method", ["fused", "factors"])
@pytest.mark.parametrize("packed", [False, True])
def test_outputs_states_and_every_gradient_are_those_of_torch(cell, method, packed):
    for options in LAYOUTS:
        if options["bias"] == "one":
            continue
        ours = CELLS[cell](weight=Dense(), **options)
        theirs = ours.to_torch()
        again = type(ours).from_torch(theirs, method=method)
        x = torch.randn(4, 4, 5, requires_grad=True)
        given = x
        if packed:
            lengths = torch.tensor([2, 4, 1, 3])
            given = pack_padded_sequence(x, lengths, ours.batch_first, enforce_sorted=False)
        state = random_state(ours, 4)
        results = []
        for layer in (theirs, again):
            output, final = layer(given, state)
            data = output.data if packed else output
            loss = data.sin().sum() + sum(s.cos().sum() for s in tensors(final))
            names, parameters = zip(*layer.named_parameters(), strict=True)
            gradients = torch.autograd.grad(loss, [x, *parameters], retain_graph=True)
            results.append(
                (data, tensors(final), gradients[0], dict(zip(names, gradients[1:], strict=True)))
            )
        (data, final, dx, theirs_g), (data2, final2, dx2, ours_g) = results
        torch.testing.assert_close(data2, data)
        torch.testing.assert_close(final2, final)
        torch.testing.assert_close(dx2, dx)
        for name in again.cells:
            W = ours_g[f"cells.{name}.weight.W"].flatten(0, 1)
            both = [theirs_g[f"weight_{k}_{name}"] for k in ("ih", "hh")]
            torch.testing.assert_close(W, torch.cat(both, 1))
            if options["bias"]:
                for k in ("ih", "hh"):
                    expected = theirs_g[f"bias_{k}_{name}"]
                    torch.testing.assert_close(ours_g[f"cells.{name}.bias_{k}"], expected)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("bias", [True, "one", False])
def test_gradients_are_right(cell, bias):
    layer = CELLS[cell](weight=Dense(), method="factors", bias=bias, bidirectional=True)
    x = torch.randn(3, 2, 5, requires_grad=True)
    parameters = tuple(layer.parameters())

    def run(x, *_):
        output, final = layer(x)
        return output, *tensors(final)

    assert torch.autograd.gradcheck(run, (x, *parameters))


@pytest.mark.parametrize("cell", CELLS)
def test_both_methods_agree_for_factors(cell):
    layer = CELLS[cell](weight=Kronecker((2, 1, 3, 11)))
    x, state = torch.randn(7, 3, 5), random_state(CELLS[cell](weight=Dense()), 3)
    results = []
    for method in ("fused", "factors"):
        layer.method = method
        output, final = layer(x, state)
        loss = output.sin().sum() + sum(s.cos().sum() for s in tensors(final))
        results.append((output, *torch.autograd.grad(loss, tuple(layer.parameters()))))
    for a, b in zip(*results, strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")  # torch's, in forward mode
@pytest.mark.parametrize("weight", [Dense(), Kronecker((2, 1, 3, 11))], ids=["dense", "KP"])
@pytest.mark.parametrize("cell", CELLS)
def test_transforms_of_torch_func_and_forward_mode(cell, weight):
    """Where torch's own kernels have no rule; the reference is autograd, one way at a time."""
    layer = CELLS[cell](weight=weight)
    xs, tangent = torch.randn(3, 4, 2, 5), torch.randn(4, 2, 5)

    def outputs(x):
        return layer(x)[0]

    expected = torch.stack([outputs(x) for x in xs])
    torch.testing.assert_close(torch.func.vmap(outputs)(xs), expected)
    primal, forward = torch.func.jvp(outputs, (xs[0],), (tangent,))
    torch.testing.assert_close(primal, expected[0])
    jacobian = torch.autograd.functional.jacobian(outputs, xs[0])
    torch.testing.assert_close(forward, torch.tensordot(jacobian, tangent, 3))
    torch.testing.assert_close(torch.func.jacrev(outputs)(xs[0]), jacobian)
    with forward_ad.dual_level():
        dual = outputs(forward_ad.make_dual(xs[0], tangent))
        torch.testing.assert_close(forward_ad.unpack_dual(dual).tangent, forward)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("weight", [Dense(), Kronecker((2, 1, 3, 11))], ids=["dense", "KP"])
def test_shapes_on_the_meta_device(cell, weight):
    layer = CELLS[cell](weight=weight, device="meta")
    output, _ = layer(torch.empty(7, 2, 5, device="meta"))
    assert (output.shape, output.device.type) == ((7, 2, 6), "meta")


def test_arguments_are_those_of_torch_in_the_same_order():
    for ours, theirs in ((LSTM, nn.LSTM), (GRU, nn.GRU)):
        shared = list(inspect.signature(nn.RNNBase).parameters)[1:-3]
        positional = [
            name
            for name, p in inspect.signature(ours).parameters.items()
            if p.kind is p.POSITIONAL_OR_KEYWORD
        ]
        assert positional[: len(shared)] == shared
        assert ours.torch_class is theirs
    torch_rnn, ours = (
        nn.RNN(3, 5, 2, "relu", False, True),
        RNN(3, 5, 2, "relu", False, True, weight=Dense()),
    )
    for name in ("num_layers", "nonlinearity", "bias", "batch_first"):
        assert getattr(torch_rnn, name) == getattr(ours, name)


def test_one_bias_starts_as_in_the_papers_tensorflow():
    starts = {
        "RNN": [0], "LSTM": [0, 1, 0, 0], "GRU": [1, 1, 0], "GRU-before": [1, 1, 0], "FastRNN": [1]
    }  # fmt: skip
    for cell, expected in starts.items():
        layer = CELLS[cell](weight=Dense(), bias="one")
        assert layer.gate_bias().unique(dim=1).squeeze(1).tolist() == expected


def test_fastrnn_starts_slow_and_learns_both_scalars():
    layer = FastRNN(5, 6, weight=Dense(), num_layers=2)
    assert [c.alpha.item() for c in layer.cells.values()] == [-3, -3]
    assert [c.beta.item() for c in layer.cells.values()] == [3, 3]
    layer(torch.randn(4, 2, 5))[0].sum().backward()
    for cell in layer.cells.values():
        assert cell.alpha.grad != 0
        assert cell.beta.grad != 0
        cell.alpha.data.fill_(9)
    layer.reset_parameters()
    assert layer.cells["l0"].alpha.item() == -3


def test_a_gru_says_where_it_resets():
    after, before = GRU(5, 6, weight=Dense()), GRU(5, 6, weight=Dense(), reset_after=False)
    before.load_state_dict(after.state_dict())
    x = torch.randn(4, 2, 5)
    assert not torch.allclose(after(x)[0], before(x)[0])
    assert "reset_after=False" in repr(before)
    assert "reset_after" not in repr(after)
    assert (after.stacks, before.stacks) == ((3,), (2, 1))


def test_what_torch_has_not_is_said():
    for layer in (FastRNN(5, 6, weight=Dense()), GRU(5, 6, weight=Dense(), reset_after=False)):
        with pytest.raises(ValueError, match=r"torch\.nn has no layer"):
            layer.to_torch()
    with pytest.raises(TypeError, match="no FastRNN to copy"):
        FastRNN.from_torch(nn.RNN(5, 6))
    with pytest.raises(TypeError, match=r"takes a torch\.nn\.GRU, found LSTM"):
        GRU.from_torch(nn.LSTM(5, 6))
    with pytest.raises(
        ValueError, match="nonlinearity is 'sin', but must be one of 'tanh', 'relu'"
    ):
        RNN(5, 6, nonlinearity="sin")


def test_packed_input_is_checked():
    layer = GRU(5, 6, weight=Dense())
    packed = pack_sequence([torch.randn(3, 4)])
    with pytest.raises(ShapeError, match=r"4 features a step.*input_size is 5"):
        layer(packed)
    packed = pack_sequence([torch.randn(3, 5), torch.randn(2, 5)])
    with pytest.raises(ShapeError, match=r"shape \(1, 3, 6\), but needs \(1, 2, 6\)"):
        layer(packed, torch.randn(1, 3, 6))
    with pytest.raises(
        TypeError, match=r"torch\.Tensor or a PackedSequence, found SimpleNamespace"
    ):
        layer(SimpleNamespace())


@pytest.mark.parametrize("cell", CELLS)
def test_state_dict_round_trip(cell):
    layer, other = (CELLS[cell](weight=Dense(), num_layers=2) for _ in range(2))
    other.load_state_dict(layer.state_dict())
    x = torch.randn(4, 2, 5)
    assert torch.equal(layer(x)[0], other(x)[0])
