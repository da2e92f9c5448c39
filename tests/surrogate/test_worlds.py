"""Worlds against Gaussian conditioning written out; what they take for likeliest where the truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from skexplore.surrogate.worlds import MEAN_SD, Kernel, Worlds

KNOWN = Kernel(spread=0.02, linear=0.3, own=0.15, length=2.0)
NOISE = 0.004


@pytest.fixture
def known_kernel(monkeypatch):
    monkeypatch.setattr(Worlds, "_likeliest", lambda _: KNOWN)


def covariance(rows):
    """Covariance of the true errors, one pair of blocks after another."""
    found = np.empty((len(rows), len(rows)))
    for i, one in enumerate(rows):
        for j, other in enumerate(rows):
            smooth = np.exp(-((one - other) ** 2).sum() / (2 * KNOWN.length**2))
            shared = KNOWN.linear * one @ other / len(one) + (1 - KNOWN.linear - KNOWN.own) * smooth
            found[i, j] = MEAN_SD**2 + KNOWN.spread**2 * (shared + KNOWN.own * (i == j))
    return found


def a_case(generator, blocks=9, measured=5):
    rows = generator.standard_normal((blocks, 3))
    at, seeds = generator.permutation(blocks)[:measured], generator.integers(1, 4, measured)
    return rows, at, 0.3 + 0.02 * generator.standard_normal(measured), seeds


@pytest.mark.usefixtures("known_kernel")
def test_draws_are_those_of_gaussian_conditioning():
    generator = np.random.default_rng(1)
    rows, at, errors, seeds = a_case(generator)
    worlds = Worlds(rows, at, errors, seeds, NOISE)
    prior = covariance(rows)
    gain = prior[:, at] @ np.linalg.inv(prior[np.ix_(at, at)] + np.diag(NOISE**2 / seeds))
    mean, left = errors.mean() + gain @ (errors - errors.mean()), prior - gain @ prior[at]
    assert worlds.mean() == pytest.approx(mean, abs=1e-9)
    draws = np.array([worlds.draw(generator) for _ in range(4_000)])
    sd = np.sqrt(np.diag(left))
    assert draws.mean(0) == pytest.approx(mean, abs=5 * sd.max() / np.sqrt(4_000))
    assert np.cov(draws.T) == pytest.approx(left, abs=0.1 * left.max())


@pytest.mark.usefixtures("known_kernel")
def test_one_seed_draws_one_world():
    worlds = Worlds(*a_case(np.random.default_rng(2)), NOISE)
    first, again, other = (worlds.draw(np.random.default_rng(seed)) for seed in (3, 3, 4))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def synthetic(generator, true, blocks=150):
    rows = generator.standard_normal((blocks, 4))
    values = true(rows)
    values = 0.3 + 0.02 * (values - values.mean()) / values.std()
    seeds = np.ones(blocks)
    return Worlds(rows, np.arange(blocks), values + NOISE * generator.standard_normal(blocks), seeds, NOISE)


def test_what_is_linear_smooth_or_of_its_own_is_told_from_errors():
    generator = np.random.default_rng(5)
    linear = synthetic(generator, lambda rows: rows @ [1.0, -1.0, 2.0, 0.5]).kernel
    assert linear.linear >= 0.7
    assert linear.own == 0.05
    smooth = synthetic(generator, lambda rows: np.sin(2 * rows[:, 0]) * np.cos(rows[:, 1])).kernel
    assert smooth.smooth >= 0.5
    rugged = synthetic(generator, lambda rows: generator.standard_normal(len(rows))).kernel
    assert rugged.own >= 0.7


def test_worlds_hold_what_was_not_measured_as_often_as_they_should():
    """90 % of the truths of unmeasured blocks lie within the middle 90 % of draws, the function being of no kernel."""
    generator, held, blocks = np.random.default_rng(6), [], 120
    for _ in range(12):
        rows = generator.standard_normal((blocks, 3))
        slopes = generator.standard_normal((3, 2))
        true = 0.3 + 0.01 * (
            np.abs(rows @ slopes[:, 0]) + rows @ slopes[:, 1] + 0.5 * generator.standard_normal(blocks)
        )
        at = np.arange(60)
        errors = true[at] + NOISE * generator.standard_normal(60)
        worlds = Worlds(rows, at, errors, np.ones(60), NOISE)
        low, high = np.percentile([worlds.draw(generator) for _ in range(200)], [5, 95], axis=0)
        held.append(((low <= true) & (true <= high))[60:].mean())
    assert np.mean(held) == pytest.approx(0.9, abs=0.05)
