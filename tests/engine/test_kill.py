"""``kill -9`` of a running search, again and again: the same command ends at exactly what was asked for."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from skexplore.study.record import Record
from skexplore.study.store import load_study
from skexplore.study.study import Study, trained

SCRIPT = """
import sys
from pathlib import Path
from skexplore.study.recipe import PROFILES, Profile, Recipe, Split
from skexplore.engine.run import search
PROFILES["tiny"] = Profile(
    name="tiny", backbone="8x4d-1111-s2", recipe=Recipe(epochs=3, batch_size=32),
    split=Split(dataset="synthetic", train_images=256, val_images=64), trials=4, anchor_seeds=2, why="tests",
)
PROFILES["rungs"] = Profile(
    name="rungs", backbone="8x4d-1111-s2", recipe=Recipe(epochs=3, batch_size=32), rungs=(1, 3),
    split=Split(dataset="synthetic", train_images=256, val_images=64), trials=4, anchor_seeds=2, why="tests",
)
search(budget_gflops=4.4, profile=sys.argv[6], study=sys.argv[1], trials=int(sys.argv[2]), workers=int(sys.argv[3]),
       data_folder=Path(sys.argv[4]), space=sys.argv[5])
"""
SPACE = """
name: light
base: k3
decisions:
  branches.1: [k1, k1g64, k3g64, k3]
  branches.2: [none, k1, k1g64, k3g128, k3]
  reduction: [16, 32]
  fuse: [select, sum]
"""


@pytest.fixture
def start(tmp_path: Path, synthetic_data: Path):
    """Begin a search in a process of its own."""
    space = tmp_path / "light.yaml"
    space.write_text(SPACE)

    def begin(name: str, trials: int, workers: int, profile: str = "tiny") -> subprocess.Popen[bytes]:
        arguments = [name, str(trials), str(workers), str(synthetic_data), str(space), profile]
        return subprocess.Popen([sys.executable, "-c", SCRIPT, *arguments])

    return begin


def kill_after(process: subprocess.Popen[bytes], seconds: float) -> bool:
    """Kill the coordinator, unless it ends first; its workers must end by themselves. Returns whether killed."""
    deadline = time.monotonic() + seconds
    workers: set[psutil.Process] = set()
    while time.monotonic() < deadline and process.poll() is None:
        workers.update(psutil.Process(process.pid).children())
        time.sleep(0.05)
    killed = process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.wait()
    deadline = time.monotonic() + 10
    while any(alive(worker) for worker in workers):
        assert time.monotonic() < deadline, "a worker outlived its coordinator"
        time.sleep(0.1)
    return killed


def alive(process: psutil.Process) -> bool:
    """Whether it still runs; a dead process that its new parent has not asked about yet does not."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def finished(name: str) -> dict[tuple[str, int], Record]:
    if not Path(f"studies/{name}/study.db").exists():
        return {}
    try:
        records = load_study(name).records
    except ValueError:  # killed before the study had its specification
        return {}
    done = ("complete", "stopped", "over_budget", "replay", "failed", "diverged")
    return {(r.origin == "anchor", r.number): r for r in records if r.status in done}


def rows(name: str) -> list[dict[str, object]]:
    return [{k: v for k, v in r.row().items() if k != "seconds"} for r in load_study(name).records]


def kill_again_and_again(start, kills: int, trials: int, workers: int, profile: str, seed: int) -> Study:
    """Kill a search so often at random moments, let it end, and return it; what holds for each is checked here."""
    chance, name = random.Random(seed), "killed"
    before: dict[tuple[bool, int], Record] = {}
    while kills:
        # ask for one more whenever a try finished before its kill, so that there is always something to kill
        kills -= kill_after(start(name, trials, workers, profile), chance.uniform(1.5, 6.0))
        now = finished(name)
        assert {key: now.get(key) for key in before} == before, "a finished row changed"
        before = now
        if now and trained(list(now.values())) >= trials:
            trials += 2
    assert start(name, trials, workers, profile).wait(300) == 0
    now = finished(name)
    assert {key: now.get(key) for key in before} == before, "a finished row changed"
    study = load_study(name)
    assert trained(study.records) == trials
    trainings = [r.key for r in study.records if r.images]
    assert len(trainings) == len(set(trainings))
    assert not [r for r in study.records if r.status == "running"]
    assert not list(Path(f"studies/{name}/checkpoints").glob("*"))
    return study


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_killed_five_times_with_two_workers_it_ends_at_exactly_n(start):
    study = kill_again_and_again(start, 5, 6, 2, "tiny", seed=0)
    assert start("killed", trained(study.records), 2).wait(300) == 0
    assert load_study("killed").records == study.records


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_killed_three_times_with_rungs_and_two_workers_it_ends_at_exactly_n(start):
    study = kill_again_and_again(start, 3, 6, 2, "rungs", seed=2)
    for record in study.searched:
        if record.images:
            assert [epoch.epoch for epoch in record.curve] == list(range(1, record.epochs + 1))
            assert (record.status, record.epochs) in {("stopped", 1), ("complete", 3)}
            assert record.images == record.epochs * 256


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_killed_three_times_with_one_worker_the_trials_equal_the_uninterrupted_ones(start):
    chance = random.Random(1)
    assert start("whole", 4, 1, "rungs").wait(300) == 0
    kills = sum(kill_after(start("cut", 4, 1, "rungs"), chance.uniform(1.5, 4.0)) for _ in range(3))
    assert kills >= 2, "it ended before it could be killed: this machine is too fast for so small a search"
    assert start("cut", 4, 1, "rungs").wait(300) == 0
    assert rows("cut") == rows("whole")
