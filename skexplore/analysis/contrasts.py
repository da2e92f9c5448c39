"""Planned contrasts of an ablation: what its file asks of groups of variants before anything is trained."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats as scipy_stats
from statsmodels.stats.power import ttest_power

from skexplore.analysis.dunnett import LEVEL, MOST_SEEDS, POWER, Layout, complete_blocks, mean_squares
from skexplore.study import Contrast, Design
from skexplore.words import counted


@dataclass(frozen=True, slots=True, kw_only=True)
class Contrasted:
    """What became of a contrast, errors as fractions 0..1; below zero, the error of ``of`` is lower.

    difference: the mean of ``of`` less that of ``against``. low, high: 95 % interval, which of all planned contrasts
    hold together (Bonferroni), from the residual of the blocked layout. p: adjusted likewise, distinguishable: p below
    0.05. n_needed: as in ``Difference``. printed: the same contrast of the paper's errors, None where one is not
    printed. None where nothing can be said: a variant without a result, one seed, no noise.
    """

    name: str
    of: tuple[str, ...]
    against: tuple[str, ...]
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    distinguishable: bool | None = None
    n_needed: int | None = None
    printed: float | None = None


def contrasted(design: Design, layout: Layout, same: Mapping[str, str]) -> tuple[Contrasted, ...]:
    """Return what the complete seeds of ``layout`` say of the contrasts of ``design``.

    same: for each variant the first that is the same network here, empty for that one itself.
    """
    rows, places, _ = complete_blocks(layout)
    table = np.array([[row[i] for i in places] for row in rows.values()], dtype=float)
    means = dict(zip(rows, table.mean(1), strict=True)) if places else {}
    variance = mean_squares(table)[1] if len(places) > 1 else 0.0
    printed = {
        v.name: v.printed.error_pct / 100 for v in design.variants if v.printed and v.printed.error_pct
    }
    found = []
    for each in design.contrasts:
        told: dict[str, Any] = {"printed": _of(_weights(each, {}), printed)}
        weights = _weights(each, same)
        gap = _of(weights, means)
        if gap is not None:
            told["difference"] = gap
            spread = math.sqrt(variance * sum(weight**2 for weight in weights.values()))
            if spread:
                told |= _tested(gap, spread, len(places), len(rows) - 1, len(design.contrasts))
        found.append(Contrasted(name=each.name, of=each.of, against=each.against, **told))
    return tuple(found)


def _weights(contrast: Contrast, same: Mapping[str, str]) -> dict[str, float]:
    weights: dict[str, float] = {}
    for sign, names in ((1, contrast.of), (-1, contrast.against)):
        for name in names:
            own = same.get(name) or name
            weights[own] = weights.get(own, 0.0) + sign / len(names)
    return weights


def _of(weights: Mapping[str, float], errors: Mapping[str, float]) -> float | None:
    if not weights.keys() <= errors.keys():
        return None
    return math.fsum(weight * errors[name] for name, weight in weights.items())


def _tested(gap: float, spread: float, n: int, others: int, family: int) -> dict[str, Any]:
    """Return interval, p and seeds needed. spread: sd of the contrast under one seed; others: variants less one."""
    df, error = others * (n - 1), spread / math.sqrt(n)
    p = min(1.0, family * 2 * float(scipy_stats.t.sf(abs(gap) / error, df)))
    half = float(scipy_stats.t.isf(LEVEL / family / 2, df)) * error
    need = None
    if p >= LEVEL:
        more = range(n + 1, MOST_SEEDS + 1)

        def power(seeds: int) -> float:
            return float(ttest_power(abs(gap) / spread, seeds, LEVEL / family, df=others * (seeds - 1)))

        fewer = bisect_left(more, POWER, key=power)
        need = more[fewer] if fewer < len(more) else None
    return {"low": gap - half, "high": gap + half, "p": p, "distinguishable": p < LEVEL, "n_needed": need}


def contrast_words(found: Contrasted, n: int) -> str:
    """Return what is said of a contrast, as a sentence."""
    which = f"{found.name} ({counted(len(found.of), 'variant')} less {len(found.against)})"
    printed = "" if found.printed is None else f" In print it is {100 * found.printed:+.2f} points."
    if found.difference is None:
        return f"Planned contrast {which}: a variant of it has no result.{printed}".replace("-", "−")
    gap = f"{100 * found.difference:+.2f} points"
    if found.low is None or found.high is None:
        return f"Planned contrast {which}: {gap}, no claim at n = {n}.{printed}".replace("-", "−")
    interval = f"95 % {100 * found.low:+.2f} to {100 * found.high:+.2f}"
    verdict = "distinguishable from zero"
    if not found.distinguishable:
        need = f"{found.n_needed:,}" if found.n_needed else f"more than {MOST_SEEDS:,}"
        verdict = (
            f"not distinguishable from zero at n = {n}; a difference of this size would take {need} seeds"
        )
    return f"Planned contrast {which}: {gap} ({interval}), {verdict}.{printed}".replace("-", "−")
