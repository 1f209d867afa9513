"""The memory budget: Python's half alone, the page's half in a real browser."""

import json
import random

import ipywidgets
import numpy as np
import pytest

from kplib.errors import ShapeError
from kplib.experiments import BENCHMARKS, papers
from kplib.experiments.cells import CELLS
from kplib.experiments.memory import BITS, DEVICES, STORAGES, Footprint
from kplib.widgets import MemoryBudget

FIVE = [network.benchmark for network in papers.networks()]
UNO = DEVICES["atmega328p"]

# ---------------------------------------------------------------- Python


@pytest.mark.parametrize("name", FIVE)
def test_a_benchmark_sets_all_sizes(name):
    budget = MemoryBudget(name)
    assert (budget.benchmark, budget.device) == (name, "atmega328p")
    assert budget.footprint == Footprint.of(BENCHMARKS[name], rank=budget.rank)
    other = MemoryBudget()
    other.benchmark = name
    assert other.footprint == budget.footprint


def test_the_page_gets_the_benchmarks_that_the_papers_have():
    budget = MemoryBudget()
    assert [entry["name"] for entry in budget.benchmarks] == FIVE
    for entry in budget.benchmarks:
        one = BENCHMARKS[entry["name"]]
        assert all(getattr(one, key) == value for key, value in entry.items())


def test_all_but_the_tables_is_shared_and_is_plain():
    budget = MemoryBudget()
    own = {name for name in budget.keys if not name.startswith("_")}
    base = {name for name in ipywidgets.DOMWidget().keys if not name.startswith("_")}
    tables = {"cells", "benchmarks", "devices", "largest_size"}
    assert own - base == set(budget.values) | tables
    assert json.loads(json.dumps(budget.values)) == budget.values


def test_sizes_own_numbers_and_devices():
    budget = MemoryBudget("mnist-lstm", hidden_size=41, flash_bytes=1000, ram_bytes=100)
    assert (budget.benchmark, budget.device) == (None, None)
    budget.device = "nrf52833"
    assert (budget.flash_bytes, budget.ram_bytes) == (512 * 1024, 128 * 1024)
    assert budget.fits
    assert budget.largest_hidden_size == budget.footprint.largest_hidden_size(2**19, 2**17)


def test_flash_and_ram_are_those_of_the_footprint():
    budget = MemoryBudget("kws-gru", storage="low_rank", rank=5)
    assert (budget.flash, budget.ram) == (budget.footprint.flash, budget.footprint.ram)
    assert budget.fits == budget.footprint.fits(UNO.flash_bytes, UNO.ram_bytes)


def test_repr_has_the_verdict_and_fits_a_text_output():
    assert repr(MemoryBudget()) == (
        "MemoryBudget: LSTM 10-118-12, dense, 32 bits: 243.42 KB flash, 2.80 KB RAM: does not fit"
    )
    assert repr(MemoryBudget("usps-fastrnn")).endswith("RAM: fits")
    assert repr(MemoryBudget("har1-bilstm", storage="kronecker")).endswith("has no factors")
    most = {"input_size": 4096, "hidden_size": 4096, "classes": 4096, "steps": 4096}
    for cell in CELLS:
        for storage in STORAGES:
            largest = MemoryBudget(cell=cell, directions=2, storage=storage, rank=4096, **most)
            assert len(repr(largest)) <= 110  # anywidget cuts longer ones off


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        ({"benchmark": "kws"}, ValueError, "no benchmark 'kws'; there are mnist-lstm"),
        ({"device": "uno"}, ValueError, "no device 'uno'; there are stm32f030f4, atmega328p"),
        ({"layers": 2}, ValueError, "no setting layers; there are cell, input_size"),
        ({"cell": "qrnn"}, ValueError, "cell is 'qrnn'"),
        ({"hidden_size": 0}, ShapeError, "hidden_size must be a positive integer, found 0"),
        ({"hidden_size": 4097}, ShapeError, "hidden_size is 4097, but can be 4096 at most"),
        ({"rank": 129}, ShapeError, "rank is 129, but can be 128 at most"),
        ({"bits": 7}, ValueError, "bits is 7"),
        ({"flash_bytes": 2.5}, ShapeError, "flash_bytes must be a positive integer"),
    ],
)
def test_bad_settings_are_refused_with_the_numbers(settings, error, words):
    with pytest.raises(error, match=words):
        MemoryBudget(**settings)


