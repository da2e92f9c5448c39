"""The coordinator: decides which trials are trained and hands them to the workers."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from skexplore.engine.state import State
from skexplore.errors import StudyError
from skexplore.plan import Training
from skexplore.space import Level
from skexplore.study import Epoch, Record
from skexplore.training import EpochEvent, Job, Outcome, Pool, checkpoint_file

BLOCKS_A_REPLICATE = 4  # where a space runs short: the share that every fifth training is
PATIENCE = 200  # proposals in a row that bring nothing to train
FAILURES = 10  # failed or diverged trials in a row that end a search


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """One thing that happened in ``study``. kind: ``note``, ``start``, ``epoch``, ``end`` (of a training) or ``skip``.

    best: lowest validation error within the budget so far. counters: trials by status. images, images_left:
    trained so far in this call (in ``seconds``), and still to train.
    """

    kind: str
    study: str
    text: str = ""
    record: Record | None = None
    epoch: Epoch | None = None
    trained: int
    target: int
    anchors_left: int
    best: float | None
    counters: dict[str, int]
    images: int
    images_left: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What one run of a study is to do.

    target: trainings of the search over the study's life, the last ``replicates`` of them fresh seeds of its leaders.
    beside: trainings to do first. wished: levels to be tried before the sampler's. time_limit: seconds after which the
    run ends. search: whether the search itself goes on; without it only what stands beside it is trained. test: whether
    each finished training is measured on the test set, once. known: finished records of other studies, by replay key.
    """

    target: int
    replicates: int = 0
    data_folder: Path
    beside: tuple[Training, ...] = ()
    wished: tuple[dict[str, Level], ...] = ()
    time_limit: float | None = None
    search: bool = True
    test: bool = False
    known: Mapping[str, Record] = field(default_factory=dict)


class Workers(Protocol):
    """What trains: a ``Pool``, whose docstrings say what these do."""

    @property
    def idle(self) -> int: ...  # noqa: D102

    @property
    def running(self) -> list[Job]: ...  # noqa: D102

    def start(self, job: Job) -> None: ...  # noqa: D102

    def pause(self) -> None: ...  # noqa: D102

    def events(self, timeout: float) -> Iterator[EpochEvent | Outcome]: ...  # noqa: D102


