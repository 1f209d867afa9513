"""The factor-shape explorer: Python's half alone, the page's half in a real browser."""

import itertools
import json
import random
import re

import ipywidgets
import numpy as np
import pytest

from kplib import (
    FactorShape,
    algorithm4,
    factor_shapes,
    full_rank_shapes,
    pareto_front,
)
from kplib.errors import ShapeError
from kplib.experiments import BENCHMARKS
from kplib.shapes import divisors, prime_factors
from kplib.widgets import ShapeExplorer

# Primes, ones, squares of primes, long and flat, 60 and more pairs, the papers' own.
SIZES = [(118, 128), (154, 308), (179, 256), (113, 127), (1, 1), (1, 64), (4096, 1), (2, 3)]
SIZES += [(720, 840), (49, 121), (4093, 4096), (6, 12)]


def draw_cases(count, seed):
    """Random (m, n, r): small and large, r = 0 in every third."""
    rng = random.Random(seed)
    cases = [(m, n, 0) for m, n in SIZES]
    while len(cases) < count:
        m = rng.randint(1, rng.choice([8, 60, 400, 4096]))
        n = rng.randint(1, rng.choice([8, 60, 400, 4096]))
        cases.append((m, n, rng.choice([0, rng.randrange(m), rng.randrange(min(m, 12))])))
    return cases


def four(shape):
    return [shape.m1, shape.n1, shape.m2, shape.n2]


def rule(m, n):
    """Algorithm 4's choice, None where it is undefined."""
    try:
        return algorithm4(m, n)
    except ShapeError:
        return None


def default(m, n):
    return rule(m, n) or factor_shapes(m, n)[0]


def total(shape, r):
    """(parameters, rank bound, MACs) of the hybrid: r dense rows on top of A (x) B."""
    m, n = r + shape.m, shape.n
    return r * n + shape.params, min(m, n, r + shape.rank), r * n + shape.macs


def undominated(shapes, r):
    """Indices of those that no other one beats, by comparing all with all."""
    costs = np.array([total(shape, r) for shape in shapes]) * [1, -1, 1]
    no_worse = (costs[:, None] <= costs[None]).all(axis=2)
    return set(np.flatnonzero((~(no_worse & ~no_worse.T)).all(axis=0)))


# ---------------------------------------------------------------- Python


def test_default_is_algorithm_4_and_the_fewest_parameters_where_it_is_undefined():
    for m, n in SIZES:
        assert ShapeExplorer(m, n).shape == default(m, n)
    assert ShapeExplorer().shape == FactorShape(59, 8, 2, 16)
    assert ShapeExplorer(179, 256).shape == FactorShape(179, 1, 1, 256)
    assert ShapeExplorer(118, 128, rows=3).shape == algorithm4(115, 128)


def test_shape_may_be_given_as_four_integers():
    explorer = ShapeExplorer(154, 308, shape=np.array([14, 14, 11, 22]))
    assert explorer.shape == FactorShape(14, 14, 11, 22)
    assert json.loads(json.dumps(explorer.choice)) == [14, 14, 11, 22, 0]


def test_one_value_is_all_that_changes_in_the_page():
    explorer = ShapeExplorer()
    base = set(ipywidgets.DOMWidget().keys)
    own = {name for name in set(explorer.keys) - base if not name.startswith("_")}
    assert own == {"choice", "matrices"}


def test_matrices_are_the_benchmarks():
    matrices = {name: (m, n) for name, m, n in ShapeExplorer().matrices}
    kws, gru = BENCHMARKS["kws-lstm"], BENCHMARKS["kws-gru"]
    assert matrices[kws.title] == kws.gate_shape == (118, 128)
    assert matrices[f"{gru.title}, layer 2"] == gru.gate_shapes(layers=2)[1] == (154, 308)
    assert set(matrices) >= {benchmark.title for benchmark in BENCHMARKS.values()}
    har = BENCHMARKS["har1-bilstm"]
    assert matrices[har.title] == har.kp_gate_shape
    assert matrices[f"{har.title}, dense net"] == har.gate_shape
    assert len(set(matrices.values())) == len(matrices)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"m": 0}, "m must be a positive integer, found 0"),
        ({"n": 1.5}, "n must be a positive integer, found 1.5"),
        ({"m": 4097}, "m is 4097, but can be 4096 at most"),
        ({"shape": (2, 3, 4)}, "four integers"),
        ({"shape": (59, 8, 2, 17)}, r"\(59, 8\) x \(2, 17\) makes a 118 x 136 .* is 118 x 128"),
        ({"rows": 2, "shape": (2, 8, 59, 16)}, r"118 x 128 matrix, but below 2 .* is 116 x 128"),
        ({"rows": -1}, "rows must be 0 or a positive integer, found -1"),
        ({"rows": 118}, r"rows = 118 .* m = 118 .* at most m - 1 = 117"),
        ({"n": 99, "m": 60, "rows": 60}, r"rows = 60 .* m = 60 .* at most m - 1 = 59"),
    ],
)
def test_bad_input_is_refused_with_the_numbers(values, words):
    with pytest.raises(ShapeError, match=words):
        ShapeExplorer(**values)
    explorer = ShapeExplorer()
    with pytest.raises(ShapeError, match=words):
        set_at_once(explorer, values)
    assert explorer.choice == (59, 8, 2, 16, 0)  # all of it was taken back
    assert (explorer.m, explorer.n, explorer.rows) == (118, 128, 0)
    assert explorer.shape == FactorShape(59, 8, 2, 16)


