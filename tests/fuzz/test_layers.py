"""Layers of any size and structure against their own dense form; and what cannot be is refused."""

import contextlib
import copy
import errno
import io
import os
import re
import sys

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kplib import cli, nn
from kplib.engine.export import export_c
from kplib.nn.quantized import quantize

FUZZ = settings.get_profile("fuzz")  # see conftest.py

sizes = st.one_of(st.integers(1, 12), st.integers(1, 12), st.sampled_from([0, -1, 1.5, "4", None]))
junk = st.sampled_from([None, -1, 0, 2.5, "x", (), (1, 2), (2, 2, 2), object(), float("nan")])
shapes = st.one_of(st.none(), st.tuples(*[st.integers(1, 12)] * 4), junk)
counts = st.one_of(st.integers(1, 6), st.integers(-1, 14), junk)
structures = st.one_of(
    st.just(lambda: nn.Dense()),
    st.just(lambda: nn.Kronecker()),
    st.builds(
        lambda shape, terms, stacked: lambda: nn.Kronecker(shape, terms=terms, stacked=stacked),
        shapes, st.one_of(st.integers(1, 3), junk), st.booleans(),
    ),
    st.builds(lambda rows, shape: lambda: nn.Hybrid(rows, shape), counts, shapes),
    st.builds(lambda rows: lambda: nn.Hybrid(rows), counts),
    st.builds(lambda rank, stacked: lambda: nn.LowRank(rank, stacked=stacked), counts, st.booleans()),  # noqa: E501
    st.builds(lambda d: lambda: nn.Sparse(d), st.one_of(st.floats(), st.floats(0, 1), junk)),
    st.builds(lambda factors: lambda: nn.KroneckerChain(factors), st.one_of(counts, shapes)),
)  # fmt: skip
cells = st.sampled_from([nn.RNN, nn.LSTM, nn.GRU, nn.FastRNN])


@st.composite
def layers(draw):
    """A layer of any cell, structure and size; None if it was refused, with a message."""
    make = draw(cells)
    options = {
        "num_layers": draw(st.sampled_from([1, 1, 2])),
        "bidirectional": draw(st.booleans()),
        "bias": draw(st.sampled_from([True, False, "one"])),
        "batch_first": True,
    }
    input_size, hidden_size, structure = draw(sizes), draw(sizes), draw(structures)
    torch.manual_seed(draw(st.integers(0, 99)))
    try:
        return make(input_size, hidden_size, weight=structure(), **options)
    except (ValueError, TypeError) as error:
        assert len(str(error)) > 10, repr(error)
        return None


def _dense(layer):
    """The same cell with the same matrices, written out."""
    dense = copy.deepcopy(layer)
    for cell in dense.cells.values():
        matrix = cell.weight.matrix()
        cell.weight = nn.Dense().build(*matrix.shape)
        cell.weight.assign(matrix)
    try:
        return nn.to_dense(layer).eval()  # torch's own, where it has such a cell
    except ValueError as error:
        assert "no layer that computes" in str(error)
        return dense


@FUZZ
@given(layer=layers(), data=st.data())
def test_a_layer_is_its_dense_form(layer, data):
    if layer is None:
        return
    steps, batch = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 3))
    x = torch.randn(batch, steps, layer.input_size)
    with torch.inference_mode():
        y, _ = layer.eval()(x)
        dense, _ = _dense(layer)(x)
    assert y.shape == (batch, steps, layer.hidden_size * (1 + layer.bidirectional))
    torch.testing.assert_close(y, dense, atol=1e-5, rtol=1e-4)
    for wrong in (
        x[..., :-1],
        torch.cat([x, x], -1),
        x.double(),
        x[0, 0, 0],
        torch.ones(2, 2, 2, 2),
    ):
        with contextlib.suppress(ValueError, RuntimeError, TypeError):
            layer(wrong)
            raise AssertionError(f"{tuple(wrong.shape)} was taken for {tuple(x.shape)}")


