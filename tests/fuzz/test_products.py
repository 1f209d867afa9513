"""The products on NumPy arrays, given anything: what NumPy's kron gives, or a clear error."""

import contextlib
import math
import warnings

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

import kplib

FUZZ = settings.get_profile("fuzz")  # see conftest.py

dtypes = st.sampled_from(
    ["f2", "f4", "f8", ">f4", "g", "i1", "i8", ">i4", "u1", "u8", "?", "c8", "c16"]
)
no_numbers = st.sampled_from(["O", "M8[s]", "m8[s]", "U3", "S2", "V4", [("a", "f4")]])
extremes = st.sampled_from([0, 1, -1, 0.5, 3e38, 1e-45, math.inf, -math.inf, math.nan, 255, 2**62])
layouts = st.sampled_from(["C", "F", "reversed", "strided", "read-only", "broadcast", "misaligned"])
sizes = st.integers(0, 5)


@st.composite
def arrays(draw, shape=None, dtype=None):
    """An array of any dtype and layout; of the shape, or of any."""
    if shape is None:
        shape = tuple(draw(st.lists(sizes, max_size=4)))
    dtype = np.dtype(draw(dtypes) if dtype is None else dtype)
    layout = draw(layouts)
    if dtype.kind not in "fciub":
        return np.empty(shape, dtype)
    values = draw(st.lists(extremes, min_size=1, max_size=4))
    seed = draw(st.integers(0, 2**32 - 1))
    array = _cast(np.asarray(np.random.default_rng(seed).choice(values, size=shape)), dtype)
    if layout == "F":
        return np.asfortranarray(array)
    if layout == "reversed" and array.ndim:
        return np.ascontiguousarray(array[::-1])[::-1]
    if layout == "strided":
        return np.repeat(array[..., None], 2, axis=-1)[..., 0]
    if layout == "read-only":
        array.flags.writeable = False
    if layout == "broadcast":
        return np.broadcast_to(array.flat[0] if array.size else array, shape)
    if layout == "misaligned":
        buffer = np.zeros(array.nbytes + 1, np.uint8)
        other = buffer[1:].view(dtype)[: array.size].reshape(shape)
        other[...] = array
        return other
    return array


def _cast(array, dtype):
    """The values in the dtype; what it cannot hold is what NumPy makes of it, silently."""
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tame = np.nan_to_num(array) if dtype.kind in "iu" else array
        return np.asarray(tame).astype(dtype)


others = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.complex_numbers(),
    st.text(max_size=3), st.binary(max_size=3), st.just(object()), st.just({}), st.just([]),
    st.just([[1, 2], [3]]), st.just([[1, "a"]]), st.just([[10**30, 1]]), st.just([[None]]),
    st.lists(st.lists(st.floats(), max_size=3), max_size=3), st.just(range(4)), st.just(np),
    no_numbers.flatmap(lambda dtype: arrays(dtype=dtype)),
    st.just(np.ma.masked_array([[1.0, 2.0]], [[True, False]])),
    st.just(np.broadcast_to(np.int8(1), (2**20, 2**20))),  # a terabyte
)  # fmt: skip
anything = st.one_of(arrays(), others)


@st.composite
def fitting(draw):
    """D, A, B and x that fit together, but of any dtype and layout."""
    m1, n1, m2, n2 = (draw(st.integers(1, 4)) for _ in range(4))
    batch = tuple(draw(st.lists(st.integers(0, 3), max_size=2)))
    rows = draw(st.integers(0, 3))
    A, B = draw(arrays((m1, n1))), draw(arrays((m2, n2)))
    return draw(arrays((rows, n1 * n2))), A, B, draw(arrays((*batch, n1 * n2)))


def attempt(function, *arguments, **options):
    """What a function returns; None if it refuses, with a message."""
    try:
        with np.errstate(all="ignore"):
            return function(*arguments, **options)
    except (ValueError, TypeError) as error:
        assert len(str(error)) > 10, repr(error)
    except MemoryError as error:  # NumPy's: it has the size
        assert "Unable to allocate" in str(error)
    return None


def same(found, W, x):
    """Whether a result is W x, as exactly as its dtype and the order of the sums allow."""
    assert found.shape == (*x.shape[:-1], W.shape[0])
    if found.dtype.kind in "iu":
        exact = x.astype(object) @ W.astype(object).T if x.size else np.zeros(found.shape, object)
        assert (found.astype(object) == exact).all()
        return
    kind = complex if "c" in (W.dtype.kind, x.dtype.kind) else np.longdouble
    with np.errstate(all="ignore"):
        wide, x = W.astype(kind), x.astype(kind)
        expected = x @ wide.T
        scale = np.abs(x) @ np.abs(wide).T
        info = np.finfo(found.dtype)
        sound = np.isfinite(scale) & (scale < info.max / 4)
        tolerance = 64 * W.shape[1] * (info.eps * scale + info.tiny)
        assert (np.abs(found - expected)[sound] <= tolerance[sound]).all()
        assert not np.isfinite(found)[np.isnan(scale)].any()  # no number is made of NaN


def _tame(*arrays):
    """Whether products of entries stay in range, so that the order of sums cannot matter."""
    wide = [np.abs(a[np.isfinite(a)].astype(np.clongdouble)) for a in arrays]
    tops = [float(a.max(initial=0)) for a in wide]
    lows = [float(a[a > 0].min(initial=1)) for a in wide]
    return math.prod(max(top, 1) for top in tops) < 1e30 and math.prod(lows) > 1e-30


