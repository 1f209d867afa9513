"""Trained matrices: against numpy on the full ones, on known spectra, and the papers' claims."""

import json
import math

import numpy as np
import pytest
import torch

from kplib.experiments import papers
from kplib.experiments.analysis import (
    MatrixAnalysis,
    NetworkAnalysis,
    analyze,
    analyze_run,
    matrices_table,
)
from kplib.experiments.build import build
from kplib.experiments.claims import check_claims, claims_summary, claims_table
from kplib.experiments.configuration import default_configuration
from kplib.experiments.strict import from_json, to_json
from kplib.experiments.training import load_network, train
from kplib.nn import (
    GRU,
    LSTM,
    RNN,
    Classifier,
    Dense,
    FastRNN,
    Hybrid,
    Kronecker,
    KroneckerChain,
    LowRank,
    Sparse,
    prune,
)

STRUCTURES = {
    "dense": Dense(),
    "kronecker": Kronecker(),
    "sum": Kronecker(terms=2),
    "stacked": Kronecker(stacked=True),
    "hybrid": Hybrid(2),
    "low rank": LowRank(3),
    "low rank, each gate": LowRank(2, stacked=False),
    "sparse": Sparse(0.08),
    "chain": KroneckerChain([(3, 2), (2, 1), (2, 6)]),
    "chain, low-rank input": KroneckerChain(3, input=LowRank(1)),
}


def layer(structure, cls=LSTM, **options):
    torch.manual_seed(0)
    made = cls(6, 12, weight=structure, **options)
    if isinstance(structure, Sparse):
        prune(made, structure.density)
    return made


def matrix(values, *, part="gate", rows=None, columns=None, bound=None, name="i", **options):
    """A matrix of known singular values."""
    rows = len(values) if rows is None else rows
    return MatrixAnalysis(
        cell="l0", part=part, name=name, rows=rows, columns=columns or rows + 10,
        singular_values=tuple(map(float, values)), rank_bound=rows if bound is None else bound,
        sparsity=options.get("sparsity", 0.0), rtol=1e-5,
    )  # fmt: skip


def network(benchmark, technique, *matrices, **options):
    return NetworkAnalysis(
        benchmark=benchmark, technique=technique, matrices=tuple(matrices), **options
    )


# Against numpy ------------------------------------------------------------------------------------


@pytest.mark.parametrize("structure", STRUCTURES.values(), ids=STRUCTURES)
@pytest.mark.parametrize(
    ("cls", "options"),
    [
        (LSTM, {}),
        (GRU, {"reset_after": False}),
        (GRU, {"reset_after": True, "bidirectional": True}),
        (FastRNN, {"num_layers": 2}),
    ],
    ids=["lstm", "gru", "bidirectional gru", "fastrnn"],
)
def test_all_matrices_are_what_numpy_says_of_the_full_ones(structure, cls, options):
    model = layer(structure, cls, **options)
    found = analyze(model)
    for name, cell in model.cells.items():
        W = cell.weight.double().matrix().detach().numpy()
        gates = [m for m in found if (m.cell, m.part) == (name, "gate")]
        stacks, first = [], 0
        for size in model.stacks:
            if size > 1:
                stacks.append(W[first : first + size].reshape(-1, W.shape[2]))
            first += size
        of_stacks = [m for m in found if (m.cell, m.part) == (name, "stack")]
        for analysis, full in zip([*gates, *of_stacks], [*W, *stacks], strict=True):
            assert (analysis.rows, analysis.columns) == full.shape
            sigma = np.linalg.svd(full, compute_uv=False)
            np.testing.assert_allclose(analysis.singular_values, sigma, atol=1e-12 * sigma[0])
            tolerance = max(full.shape) * np.finfo(np.float32).eps
            assert analysis.rtol == tolerance
            assert analysis.rank == np.linalg.matrix_rank(full, rtol=tolerance)
            assert analysis.rank <= analysis.rank_bound <= analysis.full_rank
            assert analysis.sparsity == pytest.approx((full == 0).mean())
            assert analysis.largest == pytest.approx(np.linalg.norm(full, 2))
            assert analysis.stable_rank == pytest.approx((sigma**2).sum() / sigma[0] ** 2)
            np.testing.assert_allclose(analysis.energy, (sigma**2).cumsum() / (sigma**2).sum())
            if analysis.rank == analysis.full_rank:
                assert analysis.condition_number == pytest.approx(np.linalg.cond(full))
            else:
                assert analysis.condition_number == math.inf
            pseudo = np.linalg.norm(np.linalg.pinv(full, rtol=tolerance), 2)
            assert analysis.effective_condition_number == pytest.approx(analysis.largest * pseudo)


