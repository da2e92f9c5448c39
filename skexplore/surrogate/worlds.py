"""Worlds that agree with a table: true errors of all blocks of a space, drawn given those that were measured.

A Gaussian process: what is linear in the features, what is smooth in them, and what is a block's own. Its kernel and
its three shares are those under which the measured errors are likeliest. It knows more forms than the model that a
search has of its space, so that a search played in such a world is not judged by its own assumptions.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np

from skexplore.surrogate.features import Matrix
from skexplore.surrogate.posterior import Vector

SHARES = (0.05, 0.15, 0.3, 0.5, 0.7, 0.85)  # of the variance between blocks
LENGTHS = (0.5, 1.0, 2.0)  # of what is smooth, in median distances of two blocks
WAVES = 1_000  # random features of its kernel
MEAN_SD = 0.3  # of the mean about that of what was measured: as good as flat


@dataclass(frozen=True, slots=True, kw_only=True)
class Kernel:
    """How true errors vary together. spread: their standard deviation; linear, own: shares of its square.

    length: the distance over which the rest, which is smooth, varies.
    """

    spread: float
    linear: float
    own: float
    length: float

    @property
    def smooth(self) -> float:
        """The share of what is neither linear nor a block's own."""
        return 1 - self.linear - self.own

    def of(self, one: Matrix, other: Matrix) -> Matrix:
        """Return the covariance of true errors without what is a block's own, rows of ``one`` x rows of ``other``."""
        linear = self.linear * (one @ other.T) / one.shape[1]
        smooth = self.smooth * np.exp(-_squared_distances(one, other) / (2 * self.length**2))
        found: Matrix = MEAN_SD**2 + self.spread**2 * (linear + smooth)
        return found


class Worlds:
    """Draws of the true errors, fractions 0..1, of blocks with features ``rows`` (blocks x features).

    measured: places of those that were measured; errors: their mean errors; seeds: over how many trainings; noise: the
    standard deviation of one.
    """

    def __init__(self, rows: Matrix, measured: Vector, errors: Vector, seeds: Vector, noise: float) -> None:
        self._rows, self._at = rows, measured.astype(np.int64)
        self._middle, self._errors = float(errors.mean()), errors
        self._noise = noise / np.sqrt(seeds)
        self.kernel = self._likeliest()
        at, own = self._rows[self._at], self.kernel.own * self.kernel.spread**2
        self._precision = np.linalg.inv(self.kernel.of(at, at) + np.diag(own + self._noise**2))
        self._to_all = self.kernel.of(rows, at)
        generator = np.random.default_rng(0)  # all worlds have the same waves, each in its own heights
        waves = generator.standard_normal((rows.shape[1], WAVES)) / self.kernel.length
        self._waves = np.cos(rows @ waves + generator.uniform(0, 2 * math.pi, WAVES))

    def _likeliest(self) -> Kernel:
        at = self._rows[self._at]
        distance = math.sqrt(float(np.median(_squared_distances(at, at))))
        away, spread = self._errors - self._middle, float(self._errors.std())
        found: tuple[float, Kernel] | None = None
        for linear, own, length in itertools.product(SHARES, SHARES, LENGTHS):
            if linear + own >= 1:
                continue
            for times in (0.7, 1.0, 1.4, 2.0):
                kernel = Kernel(spread=spread * times, linear=linear, own=own, length=length * distance)
                noise = own * kernel.spread**2 + self._noise**2
                factor = np.linalg.cholesky(kernel.of(at, at) + np.diag(noise))
                white = np.linalg.solve(factor, away)
                likelihood = -float(np.log(np.diag(factor)).sum()) - float(white @ white) / 2
                if found is None or likelihood > found[0]:
                    found = likelihood, kernel
        assert found is not None
        return found[1]

    def mean(self) -> Vector:
        """Return the mean of all draws."""
        return self._moved(np.zeros(len(self._rows)), self._errors - self._middle)

    def draw(self, generator: np.random.Generator) -> Vector:
        """Return the true errors of all blocks in one world.

        A draw that knows of no errors, moved to those that were measured: Matheron's rule.
        """
        kernel, features = self.kernel, self._rows.shape[1]
        slopes = generator.standard_normal(features) * math.sqrt(kernel.linear / features)
        heights = generator.standard_normal(WAVES) * math.sqrt(2 * kernel.smooth / WAVES)
        own = generator.standard_normal(len(self._rows)) * math.sqrt(kernel.own)
        varied = self._rows @ slopes + self._waves @ heights + own
        free = MEAN_SD * generator.standard_normal() + kernel.spread * varied
        noise = generator.standard_normal(len(self._at)) * self._noise
        return self._moved(free, self._errors - self._middle - free[self._at] - noise)

    def _moved(self, free: Vector, residuals: Vector) -> Vector:
        weights = self._precision @ residuals
        moved = self._middle + free + self._to_all @ weights
        moved[self._at] += self.kernel.own * self.kernel.spread**2 * weights
        return moved


def _squared_distances(one: Matrix, other: Matrix) -> Matrix:
    squares = (one**2).sum(1)[:, None] + (other**2).sum(1)[None, :] - 2 * one @ other.T
    found: Matrix = np.maximum(squares, 0.0)
    return found
