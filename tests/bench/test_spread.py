"""Searches spread over processes: the same verdicts, whatever their number, and an error comes through."""

from __future__ import annotations

from functools import partial

import pytest
from support.small_table import FEW

from skexplore.bench import analytic, compare, distinct, judge
from skexplore.bench.spread import spread


def same(land, _seed):
    return land


def threads_and_square(seed):
    import os

    return os.environ.get("OMP_NUM_THREADS"), os.getpid(), seed**2


def fails_at_three(seed):
    if seed == 3:
        raise ValueError("no third")
    return seed


def test_each_seed_once_in_order_and_processes_share_the_cores():
    told = []
    found = spread(threads_and_square, range(2, 9), processes=2, progress=told.append)
    assert [square for *_, square in found] == [seed**2 for seed in range(2, 9)]
    assert told == [*range(1, 8)]
    assert {threads for threads, *_ in found} == {"1"}
    here = spread(threads_and_square, [5])
    assert here[0][1] not in {process for _, process, _ in found}


def test_an_error_in_a_process_comes_through():
    with pytest.raises(ValueError, match="no third"):
        spread(fails_at_three, range(6), processes=2)


def test_verdicts_are_the_same_for_one_process_and_for_two(recorded):
    how = {"trials": 6, "replicates": 1, "repeats": 3, "seed": 4, "names": ["model", "optuna"]}
    assert judge(recorded, **how) == judge(recorded, **how, processes=2)


def test_comparisons_are_the_same_for_one_process_and_for_two():
    land = partial(same, analytic(FEW, distinct(FEW), "mixed", 4.4))
    how = {"repeats": 2, "seed": 0, "cap": 8}
    assert compare(land, "mixed", **how) == compare(land, "mixed", **how, processes=2)


def test_a_contender_that_takes_long_plays_in_the_first_worlds_alone(recorded, monkeypatch):
    from skexplore.bench import verdicts

    slow = verdicts.replace(verdicts.CONTENDERS["random"], most=2)
    monkeypatch.setitem(verdicts.CONTENDERS, "slow", slow)
    found = judge(recorded, trials=5, replicates=1, repeats=3, seed=0, names=["random", "slow"])
    assert [each.searches for each in found] == [3, 2]
    first = judge(recorded, trials=5, replicates=1, repeats=2, seed=0, names=["random"])
    assert verdicts.replace(found[1], name="random") == first[0]
