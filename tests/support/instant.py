"""Instant trainings for tests: a tiny profile, and a pool that answers at once by a known objective."""

from __future__ import annotations

from dataclasses import replace

from skexplore.arch.costs import cost
from skexplore.study.recipe import Profile, Recipe, Split
from skexplore.study.record import Epoch
from skexplore.study.study import Study
from skexplore.training.messages import EpochEvent, Job, Outcome

TINY = Profile(
    name="tiny",
    backbone="8x4d-1111-s2",
    recipe=Recipe(epochs=2, batch_size=64),
    split=Split(dataset="synthetic", train_images=128, val_images=64),
    trials=4,
    anchor_seeds=2,
    why="synthetic data, for tests",
)

RUNGS = replace(TINY, name="rungs", recipe=Recipe(epochs=9, batch_size=64), rungs=(1, 3, 9), trials=12)

# 21 architectures within 4.5 GFLOPs, most of which a sampler that has seen good ones would not propose
MIDDLE = (
    "name: middle\nbase: k3\ndecisions:\n  branches.1: [k1, k3, k3g64]\n  branches.2: [none, k1, k3]\n"
    "  branches.2.groups: [32, 64]\n  fuse: [select, sum]\n"
)
SMALL = "name: small\nbase: k3\ndecisions:\n  branches.1: [k1, k1g64]\n"


class InstantPool:
    """A pool that answers each job at once with an error that depends on the block alone."""

    def __init__(self, devices, log, answer=None):
        self.running, self._devices = [], devices
        self._answer = answer or error_of
        self.jobs: list[Job] = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    @property
    def idle(self):
        return len(self._devices) - len(self.running)

    def start(self, job):
        self.running.append(job)
        self.jobs.append(job)

    def pause(self):
        pass

    def events(self, timeout):
        job = self.running.pop(0)
        answer = self._answer(job)
        if isinstance(answer, Outcome):
            return [answer]
        # learning: an error that falls to the answer at the recipe's last epoch
        left = [job.spec.recipe.epochs - n for n in range(1, job.until + 1)]
        epochs = tuple(
            Epoch(epoch=n, train_loss=1.0, val_loss=1.0, val_error=answer + 0.01 * more, seconds=1.0)
            for n, more in enumerate(left, start=1)
        )
        done = Outcome(key=job.spec.key, status="complete", curve=epochs)
        return [*(EpochEvent(key=job.spec.key, epoch=epoch) for epoch in epochs), done]


def error_of(job: Job) -> float:
    """A known objective: more multiply-adds, less error."""
    return 0.9 - cost(job.spec.block).macs / 1e10


def rugged(job: Job) -> float:
    """An objective without order: many blocks are worse than cheaper ones."""
    return 0.3 + int(job.spec.net_id, 16) % 1000 / 2500


def keys(study: Study) -> list[str]:
    return [record.key for record in study.records if record.images]


def pressed_after(calls):
    count = 0

    def interrupts():
        nonlocal count
        count += 1
        return int(count > calls)

    return interrupts


def die(*_, **__):
    raise KeyboardInterrupt
