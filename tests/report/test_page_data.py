"""The page of the report in a real browser."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from support.studies import EDGE_CASES, know_noise, many, only, synthetic

from skexplore.analysis import anchors_table, checklist_search as checklist
from skexplore.arch.notation import parse_blocks
from skexplore.arch.traits import traits_of
from skexplore.paper.tables import place
from skexplore.report import page_data as page_module
from skexplore.report.figures.style import overlay
from skexplore.report.search import write_report
from skexplore.study import belief
from skexplore.study.store import load_study

pytestmark = [pytest.mark.page, pytest.mark.slow]

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
PLOTS = ["pareto", "placement", "incumbent-images", "incumbent-trained", "curves"]
HOSTILE = "<script>alert(1)</script>\"'\n<img src=x onerror=alert(2)>"

# where a trial, given by its position among the records, stands on the screen
SPOT = """([plotId, position]) => {
  const plot = document.getElementById(plotId);
  const trace = plot._fullData.find((t) => (t.customdata || []).includes(position));
  const box = plot.querySelector(".nsewdrag").getBoundingClientRect();
  const i = trace.customdata.indexOf(position), { xaxis, yaxis } = plot._fullLayout;
  return [box.x + xaxis.d2p(trace.x[i]), box.y + yaxis.d2p(trace.y[i])];
}"""


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


@pytest.fixture(scope="module")
def tab(browser):
    """One tab for all tests: a process of its own for each would compile plotly.js anew."""
    return browser.new_page()


@pytest.fixture(scope="module")
def usual(tmp_path_factory):
    """The report of the study that most tests look at, written once."""
    folder = tmp_path_factory.mktemp("usual")
    with pytest.MonkeyPatch.context() as patch:
        know_noise(patch)
        write_report(synthetic(), folder)
    return folder


@pytest.fixture
def visit(tab, usual, tmp_path):
    """Write the report of a study and open it; afterwards no error and no request may have been seen."""
    troubles = []
    listeners = {
        "console": lambda m: troubles.append(m.text) if m.type in ("error", "warning") else None,
        "pageerror": lambda error: troubles.append(str(error)),
        "dialog": lambda dialog: (troubles.append(dialog.message), dialog.dismiss()),
        "request": lambda r: (
            None if r.url.startswith(("file://", "data:", "blob:")) else troubles.append(r.url)
        ),
    }

    def open_page(study, width=1000, scheme="light", beside=()):
        folder = tmp_path if beside or study != synthetic() else usual
        if folder == tmp_path:
            write_report(study, folder, beside)
        tab.set_viewport_size({"width": width, "height": 900})
        tab.emulate_media(color_scheme=scheme)
        tab.mouse.move(0, 0)  # not where the test before left it
        tab.goto((folder / "index.html").as_uri())
        tab.wait_for_selector("html[data-ready]")
        return tab

    for event, listener in listeners.items():
        tab.on(event, listener)
    yield open_page
    tab.wait_for_timeout(100)
    tab.goto("about:blank")  # what is left of the page cannot reach the next test
    for event, listener in listeners.items():
        tab.remove_listener(event, listener)
    assert troubles == []


def point_at(page, plot, position, *, click=False):
    page.locator(f"#{plot}").scroll_into_view_if_needed()
    spot = page.evaluate(SPOT, [plot, position])
    page.mouse.move(*spot)
    if click:
        page.mouse.down()
        page.mouse.up()


def rows(page):
    return page.eval_on_selector_all(
        "#all-trials tbody tr", "all => all.map(r => Number(r.dataset.position))"
    )


def pasted(page):
    """Return the clipboard by the one way that is open to every page: a paste."""
    page.evaluate("document.body.append(Object.assign(document.createElement('textarea'), {id: 'paste'}))")
    page.locator("#paste").focus()
    page.keyboard.press("Control+V")
    text = page.locator("#paste").input_value()
    page.evaluate("document.getElementById('paste').remove()")
    return text


def test_every_plot_is_drawn(visit):
    page = visit(synthetic())
    assert page.eval_on_selector_all(".plot[data-figure]", "plots => plots.map(p => p.id)") == PLOTS
    for name in PLOTS:
        assert page.locator(f"#{name} .scatterlayer .trace").count() >= 2, name
    assert "Pareto front" in page.inner_text("#front h2")
    assert "no space" in page.inner_text("#importance .note")


@pytest.mark.parametrize("case", EDGE_CASES)
def test_every_state_of_a_study_is_drawn(visit, case):
    study = EDGE_CASES[case]
    page = visit(study)
    assert page.locator("h1").inner_text() == "synthetic"
    assert page.locator("#pareto .ytick").count() > 1
    assert len(rows(page)) == len(study.records)
    assert page.locator("#pinned").is_visible() == (study.best is not None)


def test_hover_shows_the_whole_block_both_costs_and_the_curve(visit):
    study = synthetic()
    page = visit(study)
    point_at(page, "pareto", study.records.index(study.front[-1]))  # a per-stage block
    page.wait_for_selector("#tip:not([hidden])")
    text = page.locator("#tip").text_content()
    for part in (
        "k3g64;k3g64;k3+k3g64;k3+k3", "40.20 %", "reference 4.267 GFLOPs", "proxy", "seed 0, 6 epochs", "trial 19",
    ):  # fmt: skip
        assert part in text
    points = page.locator("#tip polyline").get_attribute("points").split()
    assert len(points) == 6
    page.mouse.move(2, 2)
    page.wait_for_selector("#tip", state="hidden")


def test_a_click_pins_a_trial_in_panel_plots_and_table(visit):
    study = synthetic()
    page = visit(study)
    assert page.inner_text("#pinned-name") == f"trial {study.best.number}: complete, on the front"
    chosen = study.searched[3]
    position = study.records.index(chosen)
    point_at(page, "pareto", position, click=True)
    assert page.inner_text("#pinned-name") == "trial 3: complete"
    assert page.inner_text("#pinned-block") == chosen.block
    panel = page.inner_text("#pinned")
    for part in (
        f"{100 * chosen.val_error:.2f} %", f"{chosen.ref_macs / 1e9:.3f} GFLOPs", f"{chosen.ref_params / 1e6:.2f} M",
        f"{chosen.proxy_macs / 1e6:.2f} M", f"{chosen.proxy_params / 1e3:.1f} k",
        chosen.arch_id, chosen.net_id, chosen.key,
    ):  # fmt: skip
        assert part in panel, part
    for at in place(chosen.block):
        assert f"Table {at.table}: {' | '.join(at.nearest)}" in panel
    assert page.locator("#drawing svg").count() == 1
    assert page.locator("#pinned-curve .scatterlayer .point").count() == 6
    for plot in PLOTS[:2]:
        ring = page.locator(f"#{plot} .ring").bounding_box()
        x, y = page.evaluate(SPOT, [plot, position])
        assert (ring["x"] + ring["width"] / 2, ring["y"] + ring["height"] / 2) == pytest.approx(
            (x, y), abs=1.5
        )
    marked = page.eval_on_selector_all("#all-trials tr.pinned", "r => r.map(r => Number(r.dataset.position))")
    assert marked == [position]


def test_each_of_several_trials_at_one_point_is_reached(visit):
    """Two trials at one place, and the front of another study on top of them."""
    study = synthetic()
    first = study.searched[3]
    twin = replace(first, number=90, block="k5g64", arch_id="twin", key="twin")
    below = only(("k3", "complete", 0.43, 6), name="the-other").records[0]
    covering = replace(below, ref_macs=first.ref_macs, val_error=first.val_error)
    other = only(("k3", "complete", 0.43, 6), name="the-other").with_records([covering])
    page = visit(study.with_records([*study.records, twin]), beside=[other])
    position = study.records.index(first)
    seen = []
    for _ in range(3):
        page.mouse.move(2, 2)
        point_at(page, "pareto", position, click=True)
        seen.append(page.inner_text("#pinned-name"))
    assert sorted(seen[:2]) == ["trial 3: complete", "trial 90: complete"]
    assert seen[2] == seen[0]
    tip = page.locator("#tip").text_content()
    assert "2 trials lie at this point: each click shows the next." in tip
    assert "front of the-other: k3" in tip
    assert "2 trials lie at this point:" in page.inner_text("#pinned-here")
    assert "At the same point: front of the-other: k3" in page.inner_text("#pinned-here")
    # and from the keyboard: a row of the table, then the buttons of what lies there
    page.locator(f'#all-trials tr[data-position="{position}"]').press("Enter")
    assert page.inner_text("#pinned-name") == "trial 3: complete"
    page.locator("#pinned-here button", has_text="trial 90").press("Enter")
    assert page.inner_text("#pinned-name") == "trial 90: complete"
    assert page.evaluate("document.activeElement.textContent") == "trial 90"


def test_every_trial_of_the_committed_searches_is_reached_by_a_click(visit, monkeypatch):
    """Fronts of one search hid trials of the other: seven of ten trainings are the same."""
    monkeypatch.chdir(Path(__file__).parents[2])
    study = load_study("first-search")
    page = visit(study, 1400, beside=[load_study("first-random")])
    for position, record in enumerate(study.records):
        if record.origin == "search" and record.status == "complete":
            shown = []
            for _ in range(3):  # where several lie at one point, each click shows the next
                page.mouse.move(2, 2)
                point_at(page, "pareto", position, click=True)
                shown.append(page.inner_text("#pinned-name").partition(":")[0])
            assert f"trial {record.number}" in shown


def test_the_table_of_all_trials_opens_at_its_top_with_one_dot_a_row(visit):
    page = visit(synthetic())
    box = page.locator(".box:has(> #all-trials)")
    assert box.evaluate("box => box.scrollHeight > box.clientHeight")
    assert box.evaluate("box => box.scrollTop") == 0
    dots = """rows => rows.map(row => [row, ...row.querySelectorAll("*")].filter(
        each => getComputedStyle(each, "::before").content !== "none").length)"""
    assert set(page.eval_on_selector_all("#all-trials tbody tr", dots)) == {1}


def test_no_line_strikes_a_label_through(visit):
    """The noise bar and the anchors' lines are named in legends; what is named in a plot has a lens around it."""
    page = visit(synthetic())
    for plot in ("incumbent-images", "incumbent-trained", "curves"):
        assert page.locator(f"#{plot} .annotation-text").count() == 0
        assert "within seed noise of the best" in page.locator(f"#{plot} .legend").text_content()
    assert "K3+K5 SK, mean of 2: 41.60 %" in page.locator("#incumbent-images .legend").text_content()
    halo = "all => all.map(each => getComputedStyle(each)).map(each => [each.paintOrder, each.strokeWidth])"
    found = page.eval_on_selector_all("#pareto .annotation-text", halo)
    assert found
    assert all(order.startswith("stroke") and width == "3px" for order, width in found)


