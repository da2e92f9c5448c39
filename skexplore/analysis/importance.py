"""Which decisions of a space decide whether a trial is among the best: PED-ANOVA over a study's complete trials.

Watanabe, Bansal and Hutter, "PED-ANOVA: Efficiently Quantifying Hyperparameter Importance in Arbitrary Subspaces"
(IJCAI 2023), in Optuna's form for decisions that do not always act.
"""

from __future__ import annotations

import math
import random
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import optuna
from optuna.distributions import CategoricalDistribution
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
from optuna.trial import create_trial

from skexplore.arch import Architecture, read_network
from skexplore.errors import UserError
from skexplore.space import Encoder, Level, Space, TooManyError, target_of
from skexplore.study import Record, Study, stored_space

LEAST = 50  # trials: the best tenth is then five, which the method asks for
MOST, MOST_STAGED = (
    300,
    100,
)  # trials looked at; where stages decide for themselves levels take longer to find
BEST = 0.1  # share of the trials that count as best
SHUFFLES = 19  # a decision above all of them is so by chance once in twenty times

optuna.logging.set_verbosity(optuna.logging.ERROR)  # a study is made here, but it is nobody's news


@dataclass(frozen=True, slots=True, kw_only=True)
class Importances:
    """What share each decision has in a trial being among the best tenth by validation error.

    n: trials used. total: trials that could be: complete, of the search itself, within budget and bands. shares:
    decision and share 0..1, largest first; they add up to 1. clear: decisions whose importance is greater than in
    every one of ``SHUFFLES`` shuffles of their levels. withheld: why there are no shares, empty if there are. note:
    what a reader must know of the trials and of the decisions, as sentences.
    """

    n: int
    total: int
    shares: tuple[tuple[str, float], ...] = ()
    clear: tuple[str, ...] = ()
    withheld: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Point:
    """A trial as the levels of the decisions that act in its block; error: a fraction 0..1."""

    levels: Mapping[str, Level]
    error: float
    sampler: str


def importances(study: Study) -> Importances:
    """Return the importances of the decisions of the study's space, or why they are withheld.

    Records hold blocks, not levels: those are found again in the space as it was stored. A decision counts in
    those trials alone in which another level of it would have changed the block: one that cannot act neither
    brings noise nor takes the credit of the decision that silenced it (r and L of a plain sum, say).
    """
    eligible = [r for r in study.eligible() if r.val_error is not None and math.isfinite(r.val_error)]
    total, space = len(eligible), stored_space(study.spec)
    if not space.decisions:
        return Importances(n=0, total=total, withheld="the study has no space with decisions.")
    if total < LEAST:
        return Importances(n=0, total=total, withheld=_too_few(total))
    try:
        eligible.sort(key=lambda record: record.number)
        points = _points(space, _spaced(eligible, _most(space)))
    except TooManyError:
        reason = f"the space {space.name} is too large to look blocks up in it."
        return Importances(n=0, total=total, withheld=reason)
    if len(points) < LEAST:
        return Importances(n=0, total=total, withheld=_too_few(len(points)))
    return _of_points(space, points, total, study)


def _of_points(space: Space, points: Sequence[_Point], total: int, study: Study) -> Importances:
    stopped = any(record.status == "stopped" for record in study.searched)
    n, errors = len(points), [point.error for point in points]
    if max(errors) <= sorted(errors)[math.ceil(BEST * n) - 1]:
        alike = (
            "all errors are equal" if min(errors) == max(errors) else "most trials share the highest error"
        )
        return Importances(n=n, total=total, withheld=f"no best tenth stands out of n = {n} trials: {alike}.")
    found, *by_chance = _weigh(space, points)
    whole = math.fsum(found.values())
    if whole == 0:
        return Importances(n=n, total=total, withheld=f"no decision varies among the n = {n} trials.")
    order = {path: number for number, path in enumerate(space.decisions)}
    shares = sorted(
        ((path, found[path] / whole) for path in order), key=lambda each: (-each[1], order[each[0]])
    )
    clear = tuple(path for path, _ in shares if found[path] > max(other[path] for other in by_chance))
    said = (
        _thinned(n, total, _most(space)),
        _chosen_by(points, study.spec.sampler, stopped=stopped),
        _told(clear),
        _slots(space),
    )
    return Importances(n=n, total=total, shares=tuple(shares), clear=clear, note=" ".join(filter(None, said)))


def acting(space: Space, levels: Mapping[str, Level], own: Architecture) -> dict[str, Level]:
    """Return those of ``levels`` (which mean ``own``) of which another level would mean another network."""
    return {
        path: levels[path]
        for path, choices in space.decisions.items()
        if any(_meant(space, {**levels, path: other}) != own for other in choices if other != levels[path])
    }


