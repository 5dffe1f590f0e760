"""The page in a real browser: headless Chromium, driven by Playwright; axe-core judges how accessible it is.

Chromium is Debian's package `chromium`, or any that is on the path; Playwright and axe-core come with the extra
`browser`.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reports import frames, page, parts, schema
from tests.reports.conftest import HOLDS, RUN, agreement, measurement, training

sync_api = pytest.importorskip("playwright.sync_api", reason="the extra `browser` is not installed")
axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="the extra `browser` is not installed")

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed: apt-get install chromium")


@pytest.fixture(scope="module")
def html(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page with two runs of training speed, several devices, verdicts, a wrong backend, backends that agree."""
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
            ranks = {
                "exchange_ns": [10**8] * 3,
                "alone_ns": [4 * 10**9] * 3,
                "all_reduce": [],
                "bytes": 8,
                "buckets": 1,
            }
            details = {"communication": ranks} if workers > 1 else {}
            writer.write(
                measurement(
                    "vgg-vd-16", "numpy", [8.0 / workers] * 3, workers=workers, case="multi-gpu/vgg", details=details
                )
            )
    with Writer.create(home / "check.jsonl", RUN.model_copy(update={"experiment": "check"})) as writer:
        for i, block in enumerate(("conv2d", "relu", "max_pool2d")):
            verdict: Any = "VIOLATED" if block == "relu" else "HOLDS"
            writer.write(
                schema.BlockVerdict(
                    case="c", block=block, backend="numpy", dtype="float32", property="bounded", verdict=verdict,
                    examples=100, worst_ratio=0.1 + i, message=None, reproduce="mcnbench check",
                )
            )  # fmt: skip
    with Writer.create(home / "agree.jsonl", RUN.model_copy(update={"experiment": "agree"})) as writer:
        for line in (
            agreement("jax", "float64", 1e4, verdict="DIFFER"),
            agreement("torch", "float64"),
            agreement("torch", "jax"),
        ):
            writer.write(line)
        for line in (*training("numpy", 4e-7), *training("torch", 5e-8), *training("jax", 2e-6)):
            writer.write(line)
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


def column(page: Any, heading: str, table: str = "training-speed-table") -> list[str]:
    """The visible cells under that heading, of the table of training speeds or another."""
    headings = [text.strip() for text in page.locator(f"#{table} thead th").all_inner_texts()]
    number = headings.index(heading) + 1
    return page.locator(f"#{table} tbody tr:visible > :nth-child({number})").all_inner_texts()


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


def test_sorting_by_powers_of_ten(open_page: Any) -> None:
    page = open_page()
    page.locator("#networks-table").get_by_role("button", name="distance").click()
    assert column(page, "distance", "networks-table") == ["5.0e-08", "4.0e-07", "2.0e-06"]


def test_sorting_leaves_the_absent_last_where_cells_are_words(open_page: Any) -> None:
    page = open_page()
    button = page.locator("#multi-gpu-table").get_by_role("button", name="backend")
    for _ in range(2):
        button.click()
        assert column(page, "backend", "multi-gpu-table") == ["numpy", "numpy", "–", "–"]


SQUARES = """[...document.querySelectorAll('#agreement svg')].map(svg => {
    const squares = [...svg.querySelectorAll('g[id*="QuadMesh"] > path')];
    const box = element => element.getBoundingClientRect();
    return [...svg.querySelectorAll('g[id*="axes_1"] > g[id*="text_"] text')].map(text => {
        const x = (box(text).left + box(text).right) / 2, y = (box(text).top + box(text).bottom) / 2;
        const square = squares.find(s => box(s).left < x && x < box(s).right && box(s).top < y && y < box(s).bottom);
        return [getComputedStyle(text).fill, getComputedStyle(square).fill];
    });
})"""
"""Of each heat map the colours of its numbers and of the squares that they stand in."""


@pytest.mark.parametrize("color_scheme", ["light", "dark"])
def test_numbers_in_squares_are_read_in_light_and_dark(open_page: Any, color_scheme: str) -> None:
    """Also: every figure is made of paths and text, as the page's policy shows no picture."""
    page = open_page(color_scheme=color_scheme)
    assert page.locator("image, img").count() == 0
    maps = page.evaluate(SQUARES)
    assert [len(pairs) > 0 for pairs in maps] == [True, True]
    contrasts = [contrast(*pair) for pairs in maps for pair in pairs]
    assert min(contrasts) >= 4.5


def contrast(*colours: str) -> float:
    """Of two colours, "rgb(0, 0, 0)", by WCAG 2.2."""
    found = []
    for colour in colours:
        values = [int(value) / 255 for value in re.findall(r"\d+", colour)[:3]]
        linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in values]
        found.append(0.05 + 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2])
    return max(found) / min(found)


@pytest.mark.parametrize("width", [380, 1200])
def test_no_heading_runs_into_its_arrow(open_page: Any, width: int) -> None:
    """The arrow of a heading is in the padding to its right."""
    page = open_page(width)
    over = page.evaluate(
        """[...document.querySelectorAll('thead button')].filter(button => {
            const text = document.createRange();
            text.selectNodeContents(button);
            const padding = parseFloat(getComputedStyle(button).paddingRight);
            return text.getBoundingClientRect().right > button.getBoundingClientRect().right - padding + 1;
        }).map(button => button.textContent)"""
    )
    assert over == []


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