@FUZZ
@given(fitting())
def test_products_that_fit(operands):
    D, A, B, x = operands
    # NumPy's kron of bool and of small integers would wrap: so the reference is of exact numbers.
    exact = all(a.dtype.kind in "biu" for a in (D, A, B, x))
    with np.errstate(all="ignore"):
        W = np.kron(*(a.astype(object if exact else np.clongdouble) for a in (A, B)))
    W = W if exact or np.iscomplexobj(A) or np.iscomplexobj(B) else W.real
    before = [a.tobytes() for a in operands]
    for found, dense, used in [
        (attempt(kplib.kron_matvec, A, B, x), W, (A, B, x)),
        (attempt(kplib.chain_matvec, [A, B], x), W, (A, B, x)),
        (attempt(kplib.hybrid_matvec, D, A, B, x), np.concatenate([D, W]), operands),
    ]:
        if found is None:  # only for what no dtype holds
            whole = [a for a in used if a.dtype.kind in "biu"]
            largest = [max((abs(int(v)) for v in a.flat), default=0) for a in whole]
            assert math.prod(max(v, 1) for v in largest) * dense.shape[1] > 2**60, used
        elif found.dtype.kind in "iu" or _tame(*used):
            same(found, dense, x)
        else:
            assert found.shape == (*x.shape[:-1], dense.shape[0])
    assert [a.tobytes() for a in operands] == before


@FUZZ
@given(A=anything, B=anything, x=anything, D=anything)
def test_products_of_anything(A, B, x, D):
    for found in (
        attempt(kplib.kron_matvec, A, B, x),
        attempt(kplib.kron_rmatvec, A, B, x),
        attempt(kplib.hybrid_matvec, D, A, B, x),
        attempt(kplib.hybrid_rmatvec, D, A, B, x),
        attempt(kplib.chain_matvec, [A, B, D], x),
        attempt(kplib.chain_rmatvec, A, x),
    ):
        if found is not None:
            assert found.dtype.kind in "iufc"
            assert found.shape[:-1] == np.shape(x)[:-1]


@FUZZ
@given(A=arrays(), B=arrays())
def test_spectra_of_any_arrays(A, B):
    values = attempt(kplib.singular_values, A, B)
    found = attempt(kplib.rank, A, B), attempt(kplib.condition_number, A, B)
    attempt(kplib.condition_number, A, B, effective=True)
    for function in (kplib.determinant, kplib.log_determinant, kplib.eigenvalues):
        attempt(function, A, B)
    assert (values is None) == (found == (None, None))
    if values is None:
        return
    W = np.kron(A.astype(np.complex128), B.astype(np.complex128))
    assert values.shape == (min(W.shape),)
    assert (values >= 0).all()
    assert (values[:-1] >= values[1:]).all()
    assert 0 <= found[0] <= min(W.shape)
    assert found[1] >= 1 or math.isnan(found[1])
    if _tame(A, B) and A.dtype.char not in "gG":
        expected = np.linalg.svd(W, compute_uv=False)
        eps = max(np.finfo(values.dtype).eps, 1e-15)
        np.testing.assert_allclose(values, expected, atol=100 * eps * expected[0] + 1e-30, rtol=0)


@FUZZ
@given(A=others, B=anything, rtol=st.one_of(st.none(), st.floats(), others))
def test_spectra_of_anything(A, B, rtol):
    for function in (kplib.singular_values, kplib.determinant, kplib.eigenvalues):
        attempt(function, A, B)
        attempt(function, B, A)
    attempt(kplib.rank, B, B, rtol=rtol)
    attempt(kplib.condition_number, A, B, rtol=rtol)


@FUZZ
@given(W=anything, shape=st.one_of(st.tuples(*[st.integers(-1, 5)] * 4), others), terms=others)
def test_nearest_kronecker_of_anything(W, shape, terms):
    for count in (1, terms):
        found = attempt(kplib.nearest_kron, W, shape, terms=count)
        if found is None or count != 1:
            continue
        A, B = found
        assert np.isfinite(A).all()
        assert np.isfinite(B).all()
        assert (*A.shape, *B.shape) == tuple(shape)
        if _tame(np.asarray(W)):
            wide = np.asarray(W, np.complex128)
            assert np.linalg.norm(wide - np.kron(A, B)) <= np.linalg.norm(wide) * (1 + 1e-3) + 1e-30


huge = st.one_of(st.integers(-3, 60), st.integers(2**62, 2**65), st.sampled_from([10**12, 2**31]))


@FUZZ
@given(m=st.one_of(st.integers(-3, 300), others), n=st.one_of(st.integers(-3, 300), others))
def test_factor_shapes_of_anything(m, n):
    found = attempt(kplib.factor_shapes, m, n)
    for function in (kplib.full_rank_shapes, kplib.pareto_front, kplib.algorithm4):
        some = attempt(function, m, n)
        if some is not None:
            assert found is not None
            assert set(some if isinstance(some, list) else [some]) <= set(found)
    if found is not None:
        assert all((shape.m, shape.n) == (m, n) for shape in found)
        dense = m * n
        assert all(shape.params == shape.m1 * shape.n1 + shape.m2 * shape.n2 for shape in found)
        assert all(shape.rank <= min(m, n) for shape in found)
        assert all(math.isclose(shape.compression * shape.params, dense) for shape in found)


@FUZZ
@given(st.lists(st.one_of(huge, others), min_size=4, max_size=4))
def test_a_factor_shape_of_anything(given_sizes):
    found = attempt(kplib.FactorShape, *given_sizes)
    if found is not None:
        assert all(size >= 1 for size in given_sizes)
        assert found.m == given_sizes[0] * given_sizes[2]
        with contextlib.suppress(OverflowError):
            assert found.compression > 0
