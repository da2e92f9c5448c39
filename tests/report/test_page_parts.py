"""The page's further parts: placement, course, what is confirmed, the checklist, pictures of plots."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from support.pages import pasted, rows
from support.studies import synthetic

from skexplore.analysis import checklist, confirmation_table, timeline_table
from skexplore.study import load_study

STUDIES = Path(__file__).parents[2] / "studies"

pytestmark = [pytest.mark.page, pytest.mark.slow]

PANES = "panes => panes.filter(p => !p.hidden).map(p => p.dataset.value)"


def test_one_published_table_is_shown_at_a_time_and_the_address_says_which(visit, tab):
    page = visit(synthetic())
    faint = """() => document.getElementById("placement")._fullData.filter(t => /^Table/.test(t.name)).map(
      t => [t.name, t.opacity < 1])"""
    assert page.eval_on_selector_all("#place [data-pane]", PANES) == ["3"]
    page.get_by_role("button", name="Table 7").click()
    assert page.eval_on_selector_all("#place [data-pane]", PANES) == ["7"]
    page.wait_for_timeout(200)
    assert page.evaluate(faint) == [["Table 3", True], ["Table 6", True], ["Table 7", False]]
    assert page.get_by_role("button", name="Table 7").get_attribute("aria-pressed") == "true"
    assert "table=7" in page.url
    page.reload()
    tab.wait_for_selector("html[data-ready]")
    assert page.eval_on_selector_all("#place [data-pane]", PANES) == ["7"]


def test_the_course_is_drawn_over_images_or_over_trainings(visit, tab):
    page = visit(synthetic())
    assert page.eval_on_selector_all("#course [data-pane]", PANES) == ["images"]
    page.get_by_role("button", name="over trainings").click()
    assert page.eval_on_selector_all("#course [data-pane]", PANES) == ["trained"]
    page.wait_for_timeout(400)
    width = "part => document.querySelector(`#incumbent-trained${part}`).getBoundingClientRect().width"
    room = page.evaluate(width, "")
    assert room > 400
    assert page.evaluate(width, " .main-svg") == pytest.approx(room, abs=2)
    page.goto(page.url)
    page.reload()
    tab.wait_for_selector("html[data-ready]")
    assert page.eval_on_selector_all("#course [data-pane]", PANES) == ["trained"]
    assert page.evaluate(width, " .main-svg") == pytest.approx(room, abs=2)


def test_trainings_stand_when_they_ran_and_show_their_trial(visit):
    study, at = synthetic(), iter(range(60))
    ran = [replace(r, ended=f"2026-01-31T12:{next(at):02}:00Z") if r.curve else r for r in study.records]
    page = visit(study.with_records(ran))
    drawn = """() => document.getElementById("timeline")._fullData.map(
      t => [t.name, [...t.base], [...t.x], [...t.y], [...t.customdata]])"""
    found = page.evaluate(drawn)
    table = timeline_table(study.with_records(ran))
    assert {name for name, *_ in found} == {"anchors", "complete", "not complete"}
    bars = {
        place: (b, x, y)
        for _, base, long, lanes, at in found
        for b, x, y, place in zip(base, long, lanes, at, strict=True)
    }
    assert {*bars} == {*table["position"]}
    for row in table.to_dict("records"):
        minutes = (row["begin"] / 60, row["seconds"] / 60)
        assert bars[row["position"]] == (
            pytest.approx(minutes[0]),
            pytest.approx(minutes[1]),
            row["lane"],
        )
    page.locator("#timeline").scroll_into_view_if_needed()
    box = page.locator("#timeline .bars path").first.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    assert study.records[found[0][4][0]].block in page.inner_text("#tip")


def test_curves_are_those_of_what_the_table_leaves(visit):
    study = synthetic()
    page = visit(study)
    drawn = """() => [...new Set(document.getElementById("curves")._fullData.flatMap(
      t => (t.customdata || []).filter((_, i) => t.y[i] !== null && t.y[i] !== undefined)))]"""
    assert len(page.evaluate(drawn)) > 5
    page.fill("#filter-text", "M=1 k3g64")
    page.wait_for_timeout(300)
    left = {position for position in rows(page) if study.records[position].curve}
    assert left
    assert {*page.evaluate(drawn)} == left


def test_an_open_question_s_command_is_copied_and_open_ones_come_first(visit):
    study = replace(synthetic(), archived=False)
    page = visit(study)
    classes = page.eval_on_selector_all(".checks li", "all => all.map(each => each.className)")
    assert classes == sorted(classes, key=["undone", "unknown", "done"].index)
    button = page.locator(".checks li.undone [data-copy]").first
    item = next(each for each in checklist(study) if each.command)
    assert item.command.startswith("skexplore ")
    assert button.get_attribute("data-copy") == item.command
    button.click()
    assert pasted(page) == item.command


def test_any_plot_is_saved_as_a_picture(visit):
    page = visit(synthetic())
    for plot, kind in (("placement", "svg"), ("incumbent-images", "png")):
        page.locator(f"#{plot}").scroll_into_view_if_needed()
        page.hover(f"#{plot} .nsewdrag", position={"x": 5, "y": 5})
        with page.expect_download() as download:
            page.locator(f"#{plot} .modebar-btn[data-title$='{kind.upper()}']").click()
        assert download.value.suggested_filename == f"synthetic-{plot}.{kind}"
        head = Path(download.value.path()).read_bytes()[:200]
        assert head.startswith(b"\x89PNG") if kind == "png" else b"<svg" in head


def test_finalists_are_drawn_then_and_now(visit):
    first, confirmation = (
        load_study(str(STUDIES / name)) for name in ("first-search", "first-search-confirm")
    )
    page = visit(first, beside=[confirmation])
    drawn = page.evaluate(
        "() => Object.fromEntries(document.getElementById('finalists-1')._fullData.map(t => [t.name, [...t.x]]))"
    )
    table = confirmation_table(confirmation)
    assert drawn["validation, in the search"] == pytest.approx(list(100 * table["searched_error"].dropna()))
    assert drawn["validation, now"] == pytest.approx(list(100 * table["val_mean"]))
    assert drawn["test, now, 95 %"] == pytest.approx(list(100 * table["test_mean"]))


def test_arrows_lead_from_the_error_of_the_search_to_the_one_on_test(visit, tab):
    first, confirmation = (
        load_study(str(STUDIES / name)) for name in ("first-search", "first-search-confirm")
    )
    page = visit(first, beside=[confirmation])
    drawn = """meta => { const trace = document.getElementById("pareto")._fullData.find(t => t.meta === meta);
      return trace ? [[...trace.x], [...trace.y], trace.error_y.array, trace.error_y.arrayminus] : null; }"""
    assert page.evaluate(drawn, "confirmed") is None
    page.check("#arrows")
    page.wait_for_timeout(300)
    assert "arrows=true" in page.url
    table = confirmation_table(confirmation)
    rows = {row["variant"]: row for row in table.to_dict("records") if row["variant"] in first.estimates}
    assert len(rows) > 3
    trained = {record.block: record for record in first.records}
    x, y, above, below = page.evaluate(drawn, "confirmed")
    assert x == pytest.approx([trained[block].ref_macs / 1e9 for block in rows])
    assert y == pytest.approx([100 * row["test_mean"] for row in rows.values()])
    assert above == pytest.approx([100 * (row["test_high"] - row["test_mean"]) for row in rows.values()])
    assert below == pytest.approx([100 * (row["test_mean"] - row["test_low"]) for row in rows.values()])
    _, ends, *_ = page.evaluate(drawn, "arrow")
    assert ends[::3] == pytest.approx([100 * first.estimates[block].estimate for block in rows])
    assert ends[1::3] == pytest.approx(y)
    low, high = page.evaluate("document.getElementById('pareto')._fullLayout.yaxis.range")
    assert low < min(y) - max(below) < max(ends[::3]) < high
    page.reload()
    tab.wait_for_selector("html[data-ready]")
    page.wait_for_timeout(300)
    assert page.evaluate(drawn, "confirmed")[1] == pytest.approx(y)
    page.select_option("#axis-y", "test")  # where all errors are those of now
    page.wait_for_timeout(300)
    assert page.evaluate(drawn, "confirmed") is None
