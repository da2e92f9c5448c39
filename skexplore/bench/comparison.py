"""How many trainings each sampler needs to find a good block, measured without a training.

In a landscape the best share of all blocks within the budget is known, and a search that would take days is played in
a second.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from skexplore.bench.landscape import SHARES, Landscape
from skexplore.bench.peers import play_optuna
from skexplore.bench.play import Play, play
from skexplore.bench.spread import spread
from skexplore.study import DEFAULT_SAMPLER

CAP = 300  # trainings after which a search that has not found one ends
OWN = DEFAULT_SAMPLER
COMPETITORS = {
    "model": "skexplore, --sampler model",
    "tpe": "skexplore, --sampler tpe",
    "random": "skexplore, --sampler random",
    "optuna": "Optuna as it comes",
}


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
    """All competitors on one space and budget, with the same seeds and landscapes.

    objective: what the true errors are. own: skexplore's default sampler. times_optuna, times_random: for each share,
    the median of Optuna (of the random sampler) over that of ``own``.
    """

    space: str
    objective: str
    budget_gflops: float
    repeats: int
    seed: int
    cap: int
    distinct: int
    feasible: int
    own: str
    competitors: tuple[Competitor, ...]
    times_optuna: tuple[float, ...]
    times_random: tuple[float, ...]


def compare(
    land_of: Callable[[int], Landscape],
    objective: str,
    *,
    repeats: int,
    seed: int,
    cap: int = CAP,
    processes: int = 1,
    progress: Callable[[str], None] | None = None,
) -> Comparison:
    """Play ``repeats`` searches of each competitor, with the seeds from ``seed`` on.

    land_of: the landscape that the searches of a seed are played in; can be pickled, where there are more processes
    than one.
    """
    found = {}
    for name, words in COMPETITORS.items():
        if progress:
            progress(f"{objective}: {words}, {repeats} searches")
        plays = spread(partial(_play, land_of, name, cap), range(seed, seed + repeats), processes=processes)
        found[name] = _competitor(name, plays, cap)
    land = land_of(seed)
    assert land.spec.budget_gflops is not None
    return Comparison(
        space=land.space.name,
        objective=objective,
        budget_gflops=land.spec.budget_gflops,
        repeats=repeats,
        seed=seed,
        cap=cap,
        distinct=len(land.truths),
        feasible=len(land.feasible),
        own=OWN,
        competitors=tuple(found.values()),
        times_optuna=_times(found["optuna"], found[OWN]),
        times_random=_times(found["random"], found[OWN]),
    )


def _play(land_of: Callable[[int], Landscape], name: str, cap: int, seed: int) -> Play:
    land = land_of(seed)
    if name == "optuna":
        return play_optuna(land, seed, target=cap, until_found=True)
    return replace(play(land, name, seed, target=cap, until_found=True), study=None)


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
