"""torch.export, ONNX and torch.compile of every cell with every structure."""

import copy

import onnxruntime
import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_sequence

from kplib.nn import GRU, LSTM, RNN, Classifier, FastRNN, Kronecker, KroneckerChain, to_dense

# What torch warns of inside itself, of its own layers and in its own code.
FLAT_WEIGHTS = r"ignore:The tensor attributes .*self\.([\w.]*)_flat_weights"
LEAF_SPEC = "ignore:`isinstance.treespec, LeafSpec.` is deprecated"
to_onnx = pytest.mark.filterwarnings(FLAT_WEIGHTS, LEAF_SPEC)
from_torch = pytest.mark.filterwarnings(FLAT_WEIGHTS)
# the code between two graphs looks at every tensor that it is handed
in_pieces = pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")
by_inductor = pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated")
ANY = torch.export.Dim.DYNAMIC


@pytest.fixture(autouse=True)
def _compile_anew():
    """Forget what was compiled: every layer has the same code, which is recompiled a few times."""
    torch._dynamo.reset()


def tensors(result):
    """Return all tensors of a nest of tuples, one after the other."""
    return [result] if isinstance(result, torch.Tensor) else [t for r in result for t in tensors(r)]


def layers_of(combination):
    """Two layers of each cell with one structure, and one with the others, which unroll faster."""
    return 2 if combination.structure == "kronecker" else 1


