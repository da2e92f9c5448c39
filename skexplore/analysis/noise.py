"""Seed noise: how large a difference between trainings must be before it can be more than chance.

The variance of one training is that of the study's own repeats, pooled with what is known of the same recipe, split and
proxy (``study.priors``). A verdict on it says what was compared: two trainings named beforehand (Student),
or each with the best of all (Hsu 1984).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from skexplore.analysis.dunnett import critical_value
from skexplore.study import LEAST_DF, Record, Study, prior_of
from skexplore.surrogate import Prior, pooled
from skexplore.words import counted


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """Seed noise of one training, as fractions 0..1.

    sd: standard deviation over seeds, pooled over groups and ``prior``. df: its degrees of freedom; prior_df: those
    that were known before; n: the study's own trainings that it rests on. Differences between single trainings that
    noise exceeds in 5 % of studies: least_difference between two named beforehand; from_best from the lowest of
    ``compared`` to the truly best of them. None below 6 degrees of freedom, the last also where there are no two to
    compare.
    """

    sd: float
    df: int
    n: int
    prior_df: int
    compared: int
    least_difference: float | None
    from_best: float | None

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
    return Noise(
        sd=found.sd,
        df=df,
        n=sum(len(group) for group in groups if len(group) > 1),
        prior_df=prior.df if prior else 0,
        compared=compared,
        least_difference=critical_value(1, df) * of_two if known else None,
        from_best=critical_value(compared - 1, df, sides=1) * of_two if known and compared > 1 else None,
    )


def errors_by_key(records: Iterable[Record]) -> dict[str, float]:
    """Return the errors of complete records by replay key, so that one measurement counts once."""
    return {r.key: r.val_error for r in records if r.status == "complete" and r.val_error is not None}


def study_noise(study: Study) -> Noise | None:
    """Return the seed noise of the study: of blocks that it trained with several seeds, and what was known before."""
    groups: dict[str, list[Record]] = {}
    for record in study.records:
        groups.setdefault(record.net_id, []).append(record)
    repeats = [list(errors_by_key(records).values()) for records in groups.values()]
    return noise(repeats, prior=prior_of(study.spec), compared=len(study.eligible()))


def may_be_best(study: Study) -> dict[int, bool | None]:
    """Return for each trial number of the front whether it may be the best, None where that is not known.

    By what is believed of all blocks (``Study.answer``); in a search of too few, by Hsu's comparison with the best.
    """
    best, found, said = study.best, study_noise(study), study.answer
    if said is not None:
        return {record.number: record.block in said.may_be_best for record in study.front}
    if best is None or found is None or found.least_difference is None:
        return {record.number: None for record in study.front}
    lowest, reach = study.estimated(best), found.from_best or 0.0
    return {
        record.number: (error := study.estimated(record)) == lowest or error - lowest < reach
        for record in study.front
    }