def set_at_once(explorer, values):
    with explorer.hold_trait_notifications():
        for name, value in values.items():
            setattr(explorer, name, value)


def test_a_refused_value_changes_nothing():
    explorer = ShapeExplorer(20, 30, rows=5)
    for name, value in [("m", 5), ("rows", 20), ("n", 0), ("shape", (5, 5, 3, 5)), ("shape", "x")]:
        with pytest.raises(ValueError, match=r"\d"):
            setattr(explorer, name, value)
    for bad in ([3, 5, 5, 6, -1], [3, 5, 5], "?", [3, 5, 5, 6.5, 0], [64, 64, 65, 64, 0]):
        with pytest.raises(ValueError, match=r"choice|four integers|rows|n2|m is 4160"):
            explorer.set_state({"choice": bad})
    assert (explorer.m, explorer.n, explorer.rows) == (20, 30, 5)
    assert explorer.shape == algorithm4(15, 30)


def test_a_shape_that_no_longer_fits_gives_way():
    explorer = ShapeExplorer(154, 308, shape=(14, 14, 11, 22))
    explorer.rows = 1
    assert explorer.shape == algorithm4(153, 308)
    explorer.n = 307
    assert explorer.shape == factor_shapes(153, 307)[0]
    explorer.m = np.int64(155)
    assert explorer.shape == factor_shapes(154, 307)[0]
    assert type(explorer.m) is int


@pytest.mark.parametrize("order", list(itertools.permutations(["m", "n", "rows", "shape"])))
def test_several_are_set_at_once_in_any_order(order):
    explorer = ShapeExplorer(5, 7)
    new = {"m": 160, "n": 308, "rows": 6, "shape": FactorShape(14, 14, 11, 22)}
    set_at_once(explorer, {name: new[name] for name in order})
    assert explorer.choice == (14, 14, 11, 22, 6)
    assert {name: getattr(explorer, name) for name in new} == new


def test_observers_of_shape_see_one_consistent_change():
    explorer, seen = ShapeExplorer(), []

    def note(change):
        fits = (explorer.shape.m + explorer.rows, explorer.shape.n) == (explorer.m, explorer.n)
        seen.append((change.new, fits))

    explorer.observe(note, "shape")
    explorer.m = 154
    explorer.set_state({"choice": [4, 7, 5, 3, 2]})  # as the page does
    explorer.shape = (2, 3, 10, 7)
    wanted = [algorithm4(154, 128), FactorShape(4, 7, 5, 3), FactorShape(2, 3, 10, 7)]
    assert seen == [(shape, True) for shape in wanted]
    assert (explorer.m, explorer.n, explorer.rows) == (22, 21, 2)


def test_the_page_is_told_once_and_never_of_its_own_choice(monkeypatch):
    explorer, sent = ShapeExplorer(), []

    def note(message, **_):
        if message["method"] == "update":  # not the echo, which other views of the page need
            sent.append(message["state"])

    monkeypatch.setattr(explorer, "_send", note)
    explorer.m = 154
    assert sent == [{"choice": (14, 8, 11, 16, 0)}]
    explorer.set_state({"choice": [4, 7, 5, 3, 2]})
    assert len(sent) == 1
    explorer.shape = (2, 3, 10, 7)
    assert sent[1:] == [{"choice": (2, 3, 10, 7, 2)}]