@FUZZ
@given(
    layer=st.sampled_from([torch.nn.RNN, torch.nn.LSTM, torch.nn.GRU]),
    input_size=st.integers(1, 8), hidden_size=st.integers(1, 8), structure=structures,
    start=st.one_of(st.just("trained"), st.just("new"), junk),
)  # fmt: skip
def test_compress_and_back(layer, input_size, hidden_size, structure, start):
    model = torch.nn.Sequential(layer(input_size, hidden_size), torch.nn.Identity())
    before = [(name, tensor.clone()) for name, tensor in model.state_dict().items()]
    try:
        found = nn.compress(model, structure(), start=start)
    except (ValueError, TypeError) as error:
        assert len(str(error)) > 10
        assert all(torch.equal(model.state_dict()[name], tensor) for name, tensor in before)
        return
    x = torch.randn(3, 1, input_size)
    with torch.inference_mode():
        y, _ = found.model[0](x)
        dense, _ = nn.to_dense(found.model)[0](x)
    torch.testing.assert_close(y, dense, atol=1e-5, rtol=1e-4)


@FUZZ
@given(layer=layers(), bits=st.one_of(st.integers(-1, 10), junk), scales=st.one_of(
    st.sampled_from(["matrix", "row"]), junk))  # fmt: skip
def test_quantization(layer, bits, scales):
    if layer is None:
        return
    try:
        quantized = quantize(layer, bits, scales=scales)
    except (ValueError, TypeError) as error:
        assert len(str(error)) > 10
        return
    largest = 2 ** (int(bits) - 1) - 1
    assert all(int(t.values.abs().max()) <= largest for t in quantized.tensors.values()
               if t.values.numel())  # fmt: skip


names = st.one_of(
    st.text(max_size=12),
    st.from_regex(r"[A-Za-z_][A-Za-z_0-9]{0,8}", fullmatch=True),
    st.sampled_from(["int", "float", "double", "main", "../x", "a/b", "a b", "1a", "é", "", ";", "a\n",  # noqa: E501
                     "__a", "_A", "NULL", "a" * 300, "\x00", 'x";system("']),
)  # fmt: skip


@FUZZ
@given(name=st.one_of(st.none(), names, junk), file=names)
def test_names_of_exported_c(name, file, tmp_path):
    rnn = nn.FastRNN(4, 4, weight=nn.Kronecker(), batch_first=True)
    model = nn.Classifier(rnn, torch.nn.Linear(4, 2)).eval()
    folder = tmp_path / "deep"
    folder.mkdir(exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    try:
        written = export_c(model, folder / file.replace("/", "_"), name=name)
    except (ValueError, TypeError, OSError) as error:
        if isinstance(error, OSError):  # the system's own: it has room for 255 characters
            assert error.errno == errno.ENAMETOOLONG
        assert len(str(error)) > 10
        assert not list(folder.iterdir())
        return
    identifiers = re.findall(r"void\s+(\S+)_run\(", written.header.read_text())
    assert len(identifiers) == 1
    assert re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", identifiers[0], re.ASCII)


words = st.one_of(
    st.sampled_from(["40", "68", "0", "-1", "1e3", "10000000000000", "kp", "usps-fastrnn", "--front",  # noqa: E501
                     "--seed", "--bits", "--help", "fetch", "list", "--edition", "v0.02", "nothing",
                     "--compression", "--", "-x", "=", "--seed=x", "\ud800", "é", "none.json"]),
    st.text(st.characters(exclude_characters="\x00"), max_size=6),
)  # fmt: skip


@FUZZ
@given(
    command=st.sampled_from([["shapes"], ["export"], ["data"], ["data", "verify"], ["bench"], []]),
    arguments=st.lists(words, max_size=4),
)
def test_arguments_of_the_command(command, arguments, tmp_path):
    """Status 0 with an answer, or 1 or 2 with a line that says what is wrong; no traceback."""
    if command in ([], ["bench"], ["data"]):  # so that nothing is downloaded, or timed for minutes
        arguments = [word for word in arguments if word not in ("fetch", "usps-fastrnn")]
    out, err = io.StringIO(), io.StringIO()
    old, here = sys.argv, os.getcwd()
    sys.argv = ["kplib", *command, *arguments]
    os.chdir(tmp_path)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            cli.main()
        status = 0
    except SystemExit as end:
        status = end.code or 0
    finally:
        sys.argv = old
        os.chdir(here)
    assert status in (0, 1, 2)
    assert "Traceback" not in err.getvalue()
    assert out.getvalue() or err.getvalue()
    if status == 2:
        assert len(err.getvalue()) > 10 or "Usage" in out.getvalue()