@pytest.mark.parametrize("name", ["dense", "kronecker", "sum", "stacked", "hybrid", "low rank"])
def test_the_bound_of_the_rank_is_reached_by_random_matrices(name):
    """Those are bounds that a matrix in general position has; only of patterns there is no such."""
    for analysis in analyze(layer(STRUCTURES[name])):
        assert analysis.rank == analysis.rank_bound


def test_names_of_gates_stacks_and_factors():
    def names(model):
        return [(m.cell, m.part, m.name) for m in analyze(model)]

    factors = [("l0", "factor", f"{gate} {factor}") for factor in "AB" for gate in "ifgo"]
    gates = [("l0", "gate", gate) for gate in "ifgo"]
    assert names(layer(Kronecker())) == [*gates, ("l0", "stack", "ifgo"), *factors]
    gru = layer(LowRank(2), GRU, reset_after=False)
    assert [name for _, part, name in names(gru) if part == "stack"] == ["rz"]
    stored = [name for _, part, name in names(gru) if part == "factor"]
    assert stored == ["r U", "z U", "n U", "0 V", "1 V"]
    assert names(layer(Dense(), FastRNN)) == [("l0", "gate", "h")]
    two = layer(Dense(), LSTM, num_layers=2, bidirectional=True)
    assert {cell for cell, _, _ in names(two)} == {"l0", "l0_reverse", "l1", "l1_reverse"}


def test_a_complex_chain():
    model = layer(KroneckerChain(2, complex=True), RNN)
    (gate,) = [m for m in analyze(model) if m.part == "gate"]
    W = model.weight.double().matrix().detach().numpy()[0]
    np.testing.assert_allclose(gate.singular_values, np.linalg.svd(W, compute_uv=False))
    hidden = [m for m in analyze(model) if "hidden" in m.name]
    assert [(m.rows, m.columns) for m in hidden] == list(model.weight.shapes)
    assert all(m.condition_number == pytest.approx(1) for m in hidden)  # unitary, at first


def test_the_papers_gates_have_the_derived_ranks():
    for row in papers.gates():
        matrices = analyze(build(row.benchmark, "kp", seed=0))
        cell = f"l{row.layer - 1}"
        gates = [m for m in matrices if (m.cell, m.part) == (cell, "gate")]
        assert {(m.rows, m.columns, m.rank, m.rank_bound) for m in gates} == {
            (row.m, row.n, row.rank, row.rank)
        }
        stacks = [m for m in matrices if (m.cell, m.part) == (cell, "stack")]
        if row.stacked_rank is not None:
            assert [(m.rank, m.full_rank) for m in stacks] == [(row.stacked_rank, row.stacked_full)]


def test_a_network_with_a_known_spectrum():
    """sigma(A (x) B) = sigma(A) sigma(B): orthogonal factors around chosen values."""
    model = Classifier(layer(Kronecker((4, 3, 3, 6))), torch.nn.Linear(12, 5))
    weight, rng = model.rnn.weight, np.random.default_rng(0)
    left, right = np.array([5.0, 2.0, 1.0]), np.array([3.0, 1.0, 0.5])
    for parameter, sigma in ((weight.A, left), (weight.B, right)):
        rows, columns = parameter.shape[1:]
        for gate in parameter.detach():
            U = np.linalg.qr(rng.normal(size=(rows, rows)))[0][:, :3]
            V = np.linalg.qr(rng.normal(size=(columns, columns)))[0][:, :3]
            gate.copy_(torch.from_numpy(U * sigma @ V.T))
    expected = sorted((a * b for a in left for b in right), reverse=True)
    for gate in (m for m in analyze(model) if m.part == "gate"):
        assert gate.rank == gate.rank_bound == 9
        np.testing.assert_allclose(gate.nonzero, expected, rtol=1e-5)
        assert gate.singular_values[9:] == pytest.approx([0.0] * 3)
        assert gate.condition_number == math.inf
        assert gate.effective_condition_number == pytest.approx(5 * 3 / 0.5, rel=1e-5)
    coarse = [m for m in analyze(model, rtol=0.99 / 5) if m.part == "gate"]
    assert {m.rank for m in coarse} == {sum(value > 3 * 0.99 for value in expected)}


# One matrix ---------------------------------------------------------------------------------------


def test_energy_counts_squares():
    found = matrix([4, 2, 2, 1, 0])
    assert found.energy == pytest.approx((16 / 25, 20 / 25, 24 / 25, 1, 1))
    shares = (0, 0.6, 0.64, 0.65, 0.96, 0.961, 1)
    assert [found.rank_for_energy(share) for share in shares] == [0, 1, 1, 2, 3, 4, 4]
    assert found.stable_rank == 25 / 16
    with pytest.raises(ValueError, match=r"from 0 to 1, found 1\.5"):
        found.rank_for_energy(1.5)


