"""The page in a real browser: headless Chromium, driven by Playwright; axe-core judges how accessible it is.

Chromium is Debian's package `chromium`, or any that is on the path; Playwright and axe-core come with the extra
`browser`.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reports import frames, page, parts, schema
from tests.reports.conftest import HOLDS, RUN, measurement

sync_api = pytest.importorskip("playwright.sync_api", reason="the extra `browser` is not installed")
axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="the extra `browser` is not installed")

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed: apt-get install chromium")


@pytest.fixture(scope="module")
def html(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page with every part: two runs of training speed, several devices, verdicts, a wrong backend."""
    from mcnbench.runfile import Writer

    home = tmp_path_factory.mktemp("page")
    wrong = HOLDS.model_copy(update={"after": "VIOLATED", "message": "conv1 dw"})
    speeds = {"alexnet": 3.0, "vgg-f": 10.0, "vgg-vd-16": 200.0}
    for day in (1, 2):
        with Writer.create(
            home / f"speed-{day}.jsonl", RUN.model_copy(update={"started": f"2026-01-0{day}"})
        ) as writer:
            for network, seconds in speeds.items():
                for backend, factor in (("numpy", 1.25), ("torch", 1.0)):
                    writer.write(measurement(network, backend, [seconds * factor * x for x in (1.0, 1.1, 0.9)]))
            writer.write(measurement("alexnet", "<b>wrong</b>", [1.0], verified=wrong))
    with Writer.create(home / "several.jsonl", RUN.model_copy(update={"experiment": "multi-gpu"})) as writer:
        for workers in (1, 2):
            writer.write(measurement("vgg-vd-16", "numpy", [8.0 / workers] * 3, workers=workers, case="multi-gpu/vgg"))
    with Writer.create(home / "check.jsonl", RUN.model_copy(update={"experiment": "check"})) as writer:
        for i, block in enumerate(("conv2d", "relu", "max_pool2d")):
            verdict: Any = "VIOLATED" if block == "relu" else "HOLDS"
            writer.write(
                schema.BlockVerdict(
                    case="c", block=block, backend="numpy", dtype="float32", property="bounded", verdict=verdict,
                    examples=100, worst_ratio=0.1 + i, message=None, reproduce="mcnbench check",
                )
            )  # fmt: skip
    path = home / "index.html"
    files = frames.read(sorted(home.glob("*.jsonl")))
    path.write_text(page.render(parts.parts(files), files))
    return path


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium: Any, html: Path) -> Iterator[Any]:
    """open_page(width=..., color_scheme=...) -> the page; afterwards: an empty console, no request to anywhere."""
    contexts, console, requests = [], [], []

    def open_it(width: int = 1200, **options: Any) -> Any:
        context = chromium.new_context(viewport={"width": width, "height": 800}, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: console.append(message.text))
        page.on("pageerror", lambda error: console.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        page.goto(html.as_uri())
        return page

    yield open_it
    for context in contexts:
        context.close()
    assert console == []
    assert set(requests) == {html.as_uri()}


def column(page: Any, heading: str) -> list[str]:
    """The visible cells of the table of training speeds under that heading."""
    headings = [text.strip() for text in page.locator("#training-speed-table thead th").all_inner_texts()]
    number = headings.index(heading) + 1
    return page.locator(f"#training-speed-table tbody tr:visible > :nth-child({number})").all_inner_texts()


def test_sorting_by_number_both_ways_with_nothing_last(open_page: Any) -> None:
    page = open_page()
    button = page.get_by_role("button", name="images/s").first
    heading = page.locator("#training-speed-table thead th", has=button)
    button.click()
    ascending = column(page, "images/s")
    assert heading.get_attribute("aria-sort") == "ascending"
    numbers = [float(text.split()[0]) for text in ascending if text != "–"]
    assert numbers == sorted(numbers)
    assert len(numbers) == 6
    assert ascending[-1] == "–"
    button.press("Enter")  # by keyboard
    assert heading.get_attribute("aria-sort") == "descending"
    descending = column(page, "images/s")
    assert [float(text.split()[0]) for text in descending if text != "–"] == numbers[::-1]
    assert descending[-1] == "–"


def test_sorting_by_name(open_page: Any) -> None:
    page = open_page()
    page.locator("#training-speed-table").get_by_role("button", name="backend").click()
    assert column(page, "backend") == sorted(column(page, "backend"), key=str.casefold)


def test_filtering(open_page: Any) -> None:
    page = open_page()
    tools = page.locator('.tools[data-for="training-speed-table"]')
    box = tools.get_by_role("searchbox")
    box.fill("vgg NUMPY")
    assert column(page, "network") == ["VGG-F", "VGG-VD-16"]
    assert tools.locator("output").inner_text() == "2 of 7 rows"
    box.fill("no such thing")
    assert column(page, "network") == []
    box.fill("")
    assert len(column(page, "network")) == 7


def test_dark_mode_follows_the_system_and_the_button(open_page: Any) -> None:
    background = "getComputedStyle(document.body).backgroundColor"
    page = open_page(color_scheme="dark")
    assert page.evaluate(background) == "rgb(20, 23, 26)"
    page.get_by_role("button", name="light and dark").click()
    assert page.evaluate(background) == "rgb(255, 255, 255)"
    bar = "getComputedStyle(document.querySelector('figure svg path[style*=\"--series-0\"]')).fill"
    assert page.evaluate(bar) == "rgb(0, 114, 178)"
    page.get_by_role("button", name="light and dark").click()
    assert page.evaluate(bar) == "rgb(74, 163, 223)"


@pytest.mark.parametrize("width", [380, 1200])
def test_nothing_is_cut_off_sideways(open_page: Any, width: int) -> None:
    page = open_page(width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for svg in page.locator("svg").all():
        assert svg.bounding_box()["width"] <= width
    sizes = (
        "[...document.querySelectorAll('p, li, td, th, summary')].map(e => parseFloat(getComputedStyle(e).fontSize))"
    )
    assert min(page.evaluate(sizes)) >= 12


@pytest.mark.parametrize("color_scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [380, 1200])
def test_axe_finds_nothing_serious(open_page: Any, color_scheme: str, width: int) -> None:
    page = open_page(width, color_scheme=color_scheme)
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    found = axe.Axe().run(page).response
    serious = [v for v in found["violations"] if v["impact"] in ("serious", "critical")]
    assert [(v["id"], v["nodes"][0]["html"][:200]) for v in serious] == []
    assert len(found["passes"]) > 20


def test_every_figure_has_words(open_page: Any) -> None:
    page = open_page()
    figures = page.get_by_role("img").all()
    assert len(figures) >= 6
    assert all(len(figure.get_attribute("aria-label")) > 40 for figure in figures)


def test_printed_it_is_black_on_white_and_in_full(open_page: Any) -> None:
    page = open_page(740, color_scheme="dark")  # A4 within its margins
    page.emulate_media(media="print")
    assert page.evaluate("document.documentElement.scrollWidth") <= 740
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert not page.locator(".tools").first.is_visible()
    assert page.evaluate("getComputedStyle(document.querySelector('.wide')).overflow") == "visible"


def test_without_script_everything_is_there(open_page: Any) -> None:
    page = open_page(java_script_enabled=False)
    assert len(column(page, "network")) == 7
    assert not page.locator(".tools").first.is_visible()