def test_bad_changes_are_refused_and_undone():
    budget = MemoryBudget()
    for name, value in (("hidden_size", 0), ("classes", 5000), ("rank", 129), ("ram_bytes", 0)):
        before = getattr(budget, name)
        with pytest.raises(ShapeError, match=f"{name} .*{value}"):
            setattr(budget, name, value)
        assert getattr(budget, name) == before
    for read in ("flash", "ram", "fits"):
        with pytest.raises(ShapeError, match="179 is a prime"):
            getattr(MemoryBudget("har1-bilstm", storage="kronecker"), read)


def test_what_came_with_a_refused_value_is_undone():
    budget = MemoryBudget()
    before = budget.values
    for name, bad in (("hidden_size", 0), ("rank", 129), ("bits", 7), ("cell", "qrnn")):
        with pytest.raises(ValueError, match=f"{name} .*{bad}"):
            budget.set_state({"steps": 9, "classes": 3, name: bad})
        assert budget.values == before


def test_the_rank_comes_down_with_the_sizes():
    budget = MemoryBudget(storage="low_rank", rank=128)
    budget.hidden_size = 5
    assert budget.rank == 15
    budget.cell = "gru"
    assert budget.rank == 5


def test_the_front_end_can_change_sizes_and_rank_at_once():
    budget = MemoryBudget(storage="low_rank", rank=100)
    budget.set_state({"hidden_size": 20, "rank": 30})
    assert (budget.hidden_size, budget.rank) == (20, 30)


# ---------------------------------------------------------------- the page's numbers


def role(page, name):
    return page.locator(f"[data-role={name}]").inner_text()


def shown_numbers(page):
    """Every part's numbers, as the two lists of the page have them."""
    return page.evaluate(
        """() => Object.fromEntries([...document.querySelectorAll(".kpw-parts li")].map((row) => [
          row.dataset.part,
          Number(row.querySelector(".kpw-numbers").textContent.replaceAll(",", "")),
        ]))"""
    )


def size_text(size):
    hundredths = (100 * size + 512) // 1024  # halves up
    return f"{size} B" if size < 1024 else f"{hundredths / 100:,.2f} KB"


