"""Limits on the cost of an architecture at the reference: a study's budget and a space's bands."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

Band = tuple[float | None, float | None]  # least and greatest, None where there is none
FREE: Band = (None, None)
_SCALES = {"gflops": 1e9, "params": 1e6}  # of what a user gives


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

    name: what the sampler calls it. cost: ``gflops`` or ``params``. limit: in multiply-adds or parameters,
    not to be exceeded if ``upper``, else not to be undercut. of_space: a space's band, not a budget.
    """

    name: str
    cost: str
    limit: float
    upper: bool
    of_space: bool

    def _value(self, macs: int, params: int) -> int:
        return macs if self.cost == "gflops" else params

    def keeps(self, macs: int, params: int) -> bool:
        """Whether an architecture of this cost keeps the limit."""
        value = self._value(macs, params)
        return value <= self.limit if self.upper else value >= self.limit

    def difference(self, macs: int, params: int) -> float:
        """Return how far the cost is above the limit, as a fraction of it."""
        return self._value(macs, params) / self.limit - 1

    def excess(self, macs: int, params: int) -> float:
        """Return the violation as a fraction of the limit: positive if it is violated."""
        return self.difference(macs, params) if self.upper else -self.difference(macs, params)

    @property
    def amount(self) -> str:
        """The limit with its unit, for example ``4.5 GFLOPs``."""
        if self.cost == "params":
            return f"{self.given} M parameters"
        unit = flops_unit(self.limit)
        return f"{self.limit / unit.scale:g} {unit.name}"

    @property
    def given(self) -> str:
        """The limit as the number that was given, in 10^9 multiply-adds or 10^6 parameters."""
        return f"{self.limit / _SCALES[self.cost]:g}"

    @property
    def text(self) -> str:
        """The limit in words, for example ``at most 4.5 GFLOPs``."""
        return f"at {'most' if self.upper else 'least'} {self.amount}"

    def __str__(self) -> str:
        return f"the space's band, {self.text}" if self.of_space else self.amount


def budget_bounds(gflops: float | None, params_m: float | None) -> tuple[Bound, ...]:
    """Return the limits of a budget in 10^9 multiply-adds and 10^6 parameters."""
    found = []
    for cost, amount in (("gflops", gflops), ("params", params_m)):
        if amount is not None:
            limit = amount * _SCALES[cost]
            found.append(Bound(name=cost, cost=cost, limit=limit, upper=True, of_space=False))
    return tuple(found)


def band_bounds(gflops: Band, params_m: Band) -> tuple[Bound, ...]:
    """Return the limits of a space's bands in 10^9 multiply-adds and 10^6 parameters."""
    return (*_band("gflops", gflops), *_band("params", params_m))


def _band(cost: str, band: Band) -> Iterator[Bound]:
    for side, amount in zip(("low", "high"), band, strict=True):
        if amount is not None:
            limit = amount * _SCALES[cost]
            yield Bound(name=f"{cost}_{side}", cost=cost, limit=limit, upper=side == "high", of_space=True)