def test_a_matrix_of_zeros():
    found = matrix([0, 0])
    assert (found.rank, found.stable_rank, found.largest) == (0, 0, 0)
    assert found.condition_number == found.effective_condition_number == math.inf
    assert found.energy == (1, 1)


def test_what_cannot_be_analyzed_is_refused():
    with pytest.raises(ValueError, match=r"no recurrent layer of kplib.nn in a LSTM"):
        analyze(Classifier(torch.nn.LSTM(3, 4), torch.nn.Linear(4, 2)))
    model = layer(Kronecker())
    with torch.no_grad():
        model.weight.A[1, 0, 0] = math.inf
    with pytest.raises(ValueError, match="l0 has weights that are NaN or infinite"):
        analyze(model)


# From a record ------------------------------------------------------------------------------------


def test_a_record_is_analyzed_and_kept_as_json(digits, tmp_path):
    configuration = default_configuration("usps-fastrnn", "kp", seed=3).with_length(2)
    stored = train(configuration, digits, folder=tmp_path, progress=False)
    found = analyze_run(stored)
    assert (found.benchmark, found.technique, found.seed) == ("usps-fastrnn", "kp", 3)
    assert list(found.matrices) == analyze(load_network(stored))
    assert {m.rank for m in found.parts("gate")} == {16}
    assert found.parts("stack") == found.parts("gate")
    raw = json.loads(json.dumps(to_json(found), allow_nan=False))
    assert from_json(NetworkAnalysis, raw, "analysis") == found


# The claims ---------------------------------------------------------------------------------------


def verdicts(key, *networks):
    checks = [c for c in check_claims(networks) if c.claim.key == key and c.values]
    return {(c.benchmark, c.reading): c.verdict for c in checks}


def test_every_claim_of_the_papers_is_checked():
    checks = check_claims([])
    assert list(dict.fromkeys(c.claim.key for c in checks)) == [c.key for c in papers.claims()]
    assert {c.verdict for c in checks if c.benchmark} == {"no network"}
    (bound,) = [c for c in checks if not c.benchmark]
    assert bound.verdict == "cannot be: it bounds ||y|| / ||x||"
    of_pruned = {c.benchmark for c in checks if c.claim.key == "pruned-full-rank"}
    assert of_pruned == {"mnist-lstm", "kws-lstm", "har1-bilstm"}  # no FastRNN, and no pruned GRU
    assert "kws-lstm" not in {c.benchmark for c in checks if c.claim.key == "small-others"}


def test_a_bound_of_the_rank():
    nine, ten = ([1] * k + [0] * (20 - k) for k in (9, 10))
    assert verdicts("low-rank-rank", network("kws-gru", "lmf", matrix(nine))) == {
        ("kws-gru", "gate"): "holds"
    }
    both = verdicts("low-rank-rank", network("kws-gru", "lmf", matrix(nine), matrix(ten)))
    assert both == {("kws-gru", "gate"): "holds for 1 of 2"}
    assert verdicts("low-rank-rank", network("kws-gru", "kp", matrix(nine))) == {}


def test_printed_decimals_decide():
    def of(*values):
        found = network("kws-lstm", "baseline", *(matrix([value, 1]) for value in values))
        return verdicts("baseline-singular-value", found)["kws-lstm", "gate"]

    assert of(18.6, 19.4) == "holds"
    assert of(18.4) == of(19.6) == "does not hold"

    def kp(condition):
        found = network("mnist-lstm", "kp", matrix([condition, 1, 0]))
        return verdicts("kp-condition-number", found)["mnist-lstm", "gate, non-zero values"]

    assert kp(7.34) == kp(1.16) == "holds"
    assert kp(7.36) == kp(1.14) == "does not hold"
    small = network("kws-lstm", "small", matrix([50.0, 1]))
    assert verdicts("small-singular-value", small)["kws-lstm", "gate"] == "does not hold"


def test_what_no_kronecker_network_can_be():
    deficient = matrix([3, 1, 0], bound=2)
    found = network("mnist-lstm", "kp", deficient, matrix([2, 1], part="factor", name="i A"))
    assert verdicts("kp-condition-number", found) == {
        ("mnist-lstm", "gate"): "cannot be: its rank is at most 2 of 3, which makes it infinite",
        ("mnist-lstm", "gate, non-zero values"): "holds",
        ("mnist-lstm", "factor"): "holds",
    }
    assert verdicts("kp-full-rank", found) == {
        ("mnist-lstm", "gate"): "cannot be: its rank is at most 2 of 3",
        ("mnist-lstm", "factor"): "holds",
    }
    by_chance = network("mnist-lstm", "kp", matrix([3, 1, 0]))
    assert set(verdicts("kp-full-rank", by_chance).values()) == {"does not hold"}


