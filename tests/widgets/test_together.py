"""Several widgets on one page, and readers with settings of their own."""

import re

import pytest

from kplib import widgets
from kplib.plots import PALETTE
from kplib.widgets import (
    AccuracyExplorer,
    HybridDial,
    MemoryBudget,
    ProductAnimator,
    ShapeExplorer,
)

pytestmark = pytest.mark.browser

WIDGETS = {
    "product": ProductAnimator,
    "explorer": ShapeExplorer,
    "budget": MemoryBudget,
    "dial": HybridDial,
    "accuracy": AccuracyExplorer,
}

every_widget = pytest.mark.parametrize("name", WIDGETS)


def test_every_widget_is_checked_here():
    assert {widget.__name__ for widget in WIDGETS.values()} == set(widgets.__all__)


@every_widget
def test_style_has_only_the_colours_of_the_palette(name):
    assert set(re.findall(r"#[0-9a-f]{6}\b", WIDGETS[name]()._css)) == set(PALETTE.values())


@every_widget
def test_module_imports_nothing(name):
    pattern = r"^\s*import\b|\bimport\(|https?://(?!www\.w3\.org/2000/svg)"
    assert not re.search(pattern, WIDGETS[name]()._esm, re.MULTILINE)


# The style of one element of each kind, with a wrong entry in every number field.
STYLES = """(name) => {
  const root = document.querySelector(`.kpw-${name}`);
  root.querySelectorAll("input[type=number]")
    .forEach((input) => input.setAttribute("aria-invalid", "true"));
  const kind = (node) => [node.parentElement, node]
    .map((one) => `${one.tagName} ${one.getAttribute("class") ?? ""} ${one.type ?? ""}`)
    .join(" > ");
  const nodes = [root, ...root.querySelectorAll("*")].filter((node) =>
    !node.closest(".kpw-labels, .kpw-unseen")); // these come and go with the width
  const kinds = new Map(nodes.map((node) => [kind(node), node]));
  return Object.fromEntries([...kinds].map(([kind, node]) => {
    const style = getComputedStyle(node);
    return [kind, Object.fromEntries([...style].map((key) => [key, style.getPropertyValue(key)]))];
  }));
}"""


@pytest.mark.repository
def test_a_widget_looks_the_same_whatever_stands_before_and_after_it(embed):
    # each of two widgets comes first in one of these
    orders = (list(WIDGETS), list(reversed(WIDGETS)))
    looks = []
    for order in orders:
        page = embed(*(WIDGETS[name]() for name in order), reduced_motion="reduce").page
        looks.append({name: page.evaluate(STYLES, name) for name in WIDGETS})
    for name in WIDGETS:
        first, second = (look[name] for look in looks)
        assert first.keys() == second.keys()
        for kind in list(first)[1:]:  # the parent of the figure itself is not ours
            one, other = first[kind], second[kind]
            differs = {key: (one[key], other[key]) for key in one if one[key] != other[key]}
            assert not differs, (name, kind)


@pytest.mark.repository
@every_widget
def test_two_of_a_kind_have_ids_and_radio_buttons_of_their_own(embed, name):
    page = embed(WIDGETS[name](), WIDGETS[name]()).page
    ids = page.evaluate("[...document.querySelectorAll('.kpw, .kpw [id]')].map((e) => e.id)")
    ids = [each for each in ids if each]
    assert len(set(ids)) == len(ids) > 5
    checked = "[...document.querySelectorAll('.kpw')].map((root) => "
    checked += "root.querySelectorAll('input[type=radio]:checked').length)"
    first, second = page.evaluate(checked)
    assert first == second > 0
    assert [v["id"] for v in page.evaluate("axe.run(document)")["violations"]] == []


