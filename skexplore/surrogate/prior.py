"""Seed noise as it is pooled: of repeats, and of what was known before them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True, kw_only=True)
class Prior:
    """The standard deviation of one training over seeds, a fraction 0..1, and its degrees of freedom.

    source: the archive of the trainings that it was measured on; ``skexplore signal`` prints it.
    """

    sd: float
    df: int
    source: str = ""


def pooled(groups: Iterable[Sequence[float]], prior: Prior | None = None) -> Prior | None:
    """Return ``prior`` with what ``groups`` add, each the errors of one network under several seeds.

    s^2 = (v0 s0^2 + v s^2) / (v0 + v). A group of one seed adds nothing. None if nothing is known then.
    """
    repeated = [group for group in groups if len(group) > 1]
    before = prior or Prior(sd=0.0, df=0)
    df = before.df + sum(len(group) - 1 for group in repeated)
    if df == 0:
        return None
    squares = math.fsum((error - math.fsum(g) / len(g)) ** 2 for g in repeated for error in g)
    return replace(before, sd=math.sqrt((squares + before.df * before.sd**2) / df), df=df)
