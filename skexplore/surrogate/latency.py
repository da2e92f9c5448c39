"""Which blocks are fast enough, by the latencies of some: the model of errors, told logarithms of milliseconds."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from skexplore.surrogate.features import Matrix
from skexplore.surrogate.model import Population
from skexplore.surrogate.posterior import Posterior

LEAST = 8  # latencies that say something of the others
SCALE = (
    5.0  # brings logarithms to the sizes that the model thinks of: noise of 1 to 8 %, spreads of 1 to 75 %
)
DOUBT = 1.0  # standard deviations by which a block may be faster than is believed: it is measured to find out


class LatencyModel:
    """What is believed of the latencies of the blocks of a ``population``, of which those up to ``limit_ms`` count."""

    def __init__(self, population: Population, limit_ms: float) -> None:
        self._population, self._limit = population, math.log(limit_ms) / SCALE
        self._rows: dict[str, Matrix] = {}  # by notation
        self._logs: dict[str, float] = {}

    def learn(self, name: str, milliseconds: float) -> None:
        """Take note of the latency of a block by its notation."""
        if name not in self._rows:
            self._rows[name] = self._population.rows([name])
            self._logs[name] = math.log(milliseconds) / SCALE

    def may_keep(self, rows: Matrix) -> NDArray[np.bool_]:
        """Return which of the blocks with these features may keep the limit; all, as long as little is known."""
        if len(self._rows) < LEAST:
            return np.ones(len(rows), dtype=np.bool_)
        names = sorted(self._rows)
        known = Posterior(
            np.vstack([self._rows[name] for name in names]),
            np.array([self._logs[name] for name in names]),
            np.ones(len(names), dtype=np.int64),
            None,
        )
        mean, sd = known.predict(rows)
        found: NDArray[np.bool_] = mean - DOUBT * sd <= self._limit
        return found