def test_repr_has_the_numbers_and_fits_a_text_output():
    explorer = ShapeExplorer(118, 128, rows=10)
    params, rank, macs = total(explorer.shape, 10)
    text = repr(explorer)
    for part in ("118×128, r = 10", "(12, 8) ⊗ (9, 16)", f"{params:,}", f"≤ {rank}", f"{macs:,}"):
        assert part in text
    largest = ShapeExplorer(4096, 4096, shape=(3001, 4096, 1, 1), rows=1095)
    assert len(repr(largest)) <= 110  # anywidget cuts longer ones off


# ---------------------------------------------------------------- the page: arithmetic


@pytest.mark.browser
def test_arithmetic_is_that_of_kplib(mount, import_module):
    explorer = ShapeExplorer()
    page = mount(explorer).page
    import_module(page, explorer)
    cases = draw_cases(150, seed=3)
    computed = page.evaluate(
        """(cases) => cases.map(([m, n, r]) => ({
          shapes: exported.factorShapes(m, n, r), rule: exported.algorithm4(m - r, n),
          first: exported.defaultShape(m - r, n), factors: exported.primeFactors(m),
          divisors: exported.divisors(n),
        }))""",
        cases,
    )
    undefined = 0
    for (m, n, r), page_says in zip(cases, computed, strict=True):
        shapes = factor_shapes(m - r, n)
        told = page_says["shapes"]
        assert [s["four"] for s in told] == [four(s) for s in shapes]
        assert [(s["params"], s["rank"], s["macs"]) for s in told] == [total(s, r) for s in shapes]
        assert [s["bFirst"] - r * n for s in told] == [s.macs_b_first for s in shapes]
        assert [s["aFirst"] - r * n for s in told] == [s.macs_a_first for s in shapes]
        chosen = rule(m - r, n)
        undefined += chosen is None
        assert page_says["rule"] == (None if chosen is None else four(chosen))
        assert [s["four"] for s in told if s["rule"]] == ([four(chosen)] if chosen else [])
        assert page_says["first"] == four(default(m - r, n))
        assert page_says["factors"] == prime_factors(m)
        assert page_says["divisors"] == divisors(n)
        assert {i for i, s in enumerate(told) if s["front"]} == undominated(shapes, r)
        full = [s["four"] for s in told if s["full"]]
        assert full == [four(s) for s in shapes if total(s, r)[1] == min(m, n)]
        if r == 0:
            front = pareto_front(m, n)
            assert sorted(s["four"] for s in told if s["front"]) == sorted(map(four, front))
            assert full == [four(s) for s in full_rank_shapes(m, n)]
    assert 20 < undefined < 130


@pytest.mark.browser
def test_savings_in_words(mount, import_module):
    explorer = ShapeExplorer()
    page = mount(explorer).page
    import_module(page, explorer)
    pairs = [(504, 15104), (10, 10), (11, 10), (6, 10), (999, 1000), (7200, 12_960_000)]
    words = page.evaluate("(pairs) => pairs.map((p) => exported.saving(...p))", pairs)
    assert words[:2] == ["30.0 times fewer", "no saving"]
    assert words[2:] == ["no saving", "1.67 times fewer", "hardly fewer", "1,800 times fewer"]


# ---------------------------------------------------------------- the page: what it shows


def role(page, name):
    return page.locator(f"[data-role={name}]").inner_text()


def number(page, name):
    return int(role(page, name).replace(",", ""))


def choose(page, *choice):
    """As Python does."""
    page.evaluate("(choice) => model.set('choice', choice)", list(choice))


def chosen(page):
    return page.evaluate("model.get('choice')")


def options(page):
    """All rows of the list: place in the order of factor_shapes, and the text."""
    return page.evaluate(
        "[...document.querySelectorAll('[role=option]')]"
        ".map((option) => [Number(option.dataset.place), option.textContent])"
    )


def readout(page):
    return number(page, "params"), number(page, "rank"), number(page, "macs")


