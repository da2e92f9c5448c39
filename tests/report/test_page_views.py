"""The page's plot over the axes that its reader chooses, what views choose together, and what the address keeps."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.pages import SPOT, rows
from support.studies import many, only, synthetic

from skexplore.analysis import anchors_table, confirmation_table
from skexplore.arch.notation import parse_blocks
from skexplore.arch.traits import traits_of
from skexplore.study import load_study

STUDIES = Path(__file__).parents[2] / "studies"

pytestmark = [pytest.mark.page, pytest.mark.slow]

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
    box = page.locator("#parallel .nsewdrag").bounding_box()
    at = box["x"] + box["width"] * (axis + 0.5) / axes
    page.mouse.move(at - 20, box["y"] + box["height"] * top)
    page.mouse.down()
    page.mouse.move(at + 20, box["y"] + box["height"] * bottom, steps=8)
    page.mouse.up()
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


def test_one_published_table_is_shown_at_a_time_and_the_address_says_which(visit, tab):
    page = visit(synthetic())
    faint = """() => document.getElementById("placement")._fullData.filter(t => /^Table/.test(t.name)).map(
      t => [t.name, t.opacity < 1])"""
    shown = "panes => panes.filter(p => !p.hidden).map(p => p.dataset.table)"
    assert page.eval_on_selector_all("#place [data-table]", shown) == ["3"]
    page.get_by_role("button", name="Table 7").click()
    assert page.eval_on_selector_all("#place [data-table]", shown) == ["7"]
    page.wait_for_timeout(200)
    assert page.evaluate(faint) == [["Table 3", True], ["Table 6", True], ["Table 7", False]]
    assert page.get_by_role("button", name="Table 7").get_attribute("aria-pressed") == "true"
    assert "table=7" in page.url
    page.reload()
    tab.wait_for_selector("html[data-ready]")
    assert page.eval_on_selector_all("#place [data-table]", shown) == ["7"]


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
