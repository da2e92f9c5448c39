"""What a search space holds: its size, its costs, and what a budget leaves of it."""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from operator import attrgetter

from skexplore.arch import Architecture, Bound, Sizes, budget_bounds, cost, flops_unit, format_network
from skexplore.errors import UserError
from skexplore.space.boxes import MACS, Layout, Levels, TooManyError, box_size, enumerate_costs, pruned
from skexplore.space.decisions import Level
from skexplore.space.space import Space
from skexplore.space.union import Union

ENUMERABLE = 1_000_000  # architectures up to which costs are counted one by one
SAMPLES = 20_000
MAX_DRAWS = 200_000  # for SAMPLES uniform architectures where boxes overlap much
Z95 = statistics.NormalDist().inv_cdf(0.975)


def cheapest(space: Space) -> Architecture:
    """Return the architecture of fewest macs (then params) of ``space``, whatever its bands say."""
    return _extreme(space, costliest=False)[1]


def _extreme(
    space: Space, *, costliest: bool, by: Callable[[Sizes], int] = MACS
) -> tuple[Sizes, Architecture]:
    """Return the network of ``space`` of least (or most) of one cost, whatever its bands say, after what it costs."""
    pick = max if costliest else min
    found = [
        Architecture(
            blocks=layout.extreme(levels, costliest=costliest, by=by), backbone=layout.space.reference
        )
        for layout in _layouts(space)
        for levels in layout.settings()
    ]
    return pick(((_sizes(own), own) for own in found), key=lambda each: (by(each[0]), each[0]))


def _layouts(space: Space) -> list[Layout]:
    """Return the layout of each of the plain spaces that ``space`` is."""
    return [Layout(own) for _, own in space.plain()]


def _sizes(own: Architecture) -> Sizes:
    found = own.cost()
    return Sizes(found.macs, found.params, found.activations)


def _text(space: Space, own: Architecture) -> str:
    return format_network(own.blocks, own.backbone, space.reference)


def _kept(bounds: Iterable[Bound], sizes: Sizes) -> bool:
    return all(bound.keeps(sizes) for bound in bounds)


# -- budgets


def check_budget(
    space: Space, gflops: float | None, params_m: float | None, activations_m: float | None = None
) -> tuple[Bound, ...]:
    """Return the limits that the budget and the bands of ``space`` set together.

    gflops: 10^9 multiply-adds, params_m: 10^6 parameters, activations_m: 10^6 activations, at the reference. Raises
    ``UserError`` if a number is no budget, or if it is certain that nothing in ``space`` keeps all limits.
    """
    given = {
        "--budget-gflops": gflops,
        "--budget-params": params_m,
        "--budget-activations": activations_m,
    }
    for option, value in given.items():
        if value is not None and not (math.isfinite(value) and value > 0):
            raise UserError(f"{option} {value}: must be a positive number")
    bounds = budget_bounds(gflops, params_m, activations_m) + space.bounds
    settings = ((layout, levels) for layout in _layouts(space) for levels in layout.settings())
    if bounds and all(_feasible(layout, levels, bounds) is False for layout, levels in settings):
        raise UserError(_why_nothing_fits(space, bounds))
    return bounds


def idle_budgets(
    space: Space, gflops: float | None, params_m: float | None, activations_m: float | None = None
) -> list[str]:
    """Return a sentence for each budget that excludes nothing in ``space``, as one with a digit too many does."""
    said = []
    for bound in budget_bounds(gflops, params_m, activations_m):
        bands = [each for each in space.bounds if each.upper and each.cost == bound.cost]
        if bands and bands[0].limit <= bound.limit:
            said.append(f"{_said(space, bound)} excludes nothing beyond {bands[0]}")
            continue
        sizes, own = _extreme(space, costliest=True, by=bound.of)
        if bound.keeps(sizes):
            said.append(
                f"{_said(space, bound)} excludes nothing: the costliest block of {space.name}, {_text(space, own)}, "
                f"has {_amount(bound, sizes)} {space.where}{_other_unit(space, bound)}"
            )
    return said


