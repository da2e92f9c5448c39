"""What a study believes of the blocks of its space: the errors that it has, put to the posterior of all of them."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable
from functools import cached_property

import numpy as np

from skexplore.arch import PLAIN, Blocks, format_blocks, parse_blocks
from skexplore.space import Candidates, Forms
from skexplore.study import Record, StudySpec
from skexplore.surrogate.features import Matrix, Scale, stages_of
from skexplore.surrogate.posterior import KnownNoise, Posterior
from skexplore.surrogate.priors import prior_of

POOL = 2_000  # candidates that are looked at in a space that is not written out


class Model:
    """What is believed of ``candidates``, kept from one error to the next.

    noise: what is known of seed noise before the first.
    """

    def __init__(self, candidates: Candidates, noise: KnownNoise) -> None:
        self.candidates, self._before = candidates, noise
        self._errors: dict[str, list[float]] = {}  # by notation
        self._known: dict[str, Matrix] = {}
        population = self.pool(0)
        self._scale = Scale(map(candidates.stages, population))
        self._rows = None if candidates.within is None else self._features(population)

    @staticmethod
    def of(spec: StudySpec, candidates: Candidates) -> Model:
        """Return the model of a study that has no errors yet."""
        prior = prior_of(spec)
        return Model(candidates, KnownNoise(sd=prior.sd, df=prior.df) if prior else KnownNoise())

    def learn(self, record: Record) -> None:
        """Take note of a complete training, one of each key; what surrounds its block must be the proxy's own."""
        if record.status == "complete" and record.setting == PLAIN and record.val_error is not None:
            self.learn_error(parse_blocks(record.block), record.val_error)

    def learn_error(self, blocks: Blocks, error: float) -> None:
        """Take note of the error, a fraction, of one training under a seed that ``blocks`` did not have before."""
        name = format_blocks(blocks)
        if name not in self._known:
            self._known[name] = self._scale.rows([stages_of(blocks)])
        self._errors.setdefault(name, []).append(error)

    @property
    def blocks(self) -> list[str]:
        """The notation of the blocks that have errors, in the order of the posterior's."""
        return sorted(self._errors)

    def seeds(self, name: str) -> int:
        """Return how many errors there are of a block."""
        return len(self._errors[name])

    def error(self, name: str) -> float:
        """Return the mean error of a block."""
        return math.fsum(self._errors[name]) / len(self._errors[name])

    def posterior(self, but: Iterable[str] = ()) -> Posterior:
        """Return what is believed, as if there were no errors of ``but``.

        In what order the errors came does not matter, to the last bit.
        """
        names = [name for name in self.blocks if name not in {*but}]
        errors = [self._errors[name] for name in names]
        return Posterior(
            np.vstack([self._scale.rows([]), *(self._known[name] for name in names)]),
            np.array([math.fsum(each) / len(each) for each in errors]),
            np.array([len(each) for each in errors], dtype=np.int64),
            self.noise,
        )

    @property
    def noise(self) -> KnownNoise:
        """What was known of seed noise before, with what repeats of the same block add."""
        repeats = [errors for errors in self._errors.values() if len(errors) > 1]
        df = self._before.df + sum(len(errors) - 1 for errors in repeats)
        if df == 0:
            return KnownNoise()
        squares = math.fsum((each - math.fsum(e) / len(e)) ** 2 for e in repeats for each in e)
        return KnownNoise(sd=math.sqrt((squares + self._before.df * self._before.sd**2) / df), df=df)

    def pool(self, seed: int) -> list[Forms]:
        """Return the candidates: all of them, or in a large space some that ``seed`` draws."""
        return self._all if self.candidates.within is not None else self._drawn(random.Random(seed))

    def rows(self, pool: list[Forms]) -> Matrix:
        """Return the features of the candidates of ``pool``."""
        return self._rows if self._rows is not None and pool is self._all else self._features(pool)

    def rows_of(self, names: Iterable[str]) -> Matrix:
        """Return the features of blocks by their notation."""
        return self._scale.rows(stages_of(parse_blocks(name)) for name in names)

    @cached_property
    def _all(self) -> list[Forms]:
        return self.candidates.within or []

    def _features(self, pool: Iterable[Forms]) -> Matrix:
        return self._scale.rows(map(self.candidates.stages, pool))

    def _drawn(self, generator: random.Random) -> list[Forms]:
        drawn = (self.candidates.untried((), generator) for _ in range(POOL))
        return list(dict.fromkeys(forms for forms in drawn if forms is not None))
