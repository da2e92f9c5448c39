"""One search of skexplore's, played by its own coordinator, whose workers train nothing."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from optuna.trial import FrozenTrial

from skexplore.bench.landscape import SHARES, Landscape, Measure
from skexplore.engine import Coordinator, Progress, State, Work
from skexplore.plan import Training
from skexplore.study import Epoch, Record, Store, Study, StudySpec
from skexplore.training import Job, Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Play:
    """One search.

    reached: trainings until a block of each best share was trained, None if that was not within the cap. trained,
    duplicates, over_budget: trainings in all, of blocks trained before, and of new blocks over the budget. refused:
    proposals that were not trained. lowest: the lowest single error of a block within the budget, and the block. study:
    what a search of skexplore's own left.
    """

    reached: tuple[int | None, ...]
    trained: int
    duplicates: int = 0
    over_budget: int = 0
    refused: int = 0
    lowest: tuple[float, str] | None = None
    study: Study | None = None


class Watch:
    """Notes when the best shares are reached, and the lowest error."""

    def __init__(self, land: Landscape) -> None:
        self._land = land
        self.reached: list[int | None] = [None] * len(SHARES)
        self.trained = 0
        self.lowest: tuple[float, str] | None = None

    def see(self, name: str, error: float) -> None:
        """Take note of one more training of the search."""
        self.trained += 1
        if name not in self._land.feasible:
            return
        if self.lowest is None or error < self.lowest[0]:
            self.lowest = error, name
        for index, threshold in enumerate(self._land.thresholds):
            if self.reached[index] is None and self._land.truths[name] <= threshold:
                self.reached[index] = self.trained

    @property
    def done(self) -> bool:
        """Whether all shares are reached."""
        return None not in self.reached


class _Nowhere(Store):
    """A store that keeps nothing, so that the state of a search can be played."""

    def __init__(self, folder: Path, spec: StudySpec) -> None:
        self.folder, self.spec = folder, spec

    def trials(self) -> list[tuple[FrozenTrial, Record]]:
        """Return nothing."""
        return []

    def beside(self) -> list[Record]:
        """Return nothing."""
        return []

    def unfinished(self) -> list[Record]:
        """Return nothing."""
        return []

    def add(self, record: Record, **_: Any) -> None:
        """Keep nothing."""

    def finish(self, record: Record, **_: Any) -> None:
        """Keep nothing."""


class _Workers:
    """Workers that train nothing: what a training says is looked up, and the first that began ends first."""

    def __init__(self, count: int, measure: Measure) -> None:
        self._count, self._measure = count, measure
        self.running: list[Job] = []

    def __enter__(self) -> _Workers:
        return self

    def __exit__(self, *_: object) -> None:
        """End nothing."""

    @property
    def idle(self) -> int:
        return self._count - len(self.running)

    def start(self, job: Job) -> None:
        self.running.append(job)

    def pause(self) -> None:
        """Do nothing: what has begun ends at once."""

    def events(self, timeout: float) -> Iterator[Outcome]:  # noqa: ARG002 - as of real workers
        job = self.running.pop(0)
        error = self._measure(job.spec.block, job.spec.seed)
        epochs = [
            Epoch(epoch=number, train_loss=0.0, val_loss=0.0, val_error=error, seconds=0.0)
            for number in range(1, job.until + 1)
        ]
        yield Outcome(key=job.spec.key, status="complete", curve=tuple(epochs))


def play(
    land: Landscape,
    sampler: str,
    seed: int,
    *,
    target: int,
    replicates: int = 0,
    beside: Sequence[Training] = (),
    workers: int = 1,
    until_found: bool = False,
) -> Play:
    """Play a search of ``target`` trainings by skexplore's own rules; ``until_found``: it ends when all is reached."""
    watch = Watch(land)

    def note(progress: Progress) -> None:
        record = progress.record
        if progress.kind == "end" and record is not None and record.origin == "search":
            assert record.val_error is not None, "a played training is complete"
            watch.see(record.block, record.val_error)

    with tempfile.TemporaryDirectory() as folder:
        state = State(_Nowhere(Path(folder), replace(land.spec, sampler=sampler, seed=seed)), land.space)
        work = Work(target=target, replicates=replicates, data_folder=Path(folder), beside=tuple(beside))
        coordinator = Coordinator(
            state,
            work,
            note,
            lambda: int(until_found and watch.done),
            lambda devices, _: _Workers(len(devices), land.measure),
        )
        try:
            coordinator.run(["nothing"] * workers)
        except KeyboardInterrupt:
            if not (until_found and watch.done):  # all is found before the target
                raise
    return Play(
        reached=tuple(watch.reached),
        trained=watch.trained,
        refused=sum(record.status in ("over_budget", "replay") for record in state.searched),
        lowest=watch.lowest,
        study=state.study,
    )
