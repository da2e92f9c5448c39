"""The page of the report in a real browser."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from support.pages import SPOT, pasted, point_at, rows
from support.studies import EDGE_CASES, many, only, synthetic

from skexplore.arch import block_svg, bodies
from skexplore.arch.notation import parse_blocks
from skexplore.paper.tables import place
from skexplore.report.figures.style import overlay
from skexplore.study import spec as spec_module
from skexplore.study.store import load_study

pytestmark = [pytest.mark.page, pytest.mark.slow]

PLOTS = ["pareto", "placement", "incumbent-images", "incumbent-trained", "curves"]
HOSTILE = "<script>alert(1)</script>\"'\n<img src=x onerror=alert(2)>"

# whether the chosen trial's drawing, but for the width that the page gives it, is the markup of a text
SAME = """text => {
  const own = document.getElementById("drawing").cloneNode(true);
  for (const svg of own.querySelectorAll("svg")) svg.removeAttribute("style");
  return own.innerHTML === new DOMParser().parseFromString(text, "text/html").body.innerHTML;
}"""


def shows_drawing(page, block):
    """Whether the page shows the drawing of ``block`` beside the plot."""
    return page.evaluate(SAME, block_svg(parse_blocks(block)))


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
    assert shows_drawing(page, chosen.block)
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
    assert "within seed noise of the lowest" in page.locator("#curves .legend").text_content()
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
    for module in (bodies, spec_module):
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
    assert "named by the-other" in opened.evaluate(names, "incumbent-images")
    assert "Compared with: the-other, 2 trained, its best 43.80 %" in opened.inner_text("#front")
    # what is the study's own is named so, too, and so are trainings that both have
    assert "front of synthetic" in opened.evaluate(names, "pareto")
    assert "named by synthetic" in opened.evaluate(names, "incumbent-images")
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
    assert (tmp_path / "index.html").stat().st_size < 7e6
    assert "100 of 10,004 shown" in opened.inner_text("#count")
    wanted = next(record for record in study.searched if record.number == 7_777)
    opened.fill("#filter-text", "trial 7777")
    assert [study.records[p] for p in rows(opened)] == [wanted]
    opened.locator("#all-trials tbody tr").first.click()
    assert opened.inner_text("#pinned-block") == wanted.block
    assert shows_drawing(opened, wanted.block)
    opened.fill("#filter-text", "")
    opened.click("#more")
    assert "1,100 of 10,004 shown" in opened.inner_text("#count")
