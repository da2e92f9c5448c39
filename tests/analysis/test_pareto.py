"""Knees of fronts: known answers, and brute force on random fronts."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given, strategies as st
from support.studies import record

from skexplore.analysis.pareto import knee
from skexplore.study.study import pareto_front

PLAIN = record(0, "k3", "complete", 0.5, 6)


def placed(*points: tuple[int, float]):
    """Return records at these places (reference macs, val error), numbered in order."""
    return [
        replace(PLAIN, number=number, ref_macs=macs, ref_params=10 * macs, val_error=error)
        for number, (macs, error) in enumerate(points)
    ]


def test_the_knee_is_the_corner_of_a_bent_front():
    front = placed((100, 0.9), (200, 0.3), (300, 0.25), (1000, 0.2))
    assert knee(front).number == 1
    assert knee(reversed(front)).number == 1
    assert knee(front, lambda each: each.ref_params).number == 1


def test_the_knee_of_a_hyperbola_is_where_its_slope_is_the_line_s():
    # y = 1/x from 1/4 to 4: scaled or not, the line has slope -1, and so has the curve at x = 1
    front = placed(*((100 * 2**k // 4, 2.0**-k / 8) for k in range(5)))
    assert knee(front).number == 2


def test_the_knee_does_not_depend_on_the_units_of_the_axes():
    points = [(100, 0.5), (140, 0.44), (190, 0.36), (330, 0.30), (500, 0.29)]
    scaled = [(1000 * macs + 7, 0.1 * error + 0.03) for macs, error in points]
    assert knee(placed(*points)).number == knee(placed(*scaled)).number == 2


@pytest.mark.parametrize(
    "points",
    [
        [],
        [(1, 0.5)],
        [(1, 0.5), (2, 0.4)],
        [(1, 0.5), (1, 0.5), (2, 0.4), (2, 0.4)],  # two places
        [(1, 0.5), (2, 0.4), (3, 0.3)],  # a straight line
        [(1, 0.5), (2, 0.49), (3, 0.1)],  # bulges the wrong way
    ],
)
def test_fronts_without_a_knee(points):
    assert knee(placed(*points)) is None


def test_dominated_points_and_those_without_an_error_are_no_knees():
    front = placed((100, 0.9), (200, 0.3), (1000, 0.2), (210, 0.85))
    assert knee([*front, replace(PLAIN, val_error=None)]).number == 1


coordinates = st.tuples(st.integers(1, 30), st.integers(1, 30).map(lambda n: n / 100))


@given(st.lists(coordinates, max_size=12))
def test_no_point_of_the_front_is_farther_below_the_line_than_the_knee(points):
    records = placed(*points)
    found = knee(records)
    front = pareto_front(records)
    assert found is None or found in front
    places = sorted({(each.ref_macs, each.val_error) for each in front})
    if len(places) < 3:
        assert found is None
        return
    (x0, y0), (x1, y1) = places[0], places[-1]

    def below(place):
        """Signed distance from the line between the ends, by the cross product."""
        u, v = (place[0] - x0) / (x1 - x0), (place[1] - y1) / (y0 - y1)
        return -((1 - 0) * (v - 1) - (0 - 1) * (u - 0)) / math.sqrt(2)

    deepest = max(map(below, places))
    if deepest < 1e-8:
        assert found is None
    else:
        assert below((found.ref_macs, found.val_error)) == pytest.approx(deepest)
