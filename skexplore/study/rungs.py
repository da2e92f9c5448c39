"""Whether errors at a rung say what the final ones will be: asked of a search's own first trials, before any stops."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import StatisticsError, correlation

from skexplore.study.record import Record

TRIED = 10  # trials that are trained to the end, whatever they have at their rungs
# Correlation from which on a rung may stop trials: of rungs with a true one of 0.9 nearly all are used, of 0.4 about a
# quarter (simulated in tests/engine/test_halving.py).
LEAST_AGREEMENT = 0.6


def rung_pairs(searched: Iterable[Record], epochs: int) -> list[tuple[float, float]]:
    """Return the errors after ``epochs`` and at the end of the first ``TRIED`` trials that came to it; [] before."""
    complete = sorted(
        (each for each in searched if each.origin == "search" and each.status == "complete"),
        key=lambda each: each.number,
    )
    pairs = [(each.at(epochs), each.val_error) for each in complete[:TRIED]]
    known = [(early, last) for early, last in pairs if early is not None and last is not None]
    return known if len(known) == TRIED else []


def agreement(pairs: list[tuple[float, float]]) -> float | None:
    """Return the correlation of such pairs, None without any; 0 where either side does not vary."""
    if not pairs:
        return None
    try:
        return correlation(*zip(*pairs, strict=True))
    except StatisticsError:
        return 0.0


def rung_tells(searched: Iterable[Record], epochs: int) -> bool:
    """Return whether trials may be stopped after ``epochs``: a pure function of stored records."""
    found = agreement(rung_pairs(searched, epochs))
    return found is not None and found >= LEAST_AGREEMENT
