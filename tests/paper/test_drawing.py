"""The picture that shows where a block stands: its axes, its circles, and what it says."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest
from hypothesis import given, settings
from support.pictures import check, texts
from support.strategies import any_blocks

from skexplore.arch.costs import cost
from skexplore.arch.notation import parse_blocks
from skexplore.paper.drawing import _Axis, _axis, place_svg
from skexplore.paper.tables import TABLES, published_rows


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [(0, 10, [0, 2, 4, 6, 8, 10]), (0.5, 4.2, [1, 2, 3, 4]), (19, 31, [20, 25, 30])],
)
def test_ticks_are_round_and_reach_both_ends(low, high, ticks):
    assert _Axis(low=low, high=high, start=0, pixels=100, up=False).ticks() == ticks


@pytest.mark.parametrize("up", [False, True])
def test_all_values_lie_within_the_frame_and_apart_from_its_lines(up):
    axis = _axis([4.2, 4.7, 5.9], 60, 300, up=up)
    first, last = (axis.at(4.2), axis.at(5.9))[:: -1 if up else 1]
    assert 60 < first < last < 360
    assert axis.low < 4.2
    assert axis.high > 5.9


@settings(max_examples=25)
@given(any_blocks)
def test_place_drawings_are_well_formed_and_name_every_row(blocks):
    drawing = place_svg(blocks)
    check(drawing)
    said = " ".join(texts(drawing))
    for row in published_rows():
        assert (row.system in said) == (row.table in TABLES)
    own = cost(blocks)
    assert f"this block: {own.macs / 1e9:.3f} GFLOPs, {own.params / 1e6:.2f} M" in said


@settings(max_examples=25)
@given(any_blocks)
def test_circles_do_not_touch(blocks):
    circles = [
        (float(node.get("cx")), float(node.get("cy")))
        for node in ET.fromstring(place_svg(blocks)).iter("circle")
    ]
    assert circles
    for number, (x, y) in enumerate(circles):
        for a, b in circles[:number]:
            assert (x - a) ** 2 + (y - b) ** 2 >= 18**2


def test_rows_that_would_touch_share_a_circle_and_no_others_do():
    root = ET.fromstring(place_svg(parse_blocks("k3")))
    circles = [*root.iter("circle")]
    assert 3 < len(circles) < len(published_rows())
    assert len({node.get("cx") for node in circles}) > 3