def test_what_scrolls_has_a_name_and_is_reached_by_the_keyboard(visit):
    page = visit(synthetic(), 390)
    scrolling = """all => all.filter(each => ["auto", "scroll"].includes(getComputedStyle(each).overflowX)
        && (each.scrollWidth > each.clientWidth || each.scrollHeight > each.clientHeight)
        ).map(each => [each.tabIndex, each.getAttribute("role"), Boolean(each.getAttribute("aria-label"))])"""
    found = page.eval_on_selector_all("main *", scrolling)
    assert len(found) >= 4
    assert all(each == [0, "region", True] for each in found)


def test_rows_and_front_numbers_pin_too(visit):
    study = synthetic()
    page = visit(study)
    page.locator("#all-trials tbody tr").nth(6).click()
    assert page.inner_text("#pinned-block") == study.records[6].block
    page.locator("#all-trials tbody tr").nth(5).press("Enter")
    assert page.inner_text("#pinned-block") == study.records[5].block
    page.locator("[data-pin]").first.click()
    assert page.inner_text("#pinned-block") == study.front[0].block


def test_copy_buttons_copy_notation_json_and_the_command(visit):
    study = synthetic(name="it's mine")
    page = visit(study)
    best = study.best
    page.click("#copy-block")
    assert pasted(page) == best.block
    page.click("#copy-json")
    found = json.loads(pasted(page))
    assert (found["study"], found["number"], found["block"]) == ("it's mine", best.number, best.block)
    assert (found["val_error"], found["ref_macs"]) == (best.val_error, best.ref_macs)
    assert found["curve"] == [epoch.val_error for epoch in best.curve]
    page.click("#copy-export")
    assert pasted(page) == f"skexplore export 'it'\"'\"'s mine' --trial {best.number}"
    # what cannot be exported has no command
    page.locator("#all-trials tbody tr").first.click()
    assert page.locator("#export").is_hidden()