def assert_shown(page, shape, r):
    """Every number of the readout, its formulas computed, the list and the drawing's words."""
    m, n = shape.m + r, shape.n
    assert readout(page) == total(shape, r)
    assert role(page, "chosen") == (f"A {shape.m1} × {shape.n1}, B {shape.m2} × {shape.n2}")
    assert role(page, "params-of") == role(page, "macs-of") == f"of {m * n:,}"
    assert role(page, "rank-of") == f"of {min(m, n):,}"
    for key, value in zip(("params", "rank"), total(shape, r), strict=False):
        assert eval(role(page, f"{key}-how").replace("·", "*")) == value
    counts = re.fullmatch(r"B first ([\d,]+)(.*), A first ([\d,]+)(.*)", role(page, "macs-how"))
    assert int(counts[1].replace(",", "")) == r * n + shape.macs_b_first
    assert int(counts[3].replace(",", "")) == r * n + shape.macs_a_first
    cheaper = "B" if counts[2] else "A" if counts[4] else None
    tie = shape.macs_a_first == shape.macs_b_first
    assert cheaper == (None if tie else shape.order[0].upper())
    full = total(shape, r)[1] == min(m, n)
    assert role(page, "rank-remark") == (
        "full rank is possible" if full else "full rank impossible"
    )
    if m * n > 1.1 * total(shape, r)[0]:
        times = float(role(page, "params-remark").split()[0].replace(",", ""))
        assert times == pytest.approx(m * n / total(shape, r)[0], rel=0.03)
    shapes = factor_shapes(shape.m, n)
    place = shapes.index(shape)
    selected = page.locator("[role=option][aria-selected=true]")
    assert selected.get_attribute("data-place") == str(place)
    words = selected.text_content()
    assert ("Pareto" in words) == ("On the Pareto front" in role(page, "standing"))
    assert ("Pareto" in words) == (place in undominated(shapes, r))
    is_rule = shape == rule(shape.m, n)
    assert ("Algorithm 4" in words) == is_rule == ("Algorithm 4" in role(page, "standing"))
    if beaten := re.search(
        r"Beaten by \((\d+), (\d+)\) ⊗ \((\d+), (\d+)\)", role(page, "standing")
    ):
        better = total(FactorShape(*map(int, beaten.groups())), r)
        signed = np.array([better, total(shape, r)]) * [1, -1, 1]
        assert (signed[0] <= signed[1]).all()
        assert (signed[0] < signed[1]).any()
    pattern = role(page, "pattern")
    assert pattern.startswith(f"{shape.m1} × {shape.n1} blocks of {shape.m2} × {shape.n2}")
    assert (f"D is {r} × {n}" in pattern) == (r > 0)


@pytest.mark.browser
def test_readout_of_random_shapes(mount):
    page = mount(ShapeExplorer()).page
    rng = random.Random(4)
    for m, n, r in draw_cases(40, seed=8):
        shape = rng.choice(factor_shapes(m - r, n))
        choose(page, *four(shape), r)
        assert_shown(page, shape, r)


@pytest.mark.browser
def test_rows_of_the_list_are_the_shapes(mount):
    page = mount(ShapeExplorer(154, 308, rows=2)).page
    shapes = factor_shapes(152, 308)
    rows = options(page)
    assert [place for place, _ in rows] == list(range(len(shapes)))
    for (_, text), shape in zip(rows, shapes, strict=True):
        params, rank, macs = total(shape, 2)
        pair = f"({shape.m1}, {shape.n1}) ⊗ ({shape.m2}, {shape.n2})"
        numbers = f"{params:,} parameters,{rank:,} rank at most,{macs:,} multiplications"
        assert text.startswith(pair + numbers)


@pytest.mark.browser
def test_matrices_of_the_papers_are_a_choice(mount):
    explorer = ShapeExplorer(7, 11, rows=2)
    page = mount(explorer).page
    select = page.get_by_label("A gate of the papers")
    assert select.locator("option:checked").inner_text() == "another one"
    for name, m, n in explorer.matrices:
        select.select_option(label=f"{name}, {m} × {n}")
        assert chosen(page) == [*four(default(m, n)), 0]
        assert page.get_by_label("m", exact=True).input_value() == str(m)
        assert page.get_by_label("n", exact=True).input_value() == str(n)
        assert_shown(page, default(m, n), 0)
    page.get_by_label("m", exact=True).fill("40")
    page.keyboard.press("Enter")
    assert select.locator("option:checked").inner_text() == "another one"


@pytest.mark.browser
def test_sizes_by_number_fields(mount):
    page = mount(ShapeExplorer(118, 128, rows=10)).page
    for key, value in (("m", 154), ("n", 308)):
        page.get_by_label(key, exact=True).fill(str(value))
        page.keyboard.press("Enter")
    assert chosen(page) == [*four(algorithm4(144, 308)), 10]
    r = page.get_by_label("Dense rows r of a hybrid")
    r.fill("153")
    page.keyboard.press("Enter")
    assert chosen(page) == [*four(factor_shapes(1, 308)[0]), 153]
    assert_shown(page, factor_shapes(1, 308)[0], 153)
    page.get_by_label("m", exact=True).fill("12")  # fewer than r: said, not done in silence
    page.keyboard.press("Enter")
    assert chosen(page) == [*four(algorithm4(12, 308)), 0]
    assert "r = 153 leaves nothing of m = 12, so r is 0 now" in role(page, "note")


