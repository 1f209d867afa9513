"""The hybrid's dial: Python's half alone, the page's half in a real browser."""

import random
import re

import ipywidgets
import pytest

from kplib.errors import ShapeError
from kplib.experiments import BENCHMARKS
from kplib.nn import Hybrid
from kplib.shapes import algorithm4, hybrid_shapes
from kplib.widgets import HybridDial

# The papers' own, primes on either side, no factors at all, the smallest ones, the largest.
SIZES = [(118, 128), (179, 256), (154, 164), (113, 128), (118, 127), (3, 8), (4, 4), (1, 1)]
SIZES += [(1024, 1024), (64, 72)]


def costs(m, n):
    """(parameters, rank bound, MACs) by r."""
    return {
        r: (r * n + s.params, min(m, n, r + s.rank), r * n + s.macs)
        for r, s in hybrid_shapes(m, n).items()
    }


def for_compression(m, n, compression):
    """What the layers' structure chooses, None where it refuses."""
    try:
        return Hybrid.for_compression(compression).hybrid(m, n).rows
    except ShapeError:
        return None


# ---------------------------------------------------------------- Python


def test_three_traits_and_two_tables_are_shared():
    own = {name for name in HybridDial().keys if not name.startswith("_")}
    base = {name for name in ipywidgets.DOMWidget().keys if not name.startswith("_")}
    assert own - base == {"m", "n", "rows", "matrices", "largest_size"}


def test_matrices_are_the_benchmarks_gates():
    listed = {(m, n) for _, m, n in HybridDial().matrices}
    assert listed == {benchmark.gate_shape for benchmark in BENCHMARKS.values()}


def test_shape_is_that_of_the_lower_rows():
    dial = HybridDial(118, 128, rows=2)
    assert dial.shape == algorithm4(116, 128)
    dial.rows = 5
    assert dial.shape is None


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"m": 0}, "m must be a positive integer, found 0"),
        ({"m": 1025}, "m is 1025, but can be 1024 at most"),
        ({"n": 2.5}, "n must be a positive integer"),
        ({"rows": -1}, "rows must be 0 or a positive integer, found -1"),
        ({"rows": True}, "rows must be 0 or a positive integer, found True"),
        ({"m": 6, "rows": 6}, "rows = 6 dense rows leave nothing of m = 6"),
    ],
)
def test_bad_input_is_refused_with_the_numbers(values, words):
    with pytest.raises(ShapeError, match=re.escape(words)):
        HybridDial(**values)


def test_a_refused_value_changes_nothing():
    dial = HybridDial(20, 30, rows=7)
    for changes in ({"rows": 20}, {"m": 7}, {"n": 0}, {"m": 5, "n": 40, "rows": 5}):
        with pytest.raises(ShapeError):
            dial.set_state(changes)
        assert (dial.m, dial.n, dial.rows) == (20, 30, 7)


@pytest.mark.parametrize("order", [("m", "rows"), ("rows", "m")])
def test_several_are_set_at_once_in_any_order(order):
    dial, values = HybridDial(20, 30, rows=7), {"m": 6, "rows": 2}
    seen = []
    dial.observe(lambda change: seen.append((dial.m, dial.rows)), "rows")
    with dial.hold_trait_notifications():
        for name in order:
            setattr(dial, name, values[name])
    assert (dial.m, dial.rows) == (6, 2)
    assert seen == [(6, 2)]


def test_repr_has_the_numbers_and_fits_a_text_output():
    assert repr(HybridDial(rows=5)).endswith("r = 5: Algorithm 4 has no factors for 113×128")
    for m, n in SIZES:
        known = costs(m, n)
        for r in (*known, *range(min(3, m))):
            text = repr(HybridDial(m, n, rows=r))
            assert len(text) <= 110  # anywidget cuts longer ones off
            if r in known:
                params, rank, macs = known[r]
                assert text.endswith(f"{params:,} parameters, rank ≤ {rank}, {macs:,} MACs")


# ---------------------------------------------------------------- the page: arithmetic


