"""Figures of a Kronecker product and of one product with it: their numbers are NumPy's."""

import re

import numpy as np
import pytest

from kplib import plots
from kplib.errors import DtypeError, ShapeError

A = [[1, 2], [3, 1], [0, 2]]
B = [[1, 0, 2], [2, 1, 1]]
X = [1, 2, 0, 3, 1, 2]


def numbers(text):
    return [float(n.replace("−", "-")) for n in re.findall(r"[−-]?\d+(?:\.\d+)?", text)]


@pytest.mark.parametrize("seed", range(6))
def test_kron_blocks_shows_the_product(seed):
    rng = np.random.default_rng(seed)
    a = rng.integers(-9, 10, rng.integers(1, 4, 2))
    b = rng.integers(-9, 10, rng.integers(1, 5, 2))
    picture = plots.kron_blocks(a, b)
    told = picture.description.rpartition(": ")[2]
    assert numbers(told) == np.kron(a, b).ravel().tolist()
    drawn = [
        float(t.get_text().replace("−", "-"))
        for t in picture.figure.axes[0].texts
        if re.fullmatch(r"−?\d+", t.get_text())
    ]
    assert drawn == [*a.ravel(), *b.ravel(), *np.kron(a, b).ravel()]


@pytest.mark.parametrize("shape", [(3, 2, 2, 3), (2, 3, 3, 2), (1, 5, 7, 2), (4, 3, 3, 4)])
def test_product_figure_is_right(shape):
    rng = np.random.default_rng(sum(shape))
    m1, n1, m2, n2 = shape
    a, b = rng.integers(-9, 10, (m1, n1)), rng.integers(-9, 10, (m2, n2))
    x = rng.integers(-9, 10, n1 * n2)
    told = plots.product_figure(a, b, x).description
    y = re.search(r"y = (.+), the same", told)[1]
    assert numbers(y) == (np.kron(a, b) @ x).tolist()
    middle = numbers(re.search(r"is T = ([^;]+(?:; [−\d][^;]*)*);", told)[1])
    first_b = n1 * m2 * (n2 + m1) <= m1 * n2 * (n1 + m2)
    T = x.reshape(n1, n2) @ b.T if first_b else a @ x.reshape(n1, n2)
    assert middle == T.ravel().tolist()
    counts = [int(v) for v in re.search(r"takes (\d+) \+ (\d+) = (\d+)", told).groups()]
    assert counts[0] + counts[1] == counts[2]
    assert counts[2] == min(n1 * m2 * (n2 + m1), m1 * n2 * (n1 + m2))
    assert f"takes {m1 * m2 * n1 * n2} multiplications" in told


@pytest.mark.parametrize(
    ("draw", "error", "words"),
    [
        (lambda: plots.kron_blocks([1, 2], B), ShapeError, "A must have 2 axes, found 1"),
        (lambda: plots.kron_blocks(np.ones((600, 1)), np.ones((2, 1))), ShapeError, "1024 at most"),
        (lambda: plots.kron_blocks([[1j]], B), DtypeError, "A has dtype complex128"),
        (lambda: plots.kron_blocks(A, [[np.inf]]), ValueError, "B has 1 NaN or infinite"),
        (lambda: plots.product_figure(A, B, X[1:]), ShapeError, r"x has shape \(5,\).*= \(6,\)"),
        (lambda: plots.product_figure(np.ones((13, 1)), [[1]], [1]), ShapeError, "13 x 1 matrix"),
    ],
)
def test_bad_input_is_refused_with_the_numbers(draw, error, words):
    with pytest.raises(error, match=words):
        draw()
