"""Statistics of ranks: how alike two orders are, and how often one group of repeats ends lower than another."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from scipy import stats as scipy_stats

MOST_ARRANGEMENTS = 20_000  # of ranks with ties that are counted out, in a second at most
MOST_PAIRS = 10_000  # of two groups without ties of which the distribution is exact, likewise


def kendall(one: Sequence[float], other: Sequence[float]) -> float | None:
    """Return Kendall's tau-b between two rankings, None where one of them has nothing but ties."""
    tau = float(scipy_stats.kendalltau(one, other).statistic)
    return None if math.isnan(tau) else tau


@dataclass(frozen=True, slots=True, kw_only=True)
class WinRate:
    """How often one group of repeats ends lower than another.

    share: of all pairs, one of each group, in which the first is lower, ties half. n, m: repeats of the first and of
    the second. p: two-sided, that so uneven a share comes by chance (Mann and Whitney 1947), None where a group has
    fewer than two repeats. exact: whether ``p`` is counted out; else it is by the normal approximation. least_p: the
    smallest p that so many repeats can give at all.
    """

    share: float
    n: int
    m: int
    p: float | None
    exact: bool
    least_p: float


def win_rate(first: Sequence[float], second: Sequence[float]) -> WinRate:
    """Return how often ``first`` is lower than ``second``, both not empty; infinity stands for "none yet"."""
    n, m = len(first), len(second)
    wins = math.fsum((a < b) + 0.5 * (a == b) for a in first for b in second)
    arrangements = math.comb(n + m, n)
    p, exact = None, False
    if min(n, m) > 1:
        ties = len({*first, *second}) < n + m
        method: object = "asymptotic"
        if ties and arrangements <= MOST_ARRANGEMENTS:
            method, exact = scipy_stats.PermutationMethod(n_resamples=math.inf), True
        elif not ties and n * m <= MOST_PAIRS:
            method, exact = "exact", True
        p = float(scipy_stats.mannwhitneyu(first, second, alternative="two-sided", method=method).pvalue)
    return WinRate(share=wins / (n * m), n=n, m=m, p=p, exact=exact, least_p=min(1.0, 2 / arrangements))
