"""The compiled products and networks, given anything: the right numbers, or a clear error.

A crash here ends the whole run, and that is the point. Each shape is compiled once and called with
many inputs.
"""

import functools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import kplib
from kplib import nn
from kplib.errors import BufferLayoutError, DtypeError, ShapeError

FUZZ = settings.get_profile("fuzz")  # see conftest.py
REFUSED = (ShapeError, DtypeError, BufferLayoutError)
RNG = np.random.default_rng(0)


def _integers(*shape, dtype="f4"):
    return RNG.integers(-3, 4, shape).astype(dtype)


@functools.cache
def operations(loader):
    """Operations of every kind and dtype, with their matrices; compiled once."""
    found = []
    for dtype in ("f4", "f8"):
        for m1, n1, m2, n2 in [(2, 3, 5, 4), (1, 7, 3, 1), (16, 2, 1, 16)]:
            A, B = _integers(m1, n1, dtype=dtype), _integers(m2, n2, dtype=dtype)
            W = np.kron(A, B)
            found.append((kplib.compile_kron(A, B, loader=loader), W))
        D = _integers(2, W.shape[1], dtype=dtype)
        hybrid = kplib.compile_hybrid(D, A, B, loader=loader)
        U = _integers(5, 2, dtype=dtype)
        found += [
            (hybrid, np.concatenate([D, W])),
            (kplib.compile_dense(U, loader=loader), U),
        ]
    return found


@functools.cache
def networks():
    """Compiled networks and what they were made of."""
    found = []
    for rnn in (
        nn.LSTM(4, 6, weight=nn.Kronecker(), batch_first=True),
        nn.GRU(4, 8, bidirectional=True, weight=nn.Hybrid(2), batch_first=True),
    ):
        model = nn.Classifier(rnn, torch.nn.Linear(rnn.hidden_size * (1 + rnn.bidirectional), 3))
        found.append((kplib.compile(model.eval()), model, rnn.input_size))
    return found


layouts = st.sampled_from(
    ["C", "C", "F", "reversed", "strided", "read-only", "broadcast", "misaligned"]
)


@st.composite
def arrays(draw, length):
    """An array, likely with so many entries at the end; whole numbers, NaN or infinities."""
    batch = draw(st.sampled_from([(), (), (), (0,), (1,), (3,), (2, 2)]))
    shape = (*batch, draw(st.sampled_from([length] * 4 + [0, 1, length - 1, length + 1, 4096])))
    dtype = np.dtype(draw(st.sampled_from(
        ["f4", "f4", "f4", "f8", "f8", "f2", ">f4", "g", "i1", "i8", "u8", "?", "c8", "O", "U3", "M8[s]"]  # noqa: E501
    )))  # fmt: skip
    if dtype.kind not in "fiub":
        return np.zeros(shape, dtype)
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    array = rng.integers(0 if dtype.kind in "ub" else -4, 5, shape).astype(dtype)
    if dtype.kind == "f" and draw(st.integers(0, 4)) == 0:
        array = np.where(rng.random(shape) < 0.1, draw(st.sampled_from([np.nan, np.inf])), array)
        array = array.astype(dtype)
    match draw(layouts):
        case "F":
            return np.asfortranarray(array)
        case "reversed":
            return np.ascontiguousarray(array[..., ::-1])[..., ::-1]
        case "strided":
            return np.repeat(array[..., None], 2, axis=-1)[..., 0]
        case "read-only":
            array.flags.writeable = False
        case "broadcast":
            return np.broadcast_to(array.flat[0] if array.size else array, shape)
        case "misaligned":
            buffer = np.zeros(array.nbytes + 1, np.uint8)
            other = buffer[1:].view(dtype).reshape(shape)
            other[...] = array
            return other
    return array


others = st.one_of(
    st.none(), st.integers(), st.floats(), st.text(max_size=3), st.binary(max_size=64),
    st.just(object()), st.just([]), st.just({}), st.just(np.float32(1)), st.just(np),
    st.just(np.broadcast_to(np.float32(1), (2**40, 12))),  # 192 terabytes
    st.just(torch.zeros(12)), st.just(memoryview(bytes(48))), st.lists(st.integers(-4, 4).map(float), max_size=13),  # noqa: E501
)  # fmt: skip


def _same(found, x, W):
    wide = np.asarray(x, np.float64)
    assert found.shape == (*wide.shape[:-1], W.shape[0])
    finite = np.isfinite(wide).all(axis=-1)
    with np.errstate(all="ignore"):
        expected = wide @ W.T.astype(float)
    np.testing.assert_array_equal(found[finite], expected[finite])  # of small integers: exact
    assert not np.isfinite(found)[np.isnan(expected)].any()


@pytest.mark.parametrize("loader", ["cppyy", "compiler", "numpy"])
@FUZZ
@given(data=st.data())
def test_calls_and_bound_calls(loader, data):
    op, W = data.draw(st.sampled_from(operations(loader)), label="op")
    x = data.draw(st.one_of(arrays(W.shape[1]), arrays(W.shape[1]), others), label="x")
    y = data.draw(st.one_of(arrays(W.shape[0]), arrays(W.shape[0]), others), label="y")
    try:
        with np.errstate(all="ignore"):
            found = op(x)
    except REFUSED as error:
        assert len(str(error)) > 10
    except MemoryError as error:
        assert "Unable to allocate" in str(error)
    else:
        _same(found, x, W)
    try:
        run = op.bind(x, y)
    except REFUSED as error:
        assert len(str(error)) > 10
    else:
        with np.errstate(all="ignore"):
            run()
        _same(y, x, W)


@FUZZ
@given(data=st.data())
def test_networks(data):
    net, model, inputs = data.draw(st.sampled_from(networks()))
    x = data.draw(st.one_of(arrays(inputs), arrays(inputs), others))
    y = data.draw(st.one_of(arrays(3), others))
    found = None
    try:
        found = net(x)
    except REFUSED as error:
        assert len(str(error)) > 10
    except MemoryError as error:
        assert "Unable to allocate" in str(error)
    try:
        run = net.bind(x, y)
    except REFUSED as error:
        assert len(str(error)) > 10
    else:
        run()
        np.testing.assert_array_equal(y, found)
    if found is None or not np.isfinite(np.asarray(x, float)).all():
        return
    batch = torch.from_numpy(np.array(x, np.float32)).reshape(-1, *np.shape(x)[-2:])
    with torch.inference_mode():
        expected = model(batch).numpy().reshape(found.shape)
    np.testing.assert_allclose(found, expected, atol=1e-5)


@FUZZ
@given(data=st.data())
def test_operands_of_anything(data):
    """Compiled without a compiler: what is refused is refused before that."""
    anything = st.one_of(arrays(3), arrays(3), others)
    D, A, B = (data.draw(anything) for _ in range(3))
    for make, operands in [
        (kplib.compile_kron, (A, B)), (kplib.compile_hybrid, (D, A, B)),
        (kplib.compile_dense, (A,)), (kplib.compile_lowrank, (A, B)),
    ]:  # fmt: skip
        try:
            op = make(*operands, loader="numpy")
        except (*REFUSED, TypeError) as error:
            assert len(str(error)) > 10
        except MemoryError as error:
            assert "Unable to allocate" in str(error)
        else:
            assert min(op.shape) > 0
            with np.errstate(all="ignore"):
                assert op(np.zeros(op.shape[1], op.dtype)).shape == (op.shape[0],)