def test_the_table_is_filtered_and_sorted(visit):
    study = synthetic()
    page = visit(study)
    records = study.records
    assert rows(page) == list(range(len(records)))
    page.fill("#filter-text", "k3d2 trial")
    assert [records[p] for p in rows(page)] == [
        r for r in records if "k3d2" in r.block and r.origin != "anchor"
    ]
    page.fill("#filter-text", "")
    page.select_option("#filter-status", "stopped")
    assert [records[p].status for p in rows(page)] == ["stopped", "stopped"]
    page.select_option("#filter-status", "")
    page.check("#filter-front")
    page.click("[data-column=val_error]")
    errors = [records[p].val_error for p in rows(page)]
    assert errors == sorted(record.val_error for record in study.front)
    page.click("[data-column=val_error]")
    assert [records[p].val_error for p in rows(page)] == errors[::-1]
    page.uncheck("#filter-front")
    shown = [records[p].val_error for p in rows(page)]
    assert shown[-1] is None  # what has no error comes last in both directions
    assert f"{len(records)} of {len(records)} shown" in page.inner_text("#count")


def test_hostile_name_command_and_block_label_stay_text(visit, monkeypatch):
    # no such block can be parsed, so that whoever parses it is told a real one
    for module in (page_module, checklist, belief):
        monkeypatch.setattr(
            module, "parse_blocks", lambda block: parse_blocks("k3" if "<" in block else block)
        )
    study = synthetic(name=HOSTILE, command=HOSTILE, environment={"k": "</script><b>x</b>"})
    best = study.best
    changed = [replace(each, block=HOSTILE) if each == best else each for each in study.records]
    opened = visit(study.with_records(changed))
    assert opened.locator("h1").text_content() == HOSTILE
    assert opened.locator("#origin pre").text_content() == HOSTILE
    assert opened.locator("#pinned-block").text_content() == HOSTILE
    assert HOSTILE in opened.locator("#all-trials").text_content()
    point_at(opened, "pareto", study.records.index(best))
    opened.wait_for_selector("#tip:not([hidden])")
    assert HOSTILE in opened.locator("#tip").text_content()
    assert opened.locator("h1 *, pre *, img, #origin b, td script, #tip img, main b script").count() == 0


