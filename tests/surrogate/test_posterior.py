"""The posterior against Gaussian conditioning written out, and its calibration where the truth is known."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from skexplore.surrogate import posterior as module
from skexplore.surrogate.posterior import MEAN_SD, Posterior
from skexplore.surrogate.prior import Prior

SPREAD, OWN_SHARE, NOISE = 0.02, 0.15, 0.004


@pytest.fixture
def one_setting(monkeypatch):
    monkeypatch.setattr(module, "SPREADS", np.array([SPREAD]))
    monkeypatch.setattr(module, "OWN_SHARES", (OWN_SHARE,))
    monkeypatch.setattr(module, "_noises", lambda _: [(NOISE, 1.0)])


def synthetic(generator, blocks, features=5):
    """Blocks of the prior: features, true errors, seeds and measured means."""
    rows = generator.standard_normal((blocks, features))
    beta = SPREAD * np.sqrt((1 - OWN_SHARE) / features) * generator.standard_normal(features)
    true = 0.35 + rows @ beta + SPREAD * np.sqrt(OWN_SHARE) * generator.standard_normal(blocks)
    seeds = generator.integers(1, 4, blocks)
    return rows, true, seeds, true + NOISE / np.sqrt(seeds) * generator.standard_normal(blocks)


def conditioned(rows, errors, seeds, others):
    """Mean and covariance of all true errors by conditioning one large normal distribution on the errors."""
    both = np.vstack([rows, others])
    middle = errors.mean()
    prior = MEAN_SD**2 + (1 - OWN_SHARE) * SPREAD**2 / rows.shape[1] * both @ both.T
    prior += OWN_SHARE * SPREAD**2 * np.eye(len(both))
    n = len(rows)
    gain = prior[:, :n] @ np.linalg.inv(prior[:n, :n] + np.diag(NOISE**2 / seeds))
    return middle + gain @ (errors - middle), prior - gain @ prior[:n]


@pytest.mark.usefixtures("one_setting")
def test_it_is_gaussian_conditioning():
    generator = np.random.default_rng(0)
    rows, _, seeds, errors = synthetic(generator, 12)
    others = generator.standard_normal((7, rows.shape[1]))
    mean, covariance = conditioned(rows, errors, seeds, others)
    sd = np.sqrt(np.diag(covariance))
    found = Posterior(rows, errors, seeds, None)
    assert np.concatenate([found.trained()[0], found.predict(others)[0]]) == pytest.approx(mean, abs=1e-9)
    assert np.concatenate([found.trained()[1], found.predict(others)[1]]) == pytest.approx(sd, rel=1e-6)
    draws, n = found.draw(generator, 20_000), len(rows)
    assert draws.mean(0) == pytest.approx(mean[:n], abs=4 * sd.max() / np.sqrt(20_000))
    assert np.cov(draws.T) == pytest.approx(covariance[:n, :n], abs=0.05 * covariance[:n, :n].max())


def test_settings_are_weighted_by_how_well_they_explain_the_errors():
    """Against the normal density of the errors, written out for each setting."""
    generator = np.random.default_rng(1)
    rows, _, seeds, errors = synthetic(generator, 10)
    found = Posterior(rows, errors, seeds, Prior(sd=NOISE, df=24))
    settings, away = [], errors - errors.mean()
    for sigma, chance in module._noises(Prior(sd=NOISE, df=24)):
        for spread, own in itertools.product(module.SPREADS, module.OWN_SHARES):
            covariance = MEAN_SD**2 + (1 - own) * spread**2 / rows.shape[1] * rows @ rows.T
            covariance += np.diag(own * spread**2 + sigma**2 / seeds)
            sign, log = np.linalg.slogdet(covariance)
            assert sign == 1
            settings.append(np.log(chance) - (log + away @ np.linalg.solve(covariance, away)) / 2)
    weights = np.exp(settings - np.max(settings))
    weights = weights[weights > module.LEAST_WEIGHT]
    assert found._weights == pytest.approx(weights / weights.sum(), rel=1e-6)


@pytest.mark.parametrize("blocks", [8, 30])
@pytest.mark.parametrize(
    ("noise", "least", "most"),
    [(Prior(sd=NOISE, df=24), 0.87, 0.93), (None, 0.87, 0.96)],
    ids=["known", "unknown"],
)
def test_ninety_percent_intervals_cover_ninety_percent_of_synthetic_truths(blocks, noise, least, most):
    """Neither the spread between blocks nor, in one case, the noise is told."""
    generator, inside = np.random.default_rng(2), []
    for _ in range(400):
        rows, true, seeds, errors = synthetic(generator, blocks + 4)
        found = Posterior(rows[:blocks], errors[:blocks], seeds[:blocks], noise)
        mean, sd = (
            np.concatenate(pair) for pair in zip(found.trained(), found.predict(rows[blocks:]), strict=True)
        )
        inside.append(np.abs(true - mean) < 1.645 * sd)
    assert least <= np.mean(inside) <= most


def test_without_an_error_everything_is_possible():
    found = Posterior(np.empty((0, 3)), np.empty(0), np.empty(0, dtype=int), None)
    mean, sd = found.predict(np.zeros((2, 3)))
    assert mean == pytest.approx([0.5, 0.5])
    assert (sd > 0.25).all()


def test_a_measured_noise_is_believed_as_far_as_its_degrees_of_freedom():
    for df, near in ((1, 0.5), (24, 0.12), (1000, 0.03)):
        sigmas, chances = map(np.array, zip(*module._noises(Prior(sd=NOISE, df=df)), strict=True))
        sd = np.sqrt(chances @ np.log(sigmas / NOISE) ** 2 - (chances @ np.log(sigmas / NOISE)) ** 2)
        assert sd == pytest.approx(1 / np.sqrt(2 * df), rel=near)


def test_repeats_that_happen_to_agree_do_not_end_it():
    found = Posterior(np.zeros((2, 1)), np.array([0.3, 0.4]), np.array([2, 2]), Prior(sd=0.0, df=2))
    assert np.isfinite(found.trained()).all()