@pytest.mark.browser
@pytest.mark.parametrize(
    ("key", "text", "words"),
    [
        ("m", "0", "0 is no m: it is a whole number from 1 to 4,096"),
        ("m", "4097", "4097 is no m"),
        ("n", "", "That is no n"),
        ("n", "12.5", "12.5 is no n"),
        ("n", "-3", "-3 is no n"),
        ("Dense rows r of a hybrid", "118", "118 is no r: it is a whole number from 0 to 117"),
    ],
)
def test_bad_sizes_leave_the_last_good_state(mount, key, text, words):
    page = mount(ShapeExplorer()).page
    field = page.get_by_label(key, exact=len(key) == 1)
    good = field.input_value()
    field.fill(text)
    field.blur()
    assert words in role(page, "note")
    assert "Still shown: 118 × 128, r = 0" in role(page, "note")
    assert field.get_attribute("aria-invalid") == "true"
    assert chosen(page) == [59, 8, 2, 16, 0]
    assert_shown(page, FactorShape(59, 8, 2, 16), 0)
    assert page.evaluate("model.saved.length") == 0
    field.fill(good)
    page.keyboard.press("Enter")
    assert field.get_attribute("aria-invalid") is None
    assert role(page, "note").startswith("Algorithm 4 splits m = 118 = 2 · 59")


@pytest.mark.browser
def test_slider_of_dense_rows(mount):
    page = mount(ShapeExplorer()).page
    slider = page.get_by_role("slider")
    assert (slider.get_attribute("min"), slider.get_attribute("max")) == ("0", "64")
    for r in (1, 5, 10, 64, 0):
        slider.fill(str(r))
        assert chosen(page) == [*four(default(118 - r, 128)), r]
        assert page.get_by_label("Dense rows r of a hybrid").input_value() == str(r)
        assert_shown(page, default(118 - r, 128), r)
    slider.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert chosen(page) == [*four(algorithm4(116, 128)), 2]
    assert slider.get_attribute("aria-valuetext") == "r = 2, m − r = 116 = 2 · 2 · 29"
    marked = page.evaluate(
        "[...document.querySelectorAll('[data-rows]')].map((i) => +i.dataset.rows)"
    )
    assert marked == [r for r in range(65) if rule(118 - r, 128) is not None]
    assert 5 not in marked  # 113 is a prime
    choose(page, *four(factor_shapes(118 - 100, 128)[0]), 100)  # beyond the usual end
    assert slider.get_attribute("max") == "117"


@pytest.mark.browser
@pytest.mark.parametrize(
    ("m", "n", "r", "words", "shape"),
    [
        (179, 256, 0, "m = 179 is a prime", (179, 16, 1, 16)),
        (118, 128, 5, "m − r = 113 is a prime", (113, 8, 1, 16)),
        (118, 127, 0, "n = 127 is a prime", (59, 1, 2, 127)),
        (113, 127, 0, "m = 113 is a prime and n = 127 is a prime", (113, 1, 1, 127)),
        (1, 64, 0, "m is 1", (1, 4, 1, 16)),
        (5, 64, 4, "m − r is 1", (1, 4, 1, 16)),
        (64, 1, 0, "n is 1", (16, 1, 4, 1)),
    ],
)
def test_where_algorithm_4_is_undefined(mount, m, n, r, words, shape):
    page = mount(ShapeExplorer(m, n, rows=r)).page
    note = role(page, "note")
    assert note.startswith("Algorithm 4 is undefined")
    assert words in note
    assert f"({shape[0]}, {shape[1]}) ⊗ ({shape[2]}, {shape[3]})" in note
    assert FactorShape(*shape) in factor_shapes(m - r, n)
    if found := re.search(r"r = (\d+) leaves (\d+)", note):
        other, left = map(int, found.groups())
        assert left == m - other
        assert rule(left, n) is not None
        between = range(min(r, other) + 1, max(r, other))
        assert all(rule(m - k, n) is None for k in between)
    elif len(prime_factors(n)) < 2:
        assert "no r changes n" in note
    else:
        assert all(rule(m - k, n) is None for k in range(m))
    pick = page.get_by_role("button", name="Algorithm 4's choice")
    assert pick.get_attribute("aria-disabled") == "true"
    before = chosen(page)
    pick.click(force=True)
    assert chosen(page) == before
    assert page.locator(".kpw-algorithm").count() == 0


# ---------------------------------------------------------------- the page: plot and list


def ring(page):
    """Where the ring stands, in the window."""
    box = page.locator(".kpw-ring").bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