def test_a_block_of_one_s_own_is_told_from_the_anchors(visit):
    study = synthetic()
    own = replace(study.records[0], block="k1+k5", sampler="user", number=9)
    opened = visit(study.with_records([own, *study.records]))
    opened.locator("#all-trials tbody tr").first.click()
    assert opened.inner_text("#pinned-name") == "own block 9: complete"
    opened.fill("#filter-text", "own block")
    assert rows(opened) == [0]
    assert opened.locator("#all-trials tbody td.origin").first.inner_text() == "own block"


def test_a_study_beside_is_laid_over(visit):
    other = only(("k3", "complete", 0.43, 6), ("k3g64", "complete", 0.44, 6), anchors=True, name="the-other")
    opened = visit(synthetic(), beside=[other])
    names = "id => document.getElementById(id)._fullData.map(t => t.name)"
    assert "front of the-other" in opened.evaluate(names, "pareto")
    assert "best of the-other" in opened.evaluate(names, "incumbent-images")
    assert "Compared with: the-other, 2 trained, its best 43.80 %" in opened.inner_text("#front")
    # what is the study's own is named so, too, and so are trainings that both have
    assert "front of synthetic" in opened.evaluate(names, "pareto")
    assert "best of synthetic" in opened.evaluate(names, "incumbent-images")
    assert "Shared: 1 of 13 trainings here are among its 2" in opened.inner_text("#front")


