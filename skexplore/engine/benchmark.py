"""How many trainings a sampler needs to find a good block, measured without a training.

The error of every block of a space is given by an *analytic objective*: fixed, deterministic, plausible. So the
best share of all blocks within the budget is known exactly, and a search that would take days is played in a second.
"""

from __future__ import annotations

import hashlib
import math
import statistics
import tempfile
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import optuna
from optuna.samplers import TPESampler
from optuna.trial import FrozenTrial

from skexplore.arch import REFERENCE, Blocks, SKBlock, arch_id, cost, format_blocks, per_stage
from skexplore.engine.coordinator import PATIENCE
from skexplore.engine.sampler import constraints
from skexplore.engine.state import State
from skexplore.errors import UserError
from skexplore.space import Space
from skexplore.study import Epoch, Recipe, Record, Split, Store, StudySpec, space_fields
from skexplore.training import Outcome

SHARES = (0.05, 0.01, 0.005)  # of the distinct blocks within the budget
CAP = 300  # trainings after which a search that has not found one ends
MOST_POINTS = 1_000_000  # combinations of levels that are decoded one by one
COMPETITORS = {
    "model": "skexplore, --sampler model",
    "tpe": "skexplore, --sampler tpe",
    "random": "skexplore, --sampler random",
    "optuna": "Optuna as it comes",
}


# -- analytic objectives


def _mixed(block: SKBlock, width: int) -> float:
    """Fields of 5 to 7 pixels, kernels that differ, attention of a middling d, groups of at least 4 channels."""
    field = max(branch.receptive_field for branch in block.branches)
    kinds = len({(branch.kernel, branch.dilation) for branch in block.branches})
    thin = statistics.mean(max(0.0, math.log2(4 * b.groups / width)) for b in block.branches)
    error = 0.30 + 0.030 * abs(math.log2(field / 6)) - 0.010 * (kinds - 1) + 0.012 * thin
    if block.selects:
        error += 0.005 * abs(math.log2(block.dim(width) * 8 / width)) - 0.020
    return error


def _layered(block: SKBlock, width: int) -> float:
    """A 3x3 beside one larger field, true kernels before dilated ones, attention only if three branches meet."""
    fields = {branch.receptive_field for branch in block.branches}
    error = 0.40 - 0.025 * (3 in fields) - 0.030 * (max(fields) == 7) - 0.015 * (max(fields) == 5)
    error += 0.010 * statistics.mean(math.log2(branch.dilation) for branch in block.branches)
    error += 0.008 * abs(len(block.branches) - 2)
    error += 0.010 * statistics.mean(abs(math.log2(branch.groups / 64)) for branch in block.branches)
    if block.selects:
        error += 0.010 - 0.030 * (len(block.branches) == 3) + 0.003 * abs(math.log2(block.dim(width) / 64))
    return error


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """An analytic error made from what a block is.

    It is the mean of ``of_stage`` over the four stages, less ``capacity`` for each doubling of multiply-adds (so
    that a budget binds), and a part between -``rugged`` and ``rugged`` hashed from the identity of the block (so
    that neighbours differ).
    """

    of_stage: Callable[[SKBlock, int], float]
    capacity: float
    rugged: float

    def __call__(self, blocks: Blocks) -> float:
        """Return the error of canonical ``blocks``, a fraction."""
        stages = per_stage(blocks, len(REFERENCE.stages))
        smooth = statistics.fmean(map(self.of_stage, stages, REFERENCE.widths))
        digest = hashlib.sha256(arch_id(blocks).encode()).digest()
        rough = 2 * int.from_bytes(digest[:8], "big") / 2**64 - 1
        return smooth - self.capacity * math.log2(cost(blocks).macs / 4e9) + self.rugged * rough


OBJECTIVES = {
    "mixed": Objective(of_stage=_mixed, capacity=0.010, rugged=0.006),
    "layered": Objective(of_stage=_layered, capacity=0.015, rugged=0.010),
}


# -- the whole space


@dataclass(frozen=True, slots=True, kw_only=True)
class Landscape:
    """Every distinct block of a space with its error, and whether it is within the limits; by notation.

    thresholds: for each of ``SHARES`` the error that the best share of the blocks within the limits does not
    exceed.
    """

    space: Space
    spec: StudySpec
    errors: Mapping[str, float]
    feasible: frozenset[str]
    thresholds: tuple[float, ...]


