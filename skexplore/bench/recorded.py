"""Landscapes that agree with a table of trainings: recorded errors where there are some, and a world around them.

A search that is played meets, of a block in the table, the errors that its trainings had, in another order in each
world. The errors of all other blocks are those of a world (``surrogate.Worlds``), with the noise of one training.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from skexplore.arch import format_blocks
from skexplore.bench.landscape import Landscape, check_reference, distinct, within
from skexplore.errors import UserError
from skexplore.space import Space
from skexplore.study import PAPER, PLAIN_BLOCK, StudySpec, Table, new_model, prior_of, stored_space
from skexplore.surrogate import Kernel, Worlds, pooled

LEAST_BLOCKS = 30  # of a table: fewer say too little of a space


@dataclass(frozen=True, kw_only=True)
class World(Landscape):
    """One world. recorded: the errors in the table of each of its blocks, in the order in which they are met here.

    seed: of the world, and the first seed of a search in it.
    """

    recorded: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    seed: int = 0

    def unseen(self, block: str, seeds: Collection[int]) -> list[float]:
        """Return the recorded errors of a block that a search did not meet whose trainings had ``seeds``."""
        found = enumerate(self.recorded.get(block, ()))
        return [error for place, error in found if self.seed + place not in seeds]


class Recorded:
    """The space of a table's search with all its blocks, and the worlds that agree with the table.

    Raises ``UserError`` for a table of fewer than 30 blocks, one whose noise is not known, or whose search has no
    budget in GFLOPs or two objectives. Rungs are left out: a table knows whole trainings.
    """

    def __init__(self, table: Table) -> None:
        if table.spec.budget_gflops is None or table.spec.mode != "constrained":
            raise UserError(
                f"{table.spec.name}: a table that searches can be played on begins with a search under "
                "--budget-gflops, not in --mode pareto"
            )
        self.spec: StudySpec = replace(table.spec, rungs=(), keep_weights="all")
        self.space: Space = stored_space(table.spec)
        check_reference(self.space)
        self.errors = table.errors
        if len(self.errors) < LEAST_BLOCKS:
            raise UserError(
                f"{table.spec.name}: {len(self.errors)} blocks; a table that searches can be played on has at least "
                f"{LEAST_BLOCKS}"
            )
        # seeds that chose which blocks get more of them would tell too little of noise: what was known is enough
        model, noise = new_model(table.spec), prior_of(table.spec) or pooled(_by_seed(self.errors))
        if model is None or noise is None:
            why = (
                "its space is too large"
                if model is None
                else "no block of it has two seeds: noise is not known"
            )
            raise UserError(f"{table.spec.name}: no searches can be played on it; {why}")
        self.noise = noise
        inside = distinct(self.space)
        self.feasible = within(inside, table.spec)
        self.names = [format_blocks(each) for each in inside]
        known = {*self.names}
        # anchors, and rows of the paper's tables, that the space does not hold
        outside = [name for name in dict.fromkeys((PAPER, PLAIN_BLOCK, *self.errors)) if name not in known]
        self.names += outside
        place = {name: at for at, name in enumerate(self.names)}
        errors = [[*self.errors[name].values()] for name in self.errors]
        self._worlds = Worlds(
            model.population.rows(self.names),
            np.array([place[name] for name in self.errors]),
            np.array([np.mean(each) for each in errors]),
            np.array([len(each) for each in errors]),
            noise.sd,
        )

    @property
    def trainings(self) -> int:
        """How many recorded trainings there are."""
        return sum(map(len, self.errors.values()))

    @property
    def kernel(self) -> Kernel:
        """How true errors vary together in the worlds."""
        return self._worlds.kernel

    def world(self, seed: int) -> World:
        """Return the world of a seed."""
        drawn = self._worlds.draw(np.random.default_rng(seed))
        truths: dict[str, float] = dict(zip(self.names, drawn.tolist(), strict=True))
        recorded: dict[str, tuple[float, ...]] = {}
        for name, by_seed in self.errors.items():
            order = _generator(seed, name).permutation(sorted(by_seed))
            recorded[name] = tuple(by_seed[int(each)] for each in order)

        def measure(block: str, training: int) -> float:
            known, at = recorded.get(block, ()), training - seed
            if at < len(known):
                return known[at]
            return truths[block] + self.noise.sd * float(_generator(seed, f"{block} {at}").standard_normal())

        return World(
            space=self.space,
            spec=self.spec,
            truths=truths,
            feasible=self.feasible,
            measure=measure,
            recorded=recorded,
            seed=seed,
        )


def _by_seed(errors: Mapping[str, Mapping[int, float]]) -> list[list[float]]:
    return [[*each.values()] for each in errors.values()]


def _generator(seed: int, of: str) -> np.random.Generator:
    return np.random.default_rng([seed, int.from_bytes(hashlib.sha256(of.encode()).digest()[:8], "big")])
