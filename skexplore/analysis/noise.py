"""Seed noise: how large a difference between two trainings must be before it can be more than chance."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from scipy import stats as scipy_stats

from skexplore.study import Record, Size, Study, reference_macs

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """Seed noise of one training, as fractions 0..1.

    sd: standard deviation over seeds, pooled over groups. df: its degrees of freedom. n: trainings that it
    rests on. least_difference: the smallest difference between two single trainings that is more than
    seed noise explains (two-sided, 95 %), ``t(0.975, df) * sqrt(2) * sd``; anything smaller is not distinguishable.
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


def distinguishable(one: float, other: float, noise: Noise) -> bool:
    """Return whether the errors of two single trainings differ by more than seed noise explains.

    Equal errors never do, whatever the noise.
    """
    return one != other and abs(one - other) >= noise.least_difference


def errors_by_key(records: Iterable[Record]) -> dict[str, float]:
    """Return the errors of complete records by replay key, so that one measurement counts once."""
    return {r.key: r.val_error for r in records if r.status == "complete" and r.val_error is not None}


def study_noise(study: Study) -> Noise | None:
    """Return the seed noise of the study, pooled over its anchors, or None if none has two seeds."""
    groups: dict[str, list[Record]] = {}
    for record in study.anchors:
        groups.setdefault(record.net_id, []).append(record)
    return noise([list(errors_by_key(records).values()) for records in groups.values()])


def within_noise(study: Study) -> dict[int, bool | None]:
    """Return for each trial number of the front whether seed noise may explain its distance to the best.

    None stands for "not known", if no anchor has two seeds.
    """
    best, found = study.best(), study_noise(study)
    lowest = None if best is None else best.val_error
    return {
        record.number: None
        if found is None or lowest is None or record.val_error is None
        else not distinguishable(record.val_error, lowest, found)
        for record in study.front()
    }


def noise_groups(study: Study, size: Size = reference_macs) -> tuple[tuple[int, ...], ...]:
    """Return runs of the front's trials, by number in the order of ``size``, that are not distinguishable.

    In a group no two errors are ``distinguishable``, and the neighbour on either side is from one of the group.
    Groups have two trials or more and may overlap; there are none if the noise is not known.
    """
    found = study_noise(study)
    if found is None:
        return ()
    front = [record for record in study.front(size) if record.val_error is not None]
    errors = [record.val_error or 0.0 for record in front]
    groups: list[tuple[int, ...]] = []
    end = 0  # of the group before
    for start, first in enumerate(errors):
        # errors fall along the front, so that the ends of a run are its farthest two
        close = [not distinguishable(first, error, found) for error in errors[start:]]
        reach = start + (close.index(False) if False in close else len(close))
        if reach > max(end, start + 1):
            groups.append(tuple(record.number for record in front[start:reach]))
        end = max(end, reach)
    return tuple(groups)