@every_widget
def test_text_of_twice_the_size_fits_a_phone(mount, name):
    page = mount(WIDGETS[name](), width=390).page
    page.evaluate("document.documentElement.style.fontSize = '200%'")
    page.wait_for_timeout(100)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    overlapping = page.evaluate(
        """[...document.querySelectorAll(".kpw-parts li, .kpw-fields, .kpw-count")].flatMap((row) =>
        {
          const boxes = [...row.querySelectorAll("span, b, label")]
            .filter((node) => node.checkVisibility() && node.textContent && !node.children.length)
            .map((node) => {
              const range = document.createRange();
              range.selectNodeContents(node);
              return [node.textContent, range.getBoundingClientRect()];
            });
          const cross = ([, a], [, b]) => a.left < b.right - 1 && b.left < a.right - 1 &&
            a.top < b.bottom - 5 && b.top < a.bottom - 5;
          return boxes.flatMap((one, k) => boxes.slice(k + 1).filter((other) => cross(one, other))
            .map((other) => `${one[0]} / ${other[0]}`));
        })"""
    )
    assert overlapping == []


@pytest.fixture(params=["light", "dark"])
def forced(request, mount):
    """Mount a widget for a reader who has chosen all colours."""

    def mount_forced(widget):
        options = {"forced_colors": "active", "reduced_motion": "reduce"}
        return mount(widget, color_scheme=request.param, **options).page

    return mount_forced


def all_differ(nodes):
    return len({node.screenshot() for node in nodes}) == len(nodes) > 1


def test_parts_of_the_budget_differ_in_forced_colours(forced):
    page = forced(MemoryBudget())
    for memory in ("flash", "RAM"):
        assert all_differ(page.locator(f".kpw-{memory} .kpw-swatch").all())


def test_marks_and_choice_of_the_explorer_show_in_forced_colours(forced):
    page = forced(ShapeExplorer())
    page.evaluate("document.querySelectorAll('.kpw-mark').forEach((m) => m.style.margin = '3px')")
    assert all_differ(page.locator(".kpw-legend .kpw-mark").all())
    option = page.locator("[role=option]").nth(1)
    before = option.screenshot()
    option.click()
    page.mouse.move(0, 0)
    assert option.screenshot() != before
    ink, paper = option.evaluate(
        "(node) => [getComputedStyle(node).color, getComputedStyle(node).backgroundColor]"
    )
    system = page.evaluate(
        """() => ["HighlightText", "Highlight"].map((color) => {
          const node = document.createElement("p");
          node.style = `color: ${color}; forced-color-adjust: none`;
          document.body.append(node);
          return getComputedStyle(node).color;
        })"""
    )
    assert [ink, paper] == system


def test_progress_of_the_product_shows_in_forced_colours(forced):
    page = forced(ProductAnimator())
    parts = page.locator(".kpw-track").all() + page.locator("[data-matrix=W] .kpw-cell").all()[:1]
    before = [part.screenshot() for part in parts]
    page.evaluate("model.set('step', 1)")
    assert all(part.screenshot() != old for part, old in zip(parts, before, strict=True))


CHANGES = {
    "product": {"step": 4, "first": "A", "order": "column-major"},
    "explorer": {"choice": [7, 4, 11, 2, 3]},
    "budget": {"cell": "gru", "storage": "low_rank", "rank": 9, "hidden_size": 31, "bits": 8},
    "dial": {"m": 90, "n": 100, "rows": 12},
    "accuracy": {"benchmark": "kws-lstm", "against": "speed-up", "at_least": 7, "printed": "bests"},
}


@every_widget
def test_what_python_sets_is_shown_in_any_order_and_not_sent_back(mount, name):
    changes = list(CHANGES[name].items())
    seen = set()
    for order in (changes, changes[::-1]):
        page = mount(WIDGETS[name]()).page
        page.evaluate("(order) => order.forEach(([key, value]) => model.set(key, value))", order)
        assert page.evaluate("model.saved") == []
        seen.add(page.locator(".kpw").inner_text())
    assert len(seen) == 1


@every_widget
def test_whatever_can_have_the_focus_keeps_its_keys_from_jupyterlab(mount, name):
    page = mount(WIDGETS[name](), width=390).page
    for key, value in CHANGES[name].items():
        page.evaluate("([key, value]) => model.set(key, value)", [key, value])
    page.wait_for_timeout(100)
    focusable = page.locator(".kpw, .kpw :is(button, input, select, [tabindex])")
    kept = focusable.evaluate_all("(nodes) => nodes.map((n) => n.dataset.lmSuppressShortcuts)")
    assert set(kept) == {"true"}
    assert len(kept) > 8


