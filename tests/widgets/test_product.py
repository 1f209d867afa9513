"""The animated product: Python's half alone, the page's half in a real browser."""

import json
import re
import subprocess
import sys

import ipywidgets
import numpy as np
import pytest

import kplib
from kplib.errors import DtypeError, ShapeError
from kplib.widgets import ProductAnimator

A = [[1, 2], [3, 1], [0, 2]]
B = [[1, 0, 2], [2, 1, 1]]
X = [1, 2, 0, 3, 1, 2]

# (m1, n1, m2, n2): primes, ones, both factors wide, both tall, either factor cheaper first.
SHAPES = [(3, 2, 2, 3), (2, 3, 3, 2), (1, 5, 7, 2), (3, 1, 1, 11), (4, 3, 3, 4), (1, 1, 1, 1)]
SHAPES += [(2, 6, 5, 1), (12, 1, 1, 12), (1, 12, 12, 1)]


def random_case(shape, seed):
    rng = np.random.default_rng(seed)
    m1, n1, m2, n2 = shape
    return (
        rng.integers(-9, 10, (m1, n1)),
        rng.integers(-9, 10, (m2, n2)),
        rng.integers(-9, 10, n1 * n2),
    )


# ---------------------------------------------------------------- Python


def test_default_is_the_cheaper_order_and_equals_the_example():
    widget = ProductAnimator()
    assert widget.values == {
        "A": A, "B": B, "x": X, "order": "row-major", "first": "B", "step": 0
    }  # fmt: skip
    transposed = ProductAnimator(np.transpose(A), np.transpose(B), X)
    assert transposed.first == "A"


def test_values_are_all_that_is_shared():
    widget = ProductAnimator()
    own = {name for name in widget.keys if not name.startswith("_")}
    base = {name for name in ipywidgets.DOMWidget().keys if not name.startswith("_")}
    assert own - base == set(widget.values)


def test_repr_fits_a_text_output():
    text = repr(ProductAnimator([[1] * 12] * 12, [[-1]], [9999] * 12))
    assert "12×12" in text
    assert "W x 144" in text
    assert len(text) <= 110  # anywidget cuts longer ones off


def test_repr_follows_the_first_factor():
    widget = ProductAnimator()
    assert repr(widget).endswith("W x 36, two small products 24")
    widget.first = "A"
    assert repr(widget).endswith("W x 36, two small products 36")


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ((A, B, X[:5]), ShapeError, r"x has shape \(5,\).*2 \* 3.* = \(6,\)"),
        ((A, B, [X]), ShapeError, r"x has shape \(1, 6\)"),
        ((A, B, None), ShapeError, "x is missing"),
        ((np.ones((1, 13)), [[1]], np.ones(13)), ShapeError, "1 x 13 matrix.*12 x 12"),
        ((np.ones((0, 3)), B, X), ShapeError, "A is empty"),
        (([1, 2], B, X), ShapeError, "A must have 2 axes, found 1"),
        (([[1j, 2]], B, X), DtypeError, "A has dtype complex128"),
        (([["a", "b"]], B, X), DtypeError, "A has dtype"),
        ((A, [[1, np.nan, 2]], X), ValueError, "B has 1 NaN"),
        (([[1, 10_000]], B, X), ValueError, "A has an entry of size 10000"),
    ],
)
def test_bad_input_is_refused_with_the_numbers(arguments, error, words):
    with pytest.raises(error, match=words):
        ProductAnimator(*arguments)


def test_steps_outside_the_range_are_refused():
    widget = ProductAnimator()
    for step, words in (
        (-1, "step must be 0 or a positive integer, found -1"),
        (1.5, "step must be 0 or a positive integer, found 1.5"),
        (14, "no step 14: the steps are 0 to 13"),
    ):
        with pytest.raises(ValueError, match=words):
            widget.step = step
        with pytest.raises(ValueError, match=words):
            widget.set_state({"order": "column-major", "step": step})
        assert (widget.step, widget.order) == (0, "row-major")  # what came with it is undone
    for name in ("order", "first"):
        with pytest.raises(ValueError, match=f"{name} is 'C', but must be one of"):
            setattr(widget, name, "C")


