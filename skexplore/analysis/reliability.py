"""What one training tells of a block: seed noise, reliability, and validity against long trainings.

A panel of blocks is trained under several seeds. *Reliability* is the share of the variance of single trainings that is
between blocks (an intraclass correlation): would the same training order them alike again? *Validity* is the
correlation of one training with one long training of the same blocks: is that order the one that long training gives?
Its ceiling is what two long trainings have with each other. A recipe may be reliable and wrong.
"""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats as scipy_stats

from skexplore.analysis.ablation import design_of, layout
from skexplore.analysis.ranks import kendall
from skexplore.errors import UserError
from skexplore.study import Study, cells

LEVEL = 0.95
LEAST_BLOCKS = 4  # fewer say nothing of an order

Errors = NDArray[np.float64]  # blocks x seeds, fractions 0..1


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A number with its 95 % interval; None where there is none."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reliability:
    """Variance components of blocks x seeds, one-way: a seed is a draw of its own for every block.

    mean: of all errors. sd: between trainings of one block, with its ``df``. between_sd: of true errors between blocks,
    0 where the estimate of the variance is negative. icc: of a single training, ICC(1,1) of Shrout and Fleiss (1979)
    with its exact interval for normal errors. paired_sd: what is left of ``sd`` if trainings share their seed.
    """

    blocks: int
    seeds: int
    mean: float
    sd: Estimate
    df: int
    between_sd: float
    icc: Estimate
    paired_sd: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Validity:
    """One training against one long training, means over all pairs of their seeds.

    correlation: Pearson's, with Fisher's interval over blocks. tau: Kendall's. ceiling, ceiling_tau: the same between
    two long trainings, None where there is one.
    """

    blocks: int
    correlation: Estimate
    tau: float
    ceiling: float | None
    ceiling_tau: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """What a profile's training tells. seconds, images: of one training, seconds as the median.

    against: the study of long trainings; whole: over all its blocks, good: over the half of them with the lowest long
    errors. All three are empty without one.
    """

    study: str
    reliability: Reliability
    seconds: float
    images: int
    against: str = ""
    whole: Validity | None = None
    good: Validity | None = None

    @property
    def per_minute(self) -> float | None:
        """Correlation with long trainings per minute of one training."""
        return None if self.whole is None else 60 * self.whole.correlation.value / self.seconds


