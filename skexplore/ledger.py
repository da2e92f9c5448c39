"""What a running search knows: every record so far, each measurement once, and their way into the store."""

from __future__ import annotations

from dataclasses import replace

from optuna.trial import TrialState

from skexplore.block import Blocks, format_blocks
from skexplore.cost import arch_id, cost, net_id
from skexplore.job import Outcome, checkpoint_file
from skexplore.recipe import TrainSpec
from skexplore.record import Record, pareto_front, trained
from skexplore.sampling import Proposer, constraints
from skexplore.space import Space
from skexplore.store import Store
from skexplore.weights import weights_file

CHANCE_ERROR = 0.9  # of guessing one of ten classes: what the sampler is told of a training that diverged


class Ledger:
    """The records of an open study, and the only way by which they change."""

    def __init__(self, store: Store, space: Space) -> None:
        self.store, self.spec = store, store.spec
        trials = store.trials()
        self.proposer = Proposer(space, self.spec, trials)
        self.anchors = store.anchors()
        self.searched = [record for _, record in trials]
        self.measured: dict[str, Record] = {}
        for record in [*self.anchors, *self.searched]:
            self._note_measurement(record)
        # measurements that the sampler has been told, by replay key
        self._told = {
            record.replay_of or record.key for trial, record in trials if trial.state is TrialState.COMPLETE
        }

    @property
    def trained(self) -> int:
        """Number of distinct architectures that the search has trained."""
        return trained(self.searched)

    @property
    def in_flight(self) -> int:
        """Number of trials of the search that have no result yet."""
        return sum(record.status == "running" for record in self.searched)

    @property
    def anchors_left(self) -> int:
        """Number of anchor trainings that have no result yet."""
        return sum(record.status == "running" for record in self.anchors)

    @property
    def best(self) -> float | None:
        """Lowest validation error of a complete trial within the budget."""
        errors = (r.val_error for r in self.searched if r.status == "complete" and self.spec.within(r))
        return min((error for error in errors if error is not None), default=None)

    def idle_streak(self) -> int:
        """Return how many of the last proposals in a row brought nothing to train."""
        streak = 0
        for record in reversed(self.searched):
            refused = record.status == "over_budget" and not self.spec.within(record)
            if not refused and record.status != "replay":
                break
            streak += 1
        return streak

    def running(self, key: str) -> Record:
        """Return the unfinished record of the training ``key``."""
        records = [*self.anchors, *self.searched]
        return next(record for record in records if record.key == key and record.status == "running")

    # -- new records --------------------------------------------------------------------------------------

    def resume(self) -> list[Record]:
        """Return what an earlier coordinator left to train; close what it had only forgotten to."""
        waiting = []
        for record in self.store.unfinished():
            if record.status != "running":  # its result was stored, only the last word was not
                self._close(record)
            elif record.origin == "search" and not self.spec.within(record):  # the budget is lower now
                self._close(self._refused(record))
            else:
                waiting.append(record)
        self._sweep({checkpoint_file(self.store.folder, record.key).name for record in waiting})
        return waiting

    def add_anchor(self, blocks: Blocks, seed: int) -> Record | None:
        """Return a new record of an anchor to train, or None if it has been trained (or is about to be)."""
        record = self._record(len(self.anchors), blocks, seed=seed, origin="anchor")
        if any(old.key == record.key and old.status != "failed" for old in self.anchors):
            return None
        self.store.add(record, state=TrialState.RUNNING)
        self.anchors.append(record)
        return record

    def propose(self, running: set[str]) -> Record:
        """Ask the sampler for the next trial, decide on it, store it and return its record.

        Its status is ``running`` if it is to be trained. ``running`` holds the keys being trained now.
        """
        number, levels = self.proposer.ask()
        blocks = self.proposer.space.decode(levels)
        record = self._record(number, blocks, seed=self.spec.seed, origin="search")
        values = constraints(self.spec, record.ref_macs, record.ref_params)
        self.proposer.constrain(values)
        record, state, value = self._decide(record, running)
        self.store.add(
            record,
            state=state,
            value=value,
            params=levels,
            distributions=self.proposer.distributions,
            constraints=values,
        )
        self.searched.append(record)
        if state is not TrialState.RUNNING:
            self.proposer.tell(number, state, value)
        return record

    def _decide(self, record: Record, running: set[str]) -> tuple[Record, TrialState, float | None]:
        """Return the record with its status, and the state and value for the sampler."""
        if not self.spec.within(record):
            return self._refused(record), TrialState.PRUNED, None
        replay = replace(record, status="replay", origin="replay", replay_of=record.key)
        if record.key in running:
            return replace(replay, reason="duplicate_running"), TrialState.FAIL, None
        source = self.measured.get(record.key)
        if source is None:
            return record, TrialState.RUNNING, None
        if source.status == "failed":
            return replace(replay, reason=f"failed twice as {_name(source)}"), TrialState.FAIL, None
        replay = replace(replay, val_error=source.val_error, reason=f"measured as {_name(source)}")
        if record.key in self._told:
            return replay, TrialState.FAIL, None
        self._told.add(record.key)
        return replay, TrialState.COMPLETE, _value(source)

    def _refused(self, record: Record) -> Record:
        size = record.ref_macs, record.ref_params
        parts = [
            f"{100 * bound.difference(*size):+.1f} % on {bound}"
            for bound in self.spec.bounds
            if not (bound.of_space and bound.keeps(*size))
        ]
        return replace(record, status="over_budget", reason=f"at the reference {', '.join(parts)}")

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
        return replace(record, key=self.train_spec(record).key)

    def train_spec(self, record: Record) -> TrainSpec:
        """Return what the training of ``record`` depends on."""
        return TrainSpec(
            block=record.block,
            net_id=record.net_id,
            backbone=self.spec.backbone,
            recipe=self.spec.recipe,
            split=self.spec.split,
            seed=record.seed,
        )

    # -- results ------------------------------------------------------------------------------------------

    def finish(self, outcome: Outcome) -> Record:
        """Store how a training ended and return its record."""
        curve, record = outcome.curve, self.running(outcome.key)
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
        checkpoint_file(self.store.folder, record.key).unlink(missing_ok=True)
        self._drop_weights()
        return record

    def share(self, record: Record, source: Record) -> None:
        """Close ``record`` with the measurement that ``source`` made of the same network."""
        self._close(
            replace(
                record,
                status=source.status,
                val_error=source.val_error,
                curve=source.curve,
                replay_of=source.key,
                reason=f"measured as {_name(source)}",
            )
        )

    def _close(self, record: Record) -> None:
        """Store a finished record and tell the sampler."""
        state = {"failed": TrialState.FAIL, "over_budget": TrialState.PRUNED}.get(
            record.status, TrialState.COMPLETE
        )
        value = _value(record) if state is TrialState.COMPLETE else None
        self.store.finish(record, state=state, value=value)
        records = self.anchors if record.origin == "anchor" else self.searched
        records[record.number] = record
        self._note_measurement(record)
        if record.origin != "anchor":
            self.proposer.tell(record.number, state, value)
            if state is TrialState.COMPLETE:
                self._told.add(record.key)

    def _note_measurement(self, record: Record) -> None:
        done = record.status in ("complete", "diverged")
        if done or (record.status == "failed" and record.key not in self.measured):
            self.measured[record.key] = record

    # -- files --------------------------------------------------------------------------------------------

    def _drop_weights(self) -> None:
        """Keep the weights of the fronts alone: the rest can be trained again from its record.

        The budget plays no part: it may change, and the front under a lower one is a piece of this front.
        """
        complete = [r for r in self.searched if r.status == "complete"]
        wanted = {r.key for r in pareto_front(complete, lambda r: r.ref_macs)}
        wanted |= {r.key for r in pareto_front(complete, lambda r: r.ref_params)}
        wanted |= {r.key for r in [*self.searched, *self.anchors] if r.status == "running"}
        keep = {weights_file(self.store.folder, key).name for key in wanted}
        for path in (self.store.folder / "weights").glob("*"):
            if path.name not in keep and not path.name.startswith("."):
                path.unlink(missing_ok=True)

    def _sweep(self, checkpoints: set[str]) -> None:
        """Remove what killed processes left: checkpoints of finished trainings, halves of files."""
        for path in (self.store.folder / "checkpoints").glob("*"):
            if path.name not in checkpoints:
                path.unlink(missing_ok=True)
        for path in (self.store.folder / "weights").glob(".*"):
            path.unlink(missing_ok=True)
        self._drop_weights()


def _name(record: Record) -> str:
    return f"{'anchor' if record.origin == 'anchor' else 'trial'} {record.number}"


def _value(record: Record) -> float:
    return CHANCE_ERROR if record.val_error is None else record.val_error
