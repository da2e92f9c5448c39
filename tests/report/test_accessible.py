"""No violation that axe-core knows of, on any kind of page, in both schemes, wide and narrow; tables fit."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.studies import synthetic

from skexplore.analysis import compare
from skexplore.report import write_comparison, write_overview, write_report
from skexplore.study import load_study

pytestmark = [pytest.mark.page, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
VIOLATIONS = (
    "async () => (await axe.run()).violations.map(v => [v.id, v.help, v.nodes.map(n => n.target.join(' '))])"
)


@pytest.fixture(scope="module")
def axe():
    package = pytest.importorskip("axe_playwright_python", reason="axe-playwright-python is not installed")
    return (Path(package.__file__).parent / "axe.min.js").read_text()


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """A page of each kind, written by the templates of now."""
    folder = tmp_path_factory.mktemp("reports")

    def study(name):
        return load_study(str(ROOT / "studies" / name))

    write_report(
        study("first-search"), folder / "search", [study("first-random"), study("first-search-confirm")]
    )
    write_report(synthetic(records=()), folder / "empty")
    write_report(study("table7"), folder / "ablation")
    write_report(study("sk-parts"), folder / "parts")
    write_report(study("first-search-confirm"), folder / "confirmation")
    repeats = [
        study(f"model-random/short-{each}") for each in ("model-s0", "model-s1", "random-s0", "random-s1")
    ]
    write_comparison(compare(repeats), folder / "comparison")
    write_overview(folder)
    return folder


PAGES = (
    "search/index.html", "empty/index.html", "ablation/index.html", "parts/index.html", "confirmation/index.html",
    "comparison/compare.html", "index.html",
)  # fmt: skip


def opened(tab, page, width=1000, scheme="light"):
    tab.set_viewport_size({"width": width, "height": 900})
    tab.emulate_media(color_scheme=scheme)
    tab.goto(page.as_uri())
    if page.parent.name in ("search", "empty", "ablation", "parts", "confirmation", "comparison"):
        tab.wait_for_selector("html[data-ready]")  # the overview has no script
    if page.parent.name == "search":  # with something in the tray
        tab.click("#compare")
    return tab


@pytest.mark.parametrize(
    ("path", "width", "scheme"),
    [(path, *look) for path in PAGES for look in ((1000, "light"), (390, "dark"))]
    + [(PAGES[0], 1600, "light")],
)
def test_axe_finds_nothing(tab, axe, pages, path, width, scheme):
    page = opened(tab, pages / path, width, scheme)
    page.evaluate(axe)
    assert page.evaluate(VIOLATIONS) == []


@pytest.mark.parametrize("path", PAGES)
def test_no_table_is_wider_than_its_page(tab, pages, path):
    page = opened(tab, pages / path)
    wide = "all => all.filter(box => box.scrollWidth > box.clientWidth + 1).map(box => box.ariaLabel)"
    found = page.eval_on_selector_all(".box", wide)
    assert {*found} <= {"All trials"}  # its nineteen columns scroll


def test_axe_finds_what_is_wrong(tab, axe, pages):
    page = opened(tab, pages / "search/index.html")
    page.evaluate(axe)
    page.evaluate("document.documentElement.removeAttribute('lang')")
    assert "html-has-lang" in [rule for rule, *_ in page.evaluate(VIOLATIONS)]
