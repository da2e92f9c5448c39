"""Worlds on a table: its own errors come back, each once; all else has a truth, and one noise."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from support.small_table import FEW, NOISE

from skexplore.arch import cost, format_blocks
from skexplore.bench import judge
from skexplore.bench.landscape import distinct
from skexplore.bench.recorded import Recorded
from skexplore.errors import UserError


def test_trainings_of_a_recorded_block_have_its_errors_each_once(recorded, synthetic_table):
    errors, orders = synthetic_table.errors["k3+k3d2"], set()
    assert len(errors) == 4
    for seed in range(10):
        world = recorded.world(seed)
        met = [world.measure("k3+k3d2", seed + at) for at in range(6)]
        assert Counter(met[:4]) == Counter(errors.values())
        assert not {*met[4:]} & {*errors.values()}
        assert world.measure("k3+k3d2", seed + 5) == met[5]
        orders.add(tuple(met[:4]))
    assert len(orders) > 5


def test_what_a_search_did_not_meet_is_the_rest(recorded):
    world = recorded.world(7)
    met = {world.measure("k3", 7), world.measure("k3", 9)}
    left = world.unseen("k3", {7, 9})
    assert len(left) == 2
    assert {*left} | met == {*recorded.errors["k3"].values()}
    assert world.unseen("k3", set(range(7, 11))) == []
    assert world.unseen(next(iter(world.feasible - {*recorded.errors})), set()) == []


def test_every_block_of_the_space_has_a_truth_and_the_limits_are_those_of_the_study(recorded):
    world = recorded.world(0)
    blocks = {format_blocks(each): each for each in distinct(FEW)}
    assert set(blocks) | {"k3+k3d2", "k3"} == set(world.truths)
    assert world.feasible == {name for name, each in blocks.items() if cost(each).macs <= 4.4e9}
    assert (
        world.thresholds[0]
        == sorted(world.truths[name] for name in world.feasible)[len(world.feasible) // 20 - 1]
    )


def test_worlds_differ_and_agree_with_the_table(recorded):
    worlds = [recorded.world(seed) for seed in range(200)]
    draws = np.array([world.truths["k3"] for world in worlds])
    mean = np.mean([*recorded.errors["k3"].values()])
    assert draws.mean() == pytest.approx(mean, abs=NOISE)
    assert 0.3 * NOISE / 2 < draws.std() < 1.5 * NOISE / 2  # of four trainings
    assert len({*draws}) == 200


def test_noise_of_what_was_not_recorded_is_that_of_one_training(recorded):
    world = recorded.world(1)
    name = next(iter(sorted(world.feasible - {*recorded.errors})))
    met = np.array([world.measure(name, 1 + at) for at in range(2_000)])
    assert met.mean() == pytest.approx(world.truths[name], abs=4 * recorded.noise.sd / np.sqrt(2_000))
    assert met.std() == pytest.approx(recorded.noise.sd, rel=0.06)


def test_a_table_that_says_too_little_is_refused(synthetic_table):
    names = [*synthetic_table.errors][:29]
    few = replace(synthetic_table, records=tuple(r for r in synthetic_table.records if r.block in names))
    with pytest.raises(UserError, match="29 blocks; a table that searches can be played on has at least 30"):
        Recorded(few)
    unknown = replace(
        synthetic_table,
        spec=replace(synthetic_table.spec, backbone="8x4d-1111-s2"),
        records=tuple(record for record in synthetic_table.records if record.seed == 0),
    )
    with pytest.raises(UserError, match="noise is not known"):
        Recorded(unknown)


@pytest.mark.parametrize("changes", [{"budget_gflops": None, "budget_params_m": 30.0}, {"mode": "pareto"}])
def test_a_search_without_one_objective_under_a_budget_in_gflops_is_refused(synthetic_table, changes):
    with pytest.raises(UserError, match="begins with a search under --budget-gflops"):
        Recorded(replace(synthetic_table, spec=replace(synthetic_table.spec, **changes)))


def test_anchors_that_are_neither_in_the_space_nor_in_the_table_have_a_truth_and_rungs_are_left_out(
    synthetic_table,
):
    kept = tuple(r for r in synthetic_table.records if r.block not in ("k3", "k3+k3d2"))
    spec = replace(synthetic_table.spec, rungs=(1, 3, 9))
    recorded = Recorded(replace(synthetic_table, spec=spec, records=kept))
    (found,) = judge(recorded, trials=4, replicates=1, repeats=1, seed=0, names=["random"])
    assert found.named == 1