def distinct(space: Space) -> list[Blocks]:
    """Return the distinct blocks of ``space`` in the order of its points; ``UserError`` if they are too many."""
    if space.raw_size > MOST_POINTS:
        raise UserError(
            f"space {space.name}: {space.raw_size:,} combinations; at most {MOST_POINTS:,} can be enumerated"
        )
    return list(dict.fromkeys(map(space.decode, space.points())))


def landscape(space: Space, blocks: Collection[Blocks], objective: str, budget_gflops: float) -> Landscape:
    """Return ``blocks``, all of ``space``, under an objective; ``UserError`` if none is within the budget."""
    spec = _spec(space, budget_gflops)
    errors, feasible = {}, set()
    for each in blocks:
        name, size = format_blocks(each), cost(each)
        errors[name] = OBJECTIVES[objective](each)
        if all(bound.keeps(size.macs, size.params) for bound in spec.bounds):
            feasible.add(name)
    if not feasible:
        raise UserError(f"space {space.name}: no block within {budget_gflops:g} GFLOPs")
    ranked = sorted(errors[name] for name in feasible)
    return Landscape(
        space=space,
        spec=spec,
        errors=errors,
        feasible=frozenset(feasible),
        thresholds=tuple(ranked[max(1, math.floor(share * len(ranked))) - 1] for share in SHARES),
    )


def _spec(space: Space, budget_gflops: float) -> StudySpec:
    """Return the study that is played: one epoch on the reference, so that distinct blocks are distinct networks."""
    return StudySpec(
        name="bench",
        **space_fields(space),  # type: ignore[arg-type]
        budget_gflops=budget_gflops,
        profile="bench",
        backbone=REFERENCE.name,
        recipe=Recipe(epochs=1),
        split=Split(),
        sampler="tpe",
        keep_weights="all",
        anchors="none",
        anchor_seeds=0,
        seed=0,
    )


# -- one search


@dataclass(frozen=True, slots=True, kw_only=True)
class Play:
    """One search. reached: trainings until a block of each best share was trained, None if that was not within the cap.

    trained, duplicates, over_budget: trainings in all, of blocks trained before, and of new blocks over the budget.
    refused: proposals that were not trained.
    """

    reached: tuple[int | None, ...]
    trained: int
    duplicates: int = 0
    over_budget: int = 0
    refused: int = 0


class _Watch:
    """Notes when the best shares are reached."""

    def __init__(self, land: Landscape) -> None:
        self._land = land
        self.reached: list[int | None] = [None] * len(SHARES)

    def see(self, name: str, trained: int) -> None:
        """Take note of the block that is the last of so many trainings."""
        if name not in self._land.feasible:
            return
        for index, threshold in enumerate(self._land.thresholds):
            if self.reached[index] is None and self._land.errors[name] <= threshold:
                self.reached[index] = trained

    @property
    def done(self) -> bool:
        """Whether all are reached."""
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

    def add(self, record: Record, **_: Any) -> None:
        """Keep nothing."""

    def finish(self, record: Record, **_: Any) -> None:
        """Keep nothing."""


def play(land: Landscape, sampler: str, seed: int, cap: int = CAP) -> Play:
    """Play a search by skexplore's own rules: what is over the budget or known is not trained."""
    watch, trained, refused = _Watch(land), 0, 0
    with tempfile.TemporaryDirectory() as folder:
        state = State(_Nowhere(Path(folder), replace(land.spec, sampler=sampler, seed=seed)), land.space)
        while trained < cap and not watch.done and not state.exhausted and state.idle_streak() < PATIENCE:
            record = state.propose(set())
            if record.status != "running":
                refused += 1
                continue
            trained += 1
            error = land.errors[record.block]
            epoch = Epoch(epoch=1, train_loss=0.0, val_loss=0.0, val_error=error, seconds=0.0)
            state.finish(record, Outcome(key=record.key, status="complete", curve=(epoch,)))
            watch.see(record.block, trained)
    return Play(reached=tuple(watch.reached), trained=trained, refused=refused)


