"""Pages for one widget; nothing outside this machine is reached."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ipywidgets
import ipywidgets.embed
import pytest

# What anywidget does: import the module's text, add the style, call render({model, el}).
MOCK_PAGE = """<!doctype html>
<html lang="en" data-theme="{theme}"><head><meta charset="utf-8"><title>Widget</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
  body {{ margin: 16px; font: 16px/1.5 sans-serif; }}
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
<script type="application/vnd.jupyter.widget-view+json">{view}</script></div></div></main>
<script type="application/vnd.jupyter.widget-state+json">{state}</script>
</body></html>"""

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def site(
    tmp_path_factory: pytest.TempPathFactory, serve: Callable[[Path], str]
) -> tuple[Path, str]:
    """Return a folder and the address under which it is served."""
    folder = tmp_path_factory.mktemp("site")
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
        return result

    return mount_widget


@pytest.fixture
def book_assets(site: tuple[Path, str]) -> Path:
    """Link the book's own copies of the widget manager below the served folder; returns axe."""
    static, axe = ROOT / "book/_static", ROOT / ".cache/test-assets/axe.min.js"
    if not (static / "vendor/require.js").is_file() or not axe.is_file():
        pytest.fail("web assets are missing: run `python tools/web_assets.py --tests`")
    for name in ("vendor", "vendor-paths.js"):
        if not (site[0] / name).exists():
            (site[0] / name).symlink_to(static / name)
    return axe


@pytest.fixture
def embed(visit: Callable[..., Visit], book_assets: Path) -> Callable[..., Visit]:
    """Show a widget as a page of the book does, with axe in the page."""

    def embed_widget(widget: Any, *, theme: str = "light", **options: Any) -> Visit:
        # In full, as a notebook's kernel hands it over: a widget's module is the default of a trait
        everything = ipywidgets.embed.dependency_state([widget], drop_defaults=False)
        data = ipywidgets.embed.embed_data(views=[widget], state=everything)
        state = json.dumps(data["manager_state"]).replace("</", "<\\/")
        view = json.dumps(data["view_specs"][0])
        result = visit(EMBED_PAGE.format(theme=theme, view=view, state=state), **options)
        result.page.wait_for_selector(".kpw", timeout=20_000)
        result.page.add_script_tag(path=str(book_assets))
        return result

    return embed_widget
