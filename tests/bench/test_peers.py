"""Other frameworks in a small landscape: what they train is counted, what is over the budget is not."""

from __future__ import annotations

import pytest
from support.small_table import FEW

from skexplore.bench import analytic, distinct
from skexplore.bench.peers import NO_TRAINING, play_smac


def watched(land, seen):
    """Return ``land`` with a note of what is measured in it."""

    def measure(block, seed):
        seen.append(block)
        return land.truths[block]

    return type(land)(
        space=land.space, spec=land.spec, truths=land.truths, feasible=land.feasible, measure=measure
    )


@pytest.mark.slow
def test_smac_trains_what_keeps_the_budget_alone_and_names_the_lowest():
    land, seen = analytic(FEW, distinct(FEW), "mixed", 4.4), []
    found = play_smac(watched(land, seen), 0, target=8)
    assert found.trained == len(seen) == 8
    assert {*seen} <= land.feasible
    assert found.refused > 0
    assert found.lowest == min((land.truths[name], name) for name in seen)
    assert max(land.truths.values()) < NO_TRAINING


@pytest.mark.slow
def test_equal_seeds_play_equal_searches():
    land = analytic(FEW, distinct(FEW), "layered", 4.4)
    first, again, other = (play_smac(land, seed, target=4) for seed in (1, 1, 2))
    assert first == again
    assert first != other
