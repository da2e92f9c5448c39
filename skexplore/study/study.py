"""A study as it is read: what it was asked to do, its records, and what they say of its blocks."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any

from skexplore.arch import TRAITS
from skexplore.errors import UserError
from skexplore.files import among
from skexplore.space import encode
from skexplore.study.belief import Answer, answered, claims, compares, foretold, new_model, tell, unclaimed
from skexplore.study.design import Design
from skexplore.study.record import COLUMNS, STATUSES, Record, Size, reference_macs
from skexplore.study.shown import Shown
from skexplore.study.spec import StudySpec, stored_space

if TYPE_CHECKING:
    import pandas

    from skexplore.surrogate import Model

ESTIMATED = (
    "estimate",
    "low",
    "high",
    "trainings",
)  # further columns of trials.csv, then those of what blocks are
STATES = ("running", "finished", "exhausted", "interrupted")
State = Annotated[str, among(STATES)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What the true error of a block is thought to be, a fraction 0..1, from ``trainings`` of it.

    It is the model's where that was told of eight blocks, else the mean of the trainings. low, high: 90 % interval;
    None where the noise is not known.
    """

    estimate: float
    trainings: int
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, kw_only=True)  # no slots: what is derived from the records is kept
class Study(Shown):
    """A study as it is read: its specification, its records (anchors first) and the counters beside them.

    target: trainings of the search asked for so far, asked_replicates of them for its leaders. environment: versions
    and machine, as text, joined by ``THEN`` where runs differed. command: as typed last. archived: whether it was read
    from an archive, which is only read.
    """

    spec: StudySpec
    records: tuple[Record, ...]
    target: int
    environment: dict[str, str]
    command: str
    state: State
    archived: bool = False
    asked_replicates: int = 0

    def __repr__(self) -> str:
        return f"<Study {self.spec.name}: {self.state}, {len(self.records)} records>"

    def with_records(self, records: Iterable[Record]) -> Study:
        """Return the same study with these records."""
        return replace(self, records=tuple(records))

    @property
    def searched(self) -> tuple[Record, ...]:
        """Records of the sampler's trials, without anchors and replicates."""
        return tuple(record for record in self.records if not record.beside)

    @property
    def replicates(self) -> tuple[Record, ...]:
        """Records of fresh seeds of the search's leaders."""
        return tuple(record for record in self.records if record.origin == "replicate")

    @property
    def anchors(self) -> tuple[Record, ...]:
        """Records of published blocks under this study's recipe."""
        return tuple(record for record in self.records if record.origin == "anchor")

    def eligible(self) -> list[Record]:
        """Records that may be on the front or be best: complete, of the search itself, within the budget."""
        return [*self._eligible]

    @cached_property
    def _eligible(self) -> tuple[Record, ...]:
        return tuple(r for r in self.searched if r.status == "complete" and self.spec.within(r))

    @cached_property
    def model(self) -> Model | None:
        """What the errors say of all blocks, None without a search and in a space too large to be taken apart."""
        model = new_model(self.spec) if self.spec.searches else None
        return None if model is None else tell(model, self.records)

    @property
    def modelled(self) -> bool:
        """Whether estimates are the model's, drawn towards those of blocks alike, and not means of trainings."""
        return self.model is not None and compares(self.model)

    @cached_property
    def answer(self) -> Answer | None:
        """What the search found, None where it has too few blocks or its noise is not known."""
        eligible = {record.block for record in self.eligible()}
        if self.model is None or not claims(self.model, eligible):
            return None
        return answered(self.model, eligible)

    @cached_property
    def estimates(self) -> Mapping[str, Estimate]:
        """What the error of each block with a complete training is thought to be, by its notation."""
        if self.answer is not None:
            believed = (*self.answer.blocks, *self.answer.anchors)
            return {
                b.block: Estimate(estimate=b.mean, trainings=b.seeds, low=b.low, high=b.high)
                for b in believed
            }
        return estimates_of(self.model, self.records)

    def predict(self, block: str) -> Estimate:
        """Return what the search believes of the error of a block of its space, trained or not, from its notation.

        Raises ``UserError`` for a block that the space does not hold and that was not trained either, and where too
        little is known to say anything of blocks that were not trained.
        """
        own = self.spec.at_reference(block)
        name = self.spec.text_of(own)
        if name in self.estimates:
            return self.estimates[name]
        if not self.spec.searches:
            raise UserError(f"{self.spec.name} is no search: it says nothing of blocks that it did not train")
        encode(stored_space(self.spec), own)
        if self.model is None or self.answer is None:
            why = unclaimed(self.model)
            raise UserError(f"{self.spec.name}: nothing can be said of blocks that it did not train. {why}")
        mean, low, high = foretold(self.model, name)
        return Estimate(estimate=mean, trainings=0, low=low, high=high)

    @cached_property
    def front(self) -> list[Record]:
        """The Pareto front in (estimated error, multiply-adds at the reference), ordered by the latter."""
        return self.front_over(reference_macs)

    def front_over(self, size: Size) -> list[Record]:
        """Return the Pareto front in (estimated error, ``size``), ordered by size."""
        return pareto_front(self.eligible(), size, self.estimated)

    def estimated(self, record: Record) -> float:
        """Return what the true error of a complete record's block is thought to be, a fraction 0..1."""
        return self.estimates[record.block].estimate

    def trials(self) -> pandas.DataFrame:
        """Return a table of all records, with the columns of ``trials.csv``."""
        return self.table(self.records)

    def table(self, records: Iterable[Record]) -> pandas.DataFrame:
        """Return a table of ``records``, with what the errors of their blocks are thought to be.

        None stays empty, whole numbers stay whole. Bodies that are chosen, activations that are limited and
        latencies that are measured are its last columns.
        """
        import pandas

        records, rows = list(records), []
        for record in records:
            found = self.estimates.get(record.block) if record.plain else None
            rows.append(record.row() | ({} if found is None else asdict(found)) | self.spec.traits(record))
        traits = (*TRAITS, "body") if self.spec.decides_body else (*TRAITS,)
        table = pandas.DataFrame(rows, columns=pandas.Index((*COLUMNS, *ESTIMATED, *traits)))
        if self.spec.limits_activations:
            table["ref_activations"] = [self.spec.sizes(record).activations for record in records]
        if self.spec.latency:
            table["ref_latency_ms"] = [record.ref_latency_ms for record in records]
        whole = [name for name in TRAITS if all(isinstance(row[name], int | None) for row in rows)]
        for name in ("rung", "number", "trainings", *whole):
            table[name] = table[name].astype("Int64")
        for name in ("val_error", "estimate", "low", "high"):
            table[name] = table[name].astype("float64")
        return table

    @cached_property
    def best(self) -> Record | None:
        """The record of the block with the lowest estimated error, None where nothing is complete."""
        return min(self.eligible(), key=lambda r: (self.estimated(r), r.ref_macs, r.number), default=None)


