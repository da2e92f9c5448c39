"""The whole of a space with the true error of every block: what a played search is measured against."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import cached_property, partial

from skexplore.arch import REFERENCE, Blocks, cost, format_blocks
from skexplore.bench.objectives import OBJECTIVES
from skexplore.errors import UserError
from skexplore.space import Space
from skexplore.study import Recipe, Split, StudySpec, space_fields

SHARES = (0.05, 0.01, 0.005)  # of the distinct blocks within the budget
MOST_POINTS = 1_000_000  # combinations of levels that are decoded one by one

Measure = Callable[[str, int], float]  # the error of a training of a block, by notation, with a seed


@dataclass(frozen=True, kw_only=True)
class Landscape:
    """Every distinct block of a space with its true error, and whether it is within the limits; by notation.

    measure: what a training of a block says of it.
    """

    space: Space
    spec: StudySpec
    truths: Mapping[str, float]
    feasible: frozenset[str]
    measure: Measure

    @cached_property
    def ranked(self) -> list[float]:
        """The true errors of the blocks within the limits, the lowest first."""
        return sorted(self.truths[name] for name in self.feasible)

    @cached_property
    def thresholds(self) -> tuple[float, ...]:
        """For each of ``SHARES`` the error that the best share of the blocks within the limits does not exceed."""
        return tuple(self.ranked[max(1, math.floor(share * len(self.ranked))) - 1] for share in SHARES)


def distinct(space: Space) -> list[Blocks]:
    """Return the distinct blocks of ``space`` in the order of its points; ``UserError`` if they are too many."""
    check_reference(space)
    if space.raw_size > MOST_POINTS:
        raise UserError(
            f"space {space.name}: {space.raw_size:,} combinations; at most {MOST_POINTS:,} can be enumerated"
        )
    return list(dict.fromkeys(map(space.decode, space.points())))


def within(blocks: Collection[Blocks], spec: StudySpec) -> frozenset[str]:
    """Return the notation of the ``blocks`` that keep the limits of ``spec``; ``UserError`` if none does."""
    found = set()
    for each in blocks:
        size = cost(each)
        if all(bound.keeps(size) for bound in spec.bounds):
            found.add(format_blocks(each))
    if not found:
        raise UserError(f"space {spec.space}: no block within {' and '.join(map(str, spec.bounds))}")
    return frozenset(found)


def check_reference(space: Space) -> None:
    """Raise ``UserError`` for a space of another reference or of several bodies: what is played here is SKNet-50's."""
    if space.decides_body:
        raise UserError(
            f"space {space.name}: decides the network around its blocks; searches are played in one body alone"
        )
    if space.reference != REFERENCE:
        raise UserError(
            f"space {space.name}: written for {space.reference.name}; searches are played in spaces for "
            f"{REFERENCE.name} alone"
        )


def analytic(space: Space, blocks: Collection[Blocks], objective: str, budget_gflops: float) -> Landscape:
    """Return ``blocks``, all of ``space``, under an objective; ``UserError`` if none is within the budget."""
    check_reference(space)
    spec = _spec(space, budget_gflops)
    truths = {format_blocks(each): OBJECTIVES[objective](each) for each in blocks}
    return Landscape(
        space=space,
        spec=spec,
        truths=truths,
        feasible=within(blocks, spec),
        measure=partial(_exactly, truths),
    )


def _exactly(truths: Mapping[str, float], block: str, _training: int) -> float:
    return truths[block]


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
