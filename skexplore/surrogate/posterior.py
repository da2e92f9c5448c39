"""What the errors of some blocks say of all: a linear model of features with shrinkage, and known noise.

The true error of a block is mu + x beta + delta: effects of its features, beta ~ N(0, (1 - u) s^2 / p) each, and what
is its own, delta ~ N(0, u s^2). A training measures it with noise of standard deviation sigma. How much blocks differ
(s), how much of that is their own (u) and the noise are not known exactly: all three are averaged over, weighted by how
well they explain the errors.
Everything is linear in what was measured, so that a posterior costs microseconds for a block.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from skexplore.surrogate.features import Matrix
from skexplore.surrogate.prior import Prior

Vector = NDArray[np.float64]

OWN_SHARES = (0.05, 0.15, 0.45)  # u: of the variance between blocks, what their features do not explain
SPREADS = np.geomspace(0.002, 0.15, 12)  # s: standard deviations between blocks that are thought of
NOISES = np.geomspace(0.002, 0.015, 7)  # sigma, where nothing is known of it
LEAST_NOISE = (
    0.0005  # errors are counts over images: repeats that happen to agree do not prove that there is none
)
MEAN_SD = 0.3  # of mu about the mean of what was measured: as good as flat
LEAST_WEIGHT = 0.01  # of a setting that is averaged over; the others together change nothing that is shown


@dataclass(frozen=True, slots=True, kw_only=True)
class _Setting:
    """The posterior for one s, u and sigma.

    own: the variance of delta. beta: its mean, mu first. root: a matrix R such that R'R is the covariance of beta.
    """

    own: float
    noise: float
    beta: Vector
    root: Matrix


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sums:
    """Of the blocks that were trained with so many ``seeds``: X'X, X'y and y'y, y without the mean of all."""

    seeds: int
    blocks: int
    rows: Matrix
    errors: Vector
    squares: float