def test_step_stays_in_range_when_the_order_of_products_changes():
    widget = ProductAnimator(np.ones((1, 2)), np.ones((6, 6)), np.ones(12), first="B")
    widget.step = widget.last_step
    before = widget.last_step
    widget.first = "A"
    assert widget.last_step < before
    assert widget.step == widget.last_step


def test_the_front_end_can_change_step_and_first_at_once():
    widget = ProductAnimator()
    widget.set_state({"first": "A", "step": 16})
    assert (widget.first, widget.step, widget.last_step) == ("A", 16, 16)


def test_any_real_dtype_becomes_plain_numbers():
    widget = ProductAnimator(np.array([[True, False]]), np.float32([[0.5]]), np.int8([3, -2]))
    assert widget.A == [[1, 0]]
    assert type(widget.A[0][0]) is int
    assert widget.B == [[0.5]]
    assert json.loads(json.dumps(widget.values)) == widget.values


def test_missing_anywidget_names_the_extra():
    code = (
        "import sys; sys.modules['anywidget'] = None\n"
        "from kplib.errors import MissingExtraError\n"
        "try:\n    import kplib.widgets\n"
        "except MissingExtraError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install 'kplib[book]'" in done.stdout


# ---------------------------------------------------------------- the page

MATRIX = """name => {
  const nodes = [...document.querySelectorAll(`[data-matrix="${name}"]`)];
  return nodes.map((node) => node.querySelector("[role=img]").getAttribute("aria-label"));
}"""


def shown(page, name, which=-1):
    """Return the entries of a matrix as the page tells them, None where there are none yet."""
    label = page.evaluate(MATRIX, name)[which]
    rows = label.split(": ", 1)[1].split("; ")
    numbers = [
        [None if t == "empty" else int(t.replace("−", "-")) for t in r.split()] for r in rows
    ]
    return np.array(numbers, dtype=object)


def role(page, name):
    return page.locator(f"[data-role={name}]").inner_text()


def at_end(page):
    number, last = role(page, "position").split(" / ")
    return number == last


def set_slider(page, value):
    page.get_by_label("Step", exact=True).fill(str(value))


def assert_final(page, a, b, x, first):
    y = np.kron(a, b) @ x
    np.testing.assert_array_equal(y, kplib.kron_matvec(a, b, x))
    shape = kplib.FactorShape(*a.shape, *b.shape)
    small = shape.macs_b_first if first == "B" else shape.macs_a_first
    np.testing.assert_array_equal(shown(page, "y", 0).ravel(), y)  # beside W
    np.testing.assert_array_equal(shown(page, "y", 1).ravel(), y)  # read from Y
    np.testing.assert_array_equal(shown(page, "W"), np.kron(a, b))
    assert role(page, "whole-count") == role(page, "whole-total") == str(a.size * b.size)
    assert role(page, "small-count") == role(page, "small-total") == str(small)


@pytest.mark.browser
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("order", ["row-major", "column-major"])
@pytest.mark.parametrize("first", ["A", "B"])
def test_final_y_and_counts_by_slider(mount, shape, order, first):
    a, b, x = random_case(shape, seed=sum(shape))
    widget = ProductAnimator(a, b, x, order=order, first=first)
    page = mount(widget).page
    assert role(page, "small-count") == role(page, "whole-count") == "0"
    assert role(page, "position") == f"0 / {widget.last_step}"
    set_slider(page, widget.last_step)
    assert_final(page, a, b, x, first)
    Y = (np.kron(a, b) @ x).reshape(shape[0], shape[2])
    assert np.array_equal(shown(page, "Y"), Y if order == "row-major" else Y.T)
    assert page.evaluate("model.get('step')") == widget.last_step


@pytest.mark.browser
@pytest.mark.parametrize("seed", range(3))
def test_every_step_by_keyboard(mount, seed):
    a, b, x = random_case(SHAPES[seed], seed)
    widget = ProductAnimator(a, b, x)
    page = mount(widget).page
    page.get_by_role("button", name="Next step").focus()
    counts = [(0, 0)]
    while not at_end(page):
        page.keyboard.press("ArrowRight")
        counts.append((int(role(page, "small-count")), int(role(page, "whole-count"))))
        words = role(page, "words")
        if found := re.match(r"([TY])\[(\d+),(\d+)\] = .* = (.+) = (−?\d+)$", words):
            name, i, j, terms, value = found.groups()
            terms = terms.replace("−", "-").replace("·", "*")
            assert eval(terms) == int(value.replace("−", "-"))  # the numbers in the words are right
            assert shown(page, name)[int(i), int(j)] == int(value.replace("−", "-"))
            assert len(terms.split(" + ")) == counts[-1][0] - counts[-2][0]
    assert len(counts) == widget.last_step + 1
    assert counts == sorted(counts)
    assert_final(page, a, b, x, widget.first)
    page.keyboard.press("ArrowRight")  # at the end nothing more happens
    assert at_end(page)
    page.keyboard.press("ArrowLeft")
    assert role(page, "position").startswith(f"{widget.last_step - 1} /")
    page.keyboard.press("Home")
    assert role(page, "position").startswith("0 /")
    page.keyboard.press("End")
    assert at_end(page)


@pytest.mark.browser
def test_entries_appear_one_by_one_and_orders_are_transposes(mount):
    page = mount(ProductAnimator()).page
    rows = page.get_by_label("row-major: Y = A X Bᵀ (NumPy)")
    columns = page.get_by_label("column-major: Y = B X Aᵀ (the papers)")
    for step in range(14):
        set_slider(page, step)
        known = {}
        for order in (columns, rows):
            order.check()
            assert role(page, "position") == f"{step} / 13"
            known[order] = {name: shown(page, name) for name in ("X", "T", "Y")}
            for name, entries in (("T", min(step, 4)), ("Y", min(max(step - 4, 0), 6))):
                assert sum(v is not None for v in known[order][name].flat) == entries
        for name in ("X", "T", "Y"):
            assert np.array_equal(known[rows][name], known[columns][name].T)
    columns.check()
    assert shown(page, "X").tolist() == np.reshape(X, (2, 3)).T.tolist()
    assert page.locator("[data-matrix=B]").count() == 1
    assert page.locator("[data-matrix=Aᵀ]").count() == 1
    np.testing.assert_array_equal(shown(page, "Y"), B @ shown(page, "X") @ np.transpose(A))


@pytest.mark.browser
def test_first_factor_can_be_chosen_and_changes_the_count(mount):
    page = mount(ProductAnimator()).page
    set_slider(page, 13)
    page.get_by_label("A: 36 multiplications").check()
    assert at_end(page)  # the end stays the end
    assert role(page, "small-total") == "36"
    assert_final(page, np.array(A), np.array(B), np.array(X), "A")
    assert "nothing is gained" in role(page, "words")
    set_slider(page, 3)
    page.get_by_label("B: 24 multiplications").check()
    assert role(page, "position") == "0 / 13"


@pytest.mark.browser
def test_play_pause_and_space(mount):
    page = mount(ProductAnimator()).page
    page.get_by_label("Speed").select_option("4")
    words = page.locator("[data-role=words]")
    assert words.get_attribute("aria-live") == "polite"
    page.get_by_label("Step", exact=True).focus()
    page.keyboard.press("Space")
    assert page.get_by_role("button", name="Pause").is_visible()
    assert words.get_attribute("aria-live") == "off"
    page.wait_for_function("model.get('step') >= 2")
    page.keyboard.press("Space")
    assert page.get_by_role("button", name="Play").is_visible()
    stopped = page.evaluate("model.get('step')")
    page.wait_for_timeout(800)
    assert page.evaluate("model.get('step')") == stopped
    page.get_by_role("button", name="Play").click()
    page.wait_for_function("model.get('step') === 13", timeout=15_000)
    assert page.get_by_role("button", name="Play").is_visible()  # stops by itself
    page.get_by_role("button", name="Restart").click()
    assert page.evaluate("model.get('step')") == 0


@pytest.mark.browser
def test_the_kernel_can_set_the_step_and_is_told_of_changes(mount):
    page = mount(ProductAnimator(step=2)).page
    assert role(page, "position") == "2 / 13"
    page.evaluate("model.set('step', 5)")
    assert role(page, "position") == "5 / 13"
    page.get_by_role("button", name="Next step").click()
    page.get_by_label("column-major").check()
    shared = "model.saved.map(({ step, order, first }) => ({ step, order, first }))"
    saved = page.evaluate(shared)
    assert saved[-2:] == [
        {"step": 6, "order": "row-major", "first": "B"},
        {"step": 6, "order": "column-major", "first": "B"},
    ]
    page.evaluate("cleanup(); model.set('step', 0)")
    assert role(page, "position") == "6 / 13"  # a removed view no longer listens


@pytest.mark.browser
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("step", [0, 3, 8, 11, 13])
def test_text_has_contrast_in_both_themes(mount, assert_contrast, theme, step):
    page = mount(ProductAnimator(step=step), theme=theme, reduced_motion="reduce").page
    assert assert_contrast(page) > 60


@pytest.mark.browser
@pytest.mark.parametrize("shape", [(3, 2, 2, 3), (3, 4, 4, 3), (12, 1, 1, 12)])
def test_a_phone_needs_no_sideways_scrolling(mount, shape):
    a, b, x = random_case(shape, 5)
    page = mount(ProductAnimator(a * 1000, b, x), width=390).page
    for step in (0, 10):
        set_slider(page, step)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
    # A box that scrolls inside can be reached by keyboard, one that does not is no tab stop.
    boxes = page.evaluate(
        "[...document.querySelectorAll('.kpw-scroll')].map("
        "(box) => [box.scrollWidth > box.clientWidth + 1, box.tabIndex === 0])"
    )
    assert all(scrolls == focusable for scrolls, focusable in boxes)
    assert any(scrolls for scrolls, _ in boxes)


@pytest.mark.browser
@pytest.mark.parametrize("width", [1280, 720, 390])
@pytest.mark.parametrize("shape", [(3, 2, 2, 3), (12, 1, 1, 12), (2, 6, 5, 1)])
def test_nothing_moves_while_it_plays(mount, layouts, width, shape):
    a, b, x = (A, B, X) if shape == (3, 2, 2, 3) else random_case(shape, 7)
    widget = ProductAnimator(a, b, x)
    page = mount(widget, width=width, reduced_motion="reduce").page
    states = [{"step": step} for step in range(widget.last_step + 1)]
    boxes = ".kpw-product, .kpw-panels, .kpw-counts, .kpw-track, .kpw-keys"
    places = layouts(page, states, boxes)
    assert len(places) == 1, places
    for key in ("whole", "small"):  # each sum stands on one line
        assert page.locator(f".kpw-{key} .kpw-sum").bounding_box()["height"] < 30


# ---------------------------------------------------------------- as the book embeds it


@pytest.mark.browser
@pytest.mark.repository
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_embedded_as_in_the_book(embed, theme, width):
    page = embed(ProductAnimator(A, B, X), theme=theme, width=width).page
    page.get_by_role("button", name="Next step").focus()
    while not at_end(page):
        page.keyboard.press("ArrowRight")
    assert_final(page, np.array(A), np.array(B), np.array(X), "B")
    page.get_by_label("column-major").check()
    assert at_end(page)
    page.get_by_role("button", name="Previous step").click()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    subarea = "getComputedStyle(document.querySelector('.widget-subarea')).backgroundColor"
    assert page.evaluate(subarea) == "rgba(0, 0, 0, 0)"
    for step in (0, 3, 8, 13):
        set_slider(page, step)
        page.wait_for_timeout(300)  # colours fade in 0.2 s
        found = page.evaluate("axe.run(document)")
        assert [violation["id"] for violation in found["violations"]] == []
        assert len(found["passes"]) > 15
