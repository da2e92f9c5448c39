"""The page of the report in a real browser."""

import shutil

import pytest

from skexplore.report import write_report
from studies import EDGE_CASES, synthetic

pytestmark = pytest.mark.page

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
PLOTS = ["pareto-gflops", "pareto-params", "placement", "incumbent", "curves"]


@pytest.fixture(scope="module")
def browser():
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        pytest.skip(f"no browser: none of {', '.join(BROWSERS)} is installed")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def visit(browser, tmp_path):
    """Write the report of a study and open it; afterwards no error and no request may have been seen."""
    pages, troubles = [], []

    def open_page(study, width=1000, scheme="light"):
        write_report(study, tmp_path)
        page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        page.on("console", lambda m: troubles.append(m.text) if m.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("dialog", lambda dialog: (troubles.append(dialog.message), dialog.dismiss()))
        page.on(
            "request", lambda r: None if r.url.startswith(("file://", "data:")) else troubles.append(r.url)
        )
        pages.append(page)
        page.goto((tmp_path / "index.html").as_uri())
        page.wait_for_function(
            "[...document.querySelectorAll('.plot')].every(p => p.querySelector('.main-svg'))"
        )
        return page

    yield open_page
    for page in pages:
        page.wait_for_timeout(100)
        page.close()
    assert troubles == []


def test_every_plot_is_drawn(visit):
    page = visit(synthetic())
    assert page.eval_on_selector_all(".plot", "plots => plots.map(p => p.id)") == PLOTS
    for name in PLOTS:
        assert page.locator(f"#{name} .scatterlayer .trace").count() >= 2, name
    assert "Pareto front of single trainings" in page.inner_text("#front h2")


@pytest.mark.parametrize("case", EDGE_CASES)
def test_every_state_of_a_study_is_drawn(visit, case):
    page = visit(EDGE_CASES[case])
    assert page.locator("h1").inner_text() == "synthetic"
    assert page.locator("#pareto-gflops .ytick").count() > 1


def test_hover_shows_the_whole_block_and_both_costs(visit):
    page = visit(synthetic())
    page.locator("#pareto-gflops").scroll_into_view_if_needed()
    # the last point of the front, a per-stage block, found by its place in the data
    spot = page.evaluate(
        """() => {
          const plot = document.getElementById("pareto-gflops");
          const trace = plot._fullData.find((t) => t.name === "Pareto front, single trainings");
          const box = plot.querySelector(".nsewdrag").getBoundingClientRect();
          const last = trace.x.length - 1, { xaxis, yaxis } = plot._fullLayout;
          return [box.x + xaxis.d2p(trace.x[last]), box.y + yaxis.d2p(trace.y[last])];
        }"""
    )
    page.mouse.move(*spot)
    page.wait_for_selector("#pareto-gflops .hovertext")
    text = page.locator("#pareto-gflops .hovertext").text_content()
    for part in (
        "k3g64;k3g64;k3+k3g64;k3+k3",
        "40.20 %",
        "4.267 GFLOPs",
        "reference",
        "proxy",
        "seed 0",
        "6 epochs",
    ):
        assert part in text


def test_hostile_name_and_command_stay_text(visit):
    hostile = "<script>alert(1)</script>\"'\n<img src=x onerror=alert(2)>"
    page = visit(synthetic(name=hostile, command=hostile, environment={"k": "</script><b>x</b>"}))
    assert page.locator("h1").text_content() == hostile
    assert page.locator("#origin pre").text_content() == hostile
    assert page.locator("h1 *, pre *, img, #origin b").count() == 0


@pytest.mark.parametrize(
    ("width", "scheme"), [(390, "light"), (390, "dark"), (1000, "light"), (1600, "dark")]
)
def test_the_page_itself_never_scrolls_sideways(visit, width, scheme):
    page = visit(synthetic(name="a-rather-long-name-of-a-study-without-any-space-in-it"), width, scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_plots_follow_a_change_to_dark(visit):
    page = visit(synthetic())
    ink = "getComputedStyle(document.querySelector('#curves .xtick text')).fill"
    assert page.evaluate(ink) == "rgb(28, 33, 38)"
    page.emulate_media(color_scheme="dark")
    # polled from here: the page's own policy forbids the eval that wait_for_function polls with
    for _ in range(50):
        if page.evaluate(ink) != "rgb(28, 33, 38)":
            break
        page.wait_for_timeout(100)
    assert page.evaluate(ink) == "rgb(230, 233, 236)"
