"""A sampler that models: the untried block that is best by what all errors so far say, with a doubt in its favour."""

from __future__ import annotations

import math
import random
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.trial import FrozenTrial

from skexplore.arch import Blocks, format_blocks
from skexplore.space import Candidates, Forms
from skexplore.surrogate import KnownNoise, Matrix, Posterior, Scale, stages_of

POOL = 2_000  # candidates that an ask looks at in a space that is not written out
DOUBT = 1.0  # standard deviations by which a block is believed better than its mean


class Model:
    """What a search believes of its candidates, kept from one ask to the next.

    noise: what is known of seed noise before the search.
    """

    def __init__(self, candidates: Candidates, noise: KnownNoise) -> None:
        self.candidates, self._before = candidates, noise
        self._pool = candidates.within
        population = self._pool if self._pool is not None else self._drawn(random.Random(0))
        self._scale = Scale(map(candidates.stages, population))
        self._rows = self._features(population) if self._pool is not None else None
        self._errors: dict[str, list[float]] = {}  # by notation
        self._known: dict[str, Matrix] = {}

    def learn(self, blocks: Blocks, error: float) -> None:
        """Take note of the error, a fraction, of one training under a seed that ``blocks`` did not have before."""
        name = format_blocks(blocks)
        if name not in self._known:
            self._known[name] = self._scale.rows([stages_of(blocks)])
        self._errors.setdefault(name, []).append(error)

    def posterior(self) -> Posterior:
        """Return what is believed now; in what order it was learned does not matter, to the last bit."""
        names = sorted(self._errors)
        errors = [self._errors[name] for name in names]
        return Posterior(
            np.vstack([self._scale.rows([]), *(self._known[name] for name in names)]),
            np.array([math.fsum(each) / len(each) for each in errors]),
            np.array([len(each) for each in errors], dtype=np.int64),
            self._noise(),
        )

    def propose(self, tried: Collection[Forms], seed: int, most: float = math.inf) -> Forms | None:
        """Return the untried candidate of at most so many multiply-adds with the least mean less its doubt."""
        pool, rows = self._pool, self._rows
        if pool is None or rows is None:
            pool = self._drawn(random.Random(seed))
            rows = self._features(pool)
        mean, sd = self.posterior().predict(rows)
        for at in np.argsort(mean - DOUBT * sd, kind="stable").tolist():
            forms: Forms = pool[at]
            if forms not in tried and self.candidates.sizes(forms)[0] <= most:
                return forms
        return None

    def cap(self, seed: int) -> float:
        """Return the multiply-adds of a random candidate: under caps of all sizes a whole front is looked for."""
        pool = self._pool or self._drawn(random.Random(seed))
        return self.candidates.sizes(random.Random(seed).choice(pool))[0]

    def _features(self, pool: Collection[Forms]) -> Matrix:
        return self._scale.rows(map(self.candidates.stages, pool))

    def _drawn(self, generator: random.Random) -> list[Forms]:
        drawn = (self.candidates.untried((), generator) for _ in range(POOL))
        return list(dict.fromkeys(forms for forms in drawn if forms is not None))

    def _noise(self) -> KnownNoise:
        """Return what was known of seed noise before, with what repeats of this search add."""
        repeats = [errors for errors in self._errors.values() if len(errors) > 1]
        df = self._before.df + sum(len(errors) - 1 for errors in repeats)
        if df == 0:
            return KnownNoise()
        squares = math.fsum((each - math.fsum(e) / len(e)) ** 2 for e in repeats for each in e)
        return KnownNoise(sd=math.sqrt((squares + self._before.df * self._before.sd**2) / df), df=df)


class ModelSampler(BaseSampler):
    """Optuna's side of a ``Model``: what it proposes, as the levels of a trial.

    The model is told errors by ``Model.learn``, those of trainings beside the trials too; the trials of the study are
    not looked at. tried: what is not to be proposed again. Where all is tried, levels are random.
    """

    def __init__(
        self,
        model: Model,
        tried: Collection[Forms],
        distributions: Mapping[str, BaseDistribution],
        seed: int,
    ) -> None:
        self._model, self._tried, self._distributions, self._seed = model, tried, distributions, seed
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
        most = self._model.cap(self._seed) if len(study.directions) > 1 else math.inf
        forms = self._model.propose(self._tried, self._seed, most)
        return {} if forms is None else dict(self._model.candidates.levels(forms))

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Return a random level, where there is no proposal."""
        return self._random.sample_independent(study, trial, param_name, param_distribution)
