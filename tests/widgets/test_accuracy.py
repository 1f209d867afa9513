"""The accuracy explorer: Python's half alone, the page's half in a real browser."""

import json
import random
import re
from dataclasses import replace

import ipywidgets
import numpy as np
import pytest

from kplib.experiments.comparison_table import LABELS
from kplib.experiments.points import Point, paper_points
from kplib.experiments.trade_offs import Group, TradeOff, trade_offs
from kplib.widgets import AccuracyExplorer

NAMES = ["mnist-lstm", "usps-fastrnn", "kws-lstm", "kws-gru", "har1-bilstm"]
TECHNIQUES = ["baseline", "small", "pruned", "lmf", "kp", "hkp"]


def our_group(name, seed, *, timed=True, missing=()):
    """Networks with numbers of a random generator, about as accurate as each other."""
    rng = np.random.default_rng(seed)
    points = []
    for technique in TECHNIQUES:
        if technique in missing:
            continue
        base = technique == "baseline"
        accuracy, half = (95.0 if base else rng.uniform(80, 94)), rng.uniform(0.2, 2)
        points.append(
            Point(
                source="ours", technique=technique, accuracy=accuracy, low=accuracy - half,
                compression=10 if technique == "hkp" else None,
                layers=2 if technique == "kp" else 1,
                high=accuracy + half, kilobytes=100.0 if base else rng.uniform(5, 60), seeds=5,
                smaller=1.0 if base else rng.uniform(1.5, 22), lost=95.0 - accuracy,
                lost_low=95 - accuracy - half, lost_high=95 - accuracy + half,
                speed_up=(1.0 if base else rng.uniform(0.8, 30)) if timed else None,
            )
        )  # fmt: skip
    pairs = [(i, j) for i in range(len(points)) for j in range(i + 1, len(points))]
    undecided = frozenset(pair for pair in pairs if rng.random() < 0.4)
    return Group(name=name, points=tuple(points), undecided=undecided, missing=tuple(missing))


def given():
    """The papers' networks; of two benchmarks ours as well, and a benchmark of ours alone."""
    theirs = {one.benchmark: one for one in trade_offs()}
    ours = {
        "usps-fastrnn": (our_group("500 epochs", 1), our_group("500 epochs, other start", 2)),
        "kws-lstm": (our_group("20,000 steps", 3, timed=False, missing=("pruned", "kp")),),
    }
    found = [
        TradeOff(benchmark=name, means=one.means, bests=one.bests, ours=ours.get(name, ()))
        for name, one in theirs.items()
    ]
    alone = TradeOff(
        benchmark="dsads-bilstm", means=None, bests=None, ours=(our_group("40 epochs", 4),)
    )
    return [*found, alone]


def groups(one):
    return [group for group in (one.means, one.bests, *one.ours) if group]


# ---------------------------------------------------------------- Python


def test_five_traits_and_two_tables_are_shared_and_are_plain():
    explorer = AccuracyExplorer(given())
    own = {name for name in explorer.keys if not name.startswith("_")}
    base = {name for name in ipywidgets.DOMWidget().keys if not name.startswith("_")}
    shared = {"benchmark", "against", "at_least", "printed", "training"}
    assert own - base == shared | {"benchmarks", "largest"}
    assert json.loads(json.dumps(explorer.benchmarks)) == explorer.benchmarks


def test_without_records_there_are_the_papers_networks():
    explorer = AccuracyExplorer()
    assert [entry["name"] for entry in explorer.benchmarks] == NAMES
    for entry in explorer.benchmarks:
        assert entry["ours"] == []
        for kind, best in (("means", False), ("bests", True)):
            shown = [point["accuracy"] for point in entry[kind]["points"]]
            assert shown == [p.accuracy for p in paper_points(entry["name"], best=best)]
    assert explorer.ours is None


