"""No violation that axe-core knows of, on any kind of page, in both schemes, wide and narrow."""

from __future__ import annotations

from pathlib import Path

import pytest

pytestmark = [pytest.mark.page, pytest.mark.slow]

REPORTS = Path(__file__).parents[2] / "reports"
PAGES = (
    "first-search/index.html",
    "table7/index.html",
    "first-search-confirm/index.html",
    "tpe-random/compare.html",
    "index.html",
)
VIOLATIONS = (
    "async () => (await axe.run()).violations.map(v => [v.id, v.help, v.nodes.map(n => n.target.join(' '))])"
)


@pytest.fixture(scope="module")
def axe():
    package = pytest.importorskip("axe_playwright_python", reason="axe-playwright-python is not installed")
    return (Path(package.__file__).parent / "axe.min.js").read_text()


def opened(tab, path, width=1000, scheme="light"):
    tab.set_viewport_size({"width": width, "height": 900})
    tab.emulate_media(color_scheme=scheme)
    tab.goto((REPORTS / path).as_uri())
    if path != "index.html":  # the overview has no script
        tab.wait_for_selector("html[data-ready]")
    return tab


@pytest.mark.parametrize(
    ("path", "width", "scheme"),
    [(path, *look) for path in PAGES for look in ((1000, "light"), (390, "dark"))]
    + [(PAGES[0], 1600, "light")],
)
def test_axe_finds_nothing(tab, axe, path, width, scheme):
    page = opened(tab, path, width, scheme)
    page.evaluate(axe)
    assert page.evaluate(VIOLATIONS) == []


def test_axe_finds_what_is_wrong(tab, axe):
    page = opened(tab, "first-search/index.html")
    page.evaluate(axe)
    page.evaluate("document.documentElement.removeAttribute('lang')")
    assert "html-has-lang" in [rule for rule, *_ in page.evaluate(VIOLATIONS)]