def _meant(space: Space, levels: Mapping[str, Level]) -> Architecture | None:
    try:
        return space.network(levels)
    except UserError:  # no branch is left
        return None


def _most(space: Space) -> int:
    return MOST_STAGED if any(target_of(path)[0] is not None for path in space.decisions) else MOST


def _spaced(records: Sequence[Record], most: int) -> Sequence[Record]:
    """Return at most ``most`` of ``records``, evenly spaced, the first and the last among them."""
    if len(records) <= most:
        return records
    return [records[round(at * (len(records) - 1) / (most - 1))] for at in range(most)]


def _points(space: Space, records: Sequence[Record]) -> list[_Point]:
    """Return ``records`` as points of ``space``, without those that are not in it; raises ``TooManyError``."""
    encoder, known, points = Encoder(space), dict[str, dict[str, Level] | None](), []
    for record in records:
        if record.block not in known:
            known[record.block] = _levels(space, encoder, record.block)
        levels = known[record.block]
        if levels is not None and record.val_error is not None:
            points.append(_Point(levels=levels, error=record.val_error, sampler=record.sampler))
    return points


def _levels(space: Space, encoder: Encoder, block: str) -> dict[str, Level] | None:
    try:
        own = read_network(block, space.reference)
        levels = encoder.levels(own)
    except UserError:
        return None
    return acting(space, levels, own)


def _weigh(space: Space, points: Sequence[_Point]) -> list[dict[str, float]]:
    """Return the raw importance of every decision, by its levels as they are, then by each shuffle of them.

    The levels of a decision are shuffled among the trials in which it acts: that these are more often among the
    best than others is no merit of its own.
    """
    acting_in = {
        path: [at for at, point in enumerate(points) if path in point.levels] for path in space.decisions
    }
    levels = {path: [points[at].levels[path] for at in acting_in[path]] for path in space.decisions}
    distributions = {
        path: CategoricalDistribution([level for level in space.decisions[path] if level in found])
        for path, found in levels.items()
        if found
    }
    study = optuna.create_study()
    study.add_trials(
        create_trial(
            value=point.error,
            params=dict(point.levels),
            distributions={path: distributions[path] for path in point.levels},
        )
        for point in points
    )
    zeros, generator = dict.fromkeys(space.decisions, 0.0), random.Random(0)
    weights = [zeros | _raw(study)]
    for _ in range(SHUFFLES):
        shuffled: list[dict[str, Level]] = [{} for _ in points]
        for path, trials in acting_in.items():
            generator.shuffle(levels[path])
            for at, level in zip(trials, levels[path], strict=True):
                shuffled[at][path] = level
        # the study is in memory and our own: its trials can be changed, which is much faster than another study
        for trial, params in zip(study.get_trials(deepcopy=False), shuffled, strict=True):
            trial.params = params
        weights.append(zeros | _raw(study))
    return weights


def _raw(study: optuna.Study) -> dict[str, float]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a decision that acts in a single trial
        evaluator = PedAnovaImportanceEvaluator(target_quantile=BEST)
        return get_param_importances(study, evaluator=evaluator, normalize=False)


# -- in words


def _too_few(count: int) -> str:
    return (
        f"{LEAST} complete trials within the limits are needed and {count} are there: {LEAST - count} more."
    )


def _thinned(n: int, total: int, most: int) -> str:
    return f"Of {total} trials n = {n} are used, evenly spaced by number." if total > most else ""


def _chosen_by(points: Sequence[_Point], sampler: str, *, stopped: bool) -> str:
    counts = Counter(point.sampler for point in points)
    n, drawn = len(points), counts.pop("random", 0)
    left_out = " Trials stopped at a rung are left out: this is about those that were not." if stopped else ""
    if not counts:
        return f"All {n} trials were drawn at random.{left_out}"
    others = ", ".join(sorted(name or sampler for name in counts))
    return (
        f"{drawn} of {n} trials ({100 * drawn / n:.0f} %) were drawn at random, the others chosen ({others}): this is "
        f"about the region that the sampler looked at.{left_out}"
    )


def _told(clear: Sequence[str]) -> str:
    if not clear:
        return f"No decision stands above {SHUFFLES} shuffles of its levels: the shares may be chance."
    return f"Above every one of {SHUFFLES} shuffles of their levels: {', '.join(clear)}."


def _slots(space: Space) -> str:
    slots = {number for kind, number in (target_of(path)[1] for path in space.decisions) if kind == "branch"}
    if len(slots) < 2:
        return ""
    return (
        "Branches have no order: which slot holds which is a convention, so the decisions on branches are best read "
        "together."
    )
