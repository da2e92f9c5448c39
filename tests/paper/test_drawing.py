"""The axes of the picture that shows where a block stands."""

from __future__ import annotations

import pytest

from skexplore.paper.drawing import _Axis, _axis


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