def test_the_best_are_those_of_the_groups():
    explorer = AccuracyExplorer(given(), benchmark="usps-fastrnn", at_least=2.0)
    one = explorer.trade_off
    assert explorer.papers == one.means.best(2)
    explorer.printed = "bests"
    explorer.against = "speed-up"
    explorer.training = 1
    assert explorer.papers == one.bests.best(2, "speed-up")
    assert explorer.ours == one.ours[1].best(2, "speed-up")
    explorer.benchmark = "dsads-bilstm"
    assert (explorer.training, explorer.papers) == (0, None)


def test_repr_has_the_answer_and_fits_a_text_output():
    explorer = AccuracyExplorer(given())
    for one in given():
        explorer.benchmark = one.benchmark
        for explorer.against in ("size", "speed-up"):
            for explorer.at_least in (1, 10, 999.5):
                text = repr(explorer)
                assert len(text) <= 110  # anywidget cuts longer ones off
                for point in (explorer.papers, explorer.ours):
                    assert point is None or f"{LABELS[point.technique]}, {point.accuracy:.2f}" in (
                        text
                    )
    assert repr(explorer).endswith("at least 999.5× faster: none")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"benchmark": "kws"}, "benchmark is 'kws', but must be one of mnist-lstm"),
        ({"against": "flops"}, "against is 'flops', but must be one of 'size'"),
        ({"printed": "tops"}, "printed is 'tops'"),
        ({"at_least": 0.5}, "at_least must be from 1 to 1000, found 0.5"),
        ({"at_least": float("nan")}, "at_least must be from 1 to 1000, found nan"),
        ({"at_least": "10"}, "at_least must be from 1 to 1000, found '10'"),
        ({"training": 1}, "training is 1, but MNIST-LSTM has 1"),
        ({"training": -1}, "training must be 0 or a positive integer, found -1"),
        ({"trade_offs": []}, "a trade-off for each benchmark is needed, found none"),
    ],
)
def test_bad_settings_are_refused_with_the_numbers(settings, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        AccuracyExplorer(**settings)


def test_bad_changes_are_refused_and_undone():
    explorer = AccuracyExplorer(given(), benchmark="usps-fastrnn", training=1)
    before = {name: getattr(explorer, name) for name in ("benchmark", "at_least", "training")}
    for name, bad in (("benchmark", "kws"), ("at_least", 0), ("training", 2), ("printed", "x")):
        with pytest.raises(ValueError, match=name):
            explorer.set_state({"against": "speed-up", name: bad})
        assert {name: getattr(explorer, name) for name in before} == before


# ---------------------------------------------------------------- the page: arithmetic


@pytest.mark.browser
def test_the_page_decides_as_kplib_does(mount, import_module):
    offers = given()
    widget = AccuracyExplorer(offers)
    page = mount(widget).page
    import_module(page, widget)
    told = page.evaluate(
        """() => model.get("benchmarks").map((entry) =>
          [entry.means, entry.bests, ...entry.ours].filter((group) => group).map((group) =>
            ["size", "speed-up"].map((against) => {
              const place = (point) => (point === null ? null : group.points.indexOf(point));
              return {
                front: exported.paretoFront(group.points, against).map(place),
                best: [1, 1.5, 2, 5, 9.3, 10, 15, 20, 900].map((least) => {
                  const best = exported.mostAccurate(group.points, least, against);
                  const ties = best === null ? [] : exported.tiesOf(group, best, least, against);
                  return [place(best), ties.map(place)];
                }),
              };
            })))"""
    )
    chosen, tied = set(), 0
    for one, found in zip(offers, told, strict=True):
        for group, both in zip(groups(one), found, strict=True):
            for against, page_says in zip(("size", "speed-up"), both, strict=True):
                place = group.points.index
                assert page_says["front"] == [place(p) for p in group.front(against)]
                for least, (best, ties) in zip(
                    (1, 1.5, 2, 5, 9.3, 10, 15, 20, 900), page_says["best"], strict=True
                ):
                    mine = group.best(least, against)
                    assert best == (None if mine is None else place(mine))
                    expected = [] if mine is None else group.ties(mine, least, against)
                    assert ties == [place(p) for p in expected]
                    chosen.add(mine and mine.technique)
                    tied += len(ties)
    assert chosen == {None, *TECHNIQUES}
    assert tied > 10


@pytest.mark.browser
def test_equal_networks_stay_together_and_the_smaller_wins(mount, import_module):
    widget = AccuracyExplorer()
    page = mount(widget).page
    import_module(page, widget)
    rng = random.Random(3)
    for _ in range(40):
        points = [
            Point(source="ours", technique="kp", kilobytes=1.0, accuracy=rng.randint(80, 84),
                  smaller=rng.choice([None, *range(1, 5)]))
            for _ in range(rng.randint(0, 9))
        ]  # fmt: skip
        group = Group(name="", points=tuple(points))
        values = [{"accuracy": p.accuracy, "smaller": p.smaller} for p in points]
        front, best = page.evaluate(
            """(points) => {
              const place = (point) => [point.accuracy, point.smaller];
              const best = exported.mostAccurate(points, 2, "size");
              return [exported.paretoFront(points, "size").map(place), best && place(best)];
            }""",
            values,
        )
        assert front == [[p.accuracy, p.smaller] for p in group.front()]
        mine = group.best(2)
        assert best == (mine and [mine.accuracy, mine.smaller])


# ---------------------------------------------------------------- the page: words, drawing, table


def role(page, name):
    return page.locator(f"[data-role={name}]").inner_text()


@pytest.mark.browser
def test_the_answer_in_words(mount):
    page = mount(AccuracyExplorer(given(), benchmark="kws-lstm", at_least=15)).page
    kp = next(p for p in paper_points("kws-lstm") if p.technique == "kp")
    small = next(
        p for p in paper_points("kws-lstm") if p.technique == "small" and p.compression is None
    )
    assert role(page, "papers") == (
        f"The papers: Kronecker keeps {kp.accuracy:.2f}%, {kp.lost:.2f} points below the baseline, "
        f"and is {kp.smaller:.1f} times smaller (15.3 KB). Next: small, {small.accuracy:.2f}%."
    )
    assert page.locator("[data-role=papers] b").inner_text() == "Kronecker"
    assert page.locator(".kpw-answers").get_attribute("aria-live") == "polite"
    assert role(page, "ours").endswith("Not in this training: pruned and Kronecker.") or (
        "none is" in role(page, "ours")
    )
    page.get_by_label("faster", exact=True).check()
    assert role(page, "ours").startswith("Ours: not timed.")
    page.get_by_role("button", name="KWS-GRU").click()
    assert role(page, "ours") == "Ours: not trained yet."
    page.evaluate("model.set('benchmark', 'dsads-bilstm'); model.set('at_least', 1)")
    page.wait_for_timeout(20)
    assert role(page, "papers") == "The papers: they have no such network."
    assert role(page, "ours").startswith("Ours: the baseline itself, 95.00% (")
    page.evaluate("model.set('at_least', 900)")
    page.wait_for_timeout(20)
    assert role(page, "ours").startswith("Ours: none is 900 times as fast; the most is ")


@pytest.mark.browser
def test_the_best_of_several_among_means_is_called_so(mount):
    explorer = AccuracyExplorer(benchmark="kws-lstm", against="speed-up", at_least=10)
    assert not explorer.papers.is_mean
    page = mount(explorer).page
    said = f"{explorer.papers.accuracy:.2f}% (the best of several: no mean is printed)"
    assert said in role(page, "papers")
    page.get_by_label("best of several", exact=True).check()
    assert "no mean" not in role(page, "papers")


@pytest.mark.browser
@pytest.mark.parametrize("training", [0, 1])
@pytest.mark.parametrize("against", ["size", "speed-up"])
def test_our_answer_names_what_it_cannot_be_told_apart_from(mount, training, against):
    settings = {"benchmark": "usps-fastrnn", "training": training, "against": against}
    explorer = AccuracyExplorer(given(), at_least=2, **settings)
    page = mount(explorer).page
    best = explorer.ours
    group = explorer.trade_off.ours[training]
    text = role(page, "ours")
    assert f"{best.accuracy:.2f}% ({best.low:.2f} to {best.high:.2f})" in text
    assert LABELS[best.technique] in page.locator("[data-role=ours] b").inner_text()
    ties = group.ties(best, 2, against)
    assert ("Not to be told apart from it" in text) == bool(ties)
    for tie in ties:
        assert LABELS[tie.technique] in text.split("apart from it: ")[1]


def drawn(page):
    """Every marker: technique, whose, x, y, whether it is pale; and the axes' ranges."""
    return page.evaluate(
        """() => {
          const svg = document.querySelector(".kpw-plot svg");
          const networks = [...svg.querySelectorAll(".kpw-network")].map((node) => {
            const path = node.querySelector(".kpw-point");
            const [x, y] = path.getAttribute("transform").match(/[\\d.-]+/g).map(Number);
            return [node.dataset.technique, node.dataset.kind, x, y,
              node.classList.contains("kpw-out")];
          });
          return { networks, ...svg.dataset, width: svg.viewBox.baseVal.width };
        }"""
    )


@pytest.mark.browser
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("name", ["usps-fastrnn", "kws-lstm", "dsads-bilstm"])
@pytest.mark.parametrize("against", ["size", "speed-up"])
def test_every_network_is_drawn_to_scale_and_pale_where_it_is_not_enough(
    mount, width, name, against
):
    explorer = AccuracyExplorer(given(), benchmark=name, against=against, at_least=9)
    page = mount(explorer, width=width).page
    shown = drawn(page)
    one = explorer.trade_off
    points = [
        (point, kind)
        for group, kind in ((one.means, "papers"), (one.ours[0], "ours"))
        for point in (group.points if group else ())
        if point.gain(against) is not None
    ]
    assert [(t, k) for t, k, *_ in shown["networks"]] == [(p.technique, k) for p, k in points]
    left, right, low, high = (float(shown[key]) for key in ("left", "right", "low", "high"))
    start = 34 + (44 if left > 1.6 else 0)
    end, bottom, top = shown["width"] - 14, 330 - 50, 26
    for (point, _), (_, _, x, y, out) in zip(points, shown["networks"], strict=True):
        gain = point.gain(against)
        if gain >= left:
            share = np.log(gain / left) / np.log(right / left)
            assert x == pytest.approx(start + share * (end - start), abs=0.1)
        else:  # before the break of the axis
            assert point.technique == "baseline"
            assert 34 < x < start
        share = (point.accuracy - low) / (high - low)
        assert y == pytest.approx(bottom - share * (bottom - top), abs=0.1)
        assert out == (gain < 9)
    assert page.locator(".kpw-plot .kpw-ring").count() == sum(
        best is not None for best in (explorer.papers, explorer.ours)
    )


@pytest.mark.browser
def test_a_network_that_learned_nothing_stands_at_the_foot_and_does_not_stretch_the_axis(mount):
    (offer,) = [one for one in given() if one.benchmark == "usps-fastrnn"]
    first = offer.ours[0]
    failed = replace(
        first.points[-1], technique="pruned", accuracy=11.0, low=10.0, high=12.0, compression=20
    )
    group = replace(first, points=(*first.points, failed), undecided=frozenset())
    kept, shown = (
        drawn(mount(AccuracyExplorer([replace(offer, ours=(ours,))]), width=390).page)
        for ours in (first, group)
    )
    assert (shown["low"], shown["high"]) == (kept["low"], kept["high"])
    assert shown["networks"][:-1] == kept["networks"]
    assert shown["networks"][-1][3] == 330 - 50 - 7
    page = mount(AccuracyExplorer([replace(offer, ours=(group,))]), width=390).page
    assert "20× ↓ 11%" in page.locator(".kpw-plot svg").text_content()


@pytest.mark.browser
def test_the_table_has_every_number(mount):
    explorer = AccuracyExplorer(given(), benchmark="usps-fastrnn", at_least=4)
    page = mount(explorer).page
    page.get_by_text("All numbers as a table").click()
    one = explorer.trade_off
    rows = page.locator(".kpw-numbers tr[data-kind]").all()
    points = [*one.means.points, *one.ours[0].points]
    assert len(rows) == len(points)
    for row, point in zip(rows, points, strict=True):
        text = row.inner_text().replace("−", "-")
        expected = [LABELS[point.technique], f"{point.kilobytes:.2f}", f"{point.accuracy:.2f}",
                    f"{point.lost:.2f}"]  # fmt: skip
        if point.low is not None:
            expected += [f"{point.low:.2f} to {point.high:.2f}", "5 seeds"]
        for words in expected:
            assert words in text, (words, text)
        assert ("not small enough" in row.text_content()) == (point.smaller < 4)
    assert page.locator(".kpw-numbers caption").inner_text().startswith("USPS-FastRNN")


@pytest.mark.browser
def test_a_network_that_is_touched_tells_its_numbers(mount):
    explorer = AccuracyExplorer(given(), benchmark="usps-fastrnn")
    page = mount(explorer, width=390, has_touch=True).page
    pruned = next(p for p in explorer.trade_off.means.points if p.technique == "pruned")
    page.locator(".kpw-network[data-kind=papers][data-technique=pruned] .kpw-point").tap(force=True)
    assert role(page, "point").startswith(f"The papers’ pruned: {pruned.accuracy:.2f}%, 1.92 KB")
    page.evaluate("model.set('benchmark', 'kws-gru')")
    page.wait_for_timeout(20)
    assert role(page, "point").startswith("Point at a network")


# ---------------------------------------------------------------- the page: controls


@pytest.mark.browser
def test_every_control_by_keyboard(mount):
    page = mount(AccuracyExplorer(given())).page
    trait = lambda name: page.evaluate(f"model.get('{name}')")  # noqa: E731
    page.get_by_role("button", name="USPS-FastRNN").press("Enter")
    assert trait("benchmark") == "usps-fastrnn"
    assert page.get_by_role("button", name="USPS-FastRNN").get_attribute("aria-pressed") == "true"
    assert page.evaluate("document.activeElement.value") == "usps-fastrnn"
    page.get_by_role("radio", name="500 epochs", exact=True).focus()
    page.keyboard.press("ArrowRight")
    assert trait("training") == 1
    page.get_by_label("means", exact=True).focus()
    page.keyboard.press("ArrowRight")
    assert trait("printed") == "bests"
    page.get_by_label("smaller", exact=True).focus()
    page.keyboard.press("ArrowRight")
    assert trait("against") == "speed-up"
    slider = page.locator("input[type=range]")
    assert slider.get_attribute("aria-valuetext") == "no slower than the baseline"
    slider.focus()
    page.keyboard.press("ArrowRight")
    assert trait("at_least") == 1.2
    assert slider.get_attribute("aria-valuetext") == "at least 1.2 times as fast"
    page.keyboard.press("End")
    most = max(p.speed_up for p in given()[1].means.points + given()[1].ours[1].points)
    assert trait("at_least") > most
    assert "none is" in role(page, "papers")
    page.get_by_role("button", name="at least 10 times").press("Enter")
    assert trait("at_least") == 10
    page.get_by_role("button", name="MNIST-LSTM").press("Enter")
    assert (trait("benchmark"), trait("training")) == ("mnist-lstm", 0)
    saved = page.evaluate("model.saved.at(-1)")
    assert (saved["benchmark"], saved["against"], saved["at_least"]) == (
        "mnist-lstm",
        "speed-up",
        10,
    )


@pytest.mark.browser
def test_the_kernel_can_change_all_and_a_removed_view_stops(mount):
    page = mount(AccuracyExplorer(given(), benchmark="usps-fastrnn")).page
    page.evaluate("model.set('training', 1); model.set('at_least', 12.3)")
    page.wait_for_timeout(20)
    assert page.get_by_role("radio", name="500 epochs, other start").is_checked()
    assert role(page, "least") == "12.3"
    before = role(page, "papers")
    page.evaluate("cleanup(); model.set('benchmark', 'kws-gru')")
    page.wait_for_timeout(20)
    assert role(page, "papers") == before


# ---------------------------------------------------------------- the page: looks


@pytest.mark.browser
@pytest.mark.parametrize("width", [1280, 720, 390])
def test_nothing_moves_whatever_is_chosen(mount, layouts, width):
    offers = given()
    page = mount(AccuracyExplorer(offers), width=width).page
    states = [
        {"benchmark": one.benchmark, "training": training, "against": against,
         "at_least": least, "printed": printed}
        for one in offers for training in range(max(1, len(one.ours)))
        for against in ("size", "speed-up") for printed in ("means", "bests")
        for least in (1, 5, 14, 900)
    ]  # fmt: skip
    boxes = ".kpw-picks, .kpw-choices, .kpw-slide, .kpw-answers, .kpw-plot, .kpw-legend, .kpw-keys"
    places = layouts(page, states, boxes)
    assert len(places) == 1, {place: found[:2] for place, found in places.items()}


@pytest.mark.browser
@pytest.mark.parametrize("name", ["usps-fastrnn", "kws-lstm", "kws-gru", "dsads-bilstm"])
@pytest.mark.parametrize("against", ["size", "speed-up"])
def test_a_phone_needs_no_sideways_scrolling(mount, name, against):
    page = mount(AccuracyExplorer(given(), benchmark=name, against=against), width=390).page
    page.get_by_text("All numbers as a table").click()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    table = "document.querySelector('.kpw-numbers .kpw-scroll')"
    assert page.evaluate(f"{table}.scrollWidth - {table}.clientWidth") <= 1


@pytest.mark.browser
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_has_contrast_in_both_themes(mount, assert_contrast, theme):
    page = mount(AccuracyExplorer(given(), benchmark="kws-lstm", at_least=10), theme=theme).page
    page.get_by_text("All numbers as a table").click()
    assert assert_contrast(page) > 60


@pytest.mark.browser
def test_techniques_are_told_apart_without_colour(mount):
    page = mount(AccuracyExplorer(given(), benchmark="kws-lstm")).page
    shapes = page.evaluate(
        "[...document.querySelectorAll('.kpw-legend .kpw-point')].map((n) => n.getAttribute('d'))"
    )
    assert len(set(shapes[:6])) == 6


# ---------------------------------------------------------------- as the book embeds it


@pytest.mark.browser
@pytest.mark.repository
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_embedded_as_in_the_book(embed, theme, width):
    page = embed(AccuracyExplorer(given(), at_least=10), theme=theme, width=width).page
    page.get_by_text("All numbers as a table").click()
    for title in ("USPS-FastRNN", "KWS-GRU", "KWS-LSTM"):
        page.get_by_role("button", name=title).click()
        for label in ("smaller", "faster"):
            page.get_by_label(label, exact=True).check()
            found = page.evaluate("axe.run(document)")
            assert [violation["id"] for violation in found["violations"]] == []
            assert len(found["passes"]) > 15
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    subarea = "getComputedStyle(document.querySelector('.widget-subarea')).backgroundColor"
    assert page.evaluate(subarea) == "rgba(0, 0, 0, 0)"