def _other_unit(space: Space, bound: Bound) -> str:
    """Return the budget that was meant if this one was given in another unit, empty if none would bind."""
    least, most = (
        bound.of(_extreme(space, costliest=costliest, by=bound.of)[0]) for costliest in (False, True)
    )
    for factor in (1e-9, 1e-6, 1e-3, 1e3):
        if least <= bound.limit * factor < most:
            meant = replace(bound, limit=bound.limit * factor)
            return f"; did you mean {_said(space, meant)}?"
    return ""


def _amount(bound: Bound, sizes: Sizes) -> str:
    """Return what ``bound`` limits of a block of these sizes, with its unit."""
    return bound.said(bound.of(sizes), ".3f" if bound.cost == "gflops" else ".2f")


def _why_nothing_fits(space: Space, bounds: tuple[Bound, ...]) -> str:
    for low in bounds:
        for high in bounds:
            if low.cost == high.cost and high.upper and not low.upper and low.limit > high.limit:
                return f"{_said(space, high)}: excludes {low}; change one of the two"
    for bound in bounds:
        sizes, own = _extreme(space, costliest=not bound.upper, by=bound.of)
        if bound.keeps(sizes):
            continue
        which, needs = ("cheapest", "needs") if bound.upper else ("costliest", "has only")
        meant = "" if bound.of_space else _other_unit(space, bound)
        return (
            f"{_said(space, bound)}: the {which} block of {space.name}, {_text(space, own)}, {needs} "
            f"{_amount(bound, sizes)} {space.where}{meant}"
        )
    return (
        f"no block of {space.name} keeps all of {'; '.join(map(str, bounds))}: give another budget, or widen "
        "the constraints of the space"
    )


def _said(space: Space, bound: Bound) -> str:
    """Return where a limit was given."""
    if not bound.of_space:
        light = bound.cost == "gflops" and flops_unit(cost("k3", space.reference).macs).name == "MFLOPs"
        return (
            f"--budget-mflops {bound.limit / 1e6:.10g}" if light else f"--budget-{bound.cost} {bound.given}"
        )
    key = "gflops" if bound.cost == "gflops" else f"{bound.cost}_m"
    return f"space {space.name}, constraints.{key}, {bound.text}"


def _feasible(layout: Layout, levels: Levels, bounds: Sequence[Bound]) -> bool | None:
    """Return whether some block of one setting keeps ``bounds``; None if that is too long to find out."""
    extremes: list[Sizes] = []
    for bound in bounds:
        blocks = layout.extreme(levels, costliest=not bound.upper, by=bound.of)
        extremes.append(_sizes(Architecture(blocks=blocks, backbone=layout.space.reference)))
        if not bound.keeps(extremes[-1]):
            return False
    if not bounds or any(_kept(bounds, sizes) for sizes in extremes):
        return True
    return _found(layout, levels, bounds)


def _found(layout: Layout, levels: Levels, bounds: Sequence[Bound]) -> bool | None:
    """Look at one block after another: the cheapest is below the bounds and the costliest above."""
    looked_at, generator = 0, random.Random(0)
    try:
        for box in layout.boxes_of(levels):
            if max(part.size for part in box) > ENUMERABLE:
                return None
            union = Union([box])  # a few draws are quicker where many fit
            if any(_kept(bounds, union.sizes(union.draw(generator)[0])) for _ in range(100)):
                return True
            for sizes in enumerate_costs([box]):
                looked_at += 1
                if _kept(bounds, sizes):
                    return True
                if looked_at > ENUMERABLE:
                    return None
    except TooManyError:
        return None
    return False


def ruled_out(space: Space, bounds: Sequence[Bound]) -> dict[str, list[Level]]:
    """Return, per decision, the levels with which no block keeps ``bounds``, whatever the other levels are.

    Levels count as the conditions leave them. What is named is certain; with a lower limit in a space too
    large to enumerate a level may be left out.
    """
    possible: set[tuple[str, Level]] = set()
    refused: set[tuple[str, Level]] = set()
    for body, own in space.plain() if bounds else ():
        layout = Layout(own)
        for setting in layout.settings():
            each_level = [{path: (level,)} for path, levels in setting.items() for level in levels]
            for one in each_level or [{}]:  # a space may decide its body alone
                decided = {*body.items(), *((path, level) for path, (level,) in one.items())}
                if not decided <= possible:
                    fits = _feasible(layout, {**setting, **one}, bounds)
                    (refused if fits is False else possible).update(decided)
    gone = {
        path: [level for level in levels if (path, level) in refused - possible]
        for path, levels in space.decisions.items()
    }
    return {path: levels for path, levels in gone.items() if levels}


