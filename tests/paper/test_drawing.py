"""The axes of the picture that shows where a block stands."""

from __future__ import annotations

import pytest

from skexplore.paper.drawing import _Axis


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [(0, 10, [0, 2, 4, 6, 8, 10]), (0.5, 4.2, [1, 2, 3, 4]), (19, 31, [20, 25, 30])],
)
def test_ticks_are_round_and_reach_both_ends(low, high, ticks):
    assert _Axis(low=low, high=high, start=0, pixels=100, up=False).ticks() == ticks
