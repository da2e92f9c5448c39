"""What one training tells of a block: seed noise, reliability, and validity against long trainings.

A panel of blocks is trained under several seeds. *Reliability* is the share of the variance of single trainings that is
between blocks (an intraclass correlation): would the same training order them alike again? *Validity* is the
correlation of one training with one long training of the same blocks: is that order the one that long training gives?
A recipe may be reliable and wrong. What two long trainings have with each other is shown beside it.
"""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats as scipy_stats

from skexplore.analysis.ablation import layout
from skexplore.analysis.dunnett import NO_NOISE
from skexplore.analysis.ranks import kendall
from skexplore.errors import UserError
from skexplore.study import Study, StudySpec, cells
from skexplore.words import counted

LEVEL = 0.95
LEAST_BLOCKS = 4  # fewer say nothing of an order
LEAST_SEEDS = 2

Errors = NDArray[np.float64]  # blocks x seeds, fractions 0..1


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A number with its 95 % interval; None where there is none."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reliability:
    """Variance components of blocks x seeds.

    mean: of all errors. sd: between trainings of one block, with its ``df``. between_sd: of true errors between blocks,
    0 where the estimate of the variance is negative. icc: of a single training where every block has seeds of its own,
    ICC(1,1) of Shrout and Fleiss (1979) with its exact interval for normal errors. paired_sd, paired_icc: the same
    where blocks share their seed, as in a search: without what a seed does to all of them, ICC(3,1).
    """

    blocks: int
    seeds: int
    mean: float
    sd: Estimate
    df: int
    between_sd: float
    icc: Estimate
    paired_sd: float
    paired_icc: Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class Validity:
    """One training against one long training, means over all pairs of their seeds.

    correlation: Pearson's, with Fisher's interval over blocks. tau: Kendall's. long, long_tau: the same between two
    long trainings, None where there is one, and where blocks are chosen by them: chosen so, they would agree too
    little. It is no upper bound: a training with less noise than the long one may agree with it better.
    """

    blocks: int
    correlation: Estimate
    tau: float
    long: float | None
    long_tau: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """What the errors after so many ``epochs``, where a search may stop a trial, say of the final ones.

    icc: their own reliability, as in ``Reliability``. correlation: Pearson's, with the final errors of the same
    trainings, the mean over seeds, with Fisher's interval over blocks.
    """

    epochs: int
    icc: Estimate
    correlation: Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """What a profile's training tells. seconds, images: of one training, seconds as the median.

    rungs: where its schedule begins anew. against: the study of long trainings; whole: over all its blocks, good: over
    the half of them with the lowest long errors. All three are empty without one.
    """

    study: str
    reliability: Reliability
    rungs: tuple[Rung, ...]
    seconds: float
    images: int
    against: str = ""
    whole: Validity | None = None
    good: Validity | None = None

    @property
    def per_minute(self) -> float | None:
        """Correlation with long trainings per minute of one training."""
        return (
            None
            if self.whole is None or not self.seconds
            else 60 * self.whole.correlation.value / self.seconds
        )


