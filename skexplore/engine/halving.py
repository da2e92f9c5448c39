"""Whether a trial goes on at a rung: a pure function of the values that its rivals have there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

ALIVE = ("running", "stopped", "complete")  # what failed or diverged later competes no more


@dataclass(frozen=True, slots=True, kw_only=True)
class RungValue:
    """What a trial has at a rung: validation error (fraction) and multiply-adds at the reference."""

    error: float
    macs: int


def goes_on(own: RungValue, rivals: Sequence[RungValue], eta: int) -> bool:
    """Return whether a trial with ``own`` values goes on to the next rung.

    It does if it is in the best 1/eta (rounded up) of its rung by error, itself included, or if no rival is at
    least as good in error and macs and better in one: so the cheap blocks of a front survive.
    """
    better = sum(rival.error < own.error for rival in rivals)
    if better < -(-(len(rivals) + 1) // eta):
        return True
    return not any(_dominates(rival, own) for rival in rivals)


def _dominates(one: RungValue, other: RungValue) -> bool:
    at_least = one.error <= other.error and one.macs <= other.macs
    return at_least and (one.error < other.error or one.macs < other.macs)