class Coordinator:
    """One run of a search over the state of an open study.

    new_workers: makes, of devices and a log, what trains; a ``Pool`` if it is not given.
    """

    def __init__(
        self,
        state: State,
        work: Work,
        on_progress: Callable[[Progress], None],
        interrupts: Callable[[], int],
        new_workers: Callable[[list[str], Path], AbstractContextManager[Workers]] | None = None,
    ) -> None:
        self.state, self.spec, self.work, self.target = state, state.spec, work, work.target
        self._folder = state.store.folder
        self._report, self._interrupts = on_progress, interrupts
        self._new_workers = new_workers or Pool
        self._queue: deque[Record] = deque()
        # written when its turn comes: what was never begun can be taken back
        self._beside: deque[Record] = deque()
        self._wished = deque(work.wished)
        self._trained_for: dict[str, Record] = {}  # what each key is trained for
        self._retried: set[str] = set()
        self._pausing = False
        self._failed_in_row = 0
        self._images, self._started = 0, time.monotonic()

    def run(self, devices: list[str]) -> bool:
        """Train until the target is met or the time is up (True) or nothing new comes (False).

        See ``search`` for what is raised.
        """
        waiting = self.state.resume()
        self._queue.extend(r for r in waiting if self.work.search or r.origin == "anchor")
        for each in self.work.beside:
            record = self.state.new_anchor(each)
            if record is not None and all(record.key != other.key for other in self._beside):
                self._beside.append(record)
        failed = {record.key for record in self.state.beside if record.status == "failed"}
        # what failed before comes last: it must not keep the others from their turn
        self._beside = deque(sorted(self._beside, key=lambda record: record.key in failed))
        if self._work_left():
            jobs = len(self._queue) + len(self._beside) + max(0, self.target - self.state.trained)
            self._work(devices[:jobs])
        if self._out_of_time() and self._work_left():
            self._tell_user("note", text="the time limit is reached; the same command goes on")
            return True
        if self._wished:
            self._tell_user(
                "note", text=f"{len(self._wished)} enqueued blocks were not tried; give more --trials"
            )
        if self.state.trained >= self.target:
            return True
        why = "every architecture within the budget is tried"
        if not self.state.exhausted:
            why = f"the last {PATIENCE} proposals brought nothing new"
        if not self._nothing_new:
            why = "no trial is complete within the budget, and so none is trained again"
        self._tell_user("note", text=f"{why}: {self.state.trained} of {self.target} trained")
        return False

    def _work(self, devices: list[str]) -> None:
        with self._new_workers(devices, self._folder / "workers.log") as pool:
            while True:
                if not self._to_end():
                    self._fill(pool)
                if not pool.running:
                    break
                self._listen(pool)
        if self._interrupts() and self._work_left():
            raise KeyboardInterrupt

    def _work_left(self) -> bool:
        """Whether anything is to be trained or proposed still."""
        state = self.state
        left = self._blocks_left or self._replicates_left or state.in_flight or state.replicating
        return bool((self.work.search and left) or self._anchors_left)

    @property
    def _blocks_left(self) -> bool:
        """Whether another architecture is to be proposed."""
        kept = max(self.work.replicates, self.state.replicates)
        return self.state.blocks + self.state.in_flight < self.target - kept and not self._nothing_new

    @property
    def _replicates_left(self) -> bool:
        """Whether another leader is to be trained again: fewer times in a space that ran short."""
        state, most = self.state, self.work.replicates
        short = self.target - most - state.blocks - state.in_flight
        if short > 0:
            most = min(most, max(state.blocks // BLOCKS_A_REPLICATE, most - short))
        left = state.trained + state.in_flight + state.replicating < self.target
        return left and state.replicates < most and state.best is not None

    @property
    def _nothing_new(self) -> bool:
        """Whether there is nothing left to propose, or in a large space nothing that is found."""
        return not self._wished and (self.state.exhausted or self.state.idle_streak() >= PATIENCE)

    @property
    def _anchors_left(self) -> int:
        return self.state.anchors_left + len(self._beside)

    def _out_of_time(self) -> bool:
        limit = self.work.time_limit
        return limit is not None and time.monotonic() - self._started >= limit

    def _to_end(self) -> bool:
        """Whether nothing more is to be begun."""
        return bool(self._interrupts()) or self._out_of_time()

    # -- what to train ------------------------------------------------------------------------------------

    def _fill(self, pool: Workers) -> None:
        """Give every idle worker something to do, as long as there is something."""
        while pool.idle:
            if not self._queue and self._beside:
                self._queue.append(self.state.add_beside(self._beside.popleft()))
            if self._queue:
                record = self._next_in_queue(pool)
                if record is None:  # all that waits is being measured at this moment
                    return
            else:
                proposed = self._propose(pool) or self._replicate()
                if proposed is None:
                    return
                record = proposed
            own, foreign = self.state.measured.get(record.key), self.work.known.get(record.key)
            if own is not None and self._serves(own, record):
                self.state.share(record, own)
            elif foreign is not None:
                self.state.share(record, foreign, foreign=True)
            else:
                self._start(pool, record)

    @staticmethod
    def _serves(source: Record, record: Record) -> bool:
        """Whether what ``source`` measured is all that ``record`` needs; an anchor is always trained to the end."""
        if source.status == "stopped":
            return not record.beside
        return source.status != "failed"

    def _next_in_queue(self, pool: Workers) -> Record | None:
        busy = {job.spec.key for job in pool.running}
        record = next((record for record in self._queue if record.key not in busy), None)
        if record is not None:
            self._queue.remove(record)
        return record

    def _propose(self, pool: Workers) -> Record | None:
        """Return the next proposal that is to be trained, or None if there is none (now)."""
        while self._blocks_left and not self._to_end():
            wished = self._wished.popleft() if self._wished else None
            record = self.state.propose({job.spec.key for job in pool.running}, wished)
            if record.status == "running":
                return record
            self._tell_user("skip", record=record)
        return None

    def _replicate(self) -> Record | None:
        """Return a fresh seed of a leader that is to be trained, if there is one."""
        return self.state.add_replicate() if self._replicates_left and not self._to_end() else None

    def _start(self, pool: Workers, record: Record) -> None:
        spec = self.state.train_spec(record)
        pool.start(
            Job(
                spec=spec,
                until=self.state.next_segment(record),
                study_folder=str(self._folder.absolute()),
                data_folder=str(self.work.data_folder),
                test=self.work.test,
            )
        )
        self._trained_for[record.key] = record
        self._tell_user("start", record=record)

    # -- what came of it ----------------------------------------------------------------------------------

    def _listen(self, pool: Workers) -> None:
        if self._to_end() and not self._pausing:
            self._pausing = True
            again = "; Ctrl-C again stops at once" if self._interrupts() else " (time limit)"
            self._tell_user("note", text=f"ending after the epochs that are running{again}")
            pool.pause()
        for event in pool.events(timeout=0.5):
            if isinstance(event, EpochEvent):
                self._images += self.spec.split.train_images
                self._tell_user("epoch", record=self._trained_for[event.key], epoch=event.epoch)
            elif event.status != "paused":
                self._done(pool, event)

    def _done(self, pool: Workers, outcome: Outcome) -> None:
        if outcome.status == "failed" and outcome.key not in self._retried:
            self._try_again(pool, outcome)
            return
        record = self.state.finish(self._trained_for[outcome.key], outcome)
        if record.status == "running":  # it goes on to its next rung
            self._queue.appendleft(record)
            return
        self._tell_user("end", record=record)
        self._failed_in_row = 0 if record.status in ("complete", "stopped") else self._failed_in_row + 1
        if self._failed_in_row >= FAILURES:
            raise StudyError(
                f"{FAILURES} trials in a row failed or diverged, the last with: {record.reason}. "
                f"What is finished is kept; see {self._folder / 'workers.log'}"
            )

    def _try_again(self, pool: Workers, outcome: Outcome) -> None:
        record = self._trained_for[outcome.key]
        self._retried.add(record.key)
        # if the checkpoint is what is bad, start from nothing
        checkpoint_file(self._folder, record.key).unlink(missing_ok=True)
        self._tell_user("note", text=f"{record.block} failed ({outcome.reason}); it is tried once more")
        if not self._to_end():
            self._start(pool, record)

    def _tell_user(self, kind: str, **content: Any) -> None:
        state = self.state
        left = (max(0, self.target - state.trained) + self._anchors_left) * self.spec.recipe.epochs
        self._report(
            Progress(
                kind=kind,
                study=self.spec.name,
                trained=state.trained,
                target=self.target,
                anchors_left=self._anchors_left,
                best=state.best,
                counters=dict(Counter(record.status for record in state.searched)),
                images=self._images,
                images_left=left * self.spec.split.train_images,
                seconds=time.monotonic() - self._started,
                **content,
            )
        )
