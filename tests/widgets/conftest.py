"""Pages for one widget; nothing outside this machine is reached."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ipywidgets
import ipywidgets.embed
import numpy as np
import pytest

# What anywidget does: import the module's text, add the style, call render({model, el}).
MOCK_PAGE = """<!doctype html>
<html lang="en" data-theme="{theme}"><head><meta charset="utf-8"><title>Widget</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
  @font-face {{ font-family: Inter; font-weight: 100 900; src: url("vendor/fonts/inter.woff2"); }}
  body {{ margin: 16px; font: 16px/1.5 Inter; }}
  html {{ color: var(--pst-color-text-base); }}
  html[data-theme=light] {{ --pst-color-text-base: #222832; background: #fff; }}
  html[data-theme=dark] {{ --pst-color-text-base: #ced6dd; background: #121212; }}
  html[data-theme=dark] {{ color-scheme: dark; }}
</style></head>
<body><main><h1>Widget</h1><div id="el"></div></main>
<script id="state" type="application/json">{state}</script>
<script type="module">
class Model {{
  constructor(state) {{ this.state = state; this.saved = []; this.handlers = {{}}; }}
  get(key) {{ return this.state[key]; }}
  set(key, value) {{
    if (this.state[key] === value) return;
    this.state[key] = value;
    (this.handlers["change:" + key] ?? []).forEach((handler) => handler());
  }}
  on(name, handler) {{ (this.handlers[name] ??= []).push(handler); }}
  off(name, handler) {{
    this.handlers[name] = (this.handlers[name] ?? []).filter((h) => h !== handler);
  }}
  save_changes() {{
    this.saved.push({{ ...this.state }});
  }}
}}
const {{ _esm, _css, ...state }} = JSON.parse(document.getElementById("state").textContent);
const style = document.createElement("style");
style.textContent = _css;
document.head.append(style);
const url = URL.createObjectURL(new Blob([_esm], {{ type: "text/javascript" }}));
const module = await import(url);
window.model = new Model(state);
const el = document.getElementById("el");
window.cleanup = await module.default.render({{ model: window.model, el }});
document.body.dataset.ready = "yes";
</script></body></html>"""


# What the book does: the state in the page, the manager of its own copy of ipywidgets.
EMBED_PAGE = """<!doctype html>
<html lang="en" data-theme="{theme}"><head><meta charset="utf-8"><title>Embedded</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
html[data-theme=light] {{ color: #222832; background: #fff; }}
html[data-theme=dark] {{ color: #ced6dd; background: #121212; --pst-color-text-base: #ced6dd; }}
html[data-theme=dark] {{ color-scheme: dark; }}
html[data-theme=dark] .bd-content div.cell_output .widget-subarea {{ background: #ced6dd; }}
</style>
<script src="vendor/require.js"></script><script src="vendor-paths.js"></script>
<script src="vendor/html-manager/embed-amd.js"></script></head>
<body><main class="bd-content"><h1>Embedded</h1><div class="cell_output"><div class="output">
{views}</div></div></main>
<script type="application/vnd.jupyter.widget-state+json">{state}</script>
</body></html>"""

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def site(
    tmp_path_factory: pytest.TempPathFactory, serve: Callable[[Path], str]
) -> tuple[Path, str]:
    """Return a folder and the address under which it is served, with the book's assets in it.

    The font among them: what fits is measured in the book's own, and not in the one that a machine
    happens to have.
    """
    static = ROOT / "book/_static"
    if not (static / "vendor/fonts/inter.woff2").is_file():
        pytest.fail("web assets are missing: run `python tools/web_assets.py --tests`")
    folder = tmp_path_factory.mktemp("site")
    for name in ("vendor", "vendor-paths.js"):
        (folder / name).symlink_to(static / name)
    return folder, serve(folder)


@dataclass
class Visit:
    """An open page and whatever went wrong on it."""

    page: Any
    problems: list[str] = field(default_factory=list)


@pytest.fixture
def visit(browser: Any, site: tuple[Path, str]) -> Iterator[Callable[..., Visit]]:
    """Open html in a fresh context; at the end no error and no outside request may be left."""
    folder, address = site
    opened: list[tuple[Any, Visit]] = []

    def open_page(html: str, *, width: int = 1280, **options: Any) -> Visit:
        name = f"page-{len(list(folder.glob('page-*.html')))}.html"
        (folder / name).write_text(html, encoding="utf-8")
        context = browser.new_context(viewport={"width": width, "height": 900}, **options)
        page = context.new_page()
        result = Visit(page)
        opened.append((context, result))

        def guard(route: Any) -> None:
            url = route.request.url
            if url.startswith((address, "blob:", "data:")):
                route.continue_()
            else:
                result.problems.append(f"outside request: {url}")
                route.abort()

        page.route("**/*", guard)
        page.on("pageerror", lambda error: result.problems.append(f"script error: {error}"))
        page.on(
            "console",
            lambda message: (
                result.problems.append(f"console: {message.text}")
                if message.type == "error" and "favicon" not in message.location["url"]
                else None
            ),
        )
        page.goto(f"{address}/{name}")
        return result

    yield open_page
    for context, result in opened:
        context.close()
        assert result.problems == []


@pytest.fixture
def mount(visit: Callable[..., Visit]) -> Callable[..., Visit]:
    """Mount a widget's own module and style on a mock model, in the way anywidget does."""

    def mount_widget(widget: Any, *, theme: str = "light", **options: Any) -> Visit:
        own = set(widget.keys) - set(ipywidgets.DOMWidget().keys)
        text = json.dumps(widget.get_state({*own, "_esm", "_css"})).replace("</", "<\\/")
        result = visit(MOCK_PAGE.format(theme=theme, state=text), **options)
        result.page.wait_for_selector("body[data-ready=yes]")
        # In every face that a widget uses; then one layout with it.
        result.page.evaluate(
            "Promise.all(['16px', 'bold 16px', '600 16px'].map((face) =>"
            " document.fonts.load(`${face} Inter`))).then(() =>"
            " new Promise((done) => requestAnimationFrame(() => setTimeout(done, 50))))"
        )
        return result

    return mount_widget


@pytest.fixture
def import_module() -> Callable[[Any, Any], None]:
    """Import a widget's module into a page, for what it exports: `window.exported`."""
    script = """async (text) => {
      const url = URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
      window.exported = await import(url);
    }"""
    return lambda page, widget: page.evaluate(script, widget._esm)


@pytest.fixture
def layouts() -> Callable[[Any, list[dict[str, Any]], str], dict[str, Any]]:
    """Set one state after the other in the text column of a chapter; returns states by layout.

    A layout is where the boxes of `selector` begin, and how wide and high they are.
    """
    script = """async ([states, selector]) => {
      document.querySelector("main").style.maxWidth = "688px"; // narrower than the window
      const places = {};
      for (const state of states) {
        Object.entries(state).forEach(([key, value]) => model.set(key, value));
        await new Promise((resolve) => setTimeout(resolve));
        const boxes = [...document.querySelectorAll(selector)]
          .map((node) => node.getBoundingClientRect());
        const place = boxes.map((b) => [b.top, b.width, b.height].map(Math.round)).join("; ");
        (places[place] ??= []).push(JSON.stringify(state));
      }
      return places;
    }"""
    return lambda page, states, selector: page.evaluate(script, [states, selector])


@pytest.fixture
def book_assets(site: tuple[Path, str]) -> Path:
    """Return the accessibility checker; the book's own assets lie below the served folder."""
    axe = ROOT / ".cache/test-assets/axe.min.js"
    if not axe.is_file():
        pytest.fail("web assets are missing: run `python tools/web_assets.py --tests`")
    return axe


@pytest.fixture
def embed(visit: Callable[..., Visit], book_assets: Path) -> Callable[..., Visit]:
    """Show widgets as a page of the book does, with axe in the page."""
    script = '<script type="application/vnd.jupyter.widget-view+json">{}</script>'

    def embed_widgets(*widgets: Any, theme: str = "light", **options: Any) -> Visit:
        # In full, as a notebook's kernel hands it over: a widget's module is the default of a trait
        everything = ipywidgets.embed.dependency_state(widgets, drop_defaults=False)
        data = ipywidgets.embed.embed_data(views=widgets, state=everything)
        state = json.dumps(data["manager_state"]).replace("</", "<\\/")
        views = "".join(script.format(json.dumps(view)) for view in data["view_specs"])
        result = visit(EMBED_PAGE.format(theme=theme, views=views, state=state), **options)
        result.page.locator(".kpw").nth(len(widgets) - 1).wait_for(timeout=20_000)
        result.page.add_script_tag(path=str(book_assets))
        return result

    return embed_widgets


# Colours as they are painted, whatever lies below: text, and boxes by colour or strongest stripe.
PAINTED = """(boxes) => {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 1;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const base = getComputedStyle(document.documentElement).backgroundColor;
  const paint = (...colors) => {
    context.fillStyle = "white";
    context.fillRect(0, 0, 1, 1);
    colors.forEach((color) => { context.fillStyle = color; context.fillRect(0, 0, 1, 1); });
    return [...context.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const behind = (node) => {
    const layers = [];
    for (let up = node; up; up = up.parentElement) {
      layers.unshift(getComputedStyle(up).backgroundColor);
    }
    return [base, ...layers];
  };
  const hasText = (node) =>
    [...node.childNodes].some((child) => child.nodeType === 3 && child.data.trim());
  const hidden = "title, option, [hidden], .kpw-unseen, .kpw-spoken";
  const texts = [...document.querySelectorAll(".kpw *")]
    .filter((node) => hasText(node) && !node.closest(hidden))
    .map((node) => {
      const style = getComputedStyle(node);
      const ink = node.closest("svg") ? style.fill : style.color;
      return [node.textContent, paint(...behind(node)), paint(...behind(node), ink)];
    });
  const areas = [...document.querySelectorAll(boxes || "nothing")].map((node) => {
    const style = getComputedStyle(node);
    const stripe = style.backgroundImage.match(/(rgba?|color)\\([^)]*\\)/)?.[0];
    const below = behind(node.parentElement);
    return [node.className, paint(...below), paint(...below, stripe ?? style.backgroundColor)];
  });
  return { texts, areas };
}"""


def luminance(color: list[int]) -> float:
    """Relative luminance, as WCAG 2 defines it: of gamma-corrected sRGB."""
    channels = np.asarray(color) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


@pytest.fixture
def assert_contrast() -> Callable[..., int]:
    """Assert 4.5 : 1 for every text of the widgets and 3 : 1 for `boxes`; returns how many."""

    def check(page: Any, boxes: str = "") -> int:
        measured = page.evaluate(PAINTED, boxes)
        for least, group in ((4.5, measured["texts"]), (3, measured["areas"])):
            for what, behind, front in group:
                dark, light = sorted((luminance(behind), luminance(front)))
                assert (light + 0.05) / (dark + 0.05) >= least, (what, behind, front)
        assert len({tuple(behind) for _, behind, _ in measured["texts"]}) > 1
        return len(measured["texts"]) + len(measured["areas"])

    return check