def signal(study: Study, against: Study | None = None) -> Signal:
    """Return what the trainings of a panel tell, and how true they are to those of ``against``.

    Only seeds under which every block is trained count. Raises ``UserError`` for fewer than four blocks or two seeds,
    and if ``against`` has not the same blocks.
    """
    own = _table(study)
    count, seeds = _matrix(own).shape
    if not _says_something(count, seeds):
        raise UserError(
            f"study {study.spec.name}: {count} blocks under {seeds} common seeds; at least {LEAST_BLOCKS} blocks and 2 "
            "seeds are needed, so give more --seeds or wait until it is finished"
        )
    done = [record for record in cells(study.spec, study.records).values() if record.status == "complete"]
    found = Signal(
        study=study.spec.name,
        reliability=reliability(_matrix(own)),
        seconds=statistics.median(record.seconds for record in done),
        images=max(record.images for record in done),
    )
    if against is None:
        return found
    long = _table(against)
    common = [block for block in own if block in long]
    if len(common) < LEAST_BLOCKS:
        raise UserError(
            f"--against {against.spec.name}: it has {len(common)} of the {count} blocks of {study.spec.name}; at least "
            f"{LEAST_BLOCKS} are needed"
        )
    one, other = (_matrix({block: table[block] for block in common}) for table in (own, long))
    best = np.argsort(other.mean(1), kind="stable")[: max(LEAST_BLOCKS, (len(common) + 1) // 2)]
    return Signal(
        **{name: getattr(found, name) for name in ("study", "reliability", "seconds", "images")},
        against=against.spec.name,
        whole=validity(one, other),
        good=validity(one[best], other[best]),
    )


def tells(study: Study) -> bool:
    """Whether a study has blocks and seeds enough for ``signal``."""
    return study.spec.ablation is not None and _says_something(*_matrix(_table(study)).shape)


def _says_something(blocks: int, seeds: int) -> bool:
    return blocks >= LEAST_BLOCKS and seeds >= 2


def _table(study: Study) -> dict[str, tuple[float, ...]]:
    """Return the errors of each network of a design under the seeds that all of them have, by its identity."""
    if study.spec.ablation is None:
        raise UserError(
            f"study {study.spec.name}: no panel of blocks under several seeds, but a search or trainings"
        )
    found = layout(study)
    whole = [at for at in range(len(found.seeds)) if all(row[at] is not None for row in found.errors)]
    ids = {variant.name: variant.architecture.id for variant in design_of(study).variants}
    return {
        ids[name]: tuple(error for at in whole if (error := row[at]) is not None)
        for name, row in zip(found.names, found.errors, strict=True)
    }


def _matrix(table: Mapping[str, Sequence[float]]) -> Errors:
    return np.array([*table.values()], dtype=np.float64).reshape(len(table), -1)


def reliability(errors: Errors) -> Reliability:
    """Return the variance components of ``errors`` (blocks x seeds), two of each at least."""
    blocks, seeds = errors.shape
    df = blocks * (seeds - 1)
    means = errors.mean(1, keepdims=True)
    within = float(((errors - means) ** 2).sum()) / df
    between = seeds * float(means.var(ddof=1))
    shared = errors - means - errors.mean(0, keepdims=True) + errors.mean()
    return Reliability(
        blocks=blocks,
        seeds=seeds,
        mean=float(errors.mean()),
        sd=_sd(within, df),
        df=df,
        between_sd=math.sqrt(max(0.0, (between - within) / seeds)),
        icc=_icc(between, within, blocks, seeds),
        paired_sd=math.sqrt(float((shared**2).sum()) / ((blocks - 1) * (seeds - 1))),
    )


def _sd(variance: float, df: int) -> Estimate:
    """Return the standard deviation with its interval from the chi-square distribution."""
    tails = scipy_stats.chi2.ppf([(1 + LEVEL) / 2, (1 - LEVEL) / 2], df)
    low, high = (math.sqrt(df * variance / float(tail)) for tail in tails)
    return Estimate(value=math.sqrt(variance), low=low, high=high)


def _icc(between: float, within: float, blocks: int, seeds: int) -> Estimate:
    """Return ICC(1,1) of the two mean squares with its exact interval (Shrout and Fleiss 1979)."""
    if within == 0:
        return Estimate(value=1.0)
    ratio, df = between / within, (blocks - 1, blocks * (seeds - 1))
    tail = (1 + LEVEL) / 2
    ends = (ratio / float(scipy_stats.f.ppf(tail, *df)), ratio * float(scipy_stats.f.ppf(tail, *df[::-1])))
    value, low, high = ((each - 1) / (each + seeds - 1) for each in (ratio, *ends))
    return Estimate(value=value, low=low, high=high)


def validity(one: Errors, other: Errors) -> Validity:
    """Return how alike single trainings of ``one`` and of ``other`` order the same blocks (rows)."""
    pairs = [(a, b) for a in one.T for b in other.T]
    inside = [*itertools.combinations(other.T, 2)]
    return Validity(
        blocks=len(one),
        correlation=_fisher(_mean_correlation(pairs), len(one)),
        tau=_mean_tau(pairs),
        ceiling=_mean_correlation(inside) if inside else None,
        ceiling_tau=_mean_tau(inside) if inside else None,
    )


Pairs = Sequence[tuple[Errors, Errors]]


def _mean_correlation(pairs: Pairs) -> float:
    """Return the mean of Pearson's correlations; one with no variance at all orders nothing and counts as 0."""
    found = [0.0 if a.std() == 0 or b.std() == 0 else float(np.corrcoef(a, b)[0, 1]) for a, b in pairs]
    return statistics.fmean(found)


def _mean_tau(pairs: Pairs) -> float:
    return statistics.fmean(kendall([*a], [*b]) or 0.0 for a, b in pairs)


def _fisher(value: float, blocks: int) -> Estimate:
    """Return a correlation with Fisher's interval for that many blocks; a mean over seeds is at least as exact."""
    if abs(value) >= 1:
        return Estimate(value=value)
    half = float(scipy_stats.norm.ppf((1 + LEVEL) / 2)) / math.sqrt(blocks - 3)
    middle = math.atanh(value)
    return Estimate(value=value, low=math.tanh(middle - half), high=math.tanh(middle + half))


def signal_findings(found: Signal) -> dict[str, Any]:
    """Return ``found`` as plain data, errors and deviations as fractions."""
    return asdict(found) | {"validity_per_minute": found.per_minute}


def signal_words(found: Signal) -> list[tuple[str, str]]:
    """Return what ``found`` says, as labels and sentences without a full stop."""
    own = found.reliability
    rows = [
        ("error", f"mean {100 * own.mean:.2f} %, sd between blocks {100 * own.between_sd:.2f} points"),
        (
            "seed noise",
            f"sd {_points(own.sd)} points, {own.df} degrees of freedom; {100 * own.paired_sd:.2f} where blocks share "
            "a seed",
        ),
        ("reliability", f"{_share(own.icc)} of one training (intraclass correlation)"),
    ]
    for which, valid in (("blocks", found.whole), ("blocks, the good ones", found.good)):
        if valid is not None:
            rows.append(("validity", f"{_valid(valid)}; {valid.blocks} {which}"))
    seconds = f"{found.seconds:.0f} s a training (median)"
    per = found.per_minute
    rows.append(("cost", seconds if per is None else f"{seconds}; validity per minute {per:.2f}"))
    return rows


def _valid(valid: Validity) -> str:
    ceiling = "ceiling not known, one long seed"
    if valid.ceiling is not None and valid.ceiling_tau is not None:
        ceiling = f"two long ones have {valid.ceiling:.2f}, tau {valid.ceiling_tau:.2f}"
    return f"{_share(valid.correlation)}, tau {valid.tau:.2f} with one long training; {ceiling}"


def _share(found: Estimate) -> str:
    return f"{found.value:.2f}" + (
        "" if found.low is None else f" (95 %: {found.low:.2f} to {found.high:.2f})"
    )


def _points(found: Estimate) -> str:
    low, high = (0.0 if end is None else 100 * end for end in (found.low, found.high))
    return f"{100 * found.value:.2f} (95 %: {low:.2f} to {high:.2f})"
