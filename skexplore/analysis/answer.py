"""What a search found in sentences, and how far the model that it rests on is to be trusted."""

from __future__ import annotations

import random
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skexplore.analysis.ranks import kendall
from skexplore.study import HALF, LEVEL, SURE, Answer, Study
from skexplore.surrogate import Model
from skexplore.words import chance_words, counted

FOLDS = 10


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


def answer_findings(study: Study) -> dict[str, Any] | None:
    """Return the answer of ``study`` as plain data with its sentences, None where there is none.

    Numbers have six decimals: in their last bits they differ between CPUs.
    """
    found, model = study.answer, study.model
    if found is None or model is None:
        return None
    trusted = trust(model)
    data: dict[str, Any] = _rounded(asdict(found) | {"trust": asdict(trusted)})
    return data | {"said": answer_words(found, trusted)}


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 6)
    if isinstance(value, dict):
        return {key: _rounded(each) for key, each in value.items()}
    return [_rounded(each) for each in value] if isinstance(value, list | tuple) else value


def answer_words(found: Answer, trusted: Trust) -> list[str]:
    """Return what a search found, in sentences."""
    best, held = found.best, found.may_be_best
    low, high, level = f"{100 * best.low:.2f}", f"{100 * best.high:.2f}", f"{100 * LEVEL:.0f} %"
    said = [f"{best.block} is believed best: {100 * best.mean:.2f} % ({level} {low} to {high})."]
    for name, value in (("the paper's block", best.beats_paper), ("plain K3", best.beats_plain)):
        if value is not None:
            said.append(f"It is better than {name} with a chance {chance_words(value)}.")
    if len(held) > 1:
        said.append(
            f"With a chance of {100 * SURE:.0f} % the best of the {counted(len(found.blocks), 'block')} is one of "
            f"{len(held)}: {', '.join(held)}."
        )
    said.append(
        f"Blocks that the model is not told of it foretells with a correlation of {trusted.correlation:.2f} (tau "
        f"{trusted.tau:.2f}; {trusted.blocks} blocks, each left out in its turn); of its {level} intervals "
        f"{round(trusted.coverage * trusted.blocks)} of {trusted.blocks} hold what was measured."
    )
    return said


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
