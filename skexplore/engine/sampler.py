"""What to try next: Optuna's samplers on an in-memory mirror of the study.

A proposal is drawn in the mirror and reaches the database as one finished piece (see ``Store.add``), so that a
kill can leave no half-asked trial. Before every draw a sampler seeded by study seed and trial number is
installed: a resumed study draws what the uninterrupted one would have drawn.
"""

from __future__ import annotations

import hashlib
import math
import pkgutil
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.samplers import BaseGASampler, BaseSampler
from optuna.trial import FrozenTrial, TrialState, create_trial

from skexplore.arch import Cost, Sizes
from skexplore.engine.model_sampler import ModelSampler
from skexplore.space import Candidates, Forms, Level, Space
from skexplore.study import SAMPLERS, Record, StudySpec, candidates_of, directions, new_model, tell
from skexplore.surrogate import LatencyModel, Model


def constraints(spec: StudySpec, sizes: Sizes | Cost, latency_ms: float | None = None) -> dict[str, float]:
    """Return Optuna's constraints (feasible where <= 0), as fractions of each limit so that they add fairly.

    latency_ms: as measured; what is over another limit is not, and is taken to need just the budget.
    """
    found = {bound.name: bound.excess(sizes) for bound in spec.bounds}
    if (limit := spec.budget_latency_ms) is not None:
        found["latency"] = 0.0 if latency_ms is None else latency_ms / limit - 1
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """The next trial's number, its levels, one per decision, and what the sampler noted on it.

    sampler: who chose the levels: one of ``SAMPLERS``, ``enqueued``, or ``untried``.
    """

    number: int
    levels: dict[str, Level]
    sampler: str
    notes: dict[str, Any]