@pytest.mark.browser
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("axis", ["parameters", "MACs"])
def test_points_of_the_plot_choose_mirrors_included(mount, width, axis):
    page = mount(ShapeExplorer(), width=width, has_touch=width == 390).page
    page.get_by_role("radio", name=axis).check()
    column = 0 if axis == "parameters" else 2
    shapes = factor_shapes(118, 128)

    def place(shape):
        return total(shape, 0)[column], shape.rank

    for shape in shapes:
        choose(page, *four(shape), 0)
        at = ring(page)
        same = [other for other in shapes if place(other) == place(shape)]
        assert FactorShape(shape.m2, shape.n2, shape.m1, shape.n1) in same
        choose(page, 1, 1, 118, 128, 0)
        reached = []
        for _ in same:
            page.touchscreen.tap(*at) if width == 390 else page.mouse.click(*at)
            reached.append(tuple(chosen(page)[:4]))
        assert {tuple(four(other)) for other in same} == set(reached)
    page.mouse.click(*[c + 120 * s for c, s in zip(ring(page), (-1, 1), strict=True)])


@pytest.mark.browser
def test_points_stand_where_the_numbers_are(mount):
    page = mount(ShapeExplorer(154, 308)).page
    for column, label in ((0, "parameters"), (2, "MACs")):
        page.get_by_role("radio", name=label).check()
        places = []
        for shape in factor_shapes(154, 308):
            choose(page, *four(shape), 0)
            cost = total(shape, 0)
            places.append((np.log(cost[column]), np.log(cost[1]), *ring(page)))
        x, y, left, top = np.transpose(places)
        for value, pixel, sign in ((x, left, 1), (y, top, -1)):
            slope, start = np.polyfit(value, pixel, 1)
            assert slope * sign > 10
            assert np.abs(slope * value + start - pixel).max() < 0.6
    assert page.get_by_text("dense W 47,432").count() == 1
    assert page.get_by_text("full rank 154").count() == 1


@pytest.mark.browser
def test_hover_tells_the_numbers(mount):
    page = mount(ShapeExplorer()).page
    tip = page.locator(".kpw-tip")
    assert not tip.is_visible()
    at = ring(page)
    page.mouse.move(at[0] + 9, at[1] - 7)  # near is enough
    assert "(59, 8) ⊗ (2, 16)" in tip.inner_text()
    assert "504 parameters, rank ≤ 16, 1,200 MACs" in tip.inner_text()
    assert "2 shapes here" in tip.inner_text()
    page.mouse.move(5, 5)
    assert not tip.is_visible()
    assert chosen(page) == [59, 8, 2, 16, 0]


@pytest.mark.browser
def test_list_by_keyboard_and_the_plot_follows(mount):
    page = mount(ShapeExplorer()).page
    shapes = factor_shapes(118, 128)
    listbox = page.get_by_role("listbox")
    listbox.focus()
    at = shapes.index(algorithm4(118, 128))
    moves = {"ArrowDown": 1, "ArrowUp": -1, "PageDown": 8, "PageUp": -8, "Home": -99, "End": 99}
    keys = ["ArrowDown", "ArrowDown", "ArrowUp", "PageDown", "End", "ArrowDown", "PageUp", "Home"]
    for key in [*keys, "ArrowUp"]:
        page.keyboard.press(key)
        at = max(0, min(len(shapes) - 1, at + moves[key]))
        assert chosen(page) == [*four(shapes[at]), 0]
        assert_shown(page, shapes[at], 0)
        active = listbox.get_attribute("aria-activedescendant")
        assert page.locator(f"#{active}").get_attribute("aria-selected") == "true"
        inside = page.evaluate(
            """() => {
              const box = document.querySelector(".kpw-list").getBoundingClientRect();
              const option = document.querySelector("[aria-selected=true]").getBoundingClientRect();
              const head = document.querySelector(".kpw-head").getBoundingClientRect();
              return option.top >= head.bottom - 1 && option.bottom <= box.bottom + 1;
            }"""
        )
        assert inside, key
    assert page.evaluate("document.activeElement.getAttribute('role')") == "listbox"
    assert page.evaluate("scrollY") == 0
    saved = page.evaluate("model.saved.map(({ choice }) => choice)")
    assert saved[0] == [*four(shapes[shapes.index(algorithm4(118, 128)) + 1]), 0]