def test_nine_studies_laid_over_have_nine_looks():
    looks = [tuple(overlay(number).values()) for number in range(9)]
    assert len(set(looks)) == 9
    assert len({color for color, _ in looks[:3]}) == 3


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


def test_ten_thousand_trials_are_searched_sorted_and_shown_step_by_step(visit, tmp_path):
    study = many(10_000)
    opened = visit(study)
    assert (tmp_path / "index.html").stat().st_size < 15e6
    assert "100 of 10,004 shown" in opened.inner_text("#count")
    wanted = next(record for record in study.searched if record.number == 7_777)
    opened.fill("#filter-text", "trial 7777")
    assert [study.records[p] for p in rows(opened)] == [wanted]
    opened.locator("#all-trials tbody tr").first.click()
    assert opened.inner_text("#pinned-block") == wanted.block
    assert opened.locator("#drawing svg").count() == 1
    opened.fill("#filter-text", "")
    opened.click("#more")
    assert "1,100 of 10,004 shown" in opened.inner_text("#count")


# -- the plot of the front over chosen axes, and what the address keeps

DRAWN = """() => document.getElementById("pareto")._fullData.filter(t => ["front", "complete"].includes(t.meta)).map(
  t => ({meta: t.meta, x: [...t.x], y: [...t.y], positions: [...t.customdata], opacity: t.marker.opacity,
         color: t.marker.color, bars: t.error_y.visible === false ? null : [t.error_y.array, t.error_y.arrayminus]}))"""
AXES = {
    "ref_params": lambda record: record.ref_params / 1e6,
    "proxy_macs": lambda record: record.proxy_macs / 1e6,
    "proxy_params": lambda record: record.proxy_params / 1e3,
    "seconds": lambda record: record.seconds,
}


@pytest.mark.parametrize("axis", AXES)
def test_trials_stand_over_the_chosen_axis_and_its_own_front_is_filled(visit, noise_is_known, axis):
    study = synthetic()
    page = visit(study)
    page.select_option("#axis-x", axis)
    page.wait_for_timeout(200)
    assert f"x={axis}" in page.url
    found = {trace["meta"]: trace for trace in page.evaluate(DRAWN)}
    complete = {study.records.index(r) for r in study.searched if r.status == "complete"}
    assert {*found["front"]["positions"], *found["complete"]["positions"]} == complete
    for trace in found.values():
        at = [study.records[position] for position in trace["positions"]]
        assert trace["x"] == pytest.approx([AXES[axis](record) for record in at])
        assert trace["y"] == pytest.approx([100 * study.estimated(record) for record in at])
    above, below = found["front"]["bars"]
    for position, high, low in zip(found["front"]["positions"], above, below, strict=True):
        own = study.estimates[study.records[position].block]
        assert (high, low) == pytest.approx((100 * (own.high - own.estimate), 100 * (own.estimate - own.low)))
    front = {study.records.index(record) for record in study.front_over(AXES[axis])}
    assert {*found["front"]["positions"]} <= front  # of equals one is drawn
    assert len({study.records[p].block for p in front}) == len(found["front"]["positions"])


