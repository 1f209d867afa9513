"""Initial values by statistics: the variance of the entries, the largest singular value."""

import math

import pytest
import torch

from kplib.nn import Dense, Hybrid, Kronecker, LowRank, Sparse
from kplib.nn.structures import dense_spectral_norm, initial_variance

INITIALIZERS = ("pytorch", "glorot_uniform", "random_normal")
# of 6 x 10 gates, and of 12 x 10 where two are stacked
STRUCTURES = {
    "dense": Dense,
    "sparse": lambda **options: Sparse(0.5, **options),
    "kronecker": lambda **options: Kronecker((3, 2, 2, 5), **options),
    "sum": lambda **options: Kronecker((3, 2, 2, 5), terms=3, **options),
    "stacked": lambda **options: Kronecker((3, 2, 4, 5), stacked=True, **options),
    "stacked sum": lambda **options: Kronecker((3, 2, 4, 5), terms=2, stacked=True, **options),
    "hybrid": lambda **options: Hybrid(2, (2, 2, 2, 5), **options),
    "low rank": lambda **options: LowRank(2, **options),
    "low rank per gate": lambda **options: LowRank(2, stacked=False, **options),
}
MATCHING = [name for name in STRUCTURES if name not in ("dense", "sparse")]


@pytest.mark.parametrize("name", STRUCTURES)
@pytest.mark.parametrize("init", INITIALIZERS)
def test_entries_have_the_variance_of_the_dense_initializer(name, init):
    stacks = (2,) * 2000
    weight = STRUCTURES[name](init=init).build(4000, 6, 10, stacks=stacks, dtype=torch.float64)
    W = weight.matrix().detach()
    expected = {"pytorch": 1 / (3 * 6), "glorot_uniform": 2 / (10 + 2 * 6), "random_normal": 0.01}
    assert initial_variance(init, 2, 6, 10) == pytest.approx(expected[init])
    # stacks are independent: their mean squares give the error of the overall mean
    squares = W.square().unflatten(0, (2000, 2)).mean((1, 2, 3)) / expected[init]
    error = (squares.std() / math.sqrt(2000)).item()
    assert error < 0.05
    assert abs(squares.mean().item() - 1) < 5 * error
    # at every place of the matrix, not only on average
    places = W.square().unflatten(0, (2000, 2)).mean(1) / expected[init]
    errors = places.std(0) / math.sqrt(2000)
    assert ((places.mean(0) - 1).abs() < 6 * errors).all()
    means = W.unflatten(0, (2000, 2)).mean((1, 2, 3))
    assert abs(means.mean()) < 5 * means.std() / math.sqrt(2000)


@pytest.mark.parametrize(
    "structure", ["dense", "sparse", "kronecker", "hybrid", "low rank per gate"]
)
def test_the_fans_are_those_of_each_stacks_kernel(structure):
    structure = STRUCTURES[structure](init="glorot_uniform")
    W = structure.build(300, 6, 10, stacks=(299, 1)).matrix().detach()
    many = W[:299].square().mean().item()
    assert many == pytest.approx(2 / (10 + 299 * 6), rel=0.5)
    # one gate only, but its variance is a hundred times larger
    assert W[299].square().mean().item() == pytest.approx(2 / (10 + 6), rel=0.9)
    assert W[299].square().mean().item() > 20 * many


@pytest.mark.parametrize("stacked", [True, False])
def test_the_fans_of_low_rank_factors(stacked):
    structure = LowRank(20, stacked=stacked, init="glorot_uniform")
    weight = structure.build(3, 30, 50, stacks=(2, 1))
    fans = [50 + 60, 50 + 30] if stacked else [50 + 60, 50 + 60, 50 + 30]
    for k, fan in enumerate(fans):
        # 1000 entries come as near to the bound of their uniform distribution as this
        bound = (3 * (2 / fan / 20) ** 0.5) ** 0.5
        assert 0.98 * bound < weight.V[k].abs().max() <= bound


def test_dense_values_are_those_of_torch():
    hidden = 400
    W = Dense().build(4, hidden, 430).matrix().detach().flatten()
    theirs = torch.nn.LSTM(30, hidden).weight_hh_l0.detach().flatten()
    bound = hidden**-0.5
    for values in (W, theirs):
        assert 0.9999 * bound < values.abs().max() <= bound
        assert values.abs().mean() == pytest.approx(bound / 2, rel=0.01)  # uniform


