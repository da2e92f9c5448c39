"""A sampler that models: the untried block that is best by what all errors so far say, with a doubt in its favour."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.trial import FrozenTrial

from skexplore.space import Forms
from skexplore.surrogate import Matrix, Model

DOUBT = 1.0  # standard deviations by which a block is believed better than its mean


class ModelSampler(BaseSampler):
    """Optuna's side of a ``Model``: what it proposes, as the levels of a trial.

    The model is told errors by ``Model.learn``, those of trainings beside the trials too; the trials of the study are
    not looked at. tried: what is not to be proposed again. may_keep: tells by their features which candidates may keep
    a limit on what is measured: the others come last. Where all is tried, levels are random.
    """

    def __init__(
        self,
        *,
        model: Model,
        tried: Collection[Forms],
        distributions: Mapping[str, BaseDistribution],
        seed: int,
        may_keep: Callable[[Matrix], NDArray[np.bool_]] | None = None,
    ) -> None:
        self._model, self._tried, self._distributions, self._seed = model, tried, distributions, seed
        self._may_keep = may_keep
        self._random = RandomSampler(seed=seed)

    def infer_relative_search_space(
        self,
        study: optuna.Study,  # noqa: ARG002  # Optuna's interface
        trial: FrozenTrial,  # noqa: ARG002
    ) -> dict[str, BaseDistribution]:
        """Return every decision: all are proposed together."""
        return dict(self._distributions)

    def sample_relative(
        self,
        study: optuna.Study,
        trial: FrozenTrial,  # noqa: ARG002
        search_space: dict[str, BaseDistribution],  # noqa: ARG002
    ) -> dict[str, Any]:
        """Return the levels of the proposal, none if all is tried."""
        forms = self._proposed(pareto=len(study.directions) > 1)
        return {} if forms is None else dict(self._model.population.candidates.levels(forms))

    def _proposed(self, *, pareto: bool) -> Forms | None:
        """Return the untried candidate with the least mean less its doubt.

        pareto: under the multiply-adds of a random candidate: under caps of all sizes a whole front is looked for.
        """
        candidates = self._model.population.candidates
        pool, rows = self._model.population.pool(self._seed)
        if not pool:
            return None
        macs = candidates.sizes(random.Random(self._seed).choice(pool))[0] if pareto else math.inf
        mean, sd = self._model.posterior().predict(rows)
        late = np.zeros(len(rows)) if self._may_keep is None else ~self._may_keep(rows)
        for at in np.lexsort((mean - DOUBT * sd, late)).tolist():
            forms: Forms = pool[at]
            if forms not in self._tried and candidates.sizes(forms)[0] <= macs:
                return forms
        return None

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Return a random level, where there is no proposal."""
        return self._random.sample_independent(study, trial, param_name, param_distribution)