def test_the_error_of_the_training_itself_is_drawn_too_and_a_budget_where_there_is_one(visit):
    study = synthetic()
    page = visit(study)
    page.select_option("#axis-y", "single")
    page.check("#logx")
    page.wait_for_timeout(200)
    for trace in page.evaluate(DRAWN):
        at = [study.records[position] for position in trace["positions"]]
        assert trace["y"] == pytest.approx([100 * record.val_error for record in at])
    layout = "name => { const at = document.getElementById('pareto')._fullLayout; return at[name]; }"
    assert [shape["x0"] for shape in page.evaluate(layout, "shapes")] == pytest.approx(
        [study.spec.budget_gflops]
    )
    axis = page.evaluate(
        "(({type, range}) => [type, range])(document.getElementById('pareto')._fullLayout.xaxis)"
    )
    costs = [record.ref_macs / 1e9 for record in study.searched if record.status == "complete"]
    assert axis[0] == "log"
    assert 0.5 * min(costs) < 10 ** axis[1][0] < min(costs) < max(costs) < 10 ** axis[1][1] < 2 * max(costs)
    anchors = page.evaluate(
        "() => document.getElementById('pareto')._fullData.find(t => t.meta === 'anchors').y"
    )
    assert anchors == pytest.approx(list(100 * anchors_table(study)["mean"]))
    page.select_option("#axis-x", "order")
    page.wait_for_timeout(200)
    assert [trace["meta"] for trace in page.evaluate(DRAWN)] == ["complete"]  # the order is no cost
    assert page.evaluate(layout, "shapes") == []


def test_colours_tell_the_levels_of_a_decision_apart(visit):
    study = synthetic()
    page = visit(study)
    page.select_option("#axis-color", "M")
    page.wait_for_timeout(200)
    colors = {}
    for trace in page.evaluate(DRAWN):
        for position, color in zip(trace["positions"], trace["color"], strict=True):
            block = study.records[position].block
            colors.setdefault(str(traits_of(parse_blocks(block))["M"]), set()).add(color)
    assert len(colors) > 1
    assert all(len(found) == 1 for found in colors.values())
    assert len({color for (color,) in colors.values()}) == len(colors)
    legend = page.locator("#pareto .legend").text_content()
    assert all(f"M {level}" in legend for level in colors)


def test_a_click_on_a_level_in_the_legend_asks_the_table_for_it(visit):
    page = visit(synthetic())
    page.select_option("#axis-color", "M")
    page.wait_for_timeout(200)
    page.locator("#pareto .legend .traces", has_text="M 2").locator(".legendtoggle").click()
    page.wait_for_timeout(600)  # plotly waits whether a second click comes
    assert page.input_value("#filter-text") == "M=2"
    assert {traits_of(parse_blocks(synthetic().records[p].block))["M"] for p in rows(page)} == {2}


def test_a_study_without_anchors_and_budget_is_drawn_over_other_axes_too(visit):
    study = only(("k3", "complete", 0.43, 6), ("k3g64", "complete", 0.44, 6), anchors=False)
    free = replace(study, spec=replace(study.spec, budget_gflops=None, budget_params_m=None, mode="pareto"))
    page = visit(free)
    page.select_option("#axis-x", "ref_params")
    page.check("#logy")
    page.wait_for_timeout(200)
    assert sum(len(trace["positions"]) for trace in page.evaluate(DRAWN)) == 2


def test_a_flat_drag_zooms_one_axis_and_is_kept(visit):
    page = visit(synthetic())
    page.locator("#pareto").scroll_into_view_if_needed()
    box = page.locator("#pareto .nsewdrag").bounding_box()
    page.mouse.move(box["x"] + 100, box["y"] + 100)
    page.mouse.down()
    page.mouse.move(box["x"] + 300, box["y"] + 103, steps=5)
    page.mouse.up()
    page.wait_for_selector("#whole:not([hidden])")
    assert "zoom=" in page.url


def test_a_drag_zooms_and_a_double_click_shows_all(visit):
    page = visit(synthetic())
    page.locator("#pareto").scroll_into_view_if_needed()
    box = page.locator("#pareto .nsewdrag").bounding_box()
    page.mouse.move(box["x"] + 60, box["y"] + 60)
    page.mouse.down()
    page.mouse.move(box["x"] + 300, box["y"] + 250, steps=5)
    page.mouse.up()
    page.wait_for_selector("#whole:not([hidden])")
    low, high = page.evaluate("() => document.getElementById('pareto')._fullLayout.xaxis.range")
    assert "zoom=" in page.url
    page.mouse.dblclick(box["x"] + 500, box["y"] + 10)
    page.wait_for_selector("#whole", state="hidden")
    whole = page.evaluate("() => document.getElementById('pareto')._fullLayout.xaxis.range")
    assert whole[0] < low < high < whole[1]
    assert "zoom=" not in page.url