class Posterior:
    """What is believed of the true errors, fractions 0..1, after ``errors`` of blocks with features ``rows``.

    errors: the mean over its seeds of each block. seeds: how many those are. noise: what is known of it, the repeats
    of these blocks included; None if nothing is.
    """

    def __init__(self, rows: Matrix, errors: Vector, seeds: NDArray[np.int64], noise: Prior | None) -> None:
        self._rows, self._errors, self._seeds = _with_mean(rows), errors, seeds
        self._middle = float(errors.mean()) if len(errors) else 0.5
        self._sums = [self._summed(count) for count in np.unique(seeds)]
        self._settings, weights = self._likely(noise)
        self._weights: Vector = weights / weights.sum()

    def _summed(self, seeds: int) -> _Sums:
        """Return what all settings need of the blocks that were trained with so many seeds."""
        rows, away = self._rows[self._seeds == seeds], self._errors[self._seeds == seeds] - self._middle
        return _Sums(
            seeds=seeds,
            blocks=len(rows),
            rows=rows.T @ rows,
            errors=rows.T @ away,
            squares=float(away @ away),
        )

    def _likely(self, known: Prior | None) -> tuple[list[_Setting], Vector]:
        """Return the settings that are not out of the question, with their chances, the likeliest's being one.

        All settings are computed at once, along the first axis.
        """
        thought = itertools.product(_noises(known), SPREADS, OWN_SHARES)
        noise, chance, spread, share = np.array([(*each, spread, share) for each, spread, share in thought]).T
        columns, own = self._rows.shape[1], share * spread**2
        precision = np.tile(max(1, columns - 1) / ((1 - share) * spread**2), (columns, 1)).T
        precision[:, 0] = MEAN_SD**-2
        left, right = precision[:, :, None] * np.eye(columns), np.zeros_like(precision)
        logs = 2 * np.log(chance) + np.log(precision).sum(1)
        for each in self._sums:
            weight = 1 / (own + noise**2 / each.seeds)
            left, right = left + weight[:, None, None] * each.rows, right + weight[:, None] * each.errors
            logs += each.blocks * np.log(weight) - weight * each.squares
        factor = np.linalg.cholesky(left)
        root = np.linalg.inv(factor)
        explained = (root @ right[:, :, None])[:, :, 0]
        logs -= 2 * np.log(np.diagonal(factor, axis1=1, axis2=2)).sum(1)
        # the quadratic form at its least: y'Wy less what beta explains of it
        logs += (explained**2).sum(1)
        weights = np.exp((logs - logs.max()) / 2)
        kept = [int(at) for at in np.flatnonzero(weights > LEAST_WEIGHT)]
        settings = [
            _Setting(
                own=float(own[at]), noise=float(noise[at]), beta=root[at].T @ explained[at], root=root[at]
            )
            for at in kept
        ]
        return settings, weights[kept]

    def predict(self, rows: Matrix) -> tuple[Vector, Vector]:
        """Return means and standard deviations of the true errors of blocks that were not trained."""
        rows = _with_mean(rows)
        return self._mixed([self._untrained(each, rows) for each in self._settings])

    def trained(self) -> tuple[Vector, Vector]:
        """Return means and standard deviations of the true errors of the blocks that were trained."""
        return self._mixed([self._own(each) for each in self._settings])

    def noise(self) -> float:
        """Return the mean of what is believed of the noise of one training."""
        return float(self._weights @ [each.noise for each in self._settings])

    def draw(self, generator: np.random.Generator, draws: int) -> Matrix:
        """Return draws x blocks of the true errors of the blocks that were trained, together."""
        found = []
        for each, count in zip(self._settings, generator.multinomial(draws, self._weights), strict=True):
            beta = each.beta + generator.standard_normal((count, len(each.beta))) @ each.root
            model, share = beta @ self._rows.T, _share(each, self._seeds)
            noise = generator.standard_normal(model.shape) * np.sqrt((1 - share) * each.own)
            found.append(model + share * (self._errors - self._middle - model) + noise)
        return self._middle + np.vstack(found)

    def _untrained(self, setting: _Setting, rows: Matrix) -> tuple[Vector, Vector]:
        return rows @ setting.beta, ((rows @ setting.root.T) ** 2).sum(1) + setting.own

    def _own(self, setting: _Setting) -> tuple[Vector, Vector]:
        spread = ((self._rows @ setting.root.T) ** 2).sum(1)
        share = _share(setting, self._seeds)
        model = self._rows @ setting.beta
        mean = model + share * (self._errors - self._middle - model)
        return mean, (1 - share) * setting.own + (1 - share) ** 2 * spread

    def _mixed(self, found: Sequence[tuple[Vector, Vector]]) -> tuple[Vector, Vector]:
        means, variances = (np.array(each) for each in zip(*found, strict=True))
        mean = self._weights @ means
        variance = self._weights @ (variances + means**2) - mean**2
        return self._middle + mean, np.sqrt(np.maximum(variance, 0.0))


def _share(setting: _Setting, seeds: NDArray[np.int64]) -> Vector:
    """Return how much of what a block's errors are off the model is its own, the rest being noise."""
    share: Vector = setting.own / (setting.own + setting.noise**2 / seeds)
    return share


def _noises(known: Prior | None) -> list[tuple[float, float]]:
    """Return noises that are thought of, each with its chance before the errors of different blocks are seen.

    Of a standard deviation with ``df`` degrees of freedom: proportional to the likelihood of its sum of squares.
    """
    if known is None:
        return [(float(sigma), 1 / len(NOISES)) for sigma in NOISES]
    half, sd = 2.5 / math.sqrt(2 * known.df), max(known.sd, LEAST_NOISE)
    sigmas = sd * np.exp(np.linspace(-half, half, len(NOISES)))
    logs = -known.df * (np.log(sigmas) + sd**2 / sigmas**2 / 2)
    chances = np.exp(logs - logs.max())
    return [(float(s), float(c)) for s, c in zip(sigmas, chances / chances.sum(), strict=True)]


def _with_mean(rows: Matrix) -> Matrix:
    """Return ``rows`` with a first column of ones, for mu."""
    return np.hstack([np.ones((len(rows), 1)), rows])