@pytest.mark.browser
def test_list_is_sorted_by_each_column(mount):
    page = mount(ShapeExplorer(154, 164, rows=4)).page
    shapes = factor_shapes(150, 164)
    keys = {
        "A, B": lambda s: (s.m1, s.n1),
        "Parameters": lambda s: total(s, 4)[0],
        "Rank ≤": lambda s: -total(s, 4)[1],
        "MACs": lambda s: total(s, 4)[2],
    }
    for label in ["MACs", "A, B", "Rank ≤", "Parameters"]:
        button = page.get_by_role("button", name=re.compile(f"^{label}"))
        for descending in (False, True):
            button.click()
            shown = [keys[label](shapes[place]) for place, _ in options(page)]
            assert shown == sorted(shown, reverse=descending)
            assert button.get_attribute("aria-pressed") == "true"
            assert ", " in button.get_attribute("aria-label").removeprefix("A, B")
        assert len(options(page)) == len(shapes)
    assert page.locator("[aria-pressed=true][data-sort]").count() == 1
    assert chosen(page) == [*four(algorithm4(150, 164)), 4]


@pytest.mark.browser
def test_filters_and_a_choice_outside_of_them(mount):
    page = mount(ShapeExplorer(154, 308)).page
    shapes = factor_shapes(154, 308)
    kept = {
        "all": shapes,
        "Pareto front": [s for s in shapes if s in pareto_front(154, 308)],
        "full rank": full_rank_shapes(154, 308),
    }
    for label, wanted in kept.items():
        page.get_by_label(f"{label} ({len(wanted)})").check()
        assert [shapes[place] for place, _ in options(page)] == wanted
    listbox = page.get_by_role("listbox")  # 14 x 11, 11 x 28 is not among those of full rank
    assert page.locator("[role=option][aria-selected=true]").count() == 0
    assert listbox.get_attribute("aria-activedescendant") is None
    assert readout(page) == total(algorithm4(154, 308), 0)
    listbox.focus()
    page.keyboard.press("ArrowDown")
    assert chosen(page) == [14, 14, 11, 22, 0]
    page.locator("[role=option]").nth(2).click()
    assert chosen(page) == [*four(full_rank_shapes(154, 308)[2]), 0]


@pytest.mark.browser
def test_quick_choices(mount):
    page = mount(ShapeExplorer(154, 308, shape=(1, 1, 154, 308))).page
    wanted = {
        "Algorithm 4's choice": algorithm4(154, 308),
        "full rank, fewest parameters": full_rank_shapes(154, 308)[0],
        "fewest parameters": factor_shapes(154, 308)[0],
    }
    for name, shape in wanted.items():
        button = page.get_by_role("button", name=name, exact=True)
        button.click()
        assert chosen(page) == [*four(shape), 0]
        assert button.get_attribute("aria-pressed") == "true"


@pytest.mark.browser
def test_the_kernel_chooses_and_is_told(mount):
    page = mount(ShapeExplorer()).page
    choose(page, 14, 14, 11, 22, 6)
    assert page.get_by_label("m", exact=True).input_value() == "160"
    assert_shown(page, FactorShape(14, 14, 11, 22), 6)
    page.locator("[role=option]").nth(1).click()
    saved = page.evaluate("model.saved.map(({ choice }) => choice)")
    assert saved == [[*four(factor_shapes(154, 308)[1]), 6]]
    explorer = ShapeExplorer()
    explorer.set_state({"choice": saved[0]})
    assert (explorer.m, explorer.n, explorer.rows) == (160, 308, 6)
    assert explorer.shape == factor_shapes(154, 308)[1]
    page.evaluate("cleanup(); model.set('choice', [1, 1, 1, 1, 0])")
    assert page.get_by_label("m", exact=True).input_value() == "160"  # no longer listens


@pytest.mark.browser
def test_choices_are_announced_once(mount):
    page = mount(ShapeExplorer()).page
    spoken = page.locator("[data-role=spoken]")
    assert spoken.get_attribute("aria-live") == "polite"
    choose(page, 2, 2, 59, 64, 0)
    params, rank, macs = total(FactorShape(2, 2, 59, 64), 0)
    assert spoken.inner_text() == (
        f"Chosen: A 2 by 2, B 59 by 64: {params:,} parameters, rank at most {rank}, "
        f"{macs:,} multiplications."
    )
    page.get_by_role("listbox").focus()  # the option speaks for itself
    assert spoken.get_attribute("aria-live") == "off"
    page.get_by_role("slider").focus()
    assert spoken.get_attribute("aria-live") == "polite"


