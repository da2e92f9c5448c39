"""How large a difference between two trainings must be before it can be more than seed noise."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from scipy import stats as scipy_stats

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """Seed noise of one training, as fractions 0..1.

    sd: standard deviation over seeds, pooled over groups. df: its degrees of freedom. n: trainings that it
    rests on. least_difference: the smallest difference between two single trainings that can be told from
    seed noise (two-sided, 95 %), ``t(0.975, df) * sqrt(2) * sd``; anything smaller is not distinguishable.
    It holds for two trainings named beforehand: the best of many is better than it by luck, too.
    """

    sd: float
    df: int
    n: int
    least_difference: float


def noise(groups: Sequence[Sequence[float]]) -> Noise | None:
    """Return the seed noise pooled over ``groups``, each the errors of one network under several seeds.

    Errors are fractions 0..1. A group of one seed tells nothing about noise and does not count. Returns None
    if no group has two seeds, because then nothing is known.
    """
    repeated = [group for group in groups if len(group) > 1]
    df = sum(len(group) - 1 for group in repeated)
    if df == 0:
        return None
    squares = math.fsum((value - math.fsum(g) / len(g)) ** 2 for g in repeated for value in g)
    sd = math.sqrt(squares / df)
    factor = float(scipy_stats.t.ppf((1 + CONFIDENCE) / 2, df))
    return Noise(sd=sd, df=df, n=sum(map(len, repeated)), least_difference=factor * math.sqrt(2) * sd)