def test_random_normal_is_normal():
    W = Dense("random_normal").build(4, 200, 230).matrix().detach()
    # of the entries 4.55 % are beyond two standard deviations, of a uniform distribution none
    assert (W.abs() > 0.2).double().mean().item() == pytest.approx(0.0455, rel=0.05)


@pytest.mark.parametrize("init", INITIALIZERS)
def test_factors_share_the_variance_equally(init):
    kronecker = Kronecker((30, 20, 40, 50), init=init).build(4, 1200, 1000)
    low_rank = LowRank(20, init=init).build(4, 300, 1200)
    for first, second in ((kronecker.A, kronecker.B), (low_rank.U, low_rank.V)):
        assert first.std().item() == pytest.approx(second.std().item(), rel=0.05)


@pytest.mark.parametrize(
    ("m", "n", "below"), [(118, 128, 0.03), (40, 68, 0.06), (32, 48, 0.07), (178, 255, 0.02)]
)
def test_dense_matrices_are_near_the_estimate(m, n, below):
    values = Dense().build(40, m, n).singular_values()[:, 0]
    ratio = values.mean().item() / dense_spectral_norm(1 / (3 * m), m, n)
    assert 1 - below < ratio < 1


def test_the_largest_singular_value_doubles_at_kws():
    dense, kronecker = (
        structure.build(100, 118, 128).singular_values()[:, 0]
        for structure in (Dense(), Kronecker())
    )
    ratio = (kronecker.mean() / dense.mean()).item()
    # the standard deviation of one draw is 0.2, of the mean 0.02
    assert ratio == pytest.approx(2.0, abs=0.1)
    (m1, n1), (m2, n2) = (59, 8), (2, 16)
    limit = (m1**0.5 + n1**0.5) * (m2**0.5 + n2**0.5) / (118**0.5 + 128**0.5)
    cross = ((m1 * n2) ** 0.5 + (n1 * m2) ** 0.5) / (118**0.5 + 128**0.5)
    assert limit == pytest.approx(1 + cross) == pytest.approx(2.566, abs=1e-3)
    assert ratio < limit


def test_the_limit_is_right_for_large_factors():
    (m1, n1), (m2, n2) = (300, 200), (150, 400)
    weight = Kronecker((m1, n1, m2, n2)).build(6, m1 * m2, n1 * n2)
    values = torch.linalg.matrix_norm(weight.A, 2) * torch.linalg.matrix_norm(weight.B, 2)
    expected = (m1**0.5 + n1**0.5) * (m2**0.5 + n2**0.5) / (3 * m1 * m2) ** 0.5
    assert 0.94 < values.mean().item() / expected < 1.01


@pytest.mark.parametrize("name", MATCHING)
@pytest.mark.parametrize("init", INITIALIZERS)
def test_matched_spectral_norm(name, init):
    stacks = (2,) * 30
    structure = STRUCTURES[name](init=init, match="spectral_norm")
    weight = structure.build(60, 6, 10, stacks=stacks, dtype=torch.float64)
    W = weight.matrix().detach()
    rows = 6
    if name in ("stacked", "stacked sum", "low rank"):
        W, rows = W.reshape(30, 12, 10), 12
    if name == "hybrid":
        W, rows = W[:, 2:], 4
    norms = torch.linalg.matrix_norm(W, 2)
    target = dense_spectral_norm(initial_variance(init, 2, 6, 10), rows, 10)
    torch.testing.assert_close(norms, torch.full_like(norms, target))


def test_only_the_size_differs_between_what_is_matched():
    for structure in (Kronecker, lambda **options: LowRank(4, **options)):
        weights = []
        for match in ("variance", "spectral_norm"):
            torch.manual_seed(5)
            weights.append(structure(match=match).build(4, 118, 128).matrix().detach().double())
        ratio = (weights[1] / weights[0]).flatten(1)
        assert (ratio.amax(1) / ratio.amin(1) < 1.001).all()
        assert (ratio < 0.8).all()


def test_the_dense_rows_of_a_hybrid_do_not_depend_on_it():
    torch.manual_seed(5)
    first = Hybrid(2).build(4, 118, 128)
    torch.manual_seed(5)
    second = Hybrid(2, match="spectral_norm").build(4, 118, 128)
    assert torch.equal(first.D, second.D)
    assert not torch.equal(first.A, second.A)


def test_both_factors_are_scaled_alike():
    weight = Kronecker((30, 20, 40, 50), match="spectral_norm").build(4, 1200, 1000)
    assert weight.A.std().item() == pytest.approx(weight.B.std().item(), rel=0.05)
