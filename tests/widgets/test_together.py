"""Several widgets on one page, and readers with settings of their own."""

import pytest

from kplib.widgets import HybridDial, MemoryBudget, ProductAnimator, ShapeExplorer

pytestmark = pytest.mark.browser

WIDGETS = {
    "product": ProductAnimator,
    "explorer": ShapeExplorer,
    "budget": MemoryBudget,
    "dial": HybridDial,
}

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
@pytest.mark.parametrize("widget", WIDGETS.values(), ids=WIDGETS)
def test_two_of_a_kind_have_ids_and_radio_buttons_of_their_own(embed, widget):
    page = embed(widget(), widget()).page
    ids = page.evaluate("[...document.querySelectorAll('.kpw, .kpw [id]')].map((e) => e.id)")
    ids = [each for each in ids if each]
    assert len(set(ids)) == len(ids) > 5
    checked = "[...document.querySelectorAll('.kpw')].map((root) => "
    checked += "root.querySelectorAll('input[type=radio]:checked').length)"
    first, second = page.evaluate(checked)
    assert first == second > 0
    assert [v["id"] for v in page.evaluate("axe.run(document)")["violations"]] == []


@pytest.mark.parametrize("widget", WIDGETS.values(), ids=WIDGETS)
def test_text_of_twice_the_size_fits_a_phone(mount, widget):
    page = mount(widget(), width=390).page
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
}


@pytest.mark.parametrize("name", WIDGETS)
def test_what_python_sets_is_shown_in_any_order_and_not_sent_back(mount, name):
    changes = list(CHANGES[name].items())
    seen = set()
    for order in (changes, changes[::-1]):
        page = mount(WIDGETS[name]()).page
        page.evaluate("(order) => order.forEach(([key, value]) => model.set(key, value))", order)
        assert page.evaluate("model.saved") == []
        seen.add(page.locator(".kpw").inner_text())
    assert len(seen) == 1


@pytest.mark.parametrize("name", WIDGETS)
def test_whatever_can_have_the_focus_keeps_its_keys_from_jupyterlab(mount, name):
    page = mount(WIDGETS[name](), width=390).page
    for key, value in CHANGES[name].items():
        page.evaluate("([key, value]) => model.set(key, value)", [key, value])
    page.wait_for_timeout(100)
    focusable = page.locator(".kpw, .kpw :is(button, input, select, [tabindex])")
    kept = focusable.evaluate_all("(nodes) => nodes.map((n) => n.dataset.lmSuppressShortcuts)")
    assert set(kept) == {"true"}
    assert len(kept) > 8


@pytest.mark.parametrize("name", WIDGETS)
def test_a_removed_view_leaves_nothing_behind(mount, name):
    page = mount(WIDGETS[name]()).page
    handlers = "Object.values(model.handlers).flat().length"
    assert page.evaluate(handlers) > 0
    page.evaluate("cleanup()")
    assert page.evaluate(handlers) == 0