@every_widget
def test_a_removed_view_leaves_nothing_behind(mount, name):
    page = mount(WIDGETS[name]()).page
    handlers = "Object.values(model.handlers).flat().length"
    assert page.evaluate(handlers) > 0
    page.evaluate("cleanup()")
    assert page.evaluate(handlers) == 0


@every_widget
def test_a_finger_finds_every_control_of_a_phone(mount, name):
    page = mount(WIDGETS[name](), width=390).page
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    touched = "button, select, input:is([type=number], [type=range]), label:has([type=radio])"
    heights = page.locator(f".kpw :is({touched}, [role=option])").evaluate_all(
        "(nodes) => nodes.map((node) => node.getBoundingClientRect().height)"
    )
    assert len(heights) > 8
    assert min(heights) >= 24


# Where the tab key goes: a group of radio buttons is one stop, and what is off is none.
STOPS = {
    "product": [*["button"] * 4, "range", "select-one", "radio", "radio"],
    "explorer": [
        *("select-one", "number", "number", "range", "number", "radio", "radio"),
        *["button"] * 4, "listbox", *["button"] * 3,
    ],
    "budget": [
        *["select-one"] * 3, *["number"] * 3, "select-one", *["number"] * 3,
        *("range", "radio", "radio", "button"),
    ],
    "dial": [*("select-one", "number", "number", "range"), *["button"] * 4, "radio"],
    "accuracy": [*["button"] * 5, "radio", "radio", "range", *["button"] * 6, "SUMMARY"],
}  # fmt: skip


@every_widget
def test_focus_is_visible_and_every_control_is_reached(mount, name):
    page = mount(WIDGETS[name]()).page
    seen = []
    for _ in range(len(STOPS[name]) + 20):
        page.keyboard.press("Tab")
        stop, style, width = page.evaluate(
            """() => {
              const node = document.activeElement;
              const shown = node.matches("[role=listbox]") ? node.closest(".kpw-list") : node;
              const style = getComputedStyle(shown);
              const name = node.getAttribute("role") ?? node.type ?? node.tagName;
              return [name, style.outlineStyle, parseFloat(style.outlineWidth)];
            }"""
        )
        if stop == "BODY":
            break
        seen.append(stop)
        assert (style, width) == ("solid", 2.0), stop
    assert seen == STOPS[name]


@every_widget
def test_it_works_from_a_file(mount, site, browser, name):
    served = mount(WIDGETS[name]()).page
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.goto((site[0] / served.url.rpartition("/")[2]).as_uri())
    page.wait_for_selector("body[data-ready=yes]")
    words = [each.locator(".kpw").inner_text() for each in (page, served)]
    assert words[0] == words[1]
    page.locator("input[type=range]").first.press("ArrowRight")
    assert page.evaluate("model.saved.length") == 1
    assert page.locator(".kpw").inner_text() != words[0]
    context.close()


# What is left to be read where nothing can be pressed.
ON_PAPER = {
    "product": [".kpw-panels"],
    "explorer": [".kpw-plot svg", ".kpw-readout"],
    "budget": [".kpw-flash", ".kpw-RAM"],
    "dial": [".kpw-plot svg", ".kpw-readout"],
    "accuracy": [".kpw-plot svg", ".kpw-answers", "[data-role=asked]"],
}


@every_widget
def test_paper_gets_no_controls(mount, name):
    page = mount(WIDGETS[name]()).page
    controls = page.locator(".kpw :is(button, input, select)")
    assert controls.count() > 8
    page.emulate_media(media="print")
    assert controls.locator("visible=true").count() == 0
    assert all(page.locator(part).is_visible() for part in ON_PAPER[name])


@pytest.mark.parametrize("motion", ["reduce", "no-preference"])
@every_widget
def test_nothing_is_animated_for_who_wants_no_motion(mount, name, motion):
    page = mount(WIDGETS[name](), reduced_motion=motion).page
    moving = page.evaluate(
        """[...document.querySelectorAll(".kpw *")].filter((node) => {
          const style = getComputedStyle(node);
          const durations = style.transitionDuration.split(",").map(parseFloat);
          return Math.max(...durations) > 0 || style.animationName !== "none";
        }).length"""
    )
    animated = name in ("product", "budget") and motion == "no-preference"
    assert (moving > 0) == animated