@pytest.mark.browser
def test_the_most_shapes_there_are(mount):
    page = mount(ShapeExplorer(3600, 3600)).page
    assert page.locator("[role=option]").count() == 45 * 45 == len(factor_shapes(3600, 3600))
    milliseconds = page.evaluate(
        """() => {
          const start = performance.now();
          model.set("choice", [60, 60, 58, 60, 120]);
          model.set("choice", [60, 60, 60, 60, 0]);
          document.body.getBoundingClientRect();
          return performance.now() - start;
        }"""
    )
    assert milliseconds < 2000  # two full rebuilds; a tenth of it on a free machine
    assert_shown(page, FactorShape(60, 60, 60, 60), 0)
    page.get_by_role("listbox").focus()
    page.keyboard.press("End")
    assert chosen(page) == [*four(factor_shapes(3600, 3600)[-1]), 0]
    assert page.locator("svg *").count() < 400


# ---------------------------------------------------------------- the page: for everyone


@pytest.mark.browser
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_has_contrast_in_both_themes(mount, assert_contrast, theme):
    page = mount(ShapeExplorer(118, 128, rows=2), theme=theme).page
    page.mouse.move(*ring(page))
    assert assert_contrast(page) > 150


@pytest.mark.browser
@pytest.mark.parametrize("width", [1280, 720, 390])
@pytest.mark.parametrize(
    ("m", "n", "r"), [(118, 128, 0), (179, 256, 0), (4096, 4096, 1095), (720, 840, 3)]
)
def test_nothing_moves_while_the_choice_changes(mount, layouts, width, m, n, r):
    page = mount(ShapeExplorer(m, n, rows=r), width=width).page
    shapes = factor_shapes(m - r, n)
    some = random.Random(1).sample(shapes, min(40, len(shapes)))
    states = [{"choice": [*four(shape), r]} for shape in some]
    boxes = ".kpw-explorer, .kpw-plot, .kpw-list, .kpw-panel, .kpw-keys, .kpw-readout dl > div, "
    places = layouts(page, states, boxes + ".kpw-pattern-words, .kpw-picks button")
    assert len(places) == 1, places


@pytest.mark.browser
def test_nothing_moves_while_rows_change(mount):
    page = mount(ShapeExplorer(), width=390).page
    heights = set()
    for r in range(30):
        page.get_by_role("slider").fill(str(r))
        box = page.locator(".kpw-plot").bounding_box()
        heights.add((round(box["y"]), round(box["height"])))
    assert len(heights) == 1


@pytest.mark.browser
@pytest.mark.parametrize(
    ("m", "n", "r"), [(118, 128, 2), (4096, 4096, 1095), (1, 1, 0), (3600, 3600, 0)]
)
def test_a_phone_needs_no_sideways_scrolling(mount, m, n, r):
    page = mount(ShapeExplorer(m, n, rows=r), width=390).page
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    overlapping = page.evaluate(
        """[...document.querySelectorAll(".kpw-head, [role=option]")].flatMap((row) => {
          const cells = [...row.querySelectorAll("span")].map((cell) => {
            const range = document.createRange();
            range.selectNodeContents(cell.firstChild);
            return range.getBoundingClientRect();
          });
          const right = row.getBoundingClientRect().right;
          return cells.filter((box, k) => box.right > (cells[k + 1]?.left ?? right) + 0.5)
            .map(() => row.textContent);
        })"""
    )
    assert overlapping == []


@pytest.mark.browser
@pytest.mark.repository
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_embedded_as_in_the_book(embed, theme, width):
    page = embed(ShapeExplorer(154, 308), theme=theme, width=width).page
    assert_shown(page, algorithm4(154, 308), 0)
    page.get_by_role("listbox").focus()
    page.keyboard.press("Home")
    assert_shown(page, factor_shapes(154, 308)[0], 0)
    page.get_by_role("slider").fill("1")
    assert_shown(page, algorithm4(153, 308), 1)
    page.get_by_label("m", exact=True).fill("179")
    page.keyboard.press("Enter")
    assert_shown(page, algorithm4(178, 308), 1)
    x, y = ring(page)
    page.mouse.click(x, y)
    assert_shown(page, mirror(algorithm4(178, 308)), 1)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for sizes in ("179", "118"):
        page.get_by_label("m", exact=True).fill(sizes)
        page.keyboard.press("Enter")
        found = page.evaluate("axe.run(document)")
        assert [violation["id"] for violation in found["violations"]] == []
        assert len(found["passes"]) > 15
    page.get_by_label("m", exact=True).fill("0")
    page.keyboard.press("Enter")
    assert page.evaluate("axe.run(document)")["violations"] == []


def mirror(shape):
    return FactorShape(shape.m2, shape.n2, shape.m1, shape.n1)
