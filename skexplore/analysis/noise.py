"""Seed noise: how large a difference between trainings must be before it can be more than chance.

The variance of one training is that of the study's own repeats, pooled with what is known of the same recipe, split and
proxy (``surrogate.priors``). A verdict on it says what was compared: two trainings named beforehand (Student), each
with the best of all (Hsu 1984), or any two of all (Tukey 1953).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache

from scipy import stats as scipy_stats

from skexplore.analysis.dunnett import LEVEL, critical_value
from skexplore.study import Record, Size, Study, reference_macs
from skexplore.surrogate import Prior, pooled, prior_of
from skexplore.words import counted

# below, an sd is known so badly that no verdict rests on it: the ends of its 95 % interval are 12-fold at 2
LEAST_DF = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """Seed noise of one training, as fractions 0..1.

    sd: standard deviation over seeds, pooled over groups and ``prior``. df: its degrees of freedom; prior_df: those
    that were known before; n: the study's own trainings that it rests on. Differences between single trainings that
    noise exceeds in 5 % of studies: least_difference between two named beforehand; from_best from the lowest of
    ``compared`` to the truly best of them; among between any two of ``compared``. None below 6 degrees of freedom, the
    last two also where there are no two to compare.
    """

    sd: float
    df: int
    n: int
    prior_df: int
    compared: int
    least_difference: float | None
    from_best: float | None
    among: float | None

    @property
    def words(self) -> str:
        """What it is, in a sentence, in points of error (percent)."""
        if self.least_difference is None:
            return (
                f"Seed noise is not known: its {counted(self.df, 'degree')} of freedom are fewer than {LEAST_DF}, so "
                "no difference is claimed."
            )
        before = f", {self.prior_df} of them from earlier studies" if self.prior_df else ""
        said = (
            f"Seed noise of one training is {100 * self.sd:.2f} points ({self.df} degrees of freedom{before}): one "
            f"training is not distinguishable from another named beforehand less than "
            f"{100 * self.least_difference:.2f} points away"
        )
        if self.from_best is None:
            return f"{said}."
        return (
            f"{said}, nor the lowest of {self.compared} errors from those less than {100 * self.from_best:.2f} points "
            "above it (Hsu's comparison with the best)."
        )


def noise(
    groups: Sequence[Sequence[float]], *, prior: Prior | None = None, compared: int = 2
) -> Noise | None:
    """Return the seed noise pooled over ``groups``, each the errors of one network under several seeds.

    Errors are fractions 0..1. A group of one seed tells nothing about noise and does not count. compared: how many
    single trainings the best is the lowest of. Returns None if no group has two seeds and there is no prior.
    """
    found = pooled(groups, prior)
    if found is None:
        return None
    df, of_two = found.df, math.sqrt(2) * found.sd
    known = df >= LEAST_DF
    several = known and compared > 1
    return Noise(
        sd=found.sd,
        df=df,
        n=sum(len(group) for group in groups if len(group) > 1),
        prior_df=prior.df if prior else 0,
        compared=compared,
        least_difference=critical_value(1, df) * of_two if known else None,
        from_best=critical_value(compared - 1, df, sides=1) * of_two if several else None,
        among=_largest_range(compared, df) * found.sd if several else None,
    )


@cache
def _largest_range(k: int, df: int) -> float:
    """Return Tukey's q: the range of ``k`` means, over their estimated sd, that is exceeded in 5 % of cases."""
    return float(scipy_stats.studentized_range.isf(LEVEL, k, df))


def errors_by_key(records: Iterable[Record]) -> dict[str, float]:
    """Return the errors of complete records by replay key, so that one measurement counts once."""
    return {r.key: r.val_error for r in records if r.status == "complete" and r.val_error is not None}


def study_noise(study: Study) -> Noise | None:
    """Return the seed noise of the study: its repeated trainings beside the search, and what was known before."""
    groups: dict[str, list[Record]] = {}
    for record in study.anchors:
        groups.setdefault(record.net_id, []).append(record)
    repeats = [list(errors_by_key(records).values()) for records in groups.values()]
    return noise(repeats, prior=prior_of(study.spec), compared=len(study.eligible()))


def within_noise(study: Study) -> dict[int, bool | None]:
    """Return for each trial number of the front whether it may be the best, by Hsu's comparison with the lowest.

    None stands for "not known".
    """
    best, found = study.best(), study_noise(study)
    lowest = None if best is None else best.val_error
    return {
        record.number: None
        if found is None or found.least_difference is None or lowest is None or record.val_error is None
        else record.val_error == lowest or record.val_error - lowest < (found.from_best or 0.0)
        for record in study.front()
    }


def noise_groups(study: Study, size: Size = reference_macs) -> tuple[tuple[int, ...], ...]:
    """Return runs of the front's trials, by number in the order of ``size``, that are not distinguishable.

    In a group no two errors differ by ``Noise.among`` or more, and the neighbour on either side is from one of the
    group. Groups have two trials or more and may overlap; there are none if the noise is not known.
    """
    found = study_noise(study)
    if found is None or found.among is None:
        return ()
    front = [record for record in study.front(size) if record.val_error is not None]
    errors = [record.val_error or 0.0 for record in front]
    groups: list[tuple[int, ...]] = []
    end = 0  # of the group before
    for start, first in enumerate(errors):
        # errors fall along the front, so that the ends of a run are its farthest two
        close = [first == error or abs(first - error) < found.among for error in errors[start:]]
        reach = start + (close.index(False) if False in close else len(close))
        if reach > max(end, start + 1):
            groups.append(tuple(record.number for record in front[start:reach]))
        end = max(end, reach)
    return tuple(groups)
