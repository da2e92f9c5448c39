"""What a search found, as far as its trainings tell: the best block, how sure that is, and what may be best as well.

A single error is too low where it is the lowest of many. The model (``surrogate``) draws each true error towards what
blocks alike have, so that the best by its posterior is not the luckiest one; how far it may be off is shown.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skexplore.analysis.noise import LEAST_DF
from skexplore.analysis.ranks import kendall
from skexplore.space import Candidates, TooManyError
from skexplore.study import PAPER, PLAIN_BLOCK, Study, stored_space
from skexplore.surrogate import Model, prior_of
from skexplore.words import counted

LEAST_BLOCKS = 8  # fewer say nothing of what blocks are made of
LEVEL = 0.90  # of intervals
SURE = 0.95  # of the set that holds the best
HALF = NormalDist().inv_cdf((1 + LEVEL) / 2)  # in standard deviations
DRAWS = 4_000
FOLDS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Believed:
    """What is believed of the true error of a trained block, a fraction 0..1.

    low, high: 90 % interval. seeds: trainings that it rests on. best: the chance that no other block of the search that
    keeps the budget is better; 0 for anchors. beats_paper, beats_plain: the chances that it is better than the paper's
    block and than plain K3, None of itself and where those were not trained.
    """

    block: str
    mean: float
    low: float
    high: float
    seeds: int
    best: float
    beats_paper: float | None
    beats_plain: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """How well the model foretells blocks that it was not told of, each left out in its turn.

    correlation: Pearson's, tau: Kendall's, between foretold and measured errors. coverage: how many of their 90 %
    intervals, seed noise included, hold the measured error.
    """

    blocks: int
    correlation: float
    tau: float
    coverage: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The blocks of a search by what is believed of them, the best first, and how far the model is to be trusted.

    blocks: those of the search within the budget. anchors: blocks beside it. may_be_best: the fewest blocks that hold
    the best of the search with a chance of 95 %.
    """

    blocks: tuple[Believed, ...]
    anchors: tuple[Believed, ...]
    may_be_best: tuple[str, ...]
    trust: Trust

    @property
    def best(self) -> Believed:
        """The block of the lowest posterior mean."""
        return self.blocks[0]


def answer(study: Study) -> Answer | None:
    """Return what a search found.

    None for fewer than eight blocks, where the noise is not known, and in a space too large to be taken apart.
    """
    eligible = {record.block for record in study.eligible()}
    try:
        candidates = Candidates(stored_space(study.spec), study.spec.bounds)
    except TooManyError:
        return None
    model = Model(candidates, prior_of(study.spec))
    for record in study.records:
        model.learn(record)
    known = model.noise
    if len(model.blocks) < LEAST_BLOCKS or known is None or known.df < LEAST_DF:
        return None
    if not eligible & {*model.blocks}:
        return None
    return answered(model, eligible)


def answered(model: Model, eligible: set[str]) -> Answer:
    """Return what ``model`` says of the blocks that it was told errors of; ``eligible``: those that may be best."""
    names, posterior = model.blocks, model.posterior()
    draws = posterior.draw(np.random.default_rng(0), DRAWS)
    mean, _ = posterior.trained()
    ours = [at for at, name in enumerate(names) if name in eligible]
    wins = np.bincount(draws[:, ours].argmin(1), minlength=len(ours)) / DRAWS
    best = dict(zip(ours, wins.tolist(), strict=True))
    tail = 100 * (1 - LEVEL) / 2
    low, high = np.percentile(draws, [tail, 100 - tail], axis=0)
    rivals = [draws[:, names.index(block)] if block in names else None for block in (PAPER, PLAIN_BLOCK)]
    found = [
        Believed(
            block=name,
            mean=float(mean[at]),
            low=float(low[at]),
            high=float(high[at]),
            seeds=model.seeds(name),
            best=best.get(at, 0.0),
            beats_paper=None if name == PAPER else _beats(draws[:, at], rivals[0]),
            beats_plain=None if name == PLAIN_BLOCK else _beats(draws[:, at], rivals[1]),
        )
        for at, name in enumerate(names)
    ]
    found.sort(key=lambda each: (each.mean, each.block))
    return Answer(
        blocks=tuple(each for each in found if each.block in eligible),
        anchors=tuple(each for each in found if each.block not in eligible),
        may_be_best=_surest([each for each in found if each.block in eligible]),
        trust=trust(model),
    )