@pytest.mark.browser
def test_arithmetic_is_that_of_kplib(mount, import_module):
    widget = HybridDial()
    page = mount(widget).page
    import_module(page, widget)
    rng = random.Random(9)
    cases = SIZES + [(rng.randint(1, 300), rng.randint(1, 300)) for _ in range(60)]
    told = page.evaluate(
        """(cases) => cases.map(([m, n]) => {
          const all = exported.hybrids(m, n);
          const rows = (one) => one?.r ?? null;
          return {
            all: all.map((one) => one && [one.params, one.rank, one.macs]),
            best: [1, 5, 10, 20, 30, 1000].map((c) => rows(exported.forCompression(all, m * n, c))),
            above: all.map((_, r) => rows(exported.nextRows(all, r, 1))),
            below: all.map((_, r) => rows(exported.nextRows(all, r, -1))),
          };
        })""",
        cases,
    )
    chosen = 0
    for (m, n), page_says in zip(cases, told, strict=True):
        known = costs(m, n)
        assert page_says["all"] == [list(known[r]) if r in known else None for r in range(m)]
        best = [for_compression(m, n, c) for c in (1, 5, 10, 20, 30, 1000)]
        assert page_says["best"] == best
        chosen += sum(r is not None for r in best)
        for r in range(m):
            assert page_says["above"][r] == min((k for k in known if k > r), default=None)
            assert page_says["below"][r] == max((k for k in known if k < r), default=None)
    assert chosen > 60


# ---------------------------------------------------------------- the page: what is shown


def role(page, name):
    return page.locator(f"[data-role={name}]").inner_text()


def assert_shown(page, m, n, r):
    assert [page.evaluate(f"model.get('{key}')") for key in ("m", "n", "rows")] == [m, n, r]
    assert role(page, "rows") == str(r)
    known = costs(m, n)
    expected = [f"{value:,}" for value in known[r]] if r in known else ["–"] * 3
    assert [role(page, key) for key in ("params", "rank", "macs")] == expected
    assert page.locator(".kpw-ring").count() == (3 if r in known else 0)
    after = min((k for k in known if k > r), default=None)
    if r in known and after is not None:
        for key, (one, other) in enumerate(zip(known[r], known[after], strict=True)):
            change = other - one
            sign = "−" if change < 0 else "+"
            found = re.findall(r"([+−][\d,]+)", role(page, "next"))
            assert found[key] == f"{sign}{abs(change):,}"


@pytest.mark.browser
def test_the_slider_by_keyboard(mount):
    page = mount(HybridDial()).page
    slider = page.get_by_role("slider")
    slider.focus()
    for r in (1, 2, 3, 4, 5, 6):
        page.keyboard.press("ArrowRight")
        assert_shown(page, 118, 128, r)
    page.keyboard.press("Home")
    assert_shown(page, 118, 128, 0)
    page.keyboard.press("End")
    assert_shown(page, 118, 128, 29)
    assert page.evaluate("model.saved.length") == 8
    assert slider.get_attribute("aria-valuetext") == "r = 29, no factors"
    page.locator("label", has_text="all, to 117").click()
    slider.focus()
    page.keyboard.press("End")
    assert_shown(page, 118, 128, 117)
    page.locator("label", has_text="to 29").click()
    assert_shown(page, 118, 128, 29)


@pytest.mark.browser
def test_gaps_are_said_and_drawn(mount):
    page = mount(HybridDial(rows=5)).page
    assert "113, a prime" in role(page, "below")
    assert "r = 4 and r = 6" in role(page, "below")
    gaps = page.locator("[data-panel=params] .kpw-gaps").get_attribute("d")
    assert gaps.count("M") == 30 - sum(r < 30 for r in costs(118, 128))
    page.evaluate("model.set('rows', 117)")
    page.wait_for_function("document.querySelector('[data-role=rows]').textContent === '117'")
    assert "1, a single row" in role(page, "below")
    page.evaluate("model.set('n', 127)")
    page.wait_for_function("document.querySelector('.kpw-plot').textContent.includes('No r')")
    assert "no r leaves factors" in role(page, "below")
    assert page.locator("[data-go][aria-disabled=true]").count() == 4


