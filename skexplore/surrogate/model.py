"""What errors of some blocks say of all the blocks of a space: the errors, put to the posterior of all of them."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable

import numpy as np

from skexplore.arch import read_network
from skexplore.space import Candidates, Forms
from skexplore.surrogate.features import Matrix, Scale, shape
from skexplore.surrogate.posterior import Posterior
from skexplore.surrogate.prior import Prior, pooled

POOL = 2_000  # candidates that are looked at in a space that is not written out


class Population:
    """The candidates of a space with their features; in a space that is not written out, some of them."""

    def __init__(self, candidates: Candidates) -> None:
        self.candidates = candidates
        forms = self._drawn(0) if candidates.within is None else candidates.within
        self.scale = Scale(map(candidates.shape, forms))
        self._whole = None if candidates.within is None else (forms, self._features(forms))

    def pool(self, seed: int) -> tuple[list[Forms], Matrix]:
        """Return the candidates, or in a large space some that ``seed`` draws, and their features."""
        if self._whole is not None:
            return self._whole
        drawn = self._drawn(seed)
        return drawn, self._features(drawn)

    def rows(self, names: Iterable[str]) -> Matrix:
        """Return the features of blocks by their notation, one row each."""
        reference = self.candidates.reference
        return self.scale.rows(shape(read_network(name, reference)) for name in names)

    def _features(self, pool: Iterable[Forms]) -> Matrix:
        return self.scale.rows(map(self.candidates.shape, pool))

    def _drawn(self, seed: int) -> list[Forms]:
        generator = random.Random(seed)
        drawn = (self.candidates.untried((), generator) for _ in range(POOL))
        return list(dict.fromkeys(forms for forms in drawn if forms is not None))


class Model:
    """What is believed of the blocks of a ``population``, kept from one error to the next.

    prior: what is known of seed noise before the first.
    """

    def __init__(self, population: Population, prior: Prior | None) -> None:
        self.population, self._prior = population, prior
        self._errors: dict[str, list[float]] = {}  # by notation
        self._rows: dict[str, Matrix] = {}
        self._told: set[tuple[str, str]] = set()  # names and replay keys

    def learn(self, name: str, error: float, key: str) -> None:
        """Take note of the error, a fraction, of the training ``key`` of a block, once; ``name``: its notation."""
        if (
            name,
            key,
        ) in self._told:  # one training may be that of two blocks, which are one network in a proxy
            return
        self._told.add((name, key))
        if name not in self._rows:
            self._rows[name] = self.population.rows([name])
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

    @property
    def noise(self) -> Prior | None:
        """What is known of seed noise, repeats of the same block included."""
        return pooled(self._errors.values(), self._prior)

    def posterior(self, but: Iterable[str] = ()) -> Posterior:
        """Return what is believed, as if there were no errors of ``but``.

        In what order the errors came does not matter, to the last bit.
        """
        out = {*but}
        names = [name for name in self.blocks if name not in out]
        return Posterior(
            self.rows(names),
            np.array([self.error(name) for name in names]),
            np.array([self.seeds(name) for name in names], dtype=np.int64),
            self.noise,
        )

    def rows(self, names: Iterable[str]) -> Matrix:
        """Return the features of blocks that have errors, by their notation."""
        return np.vstack([self.population.scale.rows([]), *(self._rows[name] for name in names)])