def estimates_of(model: Model | None, records: Iterable[Record]) -> dict[str, Estimate]:
    """Return what the error of each block of ``records`` is thought to be by ``model``, which was told of them all.

    Their intervals are not asked for. Without a model, or with too few blocks for it, it is the mean of the trainings.
    """
    if model is not None and compares(model):
        means, _ = model.posterior().trained()
        return {
            block: Estimate(estimate=float(mean), trainings=model.seeds(block))
            for block, mean in zip(model.blocks, means, strict=True)
        }
    errors: dict[str, dict[str, float]] = {}
    for r in records:
        if r.status == "complete" and r.plain and r.val_error is not None:
            errors.setdefault(r.block, {})[r.key] = r.val_error
    return {
        block: Estimate(estimate=math.fsum(found.values()) / len(found), trainings=len(found))
        for block, found in errors.items()
    }


def measured_error(record: Record) -> float:
    """Return the validation error of a record, infinite without one."""
    return math.inf if record.val_error is None else record.val_error


def pareto_front(
    records: Iterable[Record],
    size: Size = reference_macs,
    error_of: Callable[[Record], float] = measured_error,
) -> list[Record]:
    """Return the records that no other one beats in (error, size), ordered by size.

    A record is dominated by one that is at most equal in both and smaller in one; equals are both kept.
    """
    front: list[Record] = []
    best = math.inf
    for record in sorted(records, key=lambda r: (size(r), error_of(r), r.ref_macs, r.number)):
        error = error_of(record)
        twin = bool(front) and error_of(front[-1]) == error and size(front[-1]) == size(record)
        if error < best or twin:
            front.append(record)
            best = error
    return front