def assert_page_equals(page, footprint, flash_bytes, ram_bytes):
    expected = footprint.numbers | {k: v // 4 for k, v in footprint.ram_parts.items()}
    assert shown_numbers(page) == expected
    bytes_ = page.locator(".kpw-parts li b").all_inner_texts()
    every = [*footprint.flash_parts.values(), *footprint.ram_parts.values()]
    assert bytes_ == [size_text(size) for size in every]
    assert role(page, "flash-total") == size_text(footprint.flash)
    assert role(page, "RAM-total") == size_text(footprint.ram)
    assert role(page, "multiplications") == f"{footprint.multiplications:,}"
    largest = footprint.largest_hidden_size(flash_bytes, ram_bytes)
    assert page.locator("[data-role=largest]").get_attribute("value") == str(largest)
    assert role(page, "words").startswith("Fits") == footprint.fits(flash_bytes, ram_bytes)
    for formula, numbers in zip(
        page.locator(".kpw-parts .kpw-terms").all_text_contents(), expected.values(), strict=True
    ):
        # the formula beside a number gives that number
        assert eval(formula.replace("×", "*").replace(",", "")) == numbers


@pytest.mark.browser
@pytest.mark.parametrize("name", FIVE)
def test_the_five_benchmarks(mount, name):
    page = mount(MemoryBudget("usps-fastrnn" if name != "usps-fastrnn" else "kws-gru")).page
    page.get_by_label("Network", exact=True).select_option(name)
    benchmark = BENCHMARKS[name]
    assert_page_equals(page, Footprint.of(benchmark), UNO.flash_bytes, UNO.ram_bytes)
    numbers = shown_numbers(page)
    assert numbers["W_x"] + numbers["W_h"] == benchmark.weight_parameters
    assert numbers["biases"] == benchmark.bias_parameters + benchmark.size.scalars
    assert numbers["head"] == benchmark.head_parameters
    if benchmark.counted_with_biases:
        assert role(page, "flash-total") == f"{benchmark.kilobytes:,.2f} KB"


@pytest.mark.browser
@pytest.mark.parametrize("storage", STORAGES)
def test_random_settings_give_pythons_numbers(mount, storage):
    rng = random.Random(len(storage))
    page = mount(MemoryBudget()).page
    compared = 0
    while compared < 25:
        settings = {
            "cell": rng.choice(list(CELLS)),
            "input_size": rng.randint(1, 99),
            "hidden_size": rng.choice([1, 4, rng.randint(1, 300)]),
            "classes": rng.choice([1, rng.randint(1, 40), 900]),
            "directions": rng.choice([1, 2]),
            "steps": rng.randint(1, 99),
            "storage": storage,
            "bits": rng.choice(BITS),
        }
        settings["rank"] = rng.randint(1, Footprint(**settings).max_rank)
        chip = {"flash_bytes": rng.randint(1, 2**19), "ram_bytes": rng.randint(1, 2**15)}
        page.evaluate(
            "(all) => Object.entries(all).forEach(([k, v]) => model.set(k, v))", settings | chip
        )
        footprint = Footprint(**settings)
        if storage == "kronecker" and not footprint.has_factors:
            assert "Algorithm 4 has no factors" in role(page, "words")
            near = [int(page.locator(f"[data-role={b}]").get_attribute("value"))
                    for b in ("below", "above")]  # fmt: skip
            assert [size for size in near if size] == footprint.nearest_hidden_sizes()
            continue
        assert_page_equals(page, footprint, **chip)
        compared += 1


@pytest.mark.browser
@pytest.mark.parametrize(
    ("flash", "ram", "words"),
    [
        # the dense KWS-LSTM takes 249,264 and 2,872 B
        (249_264, 2_872, "Fits: it takes 100% of the flash and 100% of the RAM."),
        (249_263, 2_872, "Does not fit: 1.0000 times too large for the flash."),
        (249_264, 2_871, "Does not fit: 1.0003 times too large for the RAM."),
        (2_492_640, 28_720_000, "Fits: it takes 10% of the flash and under 1% of the RAM."),
        (
            32_768,
            2_048,
            "Does not fit: 7.6 times too large for the flash, 1.4 times too large for the RAM.",
        ),
        (1_024, 4_096, "Does not fit: 243 times too large for the flash."),
    ],
)
def test_the_verdict_in_words(mount, flash, ram, words):
    page = mount(MemoryBudget(flash_bytes=flash, ram_bytes=ram)).page
    assert role(page, "words") == words


@pytest.mark.browser
@pytest.mark.parametrize("name", ["mnist-lstm", "kws-lstm", "har1-bilstm"])
@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("width", [1280, 390])
def test_the_bars_are_to_scale(mount, name, device, width):
    budget = MemoryBudget(name, device=device)
    page = mount(budget, width=width, reduced_motion="reduce").page
    for key, parts, room in (
        ("flash", budget.footprint.flash_parts, budget.flash_bytes),
        ("RAM", budget.footprint.ram_parts, budget.ram_bytes),
    ):
        panel = page.locator(f".kpw-{key}")
        track = panel.locator(".kpw-track").bounding_box()
        line = panel.locator(".kpw-limit").bounding_box()
        one = line["x"] + line["width"] / 2 - track["x"]  # this long is what the chip has
        for part, segment in zip(parts.values(), panel.locator(".kpw-segment").all(), strict=True):
            box = segment.bounding_box()
            drawn = box["width"] if box else 0.0
            assert drawn == pytest.approx(part / room * one, abs=0.1 + 0.02 * drawn)
        ratio = sum(parts.values()) / room
        chips = track["width"] / one
        assert chips == pytest.approx(2 ** max(0, np.ceil(np.log2(ratio))), rel=0.02)
        boxes = panel.locator(".kpw-boxes span").count()
        each = round(chips / boxes)
        assert boxes <= 64
        assert f"{each * room / 1024:g} KB" in role(page, f"{key}-scale").replace(",", "")


# ---------------------------------------------------------------- the page's controls


@pytest.mark.browser
def test_every_control(mount):
    page = mount(MemoryBudget("kws-lstm")).page
    trait = lambda name: page.evaluate(f"model.get('{name}')")  # noqa: E731
    network = page.get_by_label("Network", exact=True)
    for label, value, name in (
        ("Cell", "gru", "cell"), ("Reads", "2", "directions")
    ):  # fmt: skip
        page.get_by_label(label, exact=True).select_option(value)
        assert str(trait(name)) == value
    assert network.input_value() == "own"
    for label, value, name in (
        ("Inputs a step", 33, "input_size"),
        ("Steps", 7, "steps"),
        ("Classes", 5, "classes"),
        ("Hidden units", 300, "hidden_size"),
        ("Hidden units, slider", 77, "hidden_size"),
    ):
        page.get_by_label(label, exact=True).fill(str(value))
        assert trait(name) == value
    assert page.get_by_label("Hidden units", exact=True).input_value() == "77"
    rank = page.get_by_label("Rank", exact=True)
    assert rank.is_disabled()
    page.get_by_label("low rank").check()
    assert rank.is_enabled()
    assert rank.get_attribute("max") == "77"  # of a GRU's gates
    rank.fill("70")
    assert role(page, "rank") == "70 of 77"
    page.get_by_label("Hidden units", exact=True).fill("60")
    assert trait("rank") == 60
    page.get_by_label("8", exact=True).check()
    assert trait("bits") == 8
    chip = page.get_by_label("Chip", exact=True)
    chip.select_option("stm32f103c8")
    assert (trait("flash_bytes"), trait("ram_bytes")) == (64 * 1024, 20 * 1024)
    page.get_by_label("RAM, KB").fill("1.5")
    assert trait("ram_bytes") == 1536
    assert chip.input_value() == "own"
    page.get_by_label("RAM, KB").fill("20")
    assert chip.input_value() == "stm32f103c8"
    footprint = Footprint("gru", 33, 60, 5, 2, 7, "low_rank", 60, 8)
    assert_page_equals(page, footprint, 64 * 1024, 20 * 1024)
    saved = page.evaluate("model.saved.at(-1)")
    assert (saved["rank"], saved["hidden_size"], saved["bits"]) == (60, 60, 8)


@pytest.mark.browser
@pytest.mark.parametrize("wrong", ["", "0", "-3", "2.5", "4097", "1e9"])
def test_what_is_no_size_is_marked_and_not_taken(mount, wrong):
    page = mount(MemoryBudget("kws-lstm")).page
    field = page.get_by_label("Hidden units", exact=True)
    field.fill(wrong)
    assert field.get_attribute("aria-invalid") == "true"
    assert page.evaluate("model.get('hidden_size')") == 118
    field.blur()
    assert field.input_value() == "118"
    assert field.get_attribute("aria-invalid") == "false"


@pytest.mark.browser
def test_typing_digit_by_digit_costs_neither_rank_nor_the_last_good_size(mount):
    page = mount(MemoryBudget("kws-lstm", storage="low_rank", rank=100)).page
    field = page.get_by_label("Hidden units", exact=True)
    now = "[model.get('hidden_size'), model.get('rank')]"
    field.select_text()
    page.keyboard.type("20")  # 2 and 20 hidden units have rank 8 and 30 at most
    assert page.evaluate(now) == [20, 30]
    page.keyboard.type("3")
    assert page.evaluate(now) == [203, 100]
    page.keyboard.press("Enter")
    field.select_text()
    page.keyboard.type("4097")
    assert field.get_attribute("aria-invalid") == "true"
    assert page.evaluate(now) == [409, 100]
    page.keyboard.press("Tab")
    assert page.evaluate(now) == [203, 100]  # not what was on the way to the refused one
    assert field.input_value() == "203"
    page.evaluate("model.set('rank', 7)")  # as Python does: from now on this is asked for
    field.fill("1")
    field.fill("203")
    assert page.evaluate(now) == [203, 7]


@pytest.mark.browser
def test_a_prime_has_no_factors_and_the_nearest_sizes_are_offered(mount):
    page = mount(MemoryBudget("har1-bilstm")).page
    page.get_by_label("Kronecker").check()
    assert role(page, "words").startswith(
        "Algorithm 4 has no factors for gates of 179 × 256: 179 is a prime."
    )
    assert role(page, "flash-total") == "–"
    page.get_by_role("button", name="178, the next smaller").click()
    footprint = Footprint.of(BENCHMARKS["har1-bilstm"], storage="kronecker")
    assert_page_equals(page, footprint, UNO.flash_bytes, UNO.ram_bytes)
    assert "89 × 15 ⊗ 2 × 17" in role(page, "gate")
    # the button stays under the finger, and now has the next size
    assert page.evaluate("document.activeElement.dataset.role") == "below"
    assert page.evaluate("Number(document.activeElement.value)") < 178


@pytest.mark.browser
@pytest.mark.parametrize("storage", STORAGES)
def test_the_largest_size_that_fits_can_be_taken(mount, storage):
    page = mount(MemoryBudget("kws-lstm", storage=storage)).page
    button = page.locator("[data-role=largest]")
    size = int(button.get_attribute("value"))
    button.click()
    assert page.evaluate("model.get('hidden_size')") == size
    assert role(page, "words").startswith("Fits")
    assert button.get_attribute("aria-disabled") == "true"
    assert page.evaluate("document.activeElement.dataset.role") == "largest"


@pytest.mark.browser
def test_choices_and_sliders_by_keyboard(mount):
    page = mount(MemoryBudget("kws-lstm")).page
    page.get_by_label("dense", exact=True).focus()
    page.keyboard.press("ArrowRight")
    assert page.evaluate("model.get('storage')") == "kronecker"
    page.get_by_label("Hidden units, slider").focus()
    page.keyboard.press("ArrowLeft")
    assert page.evaluate("model.get('hidden_size')") == 117


@pytest.mark.browser
def test_the_kernel_can_change_all_and_a_removed_view_stops(mount):
    page = mount(MemoryBudget("kws-lstm")).page
    page.evaluate("model.set('storage', 'low_rank'); model.set('rank', 9)")
    assert role(page, "rank") == "9 of 128"
    assert page.get_by_label("low rank").is_checked()
    words = page.locator("[data-role=words]")
    assert words.get_attribute("aria-live") == "polite"
    before = words.inner_text()
    page.evaluate("cleanup(); model.set('hidden_size', 1)")
    assert words.inner_text() == before


# ---------------------------------------------------------------- the page's looks


@pytest.mark.browser
@pytest.mark.parametrize("width", [1280, 720, 390])
def test_nothing_moves_whatever_is_chosen(mount, layouts, width):
    page = mount(MemoryBudget(), width=width, reduced_motion="reduce").page
    rng = random.Random(5)
    states = [
        {"storage": storage, "bits": bits, "directions": directions, "hidden_size": hidden,
         "cell": rng.choice(list(CELLS)), "rank": 1, "flash_bytes": memory, "ram_bytes": memory}
        for storage in STORAGES for bits in BITS for directions in (1, 2)
        for hidden in (1, 118, 179, 4096) for memory in (1024, 2**20)
    ]  # fmt: skip
    boxes = ".kpw-budget, .kpw-panel, .kpw-track, .kpw-picks, .kpw-counted"
    places = layouts(page, states, boxes)
    assert len(places) == 1, {place: found[:2] for place, found in places.items()}


@pytest.mark.browser
@pytest.mark.parametrize("name", FIVE)
@pytest.mark.parametrize("storage", STORAGES)
def test_a_phone_needs_no_sideways_scrolling(mount, name, storage):
    page = mount(MemoryBudget(name, storage=storage), width=390).page
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    cut = page.evaluate(
        "[...document.querySelectorAll('.kpw-budget :is(p, b, .kpw-what, .kpw-numbers)')]"
        ".filter((n) => n.checkVisibility({visibilityProperty: true})"
        " && n.scrollWidth > n.clientWidth + 1 && getComputedStyle(n).display !== 'inline')"
        ".map((n) => n.textContent)"
    )
    assert cut == []


@pytest.mark.browser
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("storage", STORAGES)
def test_text_and_bars_have_contrast_in_both_themes(mount, assert_contrast, theme, storage):
    page = mount(MemoryBudget("kws-lstm", storage=storage), theme=theme).page
    assert assert_contrast(page, ".kpw-segment, .kpw-swatch, .kpw-limit") > 60


@pytest.mark.browser
def test_parts_are_told_apart_without_colour(mount):
    page = mount(MemoryBudget()).page
    for key in ("flash", "RAM"):
        looks = page.evaluate(
            "(key) => [...document.querySelectorAll(`.kpw-${key} .kpw-swatch`)].map((node) => {"
            " const style = getComputedStyle(node);"
            " const stripes = style.backgroundImage.match(/-?[\\d.]+deg|none/)[0];"
            " return stripes + (stripes === 'none' ? style.backgroundColor : ''); })",
            key,
        )
        assert len(set(looks)) == 4, looks
        assert sum("deg" in look for look in looks) == 2


@pytest.mark.browser
def test_paper_has_the_choice_in_words(mount):
    page = mount(MemoryBudget("har1-bilstm", storage="low_rank", rank=1, bits=8)).page
    settings = page.locator("[data-role=settings]")
    assert settings.is_hidden()
    page.emulate_media(media="print")
    assert page.locator(".kpw-memory").first.is_visible()
    assert settings.inner_text() == (
        "LSTM of 179 hidden units, read both ways: 77 inputs a step, 81 steps, 18 classes. "
        "Gate matrices: rank 1, 8 bits a weight."
    )


# ---------------------------------------------------------------- as the book embeds it


@pytest.mark.browser
@pytest.mark.repository
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_embedded_as_in_the_book(embed, theme, width):
    page = embed(MemoryBudget("kws-lstm"), theme=theme, width=width, reduced_motion="reduce").page
    assert_page_equals(page, Footprint.of(BENCHMARKS["kws-lstm"]), UNO.flash_bytes, UNO.ram_bytes)
    for name in ("har1-bilstm", "mnist-lstm"):
        page.get_by_label("Network", exact=True).select_option(name)
        for label in ("dense", "Kronecker", "low rank"):
            page.get_by_label(label, exact=True).check()
            found = page.evaluate("axe.run(document)")
            assert [violation["id"] for violation in found["violations"]] == []
            assert len(found["passes"]) > 15
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    subarea = "getComputedStyle(document.querySelector('.widget-subarea')).backgroundColor"
    assert page.evaluate(subarea) == "rgba(0, 0, 0, 0)"
