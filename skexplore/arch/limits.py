"""Limits on the cost of an architecture at the reference: a study's budget and a space's bands."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from skexplore.arch.formulas import Cost

Band = tuple[float | None, float | None]  # least and greatest, None where there is none
FREE: Band = (None, None)


class Sizes(NamedTuple):
    """What may be limited of an architecture at the reference."""

    macs: int
    params: int
    activations: int


@dataclass(frozen=True, slots=True)
class _Limited:
    """A cost that may be limited: its field, and how many of it make one of the user's."""

    field: str
    scale: float


_LIMITED = {
    "gflops": _Limited("macs", 1e9),
    "params": _Limited("params", 1e6),
    "activations": _Limited("activations", 1e6),
}


@dataclass(frozen=True, slots=True)
class FlopsUnit:
    """The unit of a number of multiply-adds: ``GFLOPs`` or ``MFLOPs``, and how many it has."""

    name: str
    scale: float

    @property
    def power(self) -> int:
        """The power of ten that ``scale`` is."""
        return round(math.log10(self.scale))

    def of(self, macs: float) -> str:
        """Return so many multiply-adds as a number of this unit."""
        return f"{macs / self.scale:.3f}"


def flops_unit(macs: float) -> FlopsUnit:
    """Return the unit in which so many multiply-adds are said."""
    return FlopsUnit("GFLOPs", 1e9) if macs >= 1e9 else FlopsUnit("MFLOPs", 1e6)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """One limit.

    name: what the sampler calls it. cost: ``gflops``, ``params`` or ``activations``. limit: in ones, not to be exceeded
    if ``upper``, else not to be undercut. of_space: a space's band, not a budget.
    """

    name: str
    cost: str
    limit: float
    upper: bool
    of_space: bool

    def of(self, sizes: Sizes | Cost) -> int:
        """Return what is limited of an architecture of these sizes."""
        return int(getattr(sizes, _LIMITED[self.cost].field))

    def keeps(self, sizes: Sizes | Cost) -> bool:
        """Whether an architecture of these sizes keeps the limit."""
        value = self.of(sizes)
        return value <= self.limit if self.upper else value >= self.limit

    def difference(self, sizes: Sizes | Cost) -> float:
        """Return how far the cost is above the limit, as a fraction of it."""
        return self.of(sizes) / self.limit - 1

    def excess(self, sizes: Sizes | Cost) -> float:
        """Return the violation as a fraction of the limit: positive if it is violated."""
        return self.difference(sizes) if self.upper else -self.difference(sizes)

    def said(self, value: float, digits: str = ".10g") -> str:
        """Return so much of what is limited with its unit, for example ``4.5 GFLOPs``."""
        if self.cost == "gflops":
            unit = flops_unit(value)
            return f"{value / unit.scale:{digits}} {unit.name}"
        word = "parameters" if self.cost == "params" else self.cost
        return f"{value / _LIMITED[self.cost].scale:{digits}} M {word}"

    @property
    def amount(self) -> str:
        """The limit with its unit, for example ``4.5 GFLOPs``."""
        return self.said(self.limit)

    @property
    def given(self) -> str:
        """The limit as the number that was given."""
        return f"{self.limit / _LIMITED[self.cost].scale:.10g}"

    @property
    def text(self) -> str:
        """The limit in words, for example ``at most 4.5 GFLOPs``."""
        return f"at {'most' if self.upper else 'least'} {self.amount}"

    def __str__(self) -> str:
        return f"the space's band, {self.text}" if self.of_space else self.amount


def budget_bounds(
    gflops: float | None, params_m: float | None, activations_m: float | None = None
) -> tuple[Bound, ...]:
    """Return the limits of a budget in 10^9 multiply-adds, 10^6 parameters and 10^6 activations."""
    found = []
    for cost, amount in (("gflops", gflops), ("params", params_m), ("activations", activations_m)):
        if amount is not None:
            limit = amount * _LIMITED[cost].scale
            found.append(Bound(name=cost, cost=cost, limit=limit, upper=True, of_space=False))
    return tuple(found)


def band_bounds(gflops: Band, params_m: Band, activations_m: Band = FREE) -> tuple[Bound, ...]:
    """Return the limits of a space's bands in 10^9 multiply-adds, 10^6 parameters and 10^6 activations."""
    return (*_band("gflops", gflops), *_band("params", params_m), *_band("activations", activations_m))


def _band(cost: str, band: Band) -> Iterator[Bound]:
    for side, amount in zip(("low", "high"), band, strict=True):
        if amount is not None:
            limit = amount * _LIMITED[cost].scale
            yield Bound(name=f"{cost}_{side}", cost=cost, limit=limit, upper=side == "high", of_space=True)