def cells(spec: StudySpec, records: Iterable[Record]) -> dict[tuple[str, int], Record]:
    """Return the finished records of an ablation by the name of the variant and the seed, of its own seeds alone.

    Two variants that are one network in this proxy have the same records. Those without a result are not there.
    """
    design = spec.ablation
    assert design is not None
    seeds = range(spec.seed, spec.seed + design.seeds)
    found = {(r.net_id, r.seed): r for r in records if r.status in ("complete", "diverged", "failed")}
    by_name = {}
    for variant in design.variants:
        network = spec.trained_for(variant).id
        by_name.update({(variant.name, s): found[network, s] for s in seeds if (network, s) in found})
    return by_name


def trained(records: Sequence[Record]) -> int:
    """Count the trainings of a search: architectures whose last segment ended complete or stopped, and replicates."""
    return trained_blocks(records) + sum(r.origin == "replicate" and r.status == "complete" for r in records)


def trained_blocks(records: Iterable[Record]) -> int:
    """Count distinct architectures of the search whose last segment ended complete or stopped."""
    return len({r.arch_id for r in records if r.origin == "search" and r.status in ("complete", "stopped")})


def usual_replicates(trials: int) -> int:
    """Return how many of so many trainings of a search are fresh seeds of its leaders, if nothing else is asked for."""
    return trials // 5


def distinct_trainings(spec: StudySpec, design: Design) -> int:
    """Return networks times seeds: variants that are one network are trained once."""
    return design.seeds * len({spec.trained_for(variant).id for variant in design.variants})


def status_row(study: Study) -> dict[str, Any]:
    """Return the counters of a study as plain data (the keys of ``skexplore status --json``).

    best_val_error, best_low, best_high: what the error of the best block is thought to be, see ``Estimate``.
    beats_paper, beats_plain, may_be_best: see ``Believed`` and ``Answer``; None where too little is known.
    images and seconds are of all trainings, anchors included. Of an ablation trained and target are networks times
    seeds: variants that are one network are trained once. Of own trainings they are those done and those begun.
    """
    counts = Counter(record.status for record in study.searched)
    best, design = study.best, study.spec.ablation
    believed, answer = study.estimates[best.block] if best else None, study.answer
    done, target = trained(study.records), study.target
    if not study.spec.searches:
        counts = Counter(record.status for record in study.records)
        found = cells(study.spec, study.records).values() if design else study.records
        done = len({record.key for record in found if record.status == "complete"})
        target = distinct_trainings(study.spec, design) if design else len({r.key for r in study.records})
    return {
        "study": study.spec.name,
        "state": study.state,
        "asked": len(study.searched if study.spec.searches else study.records),
        "trained": done,
        **{status: counts[status] for status in STATUSES},
        "target": target,
        "best_block": best.block if best else None,
        "best_val_error": believed.estimate if believed else None,
        "best_low": believed.low if believed else None,
        "best_high": believed.high if believed else None,
        "beats_paper": answer.best.beats_paper if answer else None,
        "beats_plain": answer.best.beats_plain if answer else None,
        "may_be_best": list(answer.may_be_best) if answer else None,
        "images": sum(record.images for record in study.records),
        "seconds": sum(record.seconds for record in study.records),
    }
