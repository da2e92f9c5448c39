"""How long a search of many trials waits for its sampler, and until it goes on after a kill; plain Optuna beside it."""

from __future__ import annotations

import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import CategoricalDistribution
from optuna.samplers import TPESampler
from optuna.trial import create_trial

from skexplore.arch import format_blocks
from skexplore.bench.landscape import Landscape
from skexplore.engine import State
from skexplore.study import Epoch, Record, Store, StudySpec
from skexplore.training import Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """Waits of one sampler after ``trainings`` trainings, in a study of ``proposals`` trials.

    ask_ms: the median of ``asks`` proposals, each told its error before the next. store_ms: of writing one to the
    study's file. continue_s: from opening that file to the first proposal, the space written out anew. optuna_ms,
    optuna_s: of Optuna's TPE, as it comes, a proposal with its writing to a SQLite file of as many trials, and to the
    first one. times_ask, times_continue: its times over ours, the writing counted in both.
    """

    sampler: str
    trainings: int
    proposals: int
    asks: int
    ask_ms: float
    store_ms: float
    continue_s: float
    optuna_ms: float
    optuna_s: float
    times_ask: float
    times_continue: float


def time_asking(
    land: Landscape, samplers: Sequence[str], *, trainings: int, asks: int, progress: Callable[[str], None]
) -> Iterator[Asking]:
    """Yield the waits of each of ``samplers``; all go on from the same trials, which were drawn at random."""
    with tempfile.TemporaryDirectory() as place:
        filled = Path(place) / "filled"
        progress(f"a search of {trainings:,} trainings, played")
        url = f"sqlite:///{place}/optuna.db"
        proposals = _fill(land, filled, url, trainings)
        for number, name in enumerate(samplers, start=1):
            progress(name)
            # a budget of its own, by less than a block: nothing is remembered of the space from the one before
            budget = (land.spec.budget_gflops or 0) * (1 + 1e-9 * number)
            spec = replace(land.spec, sampler=name, budget_gflops=budget)
            folder = Path(place) / name
            shutil.copytree(filled, folder)
            own_url = f"sqlite:///{shutil.copy(Path(place) / 'optuna.db', Path(place) / f'{name}.db')}"
            theirs, optuna_s = _waits(partial(_of_optuna, land, own_url), asks)
            stored: list[float] = []
            ours, continue_s = _waits(partial(_of_ours, land, folder, spec, stored), asks)
            _, *stored = stored  # the first is of the beginning
            asked = [whole - part for whole, part in zip(ours, stored, strict=True)]
            yield Asking(
                sampler=name,
                trainings=trainings,
                proposals=proposals,
                asks=asks,
                ask_ms=1000 * statistics.median(asked),
                store_ms=1000 * statistics.median(stored),
                continue_s=continue_s,
                optuna_ms=1000 * statistics.median(theirs),
                optuna_s=optuna_s,
                times_ask=statistics.median(theirs) / statistics.median(ours),
                times_continue=optuna_s / continue_s,
            )


def _waits(begin: Callable[[], Generator[None]], asks: int) -> tuple[list[float], float]:
    """Return the seconds of ``asks`` proposals, each, and those from the beginning to the first one."""
    started = time.perf_counter()
    proposals = begin()
    next(proposals)
    first, times = time.perf_counter() - started, []
    for _ in range(asks):
        next(proposals)  # what was proposed before is told its error
        started = time.perf_counter()
        next(proposals)
        times.append(time.perf_counter() - started)
    proposals.close()  # and the study's file with it
    return times, first


class _TimedStore(Store):
    """A store that notes in ``seconds`` how long each new trial took to write."""

    def __init__(self, folder: Path, spec: StudySpec, seconds: list[float]) -> None:
        super().__init__(folder, spec)
        self._seconds = seconds

    def add(self, *args: Any, **kwargs: Any) -> None:
        """Write a new trial."""
        started = time.perf_counter()
        super().add(*args, **kwargs)
        self._seconds.append(time.perf_counter() - started)


def _of_ours(land: Landscape, folder: Path, spec: StudySpec, stored: list[float]) -> Generator[None]:
    """Go on with the search in ``folder``: stop after each proposal, and again when it has its error."""
    with _TimedStore(folder, spec, stored) as store:
        state = State(store, land.space)
        while True:
            record = state.propose(set())
            yield
            _measure(land, state, record)
            yield


def _measure(land: Landscape, state: State, record: Record) -> None:
    """Tell a search the error of what it proposed, if that is to be trained."""
    if record.status == "running":
        error = land.measure(record.block, record.seed)
        epoch = Epoch(epoch=1, train_loss=0.0, val_loss=0.0, val_error=error, seconds=0.0)
        state.finish(record, Outcome(key=record.key, status="complete", curve=(epoch,)))


def _of_optuna(land: Landscape, url: str) -> Generator[None]:
    """Go on with Optuna's study in the same steps."""
    study = optuna.load_study(study_name="bench", storage=url, sampler=TPESampler(seed=0))
    decisions = land.space.decisions
    while True:
        trial = study.ask({path: CategoricalDistribution(levels) for path, levels in decisions.items()})
        yield
        study.tell(trial, land.measure(format_blocks(land.space.decode(trial.params)), 0))
        yield


def _fill(land: Landscape, folder: Path, url: str, trainings: int) -> int:
    """Play a random search in ``folder``, give Optuna's file at ``url`` its trials, and return how many they are."""
    with Store(folder, replace(land.spec, sampler="random")) as store:
        state = State(store, land.space)
        while state.trained < trainings:
            _measure(land, state, state.propose(set()))
        trials = [
            create_trial(
                params=trial.params,
                distributions=trial.distributions,
                value=land.measure(format_blocks(land.space.decode(trial.params)), 0),
            )
            for trial, _ in store.trials()
        ]
    optuna.create_study(study_name="bench", storage=url).add_trials(trials)
    return len(trials)
