"""What the page's views show and choose together, and what the address keeps."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from support.pages import DRAWN, drag, rows
from support.studies import many, synthetic

from skexplore.analysis import believed_levels
from skexplore.arch.notation import parse_blocks
from skexplore.arch.traits import traits_of
from skexplore.study import load_study

STUDIES = Path(__file__).parents[2] / "studies"

pytestmark = [pytest.mark.page, pytest.mark.slow]


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


def test_the_tray_says_how_far_two_blocks_are_apart_and_how_sure_that_is(visit, noise_is_known):
    study = synthetic()
    page = visit(study)
    page.click("#compare")
    page.locator("#pareto").press("ArrowLeft")
    page.locator("#pareto").press("c")
    blocks = page.eval_on_selector_all("#tray .card code", "all => all.map(each => each.textContent)")
    against = (
        "c => [...c.querySelectorAll('dt')].find(d => /against/.test(d.textContent)).nextSibling.textContent"
    )
    said = page.eval_on_selector_all("#tray .card", f"all => all.map({against})")
    assert said[0] == "–"
    numbers = [float(each.replace("−", "-")) for each in re.findall(r"[+−]\d+\.\d+", said[1])]
    best, other = (study.estimates[block].estimate for block in blocks)
    assert numbers[0] == pytest.approx(100 * (other - best), abs=0.006)
    # the interval against one of many more draws
    names, draws = study.model.blocks, study.model.posterior().draw(np.random.default_rng(5), 40_000)
    own, theirs = (100 * draws[:, names.index(block)] for block in (blocks[1], blocks[0]))
    half = (numbers[2] - numbers[1]) / 2
    assert half == pytest.approx(1.645 * float((own - theirs).std()), rel=0.12)


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
    size = page.locator(f"#{panes[0]} .nsewdrag").bounding_box()
    drag(page, panes[0], (2, 2), (size["width"] / 2, size["height"] - 2))
    page.wait_for_selector("#unbrush:not([hidden])")
    held = {*rows(page)}
    assert held
    assert held < complete
    page.click("#unbrush")
    assert len(rows(page)) == len(study.records)


LINES = """() => {
  const { _fullData: traces, _fullLayout: layout } = document.getElementById("parallel");
  const points = traces.find((t) => t.name === "points");
  const names = [...document.querySelectorAll("#axes .axis")].map((axis) => axis.children[1].textContent);
  return { x: points.x, y: points.y, positions: points.customdata, names,
           ticks: layout.annotations.map(({ x, y, text }) => [x, y, text]) };
}"""


def drag_axis(page, axis, axes, top, bottom):
    """Drag around a part of an axis, given as shares of the height of the plot."""
    page.locator("#parallel").scroll_into_view_if_needed()
    size = page.locator("#parallel .nsewdrag").bounding_box()
    at = size["width"] * (axis + 0.5) / axes
    drag(page, "parallel", (at - 20, size["height"] * top), (at + 20, size["height"] * bottom))
    page.wait_for_selector("#unbrush:not([hidden])")
    page.wait_for_timeout(100)


def test_parallel_axes_choose_of_all_trials_and_not_of_those_drawn(visit):
    study = many(3_000)
    page = visit(study)
    drawn = page.evaluate(LINES)
    axes = len(drawn["names"])
    assert len({*drawn["positions"]}) < len(study.eligible())
    drag_axis(page, axes - 1, axes, 0.0, 1.0)  # the whole of the axis
    page.wait_for_function("document.getElementById('count').textContent.includes('shown')")
    assert f"of {len(study.eligible()):,} shown" in page.inner_text("#count")


def test_parallel_axes_hold_every_complete_trial_and_choose_around_an_axis(visit):
    study = synthetic()
    page = visit(study)
    complete = {study.records.index(r) for r in study.eligible()}
    drawn = page.evaluate(LINES)
    assert {*drawn["positions"]} == complete
    names = [name.removesuffix(" ↑") for name in drawn["names"]]
    assert names[-2:] == ["GFLOPs", "error, %"]
    levels = {(round(x), round(y, 6)): text for x, y, text in drawn["ticks"]}
    for at, y, position in zip(drawn["x"], drawn["y"], drawn["positions"], strict=True):
        if at < len(names) - 2:
            value = traits_of(parse_blocks(study.records[position].block))[names[at]]
            assert levels[round(at), round(y, 6)] == ("–" if value is None else str(value))
    errors = {
        p: y
        for at, y, p in zip(drawn["x"], drawn["y"], drawn["positions"], strict=True)
        if at == len(names) - 1
    }
    assert sorted(errors, key=errors.get) == sorted(
        complete, key=lambda p: (study.estimated(study.records[p]), errors[p])
    )
    # a drag around the lower half of the last axis keeps the lower errors, another one there the higher ones instead
    drag_axis(page, len(names) - 1, len(names), 0.5, 0.99)
    assert {*rows(page)} == {position for position, y in errors.items() if y < 0.5}
    drag_axis(page, len(names) - 1, len(names), 0.01, 0.5)
    assert {*rows(page)} == {position for position, y in errors.items() if y > 0.5}
    # around two axes together
    costs = {
        p: y
        for at, y, p in zip(drawn["x"], drawn["y"], drawn["positions"], strict=True)
        if at == len(names) - 2
    }
    drag_axis(page, len(names) - 2, len(names), 0.5, 0.99)
    assert {*rows(page)} == {position for position, y in errors.items() if y > 0.5 > costs[position]}
    page.click("#unbrush")


def test_axes_change_places_and_turn_around_by_the_keyboard_too(visit):
    page = visit(synthetic())
    before = page.evaluate(LINES)
    page.get_by_role("button", name="move error, % to the left").click()
    page.wait_for_timeout(200)
    after = page.evaluate(LINES)
    assert after["names"] == [*before["names"][:-2], before["names"][-1], before["names"][-2]]
    turn = page.get_by_role("button", name="turn error, % around")
    turn.focus()
    page.keyboard.press("Enter")
    page.wait_for_timeout(200)
    turned = page.evaluate(LINES)
    at = len(turned["names"]) - 2
    assert turned["names"][at] == "error, % ↓"

    def heights(drawn):
        return [y for x, y in zip(drawn["x"], drawn["y"], strict=True) if x == at]

    assert heights(turned) == pytest.approx([1 - y for y in heights(after)])


def test_a_strip_shows_what_is_believed_of_a_level(visit):
    study = load_study(str(STUDIES / "first-search"))
    page = visit(study)
    drawn = """() => { const plot = document.getElementById("slice-r"), { ticktext } = plot._fullLayout.xaxis;
      const believed = plot._fullData.find(t => t.name === "believed");
      return believed ? Object.fromEntries(ticktext.map((level, i) => [level, believed.y[i]])) : null; }"""
    found, levels = page.evaluate(drawn), believed_levels(study)["r"]
    assert found == pytest.approx({level: 100 * levels[level] for level in found})
    assert len(found) > 1
