"""What to try next: Optuna's samplers on an in-memory mirror of the study.

A proposal is drawn in the mirror and reaches the database as one finished piece (see ``Store.add``), so that a
kill can leave no half-asked trial. Before every draw a sampler seeded by study seed and trial number is
installed: a resumed study draws what the uninterrupted one would have drawn.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial, TrialState, create_trial

from skexplore.decisions import Level
from skexplore.errors import UserError
from skexplore.record import Record, StudySpec
from skexplore.space import Space

SAMPLERS = ("tpe", "random")


def constraints(spec: StudySpec, macs: int, params: int) -> dict[str, float]:
    """Return Optuna's constraints (feasible where <= 0), as fractions of each limit so that they add fairly."""
    return {bound.name: bound.excess(macs, params) for bound in spec.bounds}


class Proposer:
    """Draws proposals for ``space`` and remembers what became of them."""

    def __init__(self, space: Space, spec: StudySpec, history: Iterable[tuple[FrozenTrial, Record]]) -> None:
        self.space, self._spec = space, spec
        self.distributions: dict[str, BaseDistribution] = {
            path: CategoricalDistribution(levels) for path, levels in space.decisions.items()
        }
        self._mirror = optuna.create_study(direction="minimize")
        for trial, record in history:
            # the budget may have changed since: feasibility is derived anew from the stored cost, and what
            # was refused and would not be now counts as never seen, not as bad
            forgotten = record.status == "over_budget" and spec.within(record)
            self._mirror.add_trial(
                create_trial(
                    state=TrialState.FAIL if forgotten else trial.state,
                    value=trial.value,
                    params=trial.params,
                    distributions=trial.distributions,
                    constraints=constraints(spec, record.ref_macs, record.ref_params),
                )
            )
        self._count = len(self._mirror.get_trials(deepcopy=False))
        self._asked: optuna.Trial | None = None

    def ask(self) -> tuple[int, dict[str, Level]]:
        """Return the next trial's number and its levels, one per decision."""
        self._mirror.sampler = _sampler(self._spec.sampler, _seed(self._spec.seed, self._count))
        self._asked = self._mirror.ask(self.distributions)
        self._count += 1
        return self._asked.number, dict(self._asked.params)

    def constrain(self, values: Mapping[str, float]) -> None:
        """Tell the sampler how far the trial just asked for is from the budget."""
        assert self._asked is not None
        for name, value in values.items():
            self._asked.set_constraint(name, value)

    def tell(self, number: int, state: TrialState, value: float | None) -> None:
        """Tell the sampler how trial ``number`` ended."""
        self._mirror.tell(number, value, state=state)


def _sampler(name: str, seed: int) -> BaseSampler:
    if name == "random":
        return RandomSampler(seed=seed)
    if name == "tpe":
        return TPESampler(seed=seed, multivariate=True, constant_liar=True)
    raise UserError(f"unknown sampler {name!r}; known: {', '.join(SAMPLERS)}")


def _seed(study_seed: int, number: int) -> int:
    digest = hashlib.sha256(f"{study_seed}/{number}".encode()).digest()
    return int.from_bytes(digest[:4], "big")