def run_onnx(program, *arguments):
    """Return what onnxruntime computes."""
    session = onnxruntime.InferenceSession(
        program.model_proto.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    names = [each.name for each in session.get_inputs()]
    given = dict(zip(names, (t.numpy() for t in tensors(arguments)), strict=True))
    return [torch.from_numpy(each) for each in session.run(None, given)]


def export_onnx(model, arguments, **options):
    return torch.onnx.export(model, arguments, dynamo=True, verbose=False, **options)


def operators(program):
    return [node.op_type for node in program.model.graph]


@torch.no_grad()
def expected_of(model, *arguments):
    return tensors(model(*arguments))


# through the dense form


@from_torch
def test_dense_form_goes_through_torch_export(combination_in_torch):
    layer = combination_in_torch.layer().eval()
    arguments = combination_in_torch.arguments(steps=4)
    exported = torch.export.export(to_dense(layer), arguments).module()
    torch.testing.assert_close(tensors(exported(*arguments)), expected_of(layer, *arguments))


class Tower(nn.Module):
    """One cell of torch.nn on the other, with an initial state for each of them."""

    def __init__(self, weight):
        super().__init__()
        options = {"batch_first": True, "bidirectional": True, "weight": weight}
        self.lstm = LSTM(4, 12, 2, **options)
        self.gru = GRU(24, 12, bias="one", **options)
        self.rnn = RNN(24, 12, **options)

    def forward(self, x, h, c):
        output, memory = self.lstm(x, (h, c))
        output, state = self.gru(output, h[:2])
        return (*self.rnn(output, c[2:]), state, *memory)


@to_onnx
def test_dense_form_in_onnxruntime(real_structure):
    # every cell of torch.nn, one and two layers, both directions, initial states, any batch
    model = Tower(real_structure).eval()
    x, (h, c) = torch.randn(3, 4, 4), torch.randn(2, 4, 3, 12)
    shapes = {0: ANY}, {1: ANY}, {1: ANY}
    program = export_onnx(to_dense(copy.deepcopy(model)), (x, h, c), dynamic_shapes=shapes)
    assert (operators(program).count("LSTM"), operators(program).count("GRU")) == (2, 1)
    for batch in (3, 5):
        given = torch.randn(batch, 4, 4), *torch.randn(2, 4, batch, 12)
        expected = expected_of(model, *given)
        torch.testing.assert_close(run_onnx(program, *given), expected, rtol=1e-4, atol=1e-5)


@to_onnx
@pytest.mark.parametrize("cell", [RNN, LSTM, GRU])
@pytest.mark.parametrize("bias", [True, "one", False])
def test_classifier_in_onnxruntime(cell, bias):
    model = Classifier(cell(10, 30, bias=bias), nn.Linear(30, 5)).eval()
    x = torch.randn(6, 2, 10)
    program = export_onnx(to_dense(copy.deepcopy(model)), (x,))
    torch.testing.assert_close(run_onnx(program, x), expected_of(model, x), rtol=1e-4, atol=1e-5)


def test_the_structured_model_stays_as_it_was():
    model = Tower(Kronecker())
    before = dict(model.state_dict())
    to_dense(copy.deepcopy(model))
    assert isinstance(model.lstm, LSTM)
    torch.testing.assert_close(dict(model.state_dict()), before, rtol=0, atol=0)


# the layer itself


def test_layer_goes_through_torch_export(combination):
    # its loop is unrolled; FastRNN and the GRU that resets before have no other way
    layers = layers_of(combination)
    layer, arguments = combination.layer(layers).eval(), combination.arguments(layers)
    program = torch.export.export(layer, arguments)
    expected = expected_of(layer, *arguments)
    torch.testing.assert_close(tensors(program.module()(*arguments)), expected)
    # what is saved has the factors, not their product
    assert {*program.state_dict} == {*layer.state_dict()}


@pytest.mark.parametrize("cell", ["RNN", "LSTM", "GRU", "GRU before", "FastRNN"])
def test_layer_goes_through_strict_export_with_any_batch(cell):
    make = {"GRU before": GRU, "FastRNN": FastRNN, "GRU": GRU, "LSTM": LSTM, "RNN": RNN}[cell]
    options = {"reset_after": False} if cell == "GRU before" else {}
    layer = make(4, 12, **options)
    shapes = ({1: ANY},)
    program = torch.export.export(
        layer, (torch.randn(2, 3, 4),), dynamic_shapes=shapes, strict=True
    )
    x = torch.randn(2, 5, 4)
    torch.testing.assert_close(tensors(program.module()(x)), tensors(layer(x)))


@to_onnx
@pytest.mark.parametrize("weight", [Kronecker(), KroneckerChain(3)], ids=["kronecker", "chain"])
@pytest.mark.parametrize(
    "make",
    [
        lambda **options: FastRNN(4, 12, bidirectional=True, **options),
        lambda **options: GRU(4, 12, reset_after=False, **options),
        lambda **options: RNN(4, 12, nonlinearity="modrelu", **options),
    ],
    ids=["FastRNN", "GRU before", "RNN modrelu"],
)
def test_what_torch_has_not_in_onnxruntime(make, weight):
    layer = make(weight=weight).eval()
    with pytest.raises(ValueError, match=r"torch\.nn has no layer.* take the layer itself"):
        to_dense(layer)
    program = export_onnx(layer, (torch.randn(2, 3, 4),), dynamic_shapes=({1: ANY},))
    x = torch.randn(2, 5, 4)
    torch.testing.assert_close(run_onnx(program, x), expected_of(layer, x), rtol=1e-4, atol=1e-5)
    # the factors are stored, and not the matrix
    sizes = [tuple(each.shape) for each in program.model.graph.initializers.values()]
    assert not any({12, 16} <= set(size) for size in sizes if weight == Kronecker())


@to_onnx
def test_onnx_refuses_complex_numbers():
    layer = RNN(4, 12, weight=KroneckerChain(3, complex=True)).eval()
    x = torch.randn(2, 3, 4)
    with pytest.raises(torch.onnx.OnnxExporterError, match="complex-valued"):
        export_onnx(layer, (x,))
    with pytest.raises(ValueError, match=r"torch\.nn has no layer"):
        to_dense(layer)


# torch.compile


def gradients(layer, result):
    loss = sum((k + 1) * t.abs().square().sum() for k, t in enumerate(tensors(result)))
    return torch.autograd.grad(loss, list(layer.parameters()))


def assert_compiled_as_eager(layer, arguments, **options):
    results = []
    for run in (layer, torch.compile(layer, **options)):
        result = run(*arguments)
        results.append((tensors(result), gradients(layer, result)))
    torch.testing.assert_close(*results, rtol=1e-4, atol=1e-5)


def test_compiled_as_one_graph(combination):
    # aot_eager: traced as for any backend, forward and backward, without generating code
    layers = layers_of(combination)
    layer, arguments = combination.layer(layers), combination.arguments(layers)
    assert_compiled_as_eager(layer, arguments, backend="aot_eager", fullgraph=True)


@in_pieces
@pytest.mark.parametrize("method", ["auto", "factors"])
def test_compiled_packed_sequences(method):
    # in pieces: their lengths are values of a tensor
    layer = GRU(4, 12, bidirectional=True, weight=Kronecker(), method=method)
    packed = pack_sequence([torch.randn(n, 4) for n in (1, 3)], enforce_sorted=False)
    results = []
    for run in (layer, torch.compile(layer, backend="aot_eager")):
        output, h = run(packed)
        results.append((output.data, h, gradients(layer, (output.data, h))))
    torch.testing.assert_close(*results)


def test_compiled_layer_sees_training():
    layer = FastRNN(4, 12)
    compiled, x = torch.compile(layer, backend="aot_eager", fullgraph=True), torch.randn(2, 3, 4)
    optimizer = torch.optim.SGD(layer.parameters(), 0.1)
    before = compiled(x)[0]
    before.square().sum().backward()
    optimizer.step()
    assert not torch.allclose(compiled(x)[0], before)
    torch.testing.assert_close(compiled(x)[0], layer(x)[0])


@by_inductor
def test_compiled_by_inductor():
    layer, x = LSTM(4, 12, weight=Kronecker()), torch.randn(2, 3, 4)
    assert_compiled_as_eager(layer, (x,), backend="inductor", fullgraph=True)
