"""Every cell with every structure is copied, saved without pickle, loaded, and trained on."""

import copy
import pickle

import pytest
import torch
from safetensors.torch import load_file, load_model, save_file, save_model
from torch import nn

from kplib.nn import GRU, LSTM, Classifier, Kronecker, Sparse, compress, prune
from kplib.nn.structures import SparseWeight


def tensors(result):
    """Return output and final states, one after the other."""
    output, state = result
    return [output, *(state if isinstance(state, tuple) else (state,))]


def assert_same(layer, other, arguments):
    for a, b in zip(tensors(layer(*arguments)), tensors(other(*arguments)), strict=True):
        assert torch.equal(a, b)


def masks(layer):
    return [m.mask.clone() for m in layer.modules() if isinstance(m, SparseWeight)]


def train(layer, optimizer, arguments, steps):
    for _ in range(steps):
        optimizer.zero_grad()
        sum(t.abs().square().sum() for t in tensors(layer(*arguments))).backward()
        optimizer.step()


def assert_equal_trees(one, other):
    torch.testing.assert_close(one, other, rtol=0, atol=0)


def test_state_dict_round_trip(combination):
    layer, other, arguments = combination.layer(), combination.layer(), combination.arguments()
    assert not torch.equal(layer(*arguments)[0], other(*arguments)[0])
    before = list(other.parameters())
    assert str(other.load_state_dict(layer.state_dict())) == "<All keys matched successfully>"
    assert_same(layer, other, arguments)
    # in place, so that an optimizer made before still trains them
    assert all(a is b for a, b in zip(before, other.parameters(), strict=True))
    other.reset_parameters()
    assert not torch.equal(layer(*arguments)[0], other(*arguments)[0])


def test_safetensors(combination, tmp_path):
    layer, other, arguments = combination.layer(), combination.layer(), combination.arguments()
    state = layer.state_dict()
    save_file(state, tmp_path / "layer.safetensors")
    loaded = load_file(tmp_path / "layer.safetensors")
    assert loaded.keys() == state.keys()
    for name, value in state.items():
        assert value.is_contiguous()  # which safetensors asks for
        assert loaded[name].dtype == value.dtype
        assert torch.equal(loaded[name], value)
    other.load_state_dict(loaded)
    assert_same(layer, other, arguments)
    # what is pruned stays so, and counts no more
    assert [m.params for m in layer.modules() if isinstance(m, SparseWeight)] == [
        m.params for m in other.modules() if isinstance(m, SparseWeight)
    ]


def test_loading_into_a_layer_without_storage(combination, tmp_path):
    layer, arguments = combination.layer(), combination.arguments()
    save_file(layer.state_dict(), tmp_path / "layer.safetensors")
    other = combination.layer(device="meta")
    other.load_state_dict(load_file(tmp_path / "layer.safetensors"), assign=True)
    assert not any(t.is_meta for t in (*other.parameters(), *other.buffers()))
    # the file's own memory is aligned otherwise, which rounds products otherwise
    results = (tensors(run(*arguments)) for run in (layer, other))
    for a, b in zip(*results, strict=True):
        torch.testing.assert_close(a, b)


def test_pickle(combination):
    # also what multiprocessing and torch.save of a whole module do
    layer, arguments = combination.layer(dropout=0.5).eval(), combination.arguments()
    other = pickle.loads(pickle.dumps(layer))
    assert repr(other) == repr(layer)
    assert not other.training
    assert_same(layer, other, arguments)


def test_deepcopy_is_independent(combination):
    layer, arguments = combination.layer(), combination.arguments()
    optimizer = torch.optim.Adam(layer.parameters(), 0.01)
    train(layer, optimizer, arguments, 2)
    clone = copy.deepcopy(layer)
    assert_same(layer, clone, arguments)
    shared = {p.data_ptr() for p in (*layer.parameters(), *layer.buffers())}
    assert not shared & {p.data_ptr() for p in (*clone.parameters(), *clone.buffers())}
    assert repr(clone) == repr(layer)

    parameters = copy.deepcopy(layer.state_dict())
    moments = copy.deepcopy(optimizer.state_dict())
    clone_optimizer = torch.optim.Adam(clone.parameters(), 0.01)
    assert not clone_optimizer.state
    train(clone, clone_optimizer, arguments, 2)
    if combination.structure == "sparse":
        prune(clone, 0.1)
    assert_equal_trees(dict(layer.state_dict()), dict(parameters))
    assert_equal_trees(optimizer.state_dict()["state"], moments["state"])
    for name, value in clone.state_dict().items():
        pruned = combination.structure == "sparse"
        assert torch.equal(value, parameters[name]) == (name.endswith("mask") and not pruned)
    # and the first one trains as if there had been no copy
    train(layer, optimizer, arguments, 1)
    assert all(p.grad is not None for p in layer.parameters())