def signal(study: Study, against: Study | None = None) -> Signal:
    """Return what the trainings of a panel tell, and how true they are to those of ``against``.

    Only seeds under which every block is trained count. Raises ``UserError`` as ``check_panel``, and for blocks without
    results.
    """
    check_panel(study.spec, against)
    own = _table(study)
    if against is None:
        return _alone(study, own)
    _check_apart(study, against)
    long = _table(against, [*own])
    one, other = _matrix({block: own[block] for block in long}), _matrix(long)
    best = np.argsort(other.mean(1), kind="stable")[: max(LEAST_BLOCKS, (len(other) + 1) // 2)]
    good = replace(validity(one[best], other[best]), long=None, long_tau=None)
    return replace(_alone(study, own), against=against.spec.name, whole=validity(one, other), good=good)


def _alone(study: Study, own: Mapping[_Network, Sequence[float]]) -> Signal:
    done = [record for record in cells(study.spec, study.records).values() if record.status == "complete"]
    return Signal(
        study=study.spec.name,
        reliability=reliability(_matrix(own)),
        rungs=tuple(_rung(study, epochs, _matrix(own)) for epochs in study.spec.recipe.cycles),
        # by their curves: a training taken over from another study has no seconds and images of its own
        seconds=statistics.median(sum(epoch.seconds for epoch in record.curve) for record in done),
        images=study.spec.recipe.epochs * study.spec.split.train_images,
    )


def _rung(study: Study, epochs: int, last: Errors) -> Rung:
    early = study.with_records([replace(record, val_error=record.at(epochs)) for record in study.records])
    errors = _matrix(_table(early))
    return Rung(
        epochs=epochs,
        icc=reliability(errors).icc,
        correlation=_fisher(_mean_correlation([*zip(errors.T, last.T, strict=True)]), len(errors)),
    )


def check_panel(spec: StudySpec, against: Study | None = None) -> None:
    """Raise ``UserError`` unless a design has blocks and seeds enough, and ``against`` was to train the same blocks."""
    if spec.ablation is None:
        raise UserError(
            f"study {spec.name}: no panel of blocks under several seeds, but a search or trainings"
        )
    own = _networks(spec)
    if len(own) < LEAST_BLOCKS or spec.ablation.seeds < LEAST_SEEDS:
        raise UserError(
            f"study {spec.name}: {counted(len(own), 'block')} under {counted(spec.ablation.seeds, 'seed')}; at least "
            f"{LEAST_BLOCKS} blocks and {LEAST_SEEDS} seeds are needed to say what one training tells"
        )
    if against is None:
        return
    name = against.spec.name
    if against.spec.ablation is None:
        raise UserError(f"study {name}: no panel of blocks under several seeds, but a search or trainings")
    common = {*own.values()} & {*_networks(against.spec).values()}
    if len(common) < LEAST_BLOCKS:
        raise UserError(
            f"study {name}: it has {len(common)} of the {len(own)} blocks of {spec.name}; at least {LEAST_BLOCKS} are "
            "needed to compare with it"
        )
    if against.spec.name == spec.name:
        raise UserError(
            f"study {name}: cannot be compared with itself; give longer trainings of the same blocks"
        )
    _table(against, [*common])


def _check_apart(study: Study, against: Study) -> None:
    """Refuse a comparison of trainings with themselves: they agree whatever they tell."""
    shared = {record.key for record in study.records} & {record.key for record in against.records}
    if shared:
        raise UserError(
            f"study {against.spec.name}: {counted(len(shared), 'training')} of it are those of {study.spec.name}; "
            "compare with other trainings, longer ones"
        )


def tells(study: Study) -> bool:
    """Whether a study has blocks, seeds and results enough for ``signal``."""
    try:
        check_panel(study.spec)
        _table(study)
    except UserError:
        return False
    return True


_Network = tuple[str, str]  # identity at the reference, and the backbone of its own that a variant may have


def _networks(spec: StudySpec) -> dict[str, _Network]:
    """Return the network of each variant; of variants that are one network in this proxy the first."""
    assert spec.ablation is not None
    found: dict[str, _Network] = {}
    trained: set[str] = set()
    for variant in spec.ablation.variants:
        if (key := spec.trained_for(variant).id) not in trained:
            found[variant.name] = (variant.architecture.id, variant.setting.backbone)
            trained.add(key)
    return found


def _table(study: Study, only: Sequence[_Network] | None = None) -> dict[_Network, tuple[float, ...]]:
    """Return the errors of each network (of ``only``) under the seeds that all of them have; ``UserError`` for none."""
    names = {name: key for name, key in _networks(study.spec).items() if only is None or key in only}
    found = layout(study)
    rows = {name: row for name, row in zip(found.names, found.errors, strict=True) if name in names}
    whole = [at for at in range(len(found.seeds)) if all(row[at] is not None for row in rows.values())]
    if len(whole) < (LEAST_SEEDS if only is None else 1):
        most = max(row.count(None) for row in rows.values())
        lacking = [name for name, row in rows.items() if row.count(None) == most]
        raise UserError(
            f"study {study.spec.name}: only {counted(len(whole), 'seed')} under which every block has a result; "
            f"most are missing for {', '.join(lacking)}. Finish it first (repeat its command), or leave those "
            "blocks out"
        )
    return {
        names[name]: tuple(error for at in whole if (error := row[at]) is not None)
        for name, row in rows.items()
    }


def _matrix(table: Mapping[_Network, Sequence[float]]) -> Errors:
    return np.array([*table.values()], dtype=np.float64).reshape(len(table), -1)


def reliability(errors: Errors) -> Reliability:
    """Return the variance components of ``errors`` (blocks x seeds), two of each at least."""
    blocks, seeds = errors.shape
    df = blocks * (seeds - 1)
    means = errors.mean(1, keepdims=True)
    within = float(((errors - means) ** 2).sum()) / df
    between = seeds * float(means.var(ddof=1))
    shared = errors - means - errors.mean(0, keepdims=True) + errors.mean()
    left = (blocks - 1) * (seeds - 1)
    residual = float((shared**2).sum()) / left
    return Reliability(
        blocks=blocks,
        seeds=seeds,
        mean=float(errors.mean()),
        sd=_sd(within, df),
        df=df,
        between_sd=math.sqrt(max(0.0, (between - within) / seeds)),
        icc=_icc(between, within, (blocks - 1, df), seeds),
        paired_sd=math.sqrt(residual),
        paired_icc=_icc(between, residual, (blocks - 1, left), seeds),
    )


def _sd(variance: float, df: int) -> Estimate:
    """Return the standard deviation with its interval from the chi-square distribution."""
    tails = scipy_stats.chi2.ppf([(1 + LEVEL) / 2, (1 - LEVEL) / 2], df)
    low, high = (math.sqrt(df * variance / float(tail)) for tail in tails)
    return Estimate(value=math.sqrt(variance), low=low, high=high)


def _icc(between: float, within: float, df: tuple[int, int], seeds: int) -> Estimate:
    """Return ICC(1,1) or ICC(3,1) of two mean squares with its exact interval (Shrout and Fleiss 1979)."""
    if between < NO_NOISE:
        return Estimate(value=0.0)  # equal blocks have no order, however well it is repeated
    if within < NO_NOISE:
        return Estimate(value=1.0)
    ratio, tail = between / within, (1 + LEVEL) / 2
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
        long=_mean_correlation(inside) if inside else None,
        long_tau=_mean_tau(inside) if inside else None,
    )


Pairs = Sequence[tuple[Errors, Errors]]


def _mean_correlation(pairs: Pairs) -> float:
    """Return the mean of Pearson's correlations; one with no variance at all orders nothing and counts as 0."""
    found = [0.0 if min(a.var(), b.var()) < NO_NOISE else float(np.corrcoef(a, b)[0, 1]) for a, b in pairs]
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
        (
            "reliability",
            f"{_share(own.icc)} of one training; {_share(own.paired_icc)} where blocks share a seed, as in a search",
        ),
    ]
    for rung in found.rungs:
        words = f"{_share(rung.icc)} reliable, {_share(rung.correlation)} with the final errors"
        rows.append(("rung", f"after {counted(rung.epochs, 'epoch')}: {words}"))
    for which, valid in (("blocks", found.whole), ("blocks, those with the lowest long errors", found.good)):
        if valid is not None:
            rows.append(("validity", f"{_valid(valid)}; {valid.blocks} {which}"))
    seconds = f"{found.seconds:.0f} s a training (median)"
    per = found.per_minute
    rows.append(("cost", seconds if per is None else f"{seconds}; validity per minute {per:.2f}"))
    return rows


def _valid(valid: Validity) -> str:
    said = f"{_share(valid.correlation)}, tau {valid.tau:.2f} with one long training"
    if valid.long is None or valid.long_tau is None:
        return said
    return f"{said}; two long ones have {valid.long:.2f}, tau {valid.long_tau:.2f}"


def _share(found: Estimate) -> str:
    return f"{found.value:.2f}" + (
        "" if found.low is None else f" (95 %: {found.low:.2f} to {found.high:.2f})"
    )


def _points(found: Estimate) -> str:
    low, high = (0.0 if end is None else 100 * end for end in (found.low, found.high))
    return f"{100 * found.value:.2f} (95 %: {low:.2f} to {high:.2f})"