def answer_findings(study: Study) -> dict[str, Any] | None:
    """Return ``answer`` as plain data with its sentences, None where there is none.

    Numbers have six decimals: in their last bits they differ between CPUs.
    """
    found = answer(study)
    if found is None:
        return None
    data: dict[str, Any] = _rounded(asdict(found))
    return data | {"said": answer_words(found)}


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 6)
    if isinstance(value, dict):
        return {key: _rounded(each) for key, each in value.items()}
    return [_rounded(each) for each in value] if isinstance(value, list | tuple) else value


def answer_words(found: Answer) -> list[str]:
    """Return what a search found, in sentences."""
    best, held, trusted = found.best, found.may_be_best, found.trust
    low, high, level = f"{100 * best.low:.2f}", f"{100 * best.high:.2f}", f"{100 * LEVEL:.0f} %"
    said = [f"{best.block} is believed best: {100 * best.mean:.2f} % ({level} {low} to {high})."]
    for name, value in (("the paper's block", best.beats_paper), ("plain K3", best.beats_plain)):
        if value is not None:
            said.append(f"It is better than {name} with a chance {_chance(value)}.")
    if len(held) > 1:
        said.append(
            f"With a chance of {100 * SURE:.0f} % the best of the {counted(len(found.blocks), 'block')} is one of "
            f"{len(held)}: {', '.join(held)}."
        )
    said.append(
        f"Blocks that the model is not told of it foretells with a correlation of {trusted.correlation:.2f} (tau "
        f"{trusted.tau:.2f}; {trusted.blocks} blocks, each left out in its turn), and "
        f"{100 * trusted.coverage:.0f} % of its {level} intervals hold what was measured."
    )
    return said


def _chance(value: float) -> str:
    if value > 0.99:
        return "above 99 %"
    return "below 1 %" if value < 0.01 else f"of {100 * value:.0f} %"


def _beats(own: NDArray[np.float64], rival: NDArray[np.float64] | None) -> float | None:
    return None if rival is None else float((own < rival).mean())


def _surest(blocks: Sequence[Believed]) -> tuple[str, ...]:
    """Return the fewest blocks whose chances to be best add up to 95 %."""
    held, names = 0.0, []
    for each in sorted(blocks, key=lambda each: (-each.best, each.mean)):
        if held >= SURE:
            break
        held += each.best
        names.append(each.block)
    return tuple(names)


def trust(model: Model) -> Trust:
    """Return how well ``model`` foretells blocks that are left out, in ten parts where there are more than ten."""
    names, rows = model.blocks, model.rows(model.blocks)
    order = random.Random(0).sample(range(len(names)), len(names))
    parts = [order[part::FOLDS] for part in range(FOLDS)] if len(names) > FOLDS else [[at] for at in order]
    foretold, spread = np.empty(len(names)), np.empty(len(names))
    for part in parts:
        left = model.posterior(but=[names[at] for at in part])
        foretold[part], spread[part] = left.predict(rows[part])
    measured = np.array([model.error(name) for name in names])
    noise = model.posterior().noise() / np.sqrt([model.seeds(name) for name in names])
    inside = abs(measured - foretold) < HALF * np.hypot(spread, noise)
    return Trust(
        blocks=len(names),
        correlation=_correlation(foretold, measured),
        tau=kendall([*foretold], [*measured]) or 0.0,
        coverage=float(inside.mean()),
    )


def _correlation(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    return float(np.corrcoef(one, other)[0, 1]) if min(one.std(), other.std()) > 0 else 0.0
