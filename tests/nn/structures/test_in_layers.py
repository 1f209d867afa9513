"""Every cell with every structure: the matrix and the factors, against the dense layer."""

import pytest
import torch
from torch.nn.utils.rnn import pack_sequence

from kplib.nn import GRU, LSTM, RNN, Dense, FastRNN, Hybrid, Kronecker, LowRank, Sparse, prune

# 4 inputs, 10 units: 10 x 14 and, of the layer above, 10 x 20 or 10 x 30
CELLS = {
    "RNN": lambda **options: RNN(4, 10, **options),
    "LSTM": lambda **options: LSTM(4, 10, **options),
    "GRU": lambda **options: GRU(4, 10, **options),
    "GRU-before": lambda **options: GRU(4, 10, reset_after=False, **options),
    "FastRNN": lambda **options: FastRNN(4, 10, **options),
}
STRUCTURES = {
    "kronecker": Kronecker(),
    "sum": Kronecker(terms=3),
    "stacked": Kronecker(stacked=True),
    "stacked sum": Kronecker(stacked=True, terms=2),
    "hybrid": Hybrid(2),
    "hybrid for a compression": Hybrid.for_compression(1.8),
    "low rank": LowRank(3),
    "low rank per gate": LowRank(3, stacked=False),
    "low rank for a size": LowRank.for_size(150),
    "sparse": Sparse(0.3),
}
LAYOUTS = [
    {"num_layers": 1, "bidirectional": False, "bias": "one"},
    {"num_layers": 2, "bidirectional": True, "bias": True},
]


def tensors(state):
    return state if isinstance(state, tuple) else (state,)


def run(layer, given, state, inputs):
    """Return output, final states, and the gradients of a loss on all of them."""
    output, final = layer(given, state)
    data = output if isinstance(output, torch.Tensor) else output.data
    loss = data.sin().sum() + sum((k + 2) * s.cos().sum() for k, s in enumerate(tensors(final)))
    # a packed input is part of the next run's graph, too
    gradients = torch.autograd.grad(loss, [*inputs, *layer.parameters()], retain_graph=True)
    names = [name for name, _ in layer.named_parameters()]
    ours = dict(zip(names, gradients[len(inputs) :], strict=True))
    return [data, *tensors(final), *gradients[: len(inputs)]], ours


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("name", STRUCTURES)
@pytest.mark.parametrize("packed", [False, True])
def test_both_methods_and_the_dense_layer_agree(cell, name, packed):
    for options in LAYOUTS:
        layer = CELLS[cell](weight=STRUCTURES[name], dtype=torch.float64, **options)
        if name == "sparse":
            prune(layer, 0.3)
        dense = CELLS[cell](weight=Dense(), dtype=torch.float64, **options)
        dense.load_state_dict(
            {k: v for k, v in layer.state_dict().items() if ".weight." not in k}, strict=False
        )
        for key, each in layer.cells.items():
            assert dense.cells[key].weight.assign(each.weight.matrix().detach()) == 0

        x = torch.randn(5, 3, 4, dtype=torch.float64, requires_grad=True)
        given = x
        if packed:
            given = pack_sequence([x[:3, 0], x[:5, 1], x[:1, 2]], enforce_sorted=False)
        cells = len(layer.cells)
        state = tuple(
            torch.randn(cells, 3, 10, dtype=torch.float64, requires_grad=True)
            for _ in range(layer.states)
        )
        hx = state if layer.states > 1 else state[0]

        results = []
        for method in ("fused", "factors"):
            layer.method = method
            results.append(run(layer, given, hx, [x, *state]))
        (values, gradients), (looped, looped_gradients) = results
        expected, dense_gradients = run(dense, given, hx, [x, *state])
        torch.testing.assert_close(values, expected)
        torch.testing.assert_close(looped, expected)
        torch.testing.assert_close(looped_gradients, gradients)

        # the chain rule: the dense layer's gradient, taken back through the matrix
        for key, each in layer.cells.items():
            parameters = dict(each.weight.named_parameters())
            back = torch.autograd.grad(
                each.weight.matrix(), list(parameters.values()),
                dense_gradients[f"cells.{key}.weight.W"],
            )  # fmt: skip
            for parameter, gradient in zip(parameters, back, strict=True):
                torch.testing.assert_close(gradients[f"cells.{key}.weight.{parameter}"], gradient)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("name", STRUCTURES)
def test_without_autograd_and_in_single_precision(cell, name):
    layer = CELLS[cell](weight=STRUCTURES[name])
    x = torch.randn(5, 3, 4)
    results = []
    for method in ("fused", "factors"):
        layer.method = method
        with torch.inference_mode():
            results.append(layer(x)[0])
    torch.testing.assert_close(*results)


@pytest.mark.parametrize("name", STRUCTURES)
def test_torch_compile(name):
    # aot_eager: traced as for any backend, without the minutes of generating code
    layer = GRU(4, 10, reset_after=False, weight=STRUCTURES[name])
    x = torch.randn(3, 2, 4)
    gradients = [
        torch.autograd.grad(run(x)[0].square().sum(), list(layer.parameters()))
        for run in (layer, torch.compile(layer, backend="aot_eager"))
    ]
    torch.testing.assert_close(*gradients)


def test_every_layer_and_direction_chooses_its_own_shape():
    layer = LSTM(4, 10, 2, bidirectional=True, weight=Kronecker())
    assert [str(c.weight.shape) for c in layer.cells.values()] == [
        "(5, 2) x (2, 7)", "(5, 2) x (2, 7)", "(5, 5) x (2, 6)", "(5, 5) x (2, 6)"
    ]  # fmt: skip


def test_the_grus_candidate_is_a_stack_of_its_own():
    before = GRU(4, 10, reset_after=False, weight=LowRank(3)).weight
    after = GRU(4, 10, weight=LowRank(3)).weight
    assert (before.V.shape[0], after.V.shape[0]) == (2, 1)
    assert before.params - after.params == 3 * 14
