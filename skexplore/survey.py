"""What a search space holds: its size, its costs, and whether a budget can be met in it."""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Mapping
from dataclasses import dataclass

from skexplore.block import Blocks, format_blocks
from skexplore.cost import cost
from skexplore.errors import UserError
from skexplore.space import Level, Space

ENUMERABLE = 1_000_000  # raw points up to which a space is counted exactly
SAMPLES = 20_000


def cheapest(space: Space) -> Blocks:
    """Return the block of fewest macs (then params) without counting the whole space.

    Each decision moves macs and params in one direction whatever the others are (kernel, groups, number of
    branches, r, L, select), so that the best level of each, taken one at a time until nothing changes, is the
    best of all.
    """
    point = {path: levels[0] for path, levels in space.decisions.items()}
    while True:
        before = dict(point)
        for path, levels in space.decisions.items():
            point[path] = min(levels, key=lambda level: _size(space, point, path, level))
        if point == before:
            return space.decode(point)


def check_budget(space: Space, gflops: float | None, params_m: float | None) -> tuple[float, float]:
    """Return the budget as (macs, params), infinite where none is given.

    gflops: 10^9 multiply-adds, params_m: 10^6 parameters, at the reference. Raises ``UserError`` if a number
    is no budget or nothing in ``space`` keeps it.
    """
    for option, value in (("--budget-gflops", gflops), ("--budget-params", params_m)):
        if value is not None and not (math.isfinite(value) and value > 0):
            raise UserError(f"{option} {value}: must be a positive number")
    max_macs = math.inf if gflops is None else gflops * 1e9
    max_params = math.inf if params_m is None else params_m * 1e6
    blocks = cheapest(space)
    least = cost(blocks)
    text = f"the cheapest block of {space.name}, {format_blocks(blocks)}, needs"
    if least.macs > max_macs:
        raise UserError(f"--budget-gflops {gflops:g}: {text} {least.macs / 1e9:.3f} GFLOPs at the reference")
    if least.params > max_params:
        raise UserError(f"--budget-params {params_m:g}: {text} {least.params / 1e6:.2f} M parameters")
    return max_macs, max_params


def _size(space: Space, point: Mapping[str, Level], path: str, level: Level) -> tuple[int, int, int]:
    total = cost(space.decode({**point, path: level}))
    # d is max(C // r, L): where r hides L, L still moves down, else neither would move alone
    return total.macs, total.params, int(level) if path.endswith("min_dim") else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SpaceSummary:
    """Size and reference costs of a space.

    Sizes and shares count distinct architectures if ``exact``; else ``size`` is an upper bound (the raw
    combinations) and the rest is of a uniform sample. ``cheapest`` is the block of fewest macs, also beyond the sample.
    """

    space: str
    size: int
    exact: bool
    feasible: int
    feasible_share: float
    macs_min: int
    macs_median: int
    macs_max: int
    params_min: int
    params_median: int
    params_max: int
    cheapest: str


def summarise(space: Space, max_macs: float = math.inf, max_params: float = math.inf) -> SpaceSummary:
    """Return size, feasible share and costs of ``space`` under a budget at the reference."""
    exact = space.raw_size <= ENUMERABLE
    generator = random.Random(0)
    if exact:
        drawn = list({space.decode(point): None for point in space.points()})
    else:  # a sample of combinations, equivalent ones counted each, as a sampler would meet them
        drawn = [space.decode(space.sample(generator)) for _ in range(SAMPLES)]
    costs = [(cost(blocks), blocks) for blocks in drawn]
    feasible = sum(own.macs <= max_macs and own.params <= max_params for own, _ in costs)
    macs, params = [own.macs for own, _ in costs], [own.params for own, _ in costs]
    return SpaceSummary(
        space=space.name,
        size=len(drawn) if exact else space.raw_size,
        exact=exact,
        feasible=feasible if exact else round(space.raw_size * feasible / len(drawn)),
        feasible_share=feasible / len(drawn),
        macs_min=min(macs),
        macs_median=round(statistics.median(macs)),
        macs_max=max(macs),
        params_min=min(params),
        params_median=round(statistics.median(params)),
        params_max=max(params),
        cheapest=format_blocks(cheapest(space)),
    )
