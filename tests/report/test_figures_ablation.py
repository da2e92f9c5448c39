"""Labels of the figures of an ablation: short, whole parts, and apart from each other."""

from __future__ import annotations

from itertools import pairwise

import pytest

from skexplore.report.figures.ablation import _apart, short_label


@pytest.mark.parametrize(
    "heights", [[], [5.0], [0.0, 1.0, 2.0], [0.0, 30.0, 31.0, 100.0], [7.0] * 5, [0, 20, 22, 40, 41]]
)
def test_names_beside_points_stand_apart(heights):
    moved = _apart(heights, 15)
    assert all(after - before >= 15 - 1e-9 for before, after in pairwise(moved))
    assert sum(moved) == pytest.approx(sum(heights))
    if all(after - before >= 15 for before, after in pairwise(heights)):
        assert moved == pytest.approx(heights)


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("k3+k3g128+k3g128/r8/L64", "k3+k3g128+k3g128<br>/r8/L64"),
        ("K3+K5 SK", "K3+K5 SK"),
        ("without attention and BN", "without attention<br>and BN"),
        ("k" * 40, f"{'k' * 18}<br>{'k' * 17}…"),
    ],
)
def test_a_long_label_is_broken_between_the_parts_of_a_block(name, label):
    assert short_label(name, 18) == label