def test_pruned_networks():
    full, singular = matrix([10, 1], sparsity=0.95), matrix([10, 0], sparsity=0.92)
    stack = matrix([50, 5], part="stack", name="ifgo")
    found = network("kws-lstm", "pruned", full, singular, stack)
    assert found.sparsity == pytest.approx(0.935)
    assert verdicts("pruned-sparsity", found) == {("kws-lstm", "all gates"): "does not hold"}
    assert verdicts("pruned-full-rank", found) == {
        ("kws-lstm", "gate"): "holds for 1 of 2",
        ("kws-lstm", "stacked gates"): "holds",
    }
    assert verdicts("pruned-condition-number", found) == {
        ("kws-lstm", "gate"): "holds for 1 of 2",
        ("kws-lstm", "gate, non-zero values"): "holds",
        ("kws-lstm", "stacked gates"): "holds",
    }
    assert verdicts("pruned-singular-value", found) == {
        ("kws-lstm", "gate"): "does not hold",
        ("kws-lstm", "stacked gates"): "holds",
    }
    for values, verdict in (([91, 1], "holds"), ([5, 0], "holds"), ([90, 1], "does not hold")):
        usps = network("usps-fastrnn", "pruned", matrix(values))
        assert verdicts("pruned-fastrnn-ill-conditioned", usps)["usps-fastrnn", "gate"] == verdict


def test_dsads_stands_in_for_har1_and_other_networks_stay_out():
    stand_in = network("dsads-bilstm", "pruned", matrix([50, 1]))
    assert verdicts("pruned-har1", stand_in) == {("dsads-bilstm", "gate"): "holds"}
    har1 = [c for c in check_claims([stand_in]) if c.claim.key == "pruned-har1"]
    assert [(c.benchmark, c.verdict) for c in har1] == [
        ("har1-bilstm", "no network"), ("dsads-bilstm", "holds"),
    ]  # fmt: skip
    for option in ({"compression": 10}, {"variant": "4-bits"}):
        other = network("kws-lstm", "lmf", matrix([1] * 18), **option)
        assert verdicts("low-rank-rank", other) == {}


# Tables -------------------------------------------------------------------------------------------


def test_the_table_of_claims():
    found = network("kws-lstm", "kp", matrix([14, 2, 0], bound=2), matrix([16, 2, 1]))
    checks = check_claims([found])
    table = claims_table(checks, caption="Claims")
    assert len(table.rows) == len(checks)
    rows = {(row.name, row.details): row for row in table.rows}
    row = rows["Kronecker: largest singular value", ("KWS-LSTM", "gate")]
    assert row.cells == (("< 15",), ("14", "to 16"), ("1 of 2",))
    assert row.strong == (2,)
    rank = rows["Kronecker: rank", ("KWS-LSTM", "gate")]
    assert rank.cells == (("full",), ("67%", "to 100%", "of full rank"), ("1 of 2",))
    assert rank.below == "the factors are all of full rank"
    absent = rows["low rank: rank", ("KWS-LSTM", "any")]
    assert (absent.cells, absent.strong) == ((("< 10",), ("–",), ("–",)), ())
    neither = rows["Kronecker: condition number", ("KWS-LSTM", "gate")]
    assert (neither.cells[1:], neither.strong) == ((("16", "to inf"), ("no",)), (2,))
    assert "&lt; 15" in table._repr_html_()
    assert "1 of 2" in str(table)


def test_the_summary_counts_every_check_once():
    found = network("kws-lstm", "kp", matrix([14, 2, 0], bound=2), matrix([16, 2, 1]))
    answered = [check for check in check_claims([found]) if check.values or check.reason]
    rows = {(row.name, row.details): row for row in claims_summary(answered).rows}
    assert sum(int(number) for row in rows.values() for (number,) in row.cells) == len(answered)
    top = rows["Kronecker: largest singular value", ("< 15",)]
    assert int(top.cells[1][0]) >= 1  # of the gates, 14 is below 15 and 16 is not
    assert claims_summary([]).rows == ()


def test_the_table_of_matrices():
    kp = [network("kws-lstm", "kp", matrix([top, 2, 0]), seed=top) for top in (14, 16)]
    low_rank = network("kws-lstm", "lmf", matrix([2]), compression=10)
    table = matrices_table([*kp, low_rank])
    assert [(row.details, row.cells) for row in table.rows] == [
        (("Kronecker",), (("2", "of 3"), ("7", "to 8"), ("14", "to 16"))),
        (("low rank, 10×",), (("1", "of 1"), ("1",), ("2",))),
    ]
    assert matrices_table([low_rank], "factor").rows == ()