class Proposer:
    """Draws proposals for ``space`` and remembers what became of them."""

    def __init__(self, space: Space, spec: StudySpec, history: Sequence[tuple[FrozenTrial, Record]]) -> None:
        self.space, self._spec = space, spec
        self.distributions: dict[str, BaseDistribution] = {
            path: CategoricalDistribution(levels) for path, levels in space.decisions.items()
        }
        self._mirror = optuna.create_study(directions=directions(spec))
        known = SAMPLERS.get(spec.sampler)  # a study without a search has none
        looks = known is not None and known.looks_at_trials
        for trial, record in history:
            # the budget may have changed since: feasibility is derived anew from the stored cost, and what
            # was refused and would not be now counts as never seen, not as bad
            forgotten = record.status == "over_budget" and spec.within(record)
            self._mirror.add_trial(
                create_trial(
                    state=TrialState.FAIL if forgotten else trial.state,
                    values=trial.values,
                    params=trial.params if looks else {},
                    distributions=self.distributions if looks else {},
                    constraints=constraints(spec, spec.sizes(record), record.ref_latency_ms),
                    intermediate_values=trial.intermediate_values,
                    system_attrs=_sampler_notes(trial),
                )
            )
        self._count = len(self._mirror.get_trials(deepcopy=False))
        self._asked: optuna.Trial | None = None
        # what the search has a record of, measured and too slow or not; what is over another budget is left out
        self.tried: set[Forms] = set()
        for _, record in history:
            self.note_tried(record)

    def ask(self, levels: Mapping[str, Level] | None = None, *, untried_one: bool = False) -> Proposal:
        """Return the next trial.

        With ``levels`` it has these, as if the sampler had proposed them; with ``untried_one`` it is drawn from what
        keeps the limits and is not tried, if something is found.
        """
        seed, chosen_by = _seed(self._spec.seed, self._count), self._spec.sampler
        untried = None
        # the model proposes nothing that is tried, and knows what may be too slow
        if untried_one and self.candidates is not None and not self._latency_model:
            untried = self.candidates.untried(self.tried, random.Random(seed))
        if levels is not None:
            chosen_by = "enqueued"
        elif untried is not None and self.candidates is not None:
            levels, chosen_by = self.candidates.levels(untried), "untried"
        elif self._begins:
            chosen_by = "random"
            levels = self._uniform(random.Random(seed))
        if levels is not None:
            self._mirror.enqueue_trial(dict(levels))
        self._mirror.sampler = self._sampler("random" if chosen_by == "random" else self._spec.sampler, seed)
        self._asked = self._mirror.ask(self.distributions)
        self._count += 1
        frozen = self._mirror.get_trials(deepcopy=False)[self._asked.number]
        return Proposal(
            number=self._asked.number,
            levels=dict(self._asked.params),
            sampler=chosen_by,
            notes=_sampler_notes(frozen),
        )

    def _uniform(self, generator: random.Random) -> dict[str, Level] | None:
        """Return levels of a random architecture, for a sampler that models of one to train; None in a large space."""
        if self.candidates is None:
            return None
        if not SAMPLERS[self._spec.sampler].models:
            return self.candidates.draw(generator)
        untried = self.candidates.untried(self.tried, generator)
        return None if untried is None else self.candidates.levels(untried)

    @property
    def _begins(self) -> bool:
        """Whether the next trial is a random one: until the sampler has the results that it begins with."""
        startup = SAMPLERS[self._spec.sampler].startup
        if startup in (0, math.inf):
            return startup > 0
        trials = self._mirror.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))
        return sum(bool(trial.values or trial.intermediate_values) for trial in trials) < startup

    @cached_property
    def candidates(self) -> Candidates | None:
        """What may be trained, None in a space too large to be taken apart: there levels are drawn one by one."""
        return candidates_of(self._spec)

    @cached_property
    def model(self) -> Model | None:
        """What is believed of the candidates, None where the sampler asks for no model."""
        known = SAMPLERS.get(self._spec.sampler)  # a study without a search has none
        return new_model(self._spec) if known is not None and known.models else None

    @cached_property
    def _latency_model(self) -> LatencyModel | None:
        """What is believed of latencies, None where there is no budget of them or the sampler asks for no model."""
        if self.model is None or self._spec.budget_latency_ms is None:
            return None
        return LatencyModel(self.model.population, self._spec.budget_latency_ms)

    def note_tried(self, record: Record) -> None:
        """Take note that the search has a record of a block."""
        self._note_latency(record)
        # what was refused by a lower budget was not tried under this one; what is too slow was, by being measured
        decided = record.status != "over_budget" or self._spec.too_slow(record)
        if self.candidates is not None and decided and self._spec.counted_within(record):
            self.tried.add(self.candidates.forms_of(self._spec.at_reference(record.block)))

    def learn(self, record: Record) -> None:
        """Tell the model, if there is one, of a measurement, of a trial or beside the search."""
        if self.model is not None:
            tell(self.model, [record])
        self._note_latency(record)

    def _note_latency(self, record: Record) -> None:
        if self._latency_model is not None and record.ref_latency_ms is not None:
            self._latency_model.learn(record.block, record.ref_latency_ms)

    def _sampler(self, name: str, seed: int) -> BaseSampler:
        if self.model is None or name == "random":
            return self._of_optuna(name, seed)
        return ModelSampler(
            model=self.model,
            tried=self.tried,
            distributions=self.distributions,
            seed=seed,
            may_keep=self._latency_model.may_keep if self._latency_model else None,
        )

    def _of_optuna(self, name: str, seed: int) -> BaseSampler:
        """Return the sampler of ``SAMPLERS`` called ``name``, told what it would find out anew for each trial."""
        known = SAMPLERS[name]
        sampler: BaseSampler = pkgutil.resolve_name(known.make)(seed=seed, **known.options)
        if known.together:
            # every trial has every decision: to find that out, and in this order, Optuna would compare them all
            together = {path: each for path, each in sorted(self.distributions.items()) if not each.single()}
            sampler.infer_relative_search_space = lambda *_: together  # type: ignore[method-assign]
        if isinstance(sampler, BaseGASampler):
            # Optuna's come in another order the first time that a process asks: a resumed study would go astray
            found = sampler.get_parent_population

            def in_order(study: optuna.Study, generation: int) -> list[FrozenTrial]:
                return sorted(found(study, generation), key=lambda trial: trial.number)

            sampler.get_parent_population = in_order  # type: ignore[method-assign]
        return sampler

    def constrain(self, values: Mapping[str, float]) -> None:
        """Tell the sampler how far the trial just asked for is from the budget."""
        assert self._asked is not None
        for name, value in values.items():
            self._asked.set_constraint(name, value)

    def tell(
        self,
        number: int,
        state: TrialState,
        values: Sequence[float] | None,
        steps: Mapping[int, float] | None = None,
    ) -> None:
        """Tell the sampler how trial ``number`` ended; ``steps``: its error after so many epochs, at rungs."""
        storage = self._mirror._storage
        trial_id = storage.get_trial_id_from_study_id_trial_number(self._mirror._study_id, number)
        for step, value in (steps or {}).items():
            storage.set_trial_intermediate_value(trial_id, step, value)
        self._mirror.tell(number, values, state=state)


def _sampler_notes(trial: FrozenTrial) -> dict[str, Any]:
    """Return what a sampler keeps of its own on a trial (NSGA-II: the generation), to be kept with it."""
    attrs = trial.system_attrs.items()
    return {key: value for key, value in attrs if not key.startswith(("constraints", "fixed_params"))}


def _seed(study_seed: int, number: int) -> int:
    digest = hashlib.sha256(f"{study_seed}/{number}".encode()).digest()
    return int.from_bytes(digest[:4], "big")
