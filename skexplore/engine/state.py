"""What a running search knows: every record so far, each measurement once, and their way into the store."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from optuna.trial import TrialState

from skexplore.arch import Architecture, Setting
from skexplore.engine.halving import ALIVE, RungValue, goes_on
from skexplore.engine.replicates import next_replicate
from skexplore.engine.sampler import Proposer, constraints
from skexplore.plan import Training
from skexplore.space import Level, Space
from skexplore.study import (
    THEN,
    Record,
    Store,
    Study,
    TrainSpec,
    latency_said,
    measured_error,
    now,
    pareto_front,
    rung_tells,
    trained,
    trained_blocks,
)
from skexplore.training import Outcome, checkpoint_file, weights_file

NEARLY_BEST = (
    10  # lowest errors whose weights are kept with the fronts': the best by its estimate is hardly another
)
IDLE = 10  # proposals in a row that bring nothing to train, after which one is drawn
Measure = Callable[[Architecture], float]
AGAIN = ("failed", "stopped")  # an anchor that ended so is trained again by the next call


class State:
    """The records of an open study, and the only way by which they change.

    searched: every record of a trial, by its number; beside: of anchors and replicates. measured: for each replay key
    the record that measured it; one that failed is there only as long as no other has the key. measure: returns the
    latency of a network in milliseconds, in a search that measures it.
    """

    def __init__(self, store: Store, space: Space, measure: Measure | None = None) -> None:
        self.store, self.spec, self._measure = store, store.spec, measure
        trials = store.trials()
        self.proposer = Proposer(space, self.spec, trials)
        self.beside = store.beside()
        self.searched = [record for _, record in trials]
        self.measured: dict[str, Record] = {}
        self._latencies: dict[str, float] = {}  # by arch_id
        for record in [*self.beside, *self.searched]:
            self._note_measurement(record)
            if record.ref_latency_ms is not None:
                self._latencies[record.arch_id] = record.ref_latency_ms
        # measurements that the sampler has been told, by replay key
        self._told = {
            record.replay_of or record.key for trial, record in trials if trial.state is TrialState.COMPLETE
        }

    @property
    def trained(self) -> int:
        """Number of trainings of the search: distinct architectures and replicates."""
        return trained([*self.searched, *self.beside])

    @property
    def blocks(self) -> int:
        """Number of distinct architectures that the search has trained."""
        return trained_blocks(self.searched)

    @property
    def replicates(self) -> int:
        """Number of replicates that are trained or being trained."""
        return sum(r.origin == "replicate" and r.status in ("complete", "running") for r in self.beside)

    @property
    def in_flight(self) -> int:
        """Number of trials of the search that have no result yet."""
        return sum(record.status == "running" for record in self.searched)

    @property
    def replicating(self) -> int:
        """Number of replicates that are being trained."""
        return sum(record.status == "running" and record.origin == "replicate" for record in self.beside)

    @property
    def anchors_left(self) -> int:
        """Number of anchor trainings that have no result yet."""
        return sum(record.status == "running" and record.origin == "anchor" for record in self.beside)

    @property
    def best(self) -> float | None:
        """Lowest validation error of a complete trial within the budget."""
        errors = (r.val_error for r in self.searched if r.status == "complete" and self.spec.within(r))
        return min((error for error in errors if error is not None), default=None)

    def knows(self, network: Architecture) -> bool:
        """Return whether the search has a trial of ``network`` that is decided under the budget of now."""
        own = network.id
        return any(
            record.arch_id == own and not (record.status == "over_budget" and self.spec.within(record))
            for record in self.searched
        )

    @property
    def exhausted(self) -> bool:
        """Whether every architecture within the budget is tried, where the space can be written out."""
        candidates = self.proposer.candidates
        within = None if candidates is None else candidates.within
        return within is not None and len(self.proposer.tried) >= len(within)

    def idle_streak(self) -> int:
        """Return how many of the last proposals in a row brought nothing to train."""
        streak = 0
        for record in reversed(self.searched):
            refused = record.status == "over_budget" and not self.spec.within(record)
            if not refused and record.status != "replay":
                break
            streak += 1
        return streak

    # -- new records --------------------------------------------------------------------------------------

    def resume(self) -> list[Record]:
        """Return what an earlier coordinator left to train; close what it had only forgotten to."""
        waiting = []
        for record in self.store.unfinished():
            if record.status != "running":  # its result was stored, only the last word was not
                self._close(record)
            elif record.origin != "anchor" and not self.spec.within(record):  # the budget is lower now
                self._close(self._refused(record))
            else:
                waiting.append(record)
        self._sweep({checkpoint_file(self.store.folder, record.key).name for record in waiting})
        return waiting

    def new_anchor(self, training: Training) -> Record | None:
        """Return the record of an anchor to train, not written yet, or None if it was trained (or is about to be)."""
        record = self._record(
            len(self.beside),
            training.architecture,
            seed=training.seed,
            origin="anchor",
            sampler=training.chosen_by,
            backbone=training.backbone,
        )
        anchors = (old for old in self.beside if old.origin == "anchor")
        known = any(old.key == record.key and old.status not in AGAIN for old in anchors)
        return None if known else record

    def add_beside(self, record: Record) -> Record:
        """Write a record of a training beside the trials, with the number that it gets now, and return it."""
        record = self._timed(replace(record, number=len(self.beside)))
        self.store.add(record, state=TrialState.RUNNING)
        self.beside.append(record)
        return record

    def add_replicate(self) -> Record | None:
        """Write the record of a leader's next seed and return it, None as long as there is no leader."""
        chosen = next_replicate(self.study)
        if chosen is None:
            return None
        own = self.spec.at_reference(chosen[0].block)
        return self.add_beside(
            self._record(len(self.beside), own, seed=chosen[1], origin="replicate", sampler="none")
        )

    @property
    def study(self) -> Study:
        """The study as it is read, but for how it was run."""
        records = (*self.beside, *self.searched)
        return Study(spec=self.spec, records=records, target=0, environment={}, command="", state="running")

    def propose(self, running: set[str], wished: Mapping[str, Level] | None = None) -> Record:
        """Ask the sampler for the next trial, decide on it, store it and return its record.

        Its status is ``running`` if it is to be trained. ``running`` holds the keys being trained now, ``wished``
        levels that the user wants tried instead of the sampler's. A sampler that proposes ``IDLE`` times in a row
        nothing to train has no idea left: what comes then is drawn from what was not tried.
        """
        proposal = self.proposer.ask(wished, untried_one=self.idle_streak() >= IDLE)
        record = self._record(
            proposal.number,
            self.proposer.space.network(proposal.levels),
            seed=self.spec.seed,
            origin="search",
            sampler=proposal.sampler,
        )
        record = self._timed(record)
        values = constraints(self.spec, self.spec.sizes(record), record.ref_latency_ms)
        self.proposer.constrain(values)
        record, state, objectives = self._decide(record, running)
        self.store.add(
            record,
            state=state,
            values=objectives,
            params=proposal.levels,
            distributions=self.proposer.distributions,
            constraints=values,
            system_attrs=proposal.notes,
        )
        self.searched.append(record)
        self.proposer.note_tried(record)
        if state is not TrialState.RUNNING:
            self.proposer.tell(record.number, state, objectives)
        return record

    def _decide(
        self, record: Record, running: set[str]
    ) -> tuple[Record, TrialState, tuple[float, ...] | None]:
        """Return the record with its status, and the state and objectives for the sampler."""
        if not self.spec.within(record):
            return self._refused(record), TrialState.PRUNED, None
        replay = replace(record, status="replay", origin="replay", replay_of=record.key)
        if record.key in running:
            return replace(replay, reason="duplicate_running"), TrialState.FAIL, None
        source = self.measured.get(record.key)
        if source is None:
            return record, TrialState.RUNNING, None
        if source.status in ("failed", "stopped"):  # there is no value to tell, or it was told
            how = "failed twice" if source.status == "failed" else "stopped"
            return replace(replay, reason=f"{how} as {_name(source)}"), TrialState.FAIL, None
        replay = replace(replay, val_error=source.val_error, reason=f"measured as {_name(source)}")
        if record.key in self._told:
            return replay, TrialState.FAIL, None
        self._told.add(record.key)
        return replay, TrialState.COMPLETE, self._objectives(replace(replay, status=source.status))

    def _refused(self, record: Record) -> Record:
        size = self.spec.sizes(record)
        parts = [
            f"{100 * bound.difference(size):+.1f} % on {bound}"
            for bound in self.spec.bounds
            if not bound.keeps(size)
        ]
        own, limit = record.ref_latency_ms, self.spec.budget_latency_ms
        if own is not None and limit is not None and self.spec.too_slow(record):
            parts.append(f"{100 * (own / limit - 1):+.1f} % on {latency_said(limit)}")
        where = self.proposer.space.where
        return replace(record, status="over_budget", reason=f"{where} {', '.join(parts)}")

    def _record(
        self,
        number: int,
        architecture: Architecture,
        *,
        seed: int,
        origin: str,
        sampler: str,
        backbone: str = "",
    ) -> Record:
        backbone = backbone or self.spec.backbone_for(architecture)
        network = self.spec.proxy(architecture, backbone)
        there, proxy = architecture.cost(), network.cost()
        record = Record(
            number=number,
            arch_id=architecture.id,
            net_id=network.id,
            block=self.spec.text_of(architecture),
            status="running",
            origin=origin,
            sampler=sampler,
            seed=seed,
            ref_params=there.params,
            ref_macs=there.macs,
            proxy_params=proxy.params,
            proxy_macs=proxy.macs,
            key="",
            setting=Setting.of(architecture, backbone),
        )
        return replace(record, key=self.train_spec(record).key)

    def _timed(self, record: Record) -> Record:
        """Return ``record`` with its latency, where latencies are measured: that of one network is measured once."""
        if self._measure is None or not (record.beside or self.spec.counted_within(record)):
            return record
        if record.arch_id not in self._latencies:
            self._latencies[record.arch_id] = self._measure(self.spec.at_reference(record.block))
        return replace(record, ref_latency_ms=self._latencies[record.arch_id])

    def train_spec(self, record: Record) -> TrainSpec:
        """Return what the training of ``record`` depends on."""
        return TrainSpec(
            block=record.block,
            net_id=record.net_id,
            backbone=self.spec.backbone,
            recipe=self.spec.recipe,
            split=self.spec.split,
            seed=record.seed,
            setting=record.setting,
            reference=self.spec.reference,
        )

    # -- results ------------------------------------------------------------------------------------------

    def next_segment(self, record: Record) -> int:
        """Return the epoch at which the next segment of an unfinished training ends."""
        if record.beside:
            return self.spec.recipe.epochs
        return self.spec.segments[0 if record.rung is None else record.rung + 1]

    def finish(self, record: Record, outcome: Outcome) -> Record:
        """Store how a segment of the training of ``record`` ended and return it, ``running`` if it goes on."""
        curve = outcome.curve or record.curve  # a failure tells nothing of the segments before it
        rungs = sum(len(curve) >= epochs for epochs in self.spec.segments)
        record = replace(
            record,
            status=outcome.status,
            reason=outcome.reason,
            curve=curve,
            rung=rungs - 1 if rungs else None,
            epochs=len(curve),
            images=len(curve) * self.spec.split.train_images,
            val_error=curve[-1].val_error if outcome.status == "complete" else None,
            test_error=outcome.test_error,
            test_right=outcome.test_right,
            weights_sha256=outcome.weights_sha256,
            device=THEN.join(dict.fromkeys(each for each in (record.device, outcome.device) if each)),
            seconds=sum(epoch.seconds for epoch in curve),
            ended=now() if curve else "",
        )
        # what stands beside the trials is trained in one piece
        if outcome.status == "complete" and len(curve) < self.spec.recipe.epochs:
            record = self._judge(record)
            if record.status == "running":
                self.store.update(record)
                self._of(record)[record.number] = record
                return record
        self._close(record)
        checkpoint_file(self.store.folder, record.key).unlink(missing_ok=True)
        self._drop_weights()
        return record

    def _judge(self, record: Record) -> Record:
        """Return a record at a rung before the last, ``running`` if it goes on, else ``stopped``."""
        epochs = len(record.curve)
        rivals = [
            RungValue(error=error, macs=other.ref_macs)
            for other in self.searched
            if other.number != record.number and other.origin == "search" and other.status in ALIVE
            if (error := other.at(epochs)) is not None and self.spec.within(other)
        ]
        own = RungValue(error=record.curve[-1].val_error, macs=record.ref_macs)
        eta = self.spec.segments[1] // self.spec.segments[0]
        if not rung_tells(self.searched, epochs) or goes_on(own, rivals, eta):
            return replace(record, status="running", val_error=None)
        reason = f"at rung {record.rung} ({epochs} epochs), neither in its best 1/{eta} nor on its front"
        return replace(record, status="stopped", reason=reason)

    def share(self, record: Record, source: Record, *, foreign: bool = False) -> None:
        """Close ``record`` with the measurement that ``source`` made of the same network.

        foreign: whether ``source`` stands in another study; its reason says where.
        """
        self._close(
            replace(
                record,
                status=source.status,
                val_error=source.val_error,
                test_error=source.test_error,
                test_right=source.test_right,
                weights_sha256=source.weights_sha256,
                device=source.device,
                curve=source.curve,
                replay_of=source.key,
                reason=source.reason if foreign else f"measured as {_name(source)}",
            )
        )

    def _close(self, record: Record) -> None:
        """Store a finished record and tell the sampler."""
        states = {"failed": TrialState.FAIL, "over_budget": TrialState.PRUNED, "stopped": TrialState.PRUNED}
        state = states.get(record.status, TrialState.COMPLETE)
        objectives = self._objectives(record) if state is TrialState.COMPLETE else None
        steps = self._steps(record)
        self.store.finish(record, state=state, values=objectives, steps=steps)
        self._of(record)[record.number] = record
        self._note_measurement(record)
        if not record.beside:
            self.proposer.tell(record.number, state, objectives, steps)
            if state is TrialState.COMPLETE:
                self._told.add(record.key)

    def _of(self, record: Record) -> list[Record]:
        return self.beside if record.beside else self.searched

    def _steps(self, record: Record) -> dict[int, float]:
        """Return the errors after each epoch: a sampler learns from the last how a stopped trial went.

        None with two objectives, for which Optuna has no such values.
        """
        if self.spec.mode == "pareto" and not record.beside:
            return {}
        return {epoch.epoch: epoch.val_error for epoch in record.curve}

    def _objectives(self, record: Record) -> tuple[float, ...]:
        """Return what the sampler is told of a measured record; an anchor's study has the error alone."""
        error = 1 - 1 / self.spec.split.classes if record.status == "diverged" else record.val_error
        assert error is not None
        if self.spec.mode == "pareto" and not record.beside:
            return error, record.ref_macs / 1e9
        return (error,)

    def _note_measurement(self, record: Record) -> None:
        done = record.status in ("complete", "stopped", "diverged")
        self.proposer.learn(record)
        if done or (record.status == "failed" and record.key not in self.measured):
            self.measured[record.key] = record

    # -- files --------------------------------------------------------------------------------------------

    def _drop_weights(self) -> None:
        """Keep what ``keep_weights`` says, by default the weights of the fronts: the rest can be trained again.

        The budget plays no part: it may change, and the front under a lower one is a piece of this front.
        """
        if self.spec.keep_weights == "all":
            return
        kept = [] if self.spec.keep_weights == "none" else self.searched
        complete = [record for record in kept if record.status == "complete"]
        wanted = {r.key for r in pareto_front(complete)}
        wanted |= {r.key for r in pareto_front(complete, lambda r: r.ref_params)}
        wanted |= {r.key for r in sorted(complete, key=measured_error)[:NEARLY_BEST]}
        if self.spec.keep_weights == "anchors":
            wanted |= {r.key for r in self.beside if r.origin == "anchor"}
        wanted |= {r.key for r in [*self.searched, *self.beside] if r.status == "running"}
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
    return f"{record.origin if record.beside else 'trial'} {record.number}"