def test_training_goes_on_where_it_was_saved(combination, tmp_path):
    layer, arguments = combination.layer(), combination.arguments()
    optimizer = torch.optim.Adam(layer.parameters(), 0.01)
    train(layer, optimizer, arguments, 2)
    save_file(layer.state_dict(), tmp_path / "layer.safetensors")
    torch.save(optimizer.state_dict(), tmp_path / "optimizer.pt")

    other = combination.layer()
    other_optimizer = torch.optim.Adam(other.parameters(), 0.01)
    other.load_state_dict(load_file(tmp_path / "layer.safetensors"))
    other_optimizer.load_state_dict(torch.load(tmp_path / "optimizer.pt", weights_only=True))
    for run, steps in ((layer, optimizer), (other, other_optimizer)):
        train(run, steps, arguments, 2)
    assert_equal_trees(dict(other.state_dict()), dict(layer.state_dict()))
    assert_equal_trees(
        [m.to(torch.uint8) for m in masks(other)], [m.to(torch.uint8) for m in masks(layer)]
    )


def test_errors_name_what_is_wrong(combination):
    layer, larger = combination.layer(), combination.layer()
    state = dict(layer.state_dict())
    name = next(name for name in state if ".weight." in name)
    missing = {key: value for key, value in state.items() if key != name}
    with pytest.raises(RuntimeError, match=rf'Missing key\(s\) in state_dict: "{name}"'):
        layer.load_state_dict(missing)
    with pytest.raises(RuntimeError, match=r'Unexpected key\(s\) in state_dict: "more"'):
        layer.load_state_dict(state | {"more": torch.zeros(1)})
    wrong = state | {name: torch.zeros(*state[name].shape, 2)}
    sizes = [list(wrong[name].shape), list(state[name].shape)]
    words = r"size mismatch for {}: .*shape torch\.Size\(\[{}\]\).*is torch\.Size\(\[{}\]\)"
    shapes = (", ".join(str(n) for n in each) for each in sizes)
    with pytest.raises(RuntimeError, match=words.format(name, *shapes)):
        larger.load_state_dict(wrong)


def test_another_structure_does_not_load():
    kronecker, sparse = LSTM(4, 12), LSTM(4, 12, weight=Sparse(0.3))
    with pytest.raises(RuntimeError, match=r"(?s)Missing .*weight\.W.*Unexpected .*weight\.A"):
        sparse.load_state_dict({**kronecker.state_dict()})
    other = LSTM(4, 12, weight=Kronecker((2, 4, 6, 4)))
    with pytest.raises(RuntimeError, match=r"size mismatch for cells\.l0\.weight\.A"):
        other.load_state_dict(kronecker.state_dict())


class Shared(nn.Module):
    """A model one of whose layers has two names."""

    def __init__(self, rnn):
        super().__init__()
        self.rnn = rnn
        self.again = nn.ModuleList([self.rnn])

    def forward(self, x):
        return self.again[0](self.rnn(x)[0])[0]


def test_a_layer_with_two_names(tmp_path):
    model, other = (Shared(GRU(12, 12, weight=Sparse(0.3))) for _ in range(2))
    prune(model, 0.3)
    with pytest.raises(RuntimeError, match="share memory"):
        save_file(model.state_dict(), tmp_path / "model.safetensors")
    save_model(model, str(tmp_path / "model.safetensors"))
    assert load_model(other, tmp_path / "model.safetensors") == (set(), [])
    x = torch.randn(5, 2, 12)
    assert torch.equal(other(x), model(x))
    assert other.again[0] is other.rnn


def test_a_compressed_model_is_saved_and_loaded(real_structure, tmp_path):
    def model():
        return nn.ModuleDict(
            {"rnn": nn.LSTM(4, 12, 2, bidirectional=True), "out": nn.Linear(24, 3)}
        )

    trained, empty = model(), model()
    compress(trained, real_structure)
    compress(empty, real_structure, start="new")
    save_model(trained, str(tmp_path / "model.safetensors"))
    assert load_model(empty, tmp_path / "model.safetensors") == (set(), [])
    x = torch.randn(5, 2, 4)
    assert torch.equal(empty["rnn"](x)[0], trained["rnn"](x)[0])


def test_a_classifier_is_saved_and_loaded(combination, tmp_path):
    sizes = 48 if combination.structure == "complex" else 24
    model, other = (Classifier(combination.layer(), nn.Linear(sizes, 3)) for _ in range(2))
    save_model(model, str(tmp_path / "model.safetensors"))
    assert load_model(other, tmp_path / "model.safetensors") == (set(), [])
    x, _ = combination.arguments()
    assert torch.equal(model(x), other(x))
