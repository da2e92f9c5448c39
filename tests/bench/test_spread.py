"""Searches spread over processes: the same verdicts, whatever their number, and an error comes through."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest
from support.small_table import FEW

from skexplore.bench import analytic, compare, distinct, judge
from skexplore.bench.spread import spread
from skexplore.errors import StudyError


def same(land, _seed):
    return land


def threads_and_square(seed):
    return os.environ.get("OMP_NUM_THREADS"), os.getpid(), seed**2


def fails_at_three(seed):
    if seed == 3:
        raise ValueError("no third")
    return seed


class OddError(Exception):
    """Cannot be read back: it is made of two words and remembers one."""

    def __init__(self, one, two):
        super().__init__(f"{one} {two}")


def raises_what_cannot_travel(seed):
    raise OddError("seed", seed)


def dies(seed):
    os._exit(seed)


def sleeps(seed):
    time.sleep(60)
    return seed


INTERRUPTED = """
import os, signal, threading
from functools import partial
from bench.test_spread import sleeps
from skexplore.bench.spread import spread

if __name__ == "__main__":
    threading.Timer(4, os.kill, (os.getpid(), signal.SIGINT)).start()
    spread(sleeps, range(8), processes=2)
"""


def test_ctrl_c_ends_the_processes_at_once(tmp_path):
    script, tests = tmp_path / "interrupted.py", Path(__file__).parents[1]
    script.write_text(INTERRUPTED)
    paths = os.pathsep.join([str(tests), str(tests.parent)])
    found = subprocess.run(
        [sys.executable, str(script)],
        env=os.environ | {"PYTHONPATH": paths},
        capture_output=True,
        timeout=50,
        check=False,
    )
    assert found.returncode != 0
    assert b"KeyboardInterrupt" in found.stderr


def test_a_process_that_is_ended_from_outside_is_said_so():
    with pytest.raises(StudyError, match=r"was ended from outside.*fewer --workers"):
        spread(dies, range(3, 6), processes=2)


def test_an_error_that_cannot_travel_is_told_in_words():
    with pytest.raises(RuntimeError, match="OddError: seed 4"):
        spread(raises_what_cannot_travel, [4, 5], processes=2)


def test_each_seed_once_in_order_and_processes_share_the_cores(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
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