# -- the whole


@dataclass(frozen=True, slots=True, kw_only=True)
class SpaceSummary:
    """Size and reference costs of the distinct architectures of a space.

    size: their number if ``exact``, else the least upper bound known. size_estimate: unbiased unless it is
    that bound itself; size_low to size_high is its 95 % interval (equal to size if exact). feasible: how
    many keep the budget and the bands. sampled: the uniformly drawn architectures on which feasible, its
    share (with a 95 % interval) and the medians rest, 0 if they are counted. combinations: True if even
    that was too much, and combinations of levels were drawn instead. Minima and maxima are exact, bands or
    not; so is ``cheapest``, the block of fewest macs. ruled_out: levels that no feasible block has.
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
    size_estimate: int
    size_low: int
    size_high: int
    feasible_share_low: float
    feasible_share_high: float
    sampled: int
    combinations: bool
    ruled_out: dict[str, list[Level]]
    activations_min: int
    activations_median: int
    activations_max: int

    @property
    def certain(self) -> bool:
        """Whether the feasible share is counted, or so plain that nothing need be counted."""
        return not self.sampled or self.feasible_share_low == self.feasible_share_high

    @property
    def feasible_words(self) -> str:
        """The number of feasible architectures, with ``about`` where it rests on a sample."""
        return f"{'' if self.certain and self.exact else 'about '}{self.feasible:,}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Count:
    """A size with its interval, and costs of all architectures or of a sample."""

    size: int
    exact: bool
    estimate: int
    low: int
    high: int
    costs: list[Sizes]
    sampled: bool
    combinations: bool = False


def summarise(space: Space, bounds: Sequence[Bound] = ()) -> SpaceSummary:
    """Return size, costs and feasible share of ``space`` within ``bounds``."""
    costs = [attrgetter(name) for name in Sizes._fields]
    least, most = (
        Sizes(*(by(_extreme(space, costliest=costliest, by=by)[0]) for by in costs))
        for costliest in (False, True)
    )
    count = _count(space)
    kept = sum(_kept(bounds, sizes) for sizes in count.costs)
    share = Fraction(kept, len(count.costs))
    certain = not count.sampled or (_kept(bounds, least) and _kept(bounds, most))
    low, high = (float(share), float(share)) if certain else wilson(kept, len(count.costs))
    feasible = round(count.estimate * share)
    if not certain and count.exact and (counted := _counted(space, bounds)) is not None:
        feasible, share = counted, Fraction(counted, count.size)
        low = high = float(share)
    return SpaceSummary(
        space=space.name,
        size=count.size,
        exact=count.exact,
        feasible=feasible,
        feasible_share=float(share),
        macs_min=least.macs,
        macs_median=round(statistics.median(each.macs for each in count.costs)),
        macs_max=most.macs,
        params_min=least.params,
        params_median=round(statistics.median(each.params for each in count.costs)),
        params_max=most.params,
        activations_min=least.activations,
        activations_median=round(statistics.median(each.activations for each in count.costs)),
        activations_max=most.activations,
        cheapest=_text(space, cheapest(space)),
        size_estimate=count.estimate,
        size_low=count.low,
        size_high=count.high,
        feasible_share_low=low,
        feasible_share_high=high,
        sampled=len(count.costs) if count.sampled else 0,
        combinations=count.combinations,
        ruled_out=ruled_out(space, bounds),
    )


def _counted(space: Space, bounds: Sequence[Bound]) -> int | None:
    """Count what keeps ``bounds`` in a space of too many architectures, None where too many may keep them."""
    boxes = [left for layout in _layouts(space) if (left := pruned(layout.boxes(), bounds))]
    if sum(box_size(box) for left in boxes for box in left) > ENUMERABLE:
        return None
    return sum(_kept(bounds, sizes) for left in boxes for sizes in enumerate_costs(left))


def _count(space: Space) -> _Count:
    """Count ``space`` exactly if that is possible, else as well as can be."""
    counts = [_plain_count(own) for _, own in space.plain()]
    if len(counts) == 1:
        return counts[0]
    sampled, whole = any(each.sampled for each in counts), sum(each.estimate for each in counts)
    costs, generator = list[Sizes](), random.Random(0)
    for each in counts:  # of each as many as its share of all, where not all are looked at
        share = round(SAMPLES * each.estimate / whole)
        costs += generator.choices(each.costs, k=share) if sampled else each.costs
    return _Count(
        size=sum(each.size for each in counts),
        exact=all(each.exact for each in counts),
        estimate=whole,
        low=sum(each.low for each in counts),
        high=sum(each.high for each in counts),
        costs=costs,
        sampled=sampled,
        combinations=any(each.combinations for each in counts),
    )


def _plain_count(space: Space) -> _Count:
    try:
        boxes = Layout(space).boxes()
        if sum(map(box_size, boxes)) <= ENUMERABLE:
            costs = list(enumerate_costs(boxes))
            size = len(costs)
            return _Count(
                size=size, exact=True, estimate=size, low=size, high=size, costs=costs, sampled=False
            )
        return _drawn(Union(boxes), space.raw_size)
    except TooManyError:
        return _drawn_combinations(space)


def _drawn(union: Union, raw_size: int) -> _Count:
    """Return a uniform sample of a union of boxes, and its size, exact or estimated."""
    generator = random.Random(0)
    costs: list[Sizes] = []
    weights: list[Fraction] = []
    for _ in range(MAX_DRAWS):
        forms, holders = union.draw(generator)
        weights.append(Fraction(1, holders))
        if generator.randrange(holders) == 0:
            costs.append(union.sizes(forms))
            if len(costs) == SAMPLES:
                break
    size = union.size()
    if size is not None:
        return _Count(size=size, exact=True, estimate=size, low=size, high=size, costs=costs, sampled=True)
    most = min(raw_size, union.total)
    estimate, low, high = karp_luby(union, weights)
    return _Count(
        size=most,
        exact=False,
        estimate=min(estimate, most),
        low=low,
        high=min(high, most),
        costs=costs,
        sampled=True,
    )


def karp_luby(union: Union, weights: Sequence[Fraction]) -> tuple[int, int, int]:
    """Return the estimated size of ``union`` and its 95 % interval, from 1 / holders of draws from it."""
    mean = sum(weights, Fraction()) / len(weights)
    spread = statistics.pstdev(map(float, weights))
    # 3 / n beside the normal interval: draws that all agree do not prove that no other exists
    margin = Fraction(Z95 * spread / math.sqrt(len(weights)) + 3 / len(weights))
    largest = max(map(box_size, union.boxes))
    low, high = (math.floor(union.total * (mean + sign * margin)) for sign in (-1, 1))
    return round(union.total * mean), max(low, largest), min(high, union.total)


def _drawn_combinations(space: Space) -> _Count:
    """Return a sample of combinations as a sampler would meet them, the last resort."""
    generator = random.Random(0)
    drawn = [space.decode(space.sample(generator)) for _ in range(SAMPLES)]
    return _Count(
        size=space.raw_size,
        exact=False,
        estimate=space.raw_size,
        low=len(set(drawn)),  # certain, as the upper bound is
        high=space.raw_size,
        costs=[_sizes(Architecture(blocks=blocks, backbone=space.reference)) for blocks in drawn],
        sampled=True,
        combinations=True,
    )


def wilson(hits: int, draws: int) -> tuple[float, float]:
    """Return the 95 % Wilson score interval of a share (Wilson 1927)."""
    share, weight = hits / draws, Z95**2 / draws
    centre = (share + weight / 2) / (1 + weight)
    half = Z95 * math.sqrt(share * (1 - share) / draws + weight / (4 * draws)) / (1 + weight)
    return max(0.0, centre - half), min(1.0, centre + half)
