"""What is kept of a trial and of a study: plain data, alike in the database, the archive and the tables."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Annotated, Any

from skexplore.arch import (
    FREE,
    PLAIN,
    Architecture,
    Backbone,
    Band,
    Bound,
    Setting,
    band_bounds,
    budget_bounds,
    get_backbone,
    parse_block,
)
from skexplore.files import PlainName, among
from skexplore.paper import ANCHOR_SETS
from skexplore.space import Condition, Space
from skexplore.study.design import Design, Variant
from skexplore.study.recipe import Profile, Recipe, Split
from skexplore.study.samplers import SAMPLERS

if TYPE_CHECKING:
    import pandas

MODES = ("constrained", "pareto")
KEEP_WEIGHTS = ("front", "all", "none")
STATUSES = ("complete", "stopped", "over_budget", "replay", "failed", "diverged", "running")
STATES = ("running", "finished", "exhausted", "interrupted")  # of a study

# text fields with few values: an archive or a database with others is refused
Sampler = Annotated[str, among(SAMPLERS, "none")]  # of a study; none searches nothing
ChosenBy = Annotated[str, among(SAMPLERS, "enqueued", "untried", "user", "none")]  # of a trial
Mode = Annotated[str, among(MODES)]
KeepWeights = Annotated[str, among(KEEP_WEIGHTS)]
Anchors = Annotated[str, among(ANCHOR_SETS)]
Status = Annotated[str, among(STATUSES)]
State = Annotated[str, among(STATES)]
Origin = Annotated[str, among(("search", "anchor", "replay"))]

THEN = ", then "  # between values of an environment that changed from run to run

# columns of trials.csv and first keys of records.jsonl, in this order
COLUMNS = (
    "number", "arch_id", "net_id", "block", "status", "origin", "sampler", "rung", "epochs", "images", "seed",
    "ref_params", "ref_macs", "proxy_params", "proxy_macs", "val_error", "seconds", "reason",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Epoch:
    """One epoch of a learning curve; losses in nats, ``val_error`` a fraction 0..1, wall ``seconds``."""

    epoch: int
    train_loss: float
    val_loss: float
    val_error: float
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One trial.

    status: one of ``STATUSES``. origin: ``search``, ``anchor`` or ``replay``. rung: index of the last rung
    reached, None if never trained. epochs, images, seconds: what was trained for this record itself (0 for
    a replay). ref_*: cost at the reference (SKNet-50, 224x224); proxy_*: cost of the network trained.
    val_error: fraction 0..1 after the last epoch. replay_of: the key of the measurement that was told.
    setting: what surrounds the block, in ablations. test_error: fraction 0..1, of finalists alone. weights_sha256: of
    the file of weights that the training left, empty if it left none or was recorded before this was written down.
    device: model and capability of what it was trained on, of several joined by ``THEN``; empty in older records.
    """

    number: int
    arch_id: PlainName
    net_id: PlainName
    block: str
    status: Status
    origin: Origin
    sampler: ChosenBy
    rung: int | None = None
    epochs: int = 0
    images: int = 0
    seed: int
    ref_params: int
    ref_macs: int
    proxy_params: int
    proxy_macs: int
    val_error: float | None = None
    seconds: float = 0.0
    reason: str = ""
    key: PlainName
    replay_of: PlainName = ""
    curve: tuple[Epoch, ...] = ()
    setting: Setting = PLAIN
    test_error: float | None = None
    weights_sha256: str = ""
    device: str = ""

    def at(self, epochs: int) -> float | None:
        """Return the validation error after so many epochs, None if they were not trained."""
        return self.curve[epochs - 1].val_error if len(self.curve) >= epochs else None

    def row(self) -> dict[str, Any]:
        """Return the columns of ``trials.csv``."""
        return {name: getattr(self, name) for name in COLUMNS}

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain data, without what not every record has where it has its usual value."""
        data = asdict(self)
        if self.setting == PLAIN:
            del data["setting"]
        if self.test_error is None:
            del data["test_error"]
        for name in ("weights_sha256", "device"):
            if not data[name]:
                del data[name]
        return data


def devices_of(records: Iterable[Record]) -> dict[str, int]:
    """Return how many complete records each device has trained, as far as they say."""
    return dict(Counter(each.device for each in records if each.device and each.status == "complete"))


Size = Callable[[Record], float]


def reference_macs(record: Record) -> float:
    """Return the multiply-adds of a record at the reference."""
    return record.ref_macs


@dataclass(frozen=True, slots=True, kw_only=True)
class StudySpec:
    """What a study was asked to do. Budgets are at the reference: 10^9 multiply-adds, 10^6 parameters.

    mode: ``constrained`` (least error within the budget) or ``pareto`` (error and macs). rungs: epochs after
    which the pruner ``rungs`` may stop a trial, the last the recipe's; empty with the pruner ``none``.
    keep_weights: of which trials, ``front``, ``all`` or ``none``. space_base, space_decisions,
    space_conditions, band_*: the whole space as it was, since a file of that name may change. ablation: the
    variants of an ablation or a confirmation, which search nothing.
    """

    name: str
    space: str
    space_hash: str
    space_base: str = ""
    space_decisions: dict[str, list[str | int]] = field(default_factory=dict)
    space_conditions: tuple[Condition, ...] = ()
    band_gflops: Band = FREE
    band_params_m: Band = FREE
    budget_gflops: float | None
    budget_params_m: float | None = None
    profile: str
    backbone: str
    recipe: Recipe
    split: Split
    sampler: Sampler
    mode: Mode = "constrained"
    rungs: tuple[int, ...] = ()
    keep_weights: KeepWeights = "front"
    anchors: Anchors
    anchor_seeds: int
    seed: int
    ablation: Design | None = None
    version: int = 1

    @staticmethod
    def without_search(
        *, name: str, profile: Profile, seed: int, ablation: Design | None = None
    ) -> StudySpec:
        """Return what a study is that searches nothing: own trainings, an ablation or a confirmation."""
        return StudySpec(
            name=name,
            **space_fields(Space(name="none", description="", base=parse_block("k3"), decisions={})),  # type: ignore[arg-type]
            budget_gflops=None,
            profile=profile.name,
            backbone=profile.backbone,
            recipe=profile.recipe,
            split=profile.split,
            sampler="none",
            keep_weights="all",  # there is no front here to keep them for
            anchors="none",
            anchor_seeds=0,
            seed=seed,
            ablation=ablation,
        )

    @property
    def searches(self) -> bool:
        """Whether the study is a search: the opposite of ``without_search``."""
        return self.sampler != "none"

    @property
    def body(self) -> Backbone:
        """The backbone with the classes of the data set: the network that is trained, without its block."""
        return replace(get_backbone(self.backbone), classes=self.split.classes)

    def proxy(self, architecture: Architecture, backbone: str = "") -> Architecture:
        """Return the network that is trained for ``architecture``, in the study's backbone or in another."""
        body = replace(get_backbone(backbone), classes=self.split.classes) if backbone else self.body
        return replace(architecture, backbone=body)

    def trained_for(self, variant: Variant) -> Architecture:
        """Return the network that is trained for ``variant``."""
        return self.proxy(variant.architecture, variant.setting.backbone)

    @property
    def pruner(self) -> str:
        """``rungs`` if trials may be stopped, else ``none``."""
        return "rungs" if self.rungs else "none"

    @property
    def segments(self) -> tuple[int, ...]:
        """Epochs at which a segment of a trial of the search ends."""
        return self.rungs or (self.recipe.epochs,)

    @property
    def max_macs(self) -> float:
        """Budget in multiply-adds, infinite if none was given."""
        return math.inf if self.budget_gflops is None else self.budget_gflops * 1e9

    @property
    def max_params(self) -> float:
        """Budget in parameters, infinite if none was given."""
        return math.inf if self.budget_params_m is None else self.budget_params_m * 1e6

    @property
    def budget_words(self) -> str:
        """The budget as it is written in a sentence."""
        amounts = ((self.budget_gflops, "GFLOPs"), (self.budget_params_m, "M parameters"))
        given = " and ".join(f"{amount} {unit}" for amount, unit in amounts if amount is not None)
        return f"budget {given}" if given else "no budget"

    @property
    def bounds(self) -> tuple[Bound, ...]:
        """The budget's limits, then those of the space's bands."""
        return budget_bounds(self.budget_gflops, self.budget_params_m) + band_bounds(
            self.band_gflops, self.band_params_m
        )

    def within(self, record: Record) -> bool:
        """Whether the record's architecture keeps every budget, and every band of the space, at the reference."""
        return all(bound.keeps(record.ref_macs, record.ref_params) for bound in self.bounds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """A study as it is read: its specification, its records (anchors first) and the counters beside them.

    target: trials asked for so far. environment: versions and machine, as text, joined by ``THEN`` where runs
    differed. command: as typed last. archived: whether it was read from an archive, which is only read.
    """

    spec: StudySpec
    records: tuple[Record, ...]
    target: int
    environment: dict[str, str]
    command: str
    state: State
    archived: bool = False

    def __repr__(self) -> str:
        return f"<Study {self.spec.name}: {self.state}, {len(self.records)} records>"

    def with_records(self, records: Iterable[Record]) -> Study:
        """Return the same study with these records."""
        return replace(self, records=tuple(records))

    @property
    def searched(self) -> tuple[Record, ...]:
        """Records of the search itself, without the anchors."""
        return tuple(record for record in self.records if record.origin != "anchor")

    @property
    def anchors(self) -> tuple[Record, ...]:
        """Records of published blocks under this study's recipe."""
        return tuple(record for record in self.records if record.origin == "anchor")

    def eligible(self) -> list[Record]:
        """Records that may be on the front or be best: complete, of the search itself, within the budget."""
        return [r for r in self.searched if r.status == "complete" and self.spec.within(r)]

    def front(self, size: Size = reference_macs) -> list[Record]:
        """Return the Pareto front in (val error, ``size``), ordered by size."""
        return pareto_front(self.eligible(), size)

    def trials(self) -> pandas.DataFrame:
        """Return a table of all records, with the columns of ``trials.csv``."""
        return records_table(self.records)

    def best(self) -> Record | None:
        """Return the record of lowest validation error, or None."""
        return min(self.eligible(), key=_by_error, default=None)


def space_fields(space: Space) -> dict[str, object]:
    """Return the fields of a ``StudySpec`` that keep ``space``; ``stored_space`` reads them."""
    return {
        "space": space.name,
        "space_hash": space.hash,
        "space_base": str(space.base),
        "space_decisions": {path: list(levels) for path, levels in space.decisions.items()},
        "space_conditions": space.conditions,
        "band_gflops": space.band_gflops,
        "band_params_m": space.band_params_m,
    }


def stored_space(spec: StudySpec) -> Space:
    """Return the space of a study as it was when the study began."""
    return Space(
        name=spec.space,
        description="",
        base=parse_block(spec.space_base or "k3"),
        decisions={path: tuple(levels) for path, levels in spec.space_decisions.items()},
        conditions=spec.space_conditions,
        band_gflops=spec.band_gflops,
        band_params_m=spec.band_params_m,
    )


def records_table(records: Iterable[Record]) -> pandas.DataFrame:
    """Return ``records`` as a table with the columns of ``trials.csv``; None stays empty, whole numbers stay whole."""
    import pandas

    table = pandas.DataFrame([record.row() for record in records], columns=pandas.Index(COLUMNS))
    for name in ("rung", "number"):
        table[name] = table[name].astype("Int64")
    table["val_error"] = table["val_error"].astype("float64")
    return table


def _by_error(record: Record) -> tuple[float, int, int]:
    return (math.inf if record.val_error is None else record.val_error, record.ref_macs, record.number)


def pareto_front(records: Iterable[Record], size: Size = reference_macs) -> list[Record]:
    """Return the records that no other one beats in (val error, size), ordered by size.

    A record is dominated by one that is at most equal in both and smaller in one; equals are both kept.
    """
    front: list[Record] = []
    best = math.inf
    for record in sorted(records, key=lambda r: (size(r), _by_error(r))):
        error = math.inf if record.val_error is None else record.val_error
        twin = bool(front) and front[-1].val_error == error and size(front[-1]) == size(record)
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
    """Count distinct architectures of the search whose last segment ended complete or stopped."""
    return len({r.arch_id for r in records if r.origin == "search" and r.status in ("complete", "stopped")})


def distinct_trainings(spec: StudySpec, design: Design) -> int:
    """Return networks times seeds: variants that are one network are trained once."""
    return design.seeds * len({spec.trained_for(variant).id for variant in design.variants})


def status_row(study: Study) -> dict[str, Any]:
    """Return the counters of a study as plain data (the keys of ``skexplore status --json``).

    images and seconds are of all trainings, anchors included. Of an ablation trained and target are networks times
    seeds: variants that are one network are trained once. Of own trainings they are those done and those begun.
    """
    counts = Counter(record.status for record in study.searched)
    best, design = study.best(), study.spec.ablation
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
        "best_val_error": best.val_error if best else None,
        "images": sum(record.images for record in study.records),
        "seconds": sum(record.seconds for record in study.records),
    }


def differences(here: dict[str, Any], there: dict[str, Any]) -> str:
    """Return the keys of which the values differ, with both, as part of a sentence."""
    keys = [key for key in {**here, **there} if here.get(key) != there.get(key)]
    return ", ".join(
        f"{key.replace('_', ' ')} {_value(here.get(key))} here, {_value(there.get(key))} there"
        for key in keys
    )


def _value(value: Any) -> str:
    return "not noted" if value is None else f"{value:,}" if type(value) is int else str(value)
