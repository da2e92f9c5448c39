"""The page's plot over the axes that its reader chooses, its colours, zoom and lasso."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from support.pages import DRAWN, SPOT, drag, rows
from support.studies import only, synthetic

from skexplore.analysis import anchors_table
from skexplore.arch.notation import parse_blocks
from skexplore.arch.traits import traits_of

STUDIES = Path(__file__).parents[2] / "studies"

pytestmark = [pytest.mark.page, pytest.mark.slow]

AXES = {
    "ref_params": lambda record: record.ref_params / 1e6,
    "proxy_macs": lambda record: record.proxy_macs / 1e6,
    "proxy_params": lambda record: record.proxy_params / 1e3,
    "seconds": lambda record: round(record.seconds, 1),
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
    # plotly waits whether a second click comes
    page.wait_for_function("document.getElementById('filter-text').value === 'M=2'")
    page.wait_for_timeout(200)
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
    drag(page, "pareto", (100, 100), (300, 103))
    page.wait_for_selector("#whole:not([hidden])")
    assert "zoom=" in page.url


def test_a_drag_zooms_and_a_double_click_shows_all(visit):
    page = visit(synthetic())
    box = drag(page, "pareto", (60, 60), (300, 250))
    page.wait_for_selector("#whole:not([hidden])")
    low, high = page.evaluate("() => document.getElementById('pareto')._fullLayout.xaxis.range")
    assert "zoom=" in page.url
    # again as a reader does: plotly counts two clicks within 300 ms, which a busy machine can miss
    for _ in range(20):
        page.mouse.dblclick(box["x"] + 500, box["y"] + 10)
        page.wait_for_timeout(500)
        if page.locator("#whole").is_hidden():
            break
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