def test_a_lasso_leaves_in_the_table_what_it_holds(visit):
    page = visit(synthetic())
    page.locator("#pareto").scroll_into_view_if_needed()
    box = page.locator("#pareto .nsewdrag").bounding_box()
    left, top, right, bottom = (
        box["x"] + 30,
        box["y"] + 30,
        box["x"] + box["width"] / 2,
        box["y"] + box["height"] - 30,
    )
    page.mouse.move(left, top)
    page.keyboard.down("Shift")
    while page.evaluate("() => document.getElementById('pareto')._fullLayout.dragmode") != "lasso":
        page.wait_for_timeout(50)
    page.mouse.down()
    for corner in ((right, top), (right, bottom), (left, bottom), (left, top + 5)):
        page.mouse.move(*corner, steps=5)
    page.mouse.up()
    page.keyboard.up("Shift")
    page.wait_for_selector("#unbrush:not([hidden])", timeout=5000)
    held = {*rows(page)}
    drawn = {position for trace in page.evaluate(DRAWN) for position in trace["positions"]}
    spots = {position: page.evaluate(SPOT, ["pareto", position]) for position in drawn}
    inside = {position for position, (x, y) in spots.items() if left < x < right and top < y < bottom}
    assert held & drawn == inside
    assert 0 < len(inside) < len(drawn)
    page.click("#unbrush")
    assert len(rows(page)) == len(synthetic().records)


def test_conditions_filter_the_table_and_fade_the_plot(visit):
    study = synthetic()
    page = visit(study)
    page.fill("#filter-text", "m=2 gflops<4.4 select")
    wanted = [
        position
        for position, record in enumerate(study.records)
        if traits_of(parse_blocks(record.block))["M"] == 2
        and record.ref_macs < 4.4e9
        and "select" in record.block
    ]
    assert rows(page) == wanted == []  # a word that is no condition is looked for in the notation
    page.fill("#filter-text", "m=2 gflops<4.4")
    found = rows(page)
    assert found == [
        position
        for position, record in enumerate(study.records)
        if traits_of(parse_blocks(record.block))["M"] == 2 and record.ref_macs < 4.4e9
    ]
    assert found
    page.wait_for_timeout(200)
    for trace in page.evaluate(DRAWN):
        faded = [position in found for position in trace["positions"]]
        assert [value == 1 for value in trace["opacity"]] == faded
    page.fill("#filter-text", "r!=16 estimate<100")
    others = {r.block for r in study.records if traits_of(parse_blocks(r.block))["r"] not in (16, None)}
    assert {study.records[p].block for p in rows(page)} == others & {*study.estimates}


def test_the_tray_sets_blocks_side_by_side_and_marks_what_differs(visit):
    study = synthetic()
    page = visit(study)
    page.click("#compare")
    page.locator("#pareto").press("ArrowLeft")
    page.locator("#pareto").press("c")
    assert page.locator("#tray .card").count() == 2
    shown = page.eval_on_selector_all("#tray .card code", "all => all.map(each => each.textContent)")
    assert shown[0] == study.best.block
    assert shown[1] != shown[0]
    made = [traits_of(parse_blocks(block)) for block in shown]
    marks = page.eval_on_selector_all(
        "#tray .card:first-child dt", "all => all.map(each => [each.textContent, each.nextSibling.className])"
    )
    assert {name: made[0][name] != made[1][name] for name in made[0]} == {
        name: mark == "differs" for name, mark in marks if name in made[0]
    }
    page.locator("#tray .card button", has_text="remove").first.click()
    assert page.locator("#tray .card").count() == 1
    page.click("#tray-empty")
    assert page.locator("#tray").is_hidden()