def play_optuna(land: Landscape, seed: int, cap: int = CAP) -> Play:
    """Play a search as Optuna comes: its default sampler is told the constraint, and every proposal is trained."""
    study, watch, seen = optuna.create_study(sampler=TPESampler(seed=seed)), _Watch(land), set()
    duplicates = over_budget = trained = 0
    while trained < cap and not watch.done:
        trial = study.ask()
        levels: dict[str, Any] = {
            path: trial.suggest_categorical(path, of) for path, of in land.space.decisions.items()
        }
        blocks = land.space.decode(levels)
        name, size = format_blocks(blocks), cost(blocks)
        for key, value in constraints(land.spec, size.macs, size.params).items():
            trial.set_constraint(key, value)
        study.tell(trial, land.errors[name])
        trained += 1
        duplicates += name in seen
        over_budget += name not in seen and name not in land.feasible
        seen.add(name)
        watch.see(name, trained)
    return Play(reached=tuple(watch.reached), trained=trained, duplicates=duplicates, over_budget=over_budget)


# -- many searches


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """Trainings until the best ``share`` was reached: quartiles, ``missed`` searches counted as the cap."""

    share: float
    low: float
    median: float
    high: float
    missed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Competitor:
    """What the searches of one sampler came to. duplicates, over_budget: shares of all its trainings."""

    name: str
    reached: tuple[Reached, ...]
    trained: int
    duplicates: float
    over_budget: float
    refused: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """All competitors on one space, budget and objective, with the same seeds.

    thresholds: errors that the best shares do not exceed. times_optuna, times_random: for each share, the median
    of Optuna (of the random sampler) over that of skexplore's TPE.
    """

    space: str
    objective: str
    budget_gflops: float
    repeats: int
    seed: int
    cap: int
    distinct: int
    feasible: int
    thresholds: tuple[float, ...]
    competitors: tuple[Competitor, ...]
    times_optuna: tuple[float, ...]
    times_random: tuple[float, ...]


def compare(
    land: Landscape,
    objective: str,
    *,
    repeats: int,
    seed: int,
    cap: int = CAP,
    progress: Callable[[str], None] | None = None,
) -> Comparison:
    """Play ``repeats`` searches of each competitor, with the seeds from ``seed`` on."""
    found = {}
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)  # it reports every trial of its own
    try:
        for name, words in COMPETITORS.items():
            if progress:
                progress(f"{objective}: {words}, {repeats} searches")
            plays = [
                play_optuna(land, each, cap) if name == "optuna" else play(land, name, each, cap)
                for each in range(seed, seed + repeats)
            ]
            found[name] = _competitor(name, plays, cap)
    finally:
        optuna.logging.set_verbosity(verbosity)
    assert land.spec.budget_gflops is not None
    return Comparison(
        space=land.space.name,
        objective=objective,
        budget_gflops=land.spec.budget_gflops,
        repeats=repeats,
        seed=seed,
        cap=cap,
        distinct=len(land.errors),
        feasible=len(land.feasible),
        thresholds=land.thresholds,
        competitors=tuple(found.values()),
        times_optuna=_times(found["optuna"], found["tpe"]),
        times_random=_times(found["random"], found["tpe"]),
    )


def _competitor(name: str, plays: Sequence[Play], cap: int) -> Competitor:
    trained = sum(each.trained for each in plays)
    return Competitor(
        name=name,
        reached=tuple(
            _reached(share, [each.reached[index] for each in plays], cap)
            for index, share in enumerate(SHARES)
        ),
        trained=trained,
        duplicates=sum(each.duplicates for each in plays) / trained,
        over_budget=sum(each.over_budget for each in plays) / trained,
        refused=sum(each.refused for each in plays),
    )


def _reached(share: float, counts: Sequence[int | None], cap: int) -> Reached:
    values = [cap if count is None else count for count in counts]
    quartiles = [float(values[0])] * 3
    if len(values) > 1:
        quartiles = statistics.quantiles(values, n=4, method="inclusive")
    low, median, high = quartiles
    return Reached(share=share, low=low, median=median, high=high, missed=sum(c is None for c in counts))


def _times(above: Competitor, below: Competitor) -> tuple[float, ...]:
    return tuple(a.median / b.median for a, b in zip(above.reached, below.reached, strict=True))
