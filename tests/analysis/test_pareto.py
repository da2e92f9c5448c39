"""Knees and groups within noise: known answers, and brute force on random fronts."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import pytest
from hypothesis import given, strategies as st
from support.studies import ANCHORS, record, synthetic

from skexplore.analysis.noise import noise_groups, study_noise, within_noise
from skexplore.analysis.pareto import knee

PLAIN = record(0, "k3", "complete", 0.5, 6)


def placed(*points: tuple[int, float]):
    """Return records at these places (reference macs, val error), numbered in order."""
    return [
        replace(PLAIN, number=number, ref_macs=macs, ref_params=10 * macs, val_error=error)
        for number, (macs, error) in enumerate(points)
    ]


def study_of(records, spread: float | None):
    """Return a study of ``records`` with noise of sd ``spread`` at 6 degrees of freedom (None: one seed only)."""
    first = ANCHORS[0]
    seeds = [
        replace(first, seed=seed, key=f"{first.key}{seed}") for seed in range(1 if spread is None else 7)
    ]
    if spread:  # six alike and one away by d have a variance of d^2 / 7
        seeds[6] = replace(seeds[6], val_error=first.val_error + spread * 7**0.5)
    return synthetic(records=(*seeds, *records))


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
    front = synthetic(records=tuple(records), spec=replace(synthetic().spec, budget_gflops=None)).front()
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


def test_groups_of_a_known_front():
    records = placed((1, 0.50), (2, 0.48), (3, 0.41), (4, 0.39), (5, 0.375), (6, 0.30))
    study = study_of(records, 0.0045)
    # with t(0.975, 6) and Tukey's q(0.05; 6, 6) from printed tables
    assert study_noise(study).least_difference == pytest.approx(2.447 * math.sqrt(2) * 0.0045, rel=1e-3)
    assert study_noise(study).among == pytest.approx(5.63 * 0.0045, rel=1e-3)
    assert noise_groups(study) == ((0, 1), (2, 3), (3, 4))
    assert noise_groups(study, lambda each: each.ref_params) == noise_groups(study)


def test_groups_need_noise_that_is_known():
    records = placed((1, 0.5), (2, 0.4999), (3, 0.4998))
    assert noise_groups(study_of(records, None)) == ()
    assert noise_groups(study_of(records, 0.01)) == ((0, 1, 2),)


def test_without_any_spread_only_equals_are_a_group():
    records = placed((1, 0.5), (1, 0.5), (2, 0.4999))
    assert noise_groups(study_of(records, 0.0)) == ((0, 1),)
    assert noise_groups(study_of([], 0.01)) == ()


@pytest.mark.parametrize("spread", [0.0, 0.0001, 0.01])
def test_the_mark_and_the_groups_of_a_front_agree(spread):
    """What is within noise of the best is in a group with it, equal trials under no noise at all too."""
    study = study_of(placed((1, 0.51), (2, 0.5), (2, 0.5), (3, 0.4999), (3, 0.4999)), spread)
    best, marks = study.best().number, within_noise(study)
    close = {best} | {number for group in noise_groups(study) if best in group for number in group}
    assert {3, 4} <= {number for number, mark in marks.items() if mark} <= close


@given(st.lists(coordinates, max_size=9), st.sampled_from([0.0, 0.0005, 0.002, 0.01]))
def test_groups_are_the_maximal_runs_that_are_pairwise_close(points, spread):
    study = study_of(placed(*points), spread)
    front, least = study.front(), study_noise(study).among

    def close(run):
        pairs = itertools.combinations([each.val_error for each in run], 2)
        return all(abs(a - b) < least or a == b for a, b in pairs)

    runs = [
        (start, end)
        for start, end in itertools.combinations(range(len(front) + 1), 2)
        if end - start >= 2 and close(front[start:end])
    ]
    maximal = [
        (start, end)
        for start, end in runs
        if not any(a <= start and end <= b and (a, b) != (start, end) for a, b in runs)
    ]
    wanted = tuple(tuple(each.number for each in front[start:end]) for start, end in sorted(maximal))
    assert noise_groups(study) == wanted
