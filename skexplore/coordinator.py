"""The coordinator: decides which trials are trained, and is the only one to write the study."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from optuna.trial import TrialState

from skexplore.block import Blocks, format_blocks, parse_blocks
from skexplore.cost import arch_id, cost, net_id
from skexplore.errors import StudyError
from skexplore.job import Job, Outcome, checkpoint_file
from skexplore.published import anchor_blocks
from skexplore.recipe import TrainSpec
from skexplore.record import Epoch, Record, pareto_front, trained
from skexplore.runner import DoneEvent, EpochEvent, Pool
from skexplore.sampling import Proposer, constraints
from skexplore.space import Space
from skexplore.store import Store
from skexplore.weights import weights_file

PATIENCE = 200  # proposals in a row that bring nothing to train
FAILURES = 10  # failed or diverged trials in a row that end a search


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """One thing that happened. kind: ``note``, ``start``, ``epoch``, ``end`` (of a training) or ``skip``.

    best: lowest validation error within the budget so far. counters: trials by status. images, images_left:
    trained so far in this call (in ``seconds``), and still to train.
    """

    kind: str
    text: str = ""
    record: Record | None = None
    epoch: Epoch | None = None
    trained: int
    target: int
    best: float | None
    counters: dict[str, int]
    images: int
    images_left: int
    seconds: float


class Coordinator:
    """One run of a search over an open study."""

    def __init__(
        self,
        store: Store,
        space: Space,
        target: int,
        data_folder: Path,
        on_progress: Callable[[Progress], None],
        interrupts: Callable[[], int],
    ) -> None:
        self.store, self.spec, self.target = store, store.spec, target
        self._data_folder, self._report, self._interrupts = data_folder, on_progress, interrupts
        trials = store.trials()
        self._proposer = Proposer(space, self.spec, trials)
        self._anchors = store.anchors()
        self._searched = [record for _, record in trials]
        # measurements that the sampler has been told, by replay key
        self._told = {
            record.replay_of or record.key for trial, record in trials if trial.state is TrialState.COMPLETE
        }
        self._queue: deque[Record] = deque()
        self._retried: set[str] = set()
        self._failed_in_row = self._idle_proposals = 0
        self._images, self._started = 0, time.monotonic()

    def run(self, devices: list[str]) -> None:
        """Train until the target is met or nothing new comes; see ``search`` for what is raised."""
        self._resume()
        self._queue_anchors()
        if not self._queue and not self._wants_more(0):
            return
        log = self.store.folder / "workers.log"
        with Pool(devices, log) as pool:
            while True:
                if not self._interrupts():
                    self._fill(pool)
                if not pool.running:
                    break
                self._listen(pool)
            if self._interrupts():
                raise KeyboardInterrupt
        if self._wants_more(0):
            self._note(
                f"stopped after {PATIENCE} proposals in a row that brought nothing new: "
                f"{trained(self._searched)} of {self.target} trained"
            )

    # -- what to train ------------------------------------------------------------------------------------

    def _resume(self) -> None:
        """Take up what an earlier coordinator left unfinished."""
        for record in self.store.unfinished():
            if record.status == "running":
                self._queue.append(record)
            else:  # its result was stored, only the last word was not
                self._close(record)
        waiting = {checkpoint_file(self.store.folder, record.key).name for record in self._queue}
        for path in (self.store.folder / "checkpoints").glob("*"):
            if path.name not in waiting:
                path.unlink(missing_ok=True)

    def _queue_anchors(self) -> None:
        present = {(record.block, record.seed) for record in self._anchors}
        for block in anchor_blocks(self.spec.anchors):
            for seed in range(self.spec.seed, self.spec.seed + self.spec.anchor_seeds):
                blocks = parse_blocks(block)
                if (block, seed) not in present:
                    record = self._record(len(self._anchors), blocks, seed=seed, origin="anchor")
                    self.store.add(record, state=TrialState.RUNNING)
                    self._anchors.append(record)
                    self._queue.append(record)

    def _wants_more(self, in_flight: int) -> bool:
        return trained(self._searched) + in_flight < self.target

    def _fill(self, pool: Pool) -> None:
        while pool.idle:
            in_flight = sum(record.status == "running" for record in self._searched)
            if not self._queue:
                patient = self._idle_proposals < PATIENCE
                if not (patient and self._wants_more(in_flight) and self._propose(pool)):
                    return
                continue
            record = self._queue.popleft()
            self._start(pool, record)

    def _start(self, pool: Pool, record: Record) -> None:
        spec = self._train_spec(record)
        pool.start(
            Job(
                spec=spec,
                until=spec.recipe.epochs,
                study_folder=str(self.store.folder.absolute()),
                data_folder=str(self._data_folder),
            )
        )
        self._tell_user("start", record=record)

    def _propose(self, pool: Pool) -> bool:
        """Ask for proposals until one is to be trained and queue it; False if patience ran out."""
        running = {job.spec.key: job for job in pool.running}
        while self._idle_proposals < PATIENCE:
            if self._interrupts():
                return False
            number, levels = self._proposer.ask()
            blocks = self._proposer.space.decode(levels)
            record = self._record(number, blocks, seed=self.spec.seed, origin="search")
            values = constraints(self.spec, record.ref_macs, record.ref_params)
            self._proposer.constrain(number, values)
            record, state, value = self._decide(record, set(running))
            distributions = self._proposer.distributions
            self.store.add(
                record,
                state=state,
                value=value,
                params=levels,
                distributions=distributions,
                constraints=values,
            )
            self._searched.append(record)
            if state is TrialState.RUNNING:
                self._idle_proposals = 0
                self._queue.append(record)
                return True
            self._idle_proposals += 1
            self._proposer.tell(number, state, value)
            self._tell_user("skip", record=record)
        return False

    def _decide(self, record: Record, running: set[str]) -> tuple[Record, TrialState, float | None]:
        """Return the record with its status, and the state and value for the sampler."""
        if not self.spec.within(record):
            over = max(constraints(self.spec, record.ref_macs, record.ref_params).values())
            reason = f"{100 * over:.1f} % over budget at the reference"
            return replace(record, status="over_budget", reason=reason), TrialState.PRUNED, None
        replay = replace(record, status="replay", origin="replay", replay_of=record.key)
        if record.key in running:
            return replace(replay, reason="duplicate_running"), TrialState.FAIL, None
        source = self._measured().get(record.key)
        if source is None:
            return record, TrialState.RUNNING, None
        where = f"{'anchor' if source.origin == 'anchor' else 'trial'} {source.number}"
        if source.status == "failed":
            return replace(replay, reason=f"failed twice as {where}"), TrialState.FAIL, None
        replay = replace(replay, val_error=source.val_error, reason=f"measured as {where}")
        if record.key in self._told:
            return replay, TrialState.FAIL, None
        self._told.add(record.key)
        return replay, TrialState.COMPLETE, _value(source)

    def _measured(self) -> dict[str, Record]:
        done = ("complete", "diverged", "failed")
        return {r.key: r for r in [*self._searched, *self._anchors] if r.status in done}

    # -- what came of it ----------------------------------------------------------------------------------

    def _listen(self, pool: Pool) -> None:
        pressed = self._interrupts()
        if pressed > 1:
            raise KeyboardInterrupt
        if pressed:
            pool.pause()
        for event in pool.events(timeout=0.5):
            if isinstance(event, EpochEvent):
                self._images += self.spec.split.train_images
                self._tell_user("epoch", record=self._running_record(event.key), epoch=event.epoch)
            elif isinstance(event, DoneEvent) and event.outcome.status != "paused":
                self._done(pool, event.outcome)

    def _running_record(self, key: str) -> Record:
        records = [*self._anchors, *self._searched]
        return next(record for record in records if record.key == key and record.status == "running")

    def _done(self, pool: Pool, outcome: Outcome) -> None:
        record = self._running_record(outcome.key)
        checkpoint = checkpoint_file(self.store.folder, record.key)
        if outcome.status == "failed" and record.key not in self._retried:
            self._retried.add(record.key)
            checkpoint.unlink(missing_ok=True)  # if it was the checkpoint that is bad, start from nothing
            self._note(f"{record.block} failed ({outcome.reason}); it is tried once more")
            self._start(pool, record)
            return
        curve = outcome.curve
        record = replace(
            record,
            status=outcome.status,
            reason=outcome.reason,
            curve=curve,
            rung=0 if curve else None,
            epochs=len(curve),
            images=len(curve) * self.spec.split.train_images,
            val_error=curve[-1].val_error if outcome.status == "complete" else None,
            seconds=sum(epoch.seconds for epoch in curve),
        )
        self._close(record)
        checkpoint.unlink(missing_ok=True)
        self._drop_weights()
        self._tell_user("end", record=record)
        self._failed_in_row = 0 if record.status == "complete" else self._failed_in_row + 1
        if self._failed_in_row >= FAILURES:
            raise StudyError(
                f"{FAILURES} trials in a row failed or diverged, the last with: {record.reason}. What is "
                f"finished is kept; "
                f"see {self.store.folder / 'workers.log'}"
            )

    def _close(self, record: Record) -> None:
        """Store a finished record and tell the sampler."""
        failed = record.status == "failed"
        state, value = (TrialState.FAIL, None) if failed else (TrialState.COMPLETE, _value(record))
        self.store.finish(record, state=state, value=value)
        records = self._anchors if record.origin == "anchor" else self._searched
        records[record.number] = record
        if record.origin != "anchor":
            self._proposer.tell(record.number, state, value)
            if not failed:
                self._told.add(record.key)

    def _drop_weights(self) -> None:
        """Keep the weights of the front alone: the rest can be trained again from its record."""
        eligible = self._eligible()
        wanted = {r.key for r in pareto_front(eligible, lambda r: r.ref_macs)}
        wanted |= {r.key for r in pareto_front(eligible, lambda r: r.ref_params)}
        wanted |= {r.key for r in [*self._searched, *self._anchors] if r.status == "running"}
        keep = {weights_file(self.store.folder, key).name for key in wanted}
        for path in (self.store.folder / "weights").glob("*.safetensors"):
            if path.name not in keep:
                path.unlink(missing_ok=True)

    def _eligible(self) -> list[Record]:
        return [r for r in self._searched if r.status == "complete" and self.spec.within(r)]

    # -- helpers ------------------------------------------------------------------------------------------

    def _record(self, number: int, blocks: Blocks, *, seed: int, origin: str) -> Record:
        reference, proxy = cost(blocks), cost(blocks, self.spec.backbone)
        record = Record(
            number=number,
            arch_id=arch_id(blocks),
            net_id=net_id(blocks, self.spec.backbone),
            block=format_blocks(blocks),
            status="running",
            origin=origin,
            sampler=self.spec.sampler if origin == "search" else "none",
            seed=seed,
            ref_params=reference.params,
            ref_macs=reference.macs,
            proxy_params=proxy.params,
            proxy_macs=proxy.macs,
            key="",
        )
        return replace(record, key=self._train_spec(record).key)

    def _train_spec(self, record: Record) -> TrainSpec:
        spec = self.spec
        return TrainSpec(
            block=record.block,
            net_id=record.net_id,
            backbone=spec.backbone,
            recipe=spec.recipe,
            split=spec.split,
            seed=record.seed,
        )

    def _note(self, text: str) -> None:
        self._tell_user("note", text=text)

    def _tell_user(self, kind: str, **content: Any) -> None:
        done, running = trained(self._searched), self._queue_size()
        left = (max(0, self.target - done) + running) * self.spec.recipe.epochs * self.spec.split.train_images
        self._report(
            Progress(
                kind=kind,
                trained=done,
                target=self.target,
                best=min((r.val_error for r in self._eligible() if r.val_error is not None), default=None),
                counters=dict(Counter(record.status for record in self._searched)),
                images=self._images,
                images_left=left,
                seconds=time.monotonic() - self._started,
                **content,
            )
        )

    def _queue_size(self) -> int:
        return sum(record.status == "running" for record in self._anchors)


def _value(record: Record) -> float:
    """Return what the sampler is told: the error, or that of guessing for a training that diverged."""
    return 0.9 if record.val_error is None else record.val_error
