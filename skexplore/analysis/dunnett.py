"""What an ablation can claim: means, differences to a baseline, and an order, with what seeds leave open.

The design is blocked: every variant is trained under the same seeds, and a seed (the block) fixes the order of the
data, the augmentation and the stream of initial weights for all of them. Errors are fractions 0..1.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from scipy import optimize, special, stats as scipy_stats
from statsmodels.stats.power import ttest_power

from skexplore.errors import UserError
from skexplore.words import first_of

LEVEL = 0.05  # of a test, over all differences together; intervals are 95 %
POWER = 0.80  # the chance of telling a difference apart that `n_needed` asks for
MOST_SEEDS = 1000  # nobody trains more
DRAWS = 4000  # of the true means, for the interval of tau
NO_NOISE = 1e-24  # a variance below it is rounding: errors are counts over images


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Errors of variants x seeds, as fractions 0..1.

    errors: a row for each name with an error for each seed; None is no result. baseline: the name of the variant that
    the others are compared with. Raises UserError for what is no such table.
    """

    names: tuple[str, ...]
    seeds: tuple[int, ...]
    errors: tuple[tuple[float | None, ...], ...]
    baseline: str

    def __post_init__(self) -> None:
        if self.baseline not in self.names:
            raise UserError(f"baseline {self.baseline!r} is no variant; take one of {', '.join(self.names)}.")
        single = len({*self.names}) == len(self.names) and len({*self.seeds}) == len(self.seeds)
        if not single or [len(self.seeds)] * len(self.names) != [len(row) for row in self.errors]:
            raise UserError("the table does not fit; give each variant one row and each seed one column.")
        if any(error is not None and not 0 <= error <= 1 for row in self.errors for error in row):
            raise UserError("an error is no fraction; give 0..1, or None for no result.")


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantStats:
    """The error of one variant, as fractions 0..1.

    mean, sd: over n seeds; sd is the spread between single trainings, seed effect included. low, high: 95 % interval
    of the mean over the population of seeds (see `half_interval`). Variants share seeds, so their intervals move
    together: whether two differ is in `Difference`, not by overlap. None where nothing is known.
    """

    name: str
    n: int
    mean: float
    sd: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """How far a variant is from the baseline, as fractions 0..1; below zero, its error is lower.

    low, high: simultaneous 95 % interval: those of a summary hold all together in 95 % of ablations. p: of Dunnett's
    test (1955, 1964), two-sided, adjusted for all comparisons. distinguishable: p < 0.05. n_needed: if not, the least
    number of seeds (at most 1,000, else None) at which a true difference of this size would be distinguishable with
    power 80 %, were the residual sd as estimated; this variant's true difference may be another. None where nothing
    can be claimed: under one seed, and if all residuals are zero, which measures no noise.
    """

    name: str
    difference: float
    low: float | None
    high: float | None
    p: float | None
    distinguishable: bool | None
    n_needed: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What the complete blocks of a layout say, as fractions 0..1; None where nothing is known.

    variants: those with a result; differences: all but the baseline's; both in the order of the layout. blocks: the n
    seeds under which every variant has a result, on which all rests. With n = 0 the means are over what is there, and
    nothing is compared. left_out: sentences on variants without a result and incomplete seeds. residual_sd: of one
    training given variant and seed, with df = (variants - 1)(n - 1). seed_sd: of a seed's effect on all variants.
    seed_correlation: intraclass, of variants under one seed, ICC(3,1) of Shrout and Fleiss (1979); it can be below 0.
    pairing: the standard error of a difference had variants seeds of their own, over that of now; above 1, it helped;
    pairing_low, pairing_high: its 95 % interval, from the F distribution of the two mean squares.
    """

    variants: tuple[VariantStats, ...]
    differences: tuple[Difference, ...]
    n: int
    blocks: tuple[int, ...]
    left_out: tuple[str, ...]
    residual_sd: float | None
    seed_sd: float | None
    df: int
    seed_correlation: float | None
    pairing: float | None
    pairing_low: float | None
    pairing_high: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """How well our order of variants agrees with the published one.

    tau: Kendall's tau-b of our means and the published numbers; low, high: see `order`. pairs of variants not tied in
    print; ties_published: those tied. undecided: of ``pairs``, those with less than 95 % of the draws on one side.
    expected: the mean tau of such an ablation were the true errors as far apart as the published ones; None where no
    noise is known.
    """

    tau: float
    low: float | None
    high: float | None
    pairs: int
    ties_published: int
    undecided: int
    expected: float | None = None


def mean_squares(table: Any) -> tuple[float, float]:
    """Return MS_seed and MS_residual (0 for one variant) of y = variant + seed + e, a balanced variants x seeds."""
    v, n = table.shape
    seeds = table.mean(axis=0) - table.mean()
    residuals = table - table.mean(axis=1, keepdims=True) - seeds
    found = v * float(seeds @ seeds) / (n - 1), float((residuals**2).sum()) / max((v - 1) * (n - 1), 1)
    ms_seed, ms_residual = (square if square > NO_NOISE else 0.0 for square in found)
    return ms_seed, ms_residual


def half_interval(ms_seed: float, ms_residual: float, v: int, n: int) -> float | None:
    """Return half the 95 % interval of a variant's mean over the population of seeds; None without noise.

    The variance of one training is V = (MS_seed + (v - 1) MS_residual) / v, and of a mean V / n. V is the same number
    as the one-way layout's variance pooled within variants, but that claims v(n - 1) degrees of freedom. Variants
    share seeds, and v copies of a seed's effect are not v observations of it: where seeds matter such intervals are
    far too narrow (v = 8, n = 3: 2.1 instead of 4.3 standard errors). Satterthwaite's degrees of freedom still cover
    only 89 to 93 % there under two or three seeds. Behrens and Fisher's interval (1935), each mean square over a chi2
    of its own, covers 95 % under strong seed effects and more under none; it is never taken wider than n - 1 degrees
    of freedom would be. One variant: the ordinary t interval.
    """
    a, b, seed, rest = n - 1, (v - 1) * (n - 1), ms_seed / v / n, (v - 1) * ms_residual / v / n
    if not seed + rest:
        return None
    most = float(scipy_stats.t.isf(LEVEL / 2, a)) * math.sqrt(seed + rest)
    if not rest:
        return most
    ends = scipy_stats.f.ppf(1e-13, a, b), scipy_stats.f.isf(1e-13, a, b)
    ratio = np.geomspace(*ends, 201)  # of the two chi2, each over its degrees of freedom
    chance = scipy_stats.f.pdf(ratio, a, b) * ratio * math.log(ratio[1] / ratio[0])
    sds = np.sqrt((seed / ratio + rest) * (a * ratio + b) / (a + b))
    half = optimize.brentq(lambda h: special.stdtr(a + b, -h / sds) @ chance - LEVEL / 2, 0, 2 * most)
    return min(float(half), most)


def dunnett_p(t: float, k: int, df: int, *, sides: int = 2) -> float:
    """Return the chance that the largest of ``k`` statistics |t| (of t for one side) exceeds ``t`` if nothing differs.

    Dunnett's (1955) test of k groups against a control of their size, correlation 1/2: an integral over the
    common sd and the control, exact to 1e-6 by even steps; scipy's ``multivariate_t`` has it by quasi-random points.
    """
    ends = special.gammaincinv(df / 2, 1e-13), special.gammainccinv(df / 2, 1e-15)
    chi = np.sqrt(2 * np.geomspace(*ends, 101))
    chance = scipy_stats.chi.pdf(chi, df) * chi * math.log(ends[1] / ends[0]) / 200
    z = np.linspace(-8, 8, 65)
    reach = abs(t) * math.sqrt(2 / df) * chi[:, None]
    below = special.ndtr(z - reach) if sides == 2 else 0.0
    inside = (special.ndtr(z + reach) - below) ** k @ (np.exp(-(z**2) / 2) / 4)
    return min(1.0, max(0.0, float(1 - chance @ inside / math.sqrt(2 * math.pi))))


@cache
def critical_value(k: int, df: int, *, sides: int = 2) -> float:
    """Return the |t| (t for one side) that the largest of ``k`` exceeds in 5 % of cases if nothing differs."""
    # from one comparison to Bonferroni's of all
    ends = (scipy_stats.t.isf(LEVEL / sides / m, df) + wide for m, wide in ((1, -1e-3), (k, 1e-3)))
    return float(optimize.brentq(lambda t: dunnett_p(t, k, df, sides=sides) - LEVEL, *ends, xtol=1e-9))


def power(difference: float, sd: float, n: int, others: int, k: int | None = None) -> float:
    """Return the chance that a true difference is found under ``n`` seeds and a residual sd.

    It is one to ``others`` variants, ``k`` of which are tested together, by default all.
    """
    df, k = others * (n - 1), others if k is None else k
    level = 2 * float(scipy_stats.t.sf(critical_value(k, df), df))
    return float(ttest_power(abs(difference) / (math.sqrt(2) * sd), n, level, df=df))


def _difference(name: str, gap: float, variance: float, n: int, others: int, k: int) -> Difference:
    low = high = p = told = need = None
    if variance:
        df, error = others * (n - 1), math.sqrt(2 * variance / n)
        half, p = critical_value(k, df) * error, dunnett_p(gap / error, k, df)
        low, high, told = gap - half, gap + half, p < LEVEL
        if not told:
            more = range(n + 1, MOST_SEEDS + 1)
            fewer = bisect_left(more, POWER, key=lambda m: power(gap, math.sqrt(variance), m, others, k))
            need = more[fewer] if fewer < len(more) else None
    return Difference(name=name, difference=gap, low=low, high=high, p=p, distinguishable=told, n_needed=need)


def complete_blocks(layout: Layout) -> tuple[dict[str, tuple[float | None, ...]], list[int], list[str]]:
    """Return the rows with a result, the places of the complete seeds, and what is left out and why."""
    rows = dict(zip(layout.names, layout.errors, strict=True))
    kept = {name: row for name, row in rows.items() if any(error is not None for error in row)}
    missing = [[name for name, row in kept.items() if row[i] is None] for i in range(len(layout.seeds))]
    lost = [name for name in rows if name not in kept]
    left_out = (
        [f"{first_of(lost)} {'has' if len(lost) == 1 else 'have'} no result under any seed."] if lost else []
    )
    for seed, names in zip(layout.seeds, missing, strict=True):
        left_out += [f"Seed {seed} is not complete: no result of {first_of(names)}."] if names else []
    if kept and all(missing):
        left_out.append("No seed is complete: means are over different seeds, and nothing is compared.")
    elif kept and layout.baseline not in kept:
        left_out.append(f"Nothing is compared: the baseline {layout.baseline} has no result.")
    return kept, [i for i, names in enumerate(missing) if kept and not names], left_out


def _pairing_interval(ratio: float, v: int, n: int) -> tuple[float, float]:
    """Return the 95 % interval of ``pairing``, from the ``ratio`` of the mean squares of seeds and residuals."""
    quantiles = scipy_stats.f.ppf([1 - LEVEL / 2, LEVEL / 2], n - 1, (v - 1) * (n - 1))
    low, high = (math.sqrt((ratio / float(quantile) + v - 1) / v) for quantile in quantiles)
    return low, high


def summarise(layout: Layout, *, together: bool = True) -> Summary:
    """Return means, differences to the baseline and what seeds explain, as fractions 0..1, from complete blocks.

    together: whether all differences are tested together; else each by itself, as in a sequence fixed beforehand.
    A variant without any result is left out, then every seed under which one has none. One seed gives no claim.
    """
    kept, places, left_out = complete_blocks(layout)
    v, n = len(kept), len(places)
    table = np.array([[row[i] for i in places or range(len(row))] for row in kept.values()], dtype=float)
    means = {name: float(np.nanmean(values)) for name, values in zip(kept, table, strict=True)}
    seed, rest = mean_squares(table) if n > 1 else (0.0, 0.0)
    half, one = half_interval(seed, rest, v, n) if n > 1 else None, (seed + (v - 1) * rest) / max(v, 1)
    variants = []
    for (name, mean), values in zip(means.items(), table, strict=True):
        sd, count = float(values.std(ddof=1)) if n > 1 else None, int(np.isfinite(values).sum())
        low, high = (None, None) if half is None else (mean - half, mean + half)
        variants.append(VariantStats(name=name, n=count, mean=mean, sd=sd, low=low, high=high))
    base = means.pop(layout.baseline, None) if n else None
    k = v - 1 if together else 1
    differences = [_difference(x, m - base, rest, n, v - 1, k) for x, m in means.items() if base is not None]
    known = v > 1 and n > 1
    ends = _pairing_interval(seed / rest, v, n) if known and rest else (None, None)
    return Summary(
        variants=tuple(variants),
        differences=tuple(differences),
        n=n,
        blocks=tuple(layout.seeds[i] for i in places),
        left_out=tuple(left_out),
        residual_sd=math.sqrt(rest) if known else None,
        seed_sd=math.sqrt(max(0.0, seed - rest) / v) if known else None,
        df=(v - 1) * (n - 1) if known else 0,
        seed_correlation=(seed - rest) / (v * one) if known and one else None,
        pairing=math.sqrt(one / rest) if rest else None,
        pairing_low=ends[0],
        pairing_high=ends[1],
    )


def order(layout: Layout, published: Mapping[str, float]) -> Order | None:
    """Return how well our order agrees with ``published`` (errors too, as fractions: lower is better), or None.

    None if fewer than three variants have both, or if all of either are tied. From two seeds on, low and high are a
    95 % credible interval of tau-b of the true means and the published numbers, given the layout and a flat prior:
    4,000 draws of a residual variance (sum of squares / chi2) and of means about ours with that variance / n; what a
    seed does to all leaves their order. Published numbers are taken as printed, without noise. It is no confidence
    interval: variants that are truly close are drawn in random order, which pulls it to 0, off the truth if many are.
    """
    summary = summarise(layout)
    ours = {variant.name: variant.mean for variant in summary.variants if variant.name in published}
    means, printed = np.round(list(ours.values()), 12), np.array([published[name] for name in ours])
    if not summary.n or len(ours) < 3 or np.ptp(means) == 0 or np.ptp(printed) == 0:
        return None
    tau = float(scipy_stats.kendalltau(means, printed).statistic)
    first, second = np.triu_indices(len(ours), 1)
    signs = np.sign(printed[first] - printed[second])
    low, high, expected, pairs = None, None, None, int(np.count_nonzero(signs))
    ties, undecided = len(signs) - pairs, pairs
    if summary.residual_sd:
        generator = np.random.default_rng(0)
        scale = summary.residual_sd * math.sqrt(summary.df / summary.n)
        sd = scale / np.sqrt(generator.chisquare(summary.df, (DRAWS, 1)))
        noise, most = sd * generator.standard_normal((DRAWS, len(ours))), math.sqrt(len(first) * pairs)
        drawn, as_published = (
            np.sign(each[:, first] - each[:, second]) for each in (means + noise, printed + noise)
        )
        low, high = np.percentile(drawn @ signs / most, [2.5, 97.5]).tolist()
        expected = float(as_published.mean(0) @ signs / most)
        undecided = int(np.count_nonzero(np.abs(drawn.mean(axis=0))[signs != 0] < 2 * (1 - LEVEL) - 1))
    return Order(
        tau=tau,
        low=low,
        high=high,
        pairs=pairs,
        ties_published=ties,
        undecided=undecided,
        expected=expected,
    )


def describe(difference: Difference, n: int, baseline: str) -> str:
    """Return what can be said of ``difference`` to ``baseline`` under ``n`` seeds, in points of error (percent)."""
    sign, side = (100, "higher") if difference.difference > 0 else (-100, "lower")
    points = f"{abs(sign * difference.difference):.2f} points {side}"
    if n < 2:
        return f"{points} than {baseline}; one seed, nothing can be claimed"
    if difference.distinguishable is None or difference.low is None or difference.high is None:
        return f"{points} than {baseline}; no noise was measured at n = {n}, nothing can be claimed"
    if difference.distinguishable:
        near, far = sorted((sign * difference.low, sign * difference.high))
        return f"{points} than {baseline} (95 % {near:.2f} to {far:.2f})"
    need = f"{difference.n_needed:,}" if difference.n_needed else f"more than {MOST_SEEDS:,}"
    words = f"not distinguishable from {baseline} at n = {n}"
    return f"{words}; a difference of this size would take {need} seeds"