def test_the_address_brings_back_what_was_chosen(visit, tab):
    study = synthetic()
    page = visit(study)
    page.select_option("#axis-x", "ref_params")
    page.select_option("#axis-color", "kernels")
    page.check("#logy")
    page.fill("#filter-text", "M=1")
    page.locator("#all-trials tbody tr").first.click()
    page.click("#compare")
    address = page.url
    name = page.inner_text("#pinned-name")
    tab.goto("about:blank")
    tab.goto(address)
    tab.wait_for_selector("html[data-ready]")
    assert tab.url == address
    assert [tab.input_value("#axis-x"), tab.input_value("#axis-color")] == ["ref_params", "kernels"]
    assert tab.is_checked("#logy")
    assert (tab.input_value("#filter-text"), tab.inner_text("#pinned-name")) == ("M=1", name)
    assert tab.locator("#tray .card").count() == 1


@pytest.mark.parametrize(
    "address",
    [
        "#x=nothing&color=__proto__&zoom=a,b&pin=trial-999&tray=x",
        "#x=constructor&y=toString",
        "#trials",
        "#%",
    ],
)
def test_an_address_that_says_nothing_known_is_no_trouble(visit, tab, address):
    page = visit(synthetic())
    here = page.url.split("#")[0]
    tab.goto("about:blank")
    tab.goto(here + address)
    tab.wait_for_selector("html[data-ready]")
    assert tab.input_value("#axis-x") == "ref_macs"
    assert tab.inner_text("#pinned-name").startswith("trial")


def test_the_selection_and_the_plot_are_saved_as_files(visit):
    study = synthetic()
    page = visit(study)
    page.fill("#filter-text", "M=2")
    chosen = [study.records[position] for position in rows(page)]
    with page.expect_download() as saved:
        page.click("#save-csv")
    lines = Path(saved.value.path()).read_text().splitlines()
    assert len(lines) == 1 + len(chosen)
    assert lines[0].startswith("number,origin,block,")
    with page.expect_download() as saved:
        page.click("#save-json")
    found = json.loads(Path(saved.value.path()).read_text())
    assert [each["block"] for each in found] == [record.block for record in chosen]
    with page.expect_download() as saved:
        page.click("#save-svg")
    assert Path(saved.value.path()).read_text().startswith("<svg")


def test_strips_show_every_complete_trial_at_its_levels_and_choose_with_the_lasso(visit):
    study = synthetic()
    page = visit(study)
    complete = {study.records.index(r) for r in study.eligible()}
    made = {position: traits_of(parse_blocks(study.records[position].block)) for position in complete}
    varied = [
        name
        for name in ("M", "kernels", "groups", "r", "L", "fuse")
        if len({str(m[name]) for m in made.values()}) > 1
    ]
    panes = page.eval_on_selector_all("#slices .plot", "all => all.map(pane => pane.id)")
    assert panes == [f"slice-{name}" for name in varied]
    strip = """pane => {
      const { _fullData: [dots], _fullLayout: { xaxis } } = document.getElementById(pane);
      return [dots.customdata, dots.x.map((x) => xaxis.ticktext[Math.round(x)])];
    }"""
    for name, pane in zip(varied, panes, strict=True):
        positions, levels = page.evaluate(strip, pane)
        assert {*positions} == complete
        assert [str(made[p][name]) if made[p][name] is not None else "–" for p in positions] == levels
    page.evaluate("pane => document.getElementById(pane).scrollIntoView({block: 'center'})", panes[0])
    box = page.locator(f"#{panes[0]} .nsewdrag").bounding_box()
    page.mouse.move(box["x"] + 2, box["y"] + 2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] - 2, steps=8)
    page.mouse.up()
    page.wait_for_selector("#unbrush:not([hidden])")
    held = {*rows(page)}
    assert held
    assert held < complete
    page.click("#unbrush")
    assert len(rows(page)) == len(study.records)
