"""What is believed of the true errors of a study's blocks: the best, how sure that is, and what may be best as well.

A single error is too low where it is the lowest of many. The model (``surrogate``) draws each true error towards what
blocks alike have, so that the best by its posterior is not the luckiest one; how far it may be off is shown.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from skexplore.arch import Bound
from skexplore.space import Candidates, TooManyError
from skexplore.study.design import PLAIN_BLOCK, paper_block
from skexplore.study.priors import prior_of
from skexplore.study.record import Record
from skexplore.study.spec import StudySpec, stored_space
from skexplore.surrogate import Model, Population
from skexplore.words import counted

LEAST_BLOCKS = 8  # fewer say nothing of what blocks are made of
LEAST_DF = 6  # below, seed noise is too badly known for a verdict: its 95 % interval is 12-fold at 2
LEVEL = 0.90  # of intervals
HALF = NormalDist().inv_cdf((1 + LEVEL) / 2)  # of an interval, in standard deviations
SURE = 0.95  # of the set that holds the best
DRAWS = 4_000


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
class Answer:
    """The blocks of a search by what is believed of them, the best first.

    blocks: those of the search within the budget. anchors: blocks beside it. may_be_best: the fewest blocks that hold
    the best of the search with a chance of 95 %.
    """

    blocks: tuple[Believed, ...]
    anchors: tuple[Believed, ...]
    may_be_best: tuple[str, ...]

    @property
    def best(self) -> Believed:
        """The block of the lowest posterior mean."""
        return self.blocks[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Limits:
    """What a study's candidates depend on; ``spec`` is where the rest of it is found."""

    space_hash: str
    reference: str
    decisions: bool  # archives of the first versions keep the name of a space alone
    bounds: tuple[Bound, ...]
    spec: StudySpec = field(compare=False)


def candidates_of(spec: StudySpec) -> Candidates | None:
    """Return what a search may train, None in a space too large to be taken apart."""
    return _candidates(_limits(spec))


def new_model(spec: StudySpec) -> Model | None:
    """Return a model of a study's blocks that was told no error, None in a space too large to be taken apart."""
    population = _population(_limits(spec))
    return None if population is None else Model(population, prior_of(spec))


def _limits(spec: StudySpec) -> _Limits:
    return _Limits(
        space_hash=spec.space_hash,
        reference=spec.reference,
        decisions=bool(spec.space_decisions),
        bounds=spec.bounds,
        spec=spec,
    )


@lru_cache(maxsize=8)
def _candidates(of: _Limits) -> Candidates | None:
    try:
        return Candidates(stored_space(of.spec), of.bounds)
    except TooManyError:
        return None


@lru_cache(maxsize=8)
def _population(of: _Limits) -> Population | None:
    candidates = _candidates(of)
    return None if candidates is None else Population(candidates)


def tell(model: Model, records: Iterable[Record]) -> Model:
    """Tell ``model`` of complete trainings, once of each key, and return it.

    What surrounds their blocks must be the proxy's own.
    """
    for record in records:
        if record.status == "complete" and record.plain and record.val_error is not None:
            model.learn(record.block, record.val_error, record.key)
    return model


def compares(model: Model) -> bool:
    """Return whether ``model`` was told of enough blocks to say what they have in common."""
    return len(model.blocks) >= LEAST_BLOCKS


def claims(model: Model, eligible: Collection[str]) -> bool:
    """Return whether ``model`` may say how sure it is of ``eligible`` blocks: their noise is known."""
    known = model.noise
    sure = compares(model) and known is not None and known.df >= LEAST_DF
    return sure and not {*eligible}.isdisjoint(model.blocks)


def foretold(model: Model, name: str) -> tuple[float, float, float]:
    """Return what ``model`` believes of the true error of a block that it was told nothing of: mean, low, high.

    Fractions 0..1; low, high: 90 % interval.
    """
    mean, spread = model.posterior().predict(model.population.rows([name]))
    half = HALF * float(spread[0])
    return float(mean[0]), float(mean[0]) - half, float(mean[0]) + half


def unclaimed(model: Model | None) -> str:
    """Return why nothing is claimed of the blocks of a search, as sentences."""
    if model is not None and compares(model):
        df = model.noise.df if model.noise else 0
        return (
            f"Seed noise is not known well enough ({counted(df, 'degree')} of freedom of {LEAST_DF}): errors have no "
            "intervals. More seeds tell it (--anchor-seeds, --replicates)."
        )
    why = (
        "The space is too large to be modelled"
        if model is None
        else f"A model of what blocks are made of needs {LEAST_BLOCKS} trained blocks, not {len(model.blocks)}"
    )
    return f"{why}: errors are those that were measured, and the lowest of them is too low by selection."


def answered(model: Model, eligible: Collection[str]) -> Answer:
    """Return what ``model`` says of the blocks that it was told errors of; ``eligible``: those that may be best."""
    names, posterior = model.blocks, model.posterior()
    draws = posterior.draw(np.random.default_rng(0), DRAWS)
    mean, _ = posterior.trained()
    ours = [at for at, name in enumerate(names) if name in eligible]
    wins = np.bincount(draws[:, ours].argmin(1), minlength=len(ours)) / DRAWS
    best = dict(zip(ours, wins.tolist(), strict=True))
    tail = 100 * (1 - LEVEL) / 2
    low, high = np.percentile(draws, [tail, 100 - tail], axis=0)
    paper = paper_block(model.population.candidates.reference)
    rivals = [draws[:, names.index(block)] if block in names else None for block in (paper, PLAIN_BLOCK)]
    found = [
        Believed(
            block=name,
            mean=float(mean[at]),
            low=float(low[at]),
            high=float(high[at]),
            seeds=model.seeds(name),
            best=best.get(at, 0.0),
            beats_paper=None if name == paper else _beats(draws[:, at], rivals[0]),
            beats_plain=None if name == PLAIN_BLOCK else _beats(draws[:, at], rivals[1]),
        )
        for at, name in enumerate(names)
    ]
    found.sort(key=lambda each: (each.mean, each.block))
    return Answer(
        blocks=tuple(each for each in found if each.block in eligible),
        anchors=tuple(each for each in found if each.block not in eligible),
        may_be_best=_surest([each for each in found if each.block in eligible]),
    )


def drawn_together(model: Model, draws: int) -> dict[str, list[float]]:
    """Return so many draws of the true errors of the blocks that ``model`` was told of, by notation, in %.

    The same place in each list is one draw of all of them together, so that differences of two blocks can be read off.
    """
    found = model.posterior().draw(np.random.default_rng(0), draws)
    return {
        name: np.round(100 * errors, 2).tolist() for name, errors in zip(model.blocks, found.T, strict=True)
    }


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