@pytest.mark.browser
@pytest.mark.parametrize(("m", "n"), [(118, 128), (179, 256), (64, 72), (41, 96)])
def test_the_buttons_go_where_they_say(mount, m, n):
    page = mount(HybridDial(m, n)).page
    known = costs(m, n)
    few = {r: cost for r, cost in known.items() if r <= max(7, m // 4)}
    goals = {
        "smallest": min(known, key=lambda r: known[r][0]),
        "highest": max(few, key=lambda r: (few[r][1], -r)),
        "10": for_compression(m, n, 10),
        "20": for_compression(m, n, 20),
    }
    for key, r in goals.items():
        button = page.locator(f"[data-go='{key}']")
        if r is None:
            assert button.get_attribute("aria-disabled") == "true"
            continue
        assert button.inner_text().endswith(f": r = {r}")
        button.click()
        assert_shown(page, m, n, r)
        assert button.get_attribute("aria-pressed") == "true"


@pytest.mark.browser
@pytest.mark.parametrize("width", [1280, 390])
def test_points_stand_where_the_numbers_are_and_can_be_clicked(mount, width):
    page = mount(HybridDial(), width=width).page
    known = costs(118, 128)
    for r in (2, 8, 19, 26):
        page.get_by_role("slider").fill(str(r))
        for which, key in enumerate(("params", "rank", "macs")):
            panel = page.locator(f"[data-panel={key}]")
            low, high = (float(panel.get_attribute(f"data-{end}")) for end in ("low", "high"))
            axis = panel.locator(".kpw-axis").get_attribute("d")
            top, bottom = (float(v) for v in re.match(r"M46 ([\d.]+)V([\d.]+)", axis).groups())
            value = known[r][which]
            share = (value - low) / (high - low)
            if key == "params":
                share = page.evaluate(f"Math.log({value} / {low}) / Math.log({high} / {low})")
            y = float(panel.locator(".kpw-ring").get_attribute("cy"))
            assert y == pytest.approx(bottom - share * (bottom - top), abs=0.05)
    places = {}
    for r in (4, 13):
        page.get_by_role("slider").fill(str(r))
        places[r] = page.locator("[data-panel=rank] .kpw-ring").bounding_box()
    page.mouse.click(places[4]["x"] + 8, places[4]["y"] + 8)
    assert_shown(page, 118, 128, 4)


@pytest.mark.browser
def test_sizes_and_matrices(mount):
    page = mount(HybridDial(rows=9)).page
    page.get_by_label("One gate of").select_option(label="HAR1-BiLSTM, 179 × 256")
    assert_shown(page, 179, 256, 0)
    page.get_by_label("m", exact=True).fill("64")
    page.keyboard.press("Enter")
    assert_shown(page, 64, 256, 0)
    page.get_by_label("n", exact=True).fill("72")
    page.keyboard.press("Enter")
    page.get_by_role("slider").fill("16")
    page.get_by_label("m", exact=True).fill("16")
    page.keyboard.press("Enter")
    assert_shown(page, 16, 72, 0)
    for wrong in ("", "0", "-3", "2.5", "1025"):
        field = page.get_by_label("m", exact=True)
        field.fill(wrong)
        assert field.get_attribute("aria-invalid") == "true"
        page.keyboard.press("Enter")
        field.blur()
        assert field.input_value() == "16"
        assert_shown(page, 16, 72, 0)


@pytest.mark.browser
@pytest.mark.parametrize(("m", "n"), SIZES)
def test_every_size_is_shown(mount, m, n):
    page = mount(HybridDial(m, n)).page
    for r in sorted({0, min(1, m - 1), m // 2, m - 1}):
        page.evaluate(f"model.set('rows', {r})")
        page.wait_for_timeout(30)
        assert_shown(page, m, n, r)
        assert "NaN" not in page.locator(".kpw-plot").inner_html()


# ---------------------------------------------------------------- the page: for everyone


@pytest.mark.browser
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_has_contrast_in_both_themes(mount, assert_contrast, theme):
    assert assert_contrast(mount(HybridDial(rows=5), theme=theme).page) > 30


@pytest.mark.browser
@pytest.mark.parametrize("width", [1280, 720, 390])
def test_nothing_moves_while_the_dial_turns(mount, layouts, width):
    page = mount(HybridDial(), width=width).page
    states = [{"rows": r} for r in range(30)]
    places = layouts(page, states, ".kpw-dial, .kpw-slide, .kpw-plot, .kpw-panel, .kpw-keys")
    assert len(places) == 1, places


@pytest.mark.browser
@pytest.mark.parametrize(("m", "n"), [(118, 128), (1024, 1024), (1, 1)])
def test_a_phone_needs_no_sideways_scrolling(mount, m, n):
    page = mount(HybridDial(m, n), width=390).page
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


@pytest.mark.browser
def test_paper_has_the_choice_in_words(mount):
    page = mount(HybridDial(rows=1)).page
    page.emulate_media(media="print")
    assert "1 dense row" in role(page, "below")


@pytest.mark.browser
@pytest.mark.repository
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_embedded_as_in_the_book(embed, theme, width):
    page = embed(HybridDial(), theme=theme, width=width).page
    assert role(page, "params") == "504"
    page.get_by_role("slider").fill("1")
    assert role(page, "params") == "376"
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for r in ("5", "8"):
        page.get_by_role("slider").fill(r)
        found = page.evaluate("axe.run(document)")
        assert [violation["id"] for violation in found["violations"]] == []
        assert len(found["passes"]) > 15
