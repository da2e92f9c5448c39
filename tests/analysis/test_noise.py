import math
import statistics
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats as scipy_stats
from support.studies import SPEC

from skexplore.analysis.noise import LEAST_DF, noise
from skexplore.study.priors import PRIORS, prior_of
from skexplore.surrogate.prior import Prior

PRIOR = Prior(sd=0.02, df=24, source="an earlier study")
# of twelve blocks: squares of what single trainings of them spread by, unequal as measured ones are
UNEQUAL = (0.5, 0.7, 0.6, 1.0, 1.4, 0.8, 1.2, 0.9, 1.1, 1.3, 0.75, 1.0)


def test_pooled_sd_of_known_groups_is_not_enough_for_a_verdict():
    # squares about the means: 2 * 0.01**2 and 2 * 0.02**2, two degrees of freedom
    found = noise([[0.40, 0.42], [0.30, 0.34]])
    assert found is not None
    assert (found.df, found.n, found.prior_df) == (2, 4, 0)
    assert found.sd == pytest.approx(math.sqrt(0.0005))
    assert found.least_difference is found.from_best is None
    assert "2 degrees of freedom are fewer than 6" in found.words


def test_what_was_known_before_is_pooled_by_degrees_of_freedom():
    found = noise([[0.40, 0.42], [0.30, 0.34]], prior=PRIOR, compared=10)
    assert found is not None
    assert (found.df, found.n, found.prior_df, found.compared) == (26, 4, 24, 10)
    assert found.sd == pytest.approx(math.sqrt((24 * 0.02**2 + 0.001) / 26))
    # from a printed table of Student's t, at 26 degrees of freedom
    assert found.least_difference == pytest.approx(2.056 * math.sqrt(2) * found.sd, rel=1e-3)
    assert noise([], prior=PRIOR) is not None


@pytest.mark.parametrize(("k", "df", "printed"), [(1, 10, 1.81), (4, 10, 2.47), (9, 10, 2.81), (9, 20, 2.60)])
def test_hsus_constant_is_dunnetts_one_sided_one(k, df, printed):
    """Dunnett (1955), table 1a: one-sided 5 %, correlation 1/2."""
    found = noise([], prior=Prior(sd=0.02, df=df, source="synthetic"), compared=k + 1)
    assert found is not None
    assert found.from_best == pytest.approx(printed * math.sqrt(2) * 0.02, abs=0.006 * 0.03)


@pytest.mark.parametrize("variances", [(1.0,) * 12, UNEQUAL], ids=["equal", "unequal"])
@pytest.mark.parametrize(("before", "own"), [(0, LEAST_DF), (4, 2), (26, 2)])
def test_verdicts_are_false_in_one_study_of_twenty(before, own, variances):
    """Known truth, 10,000 studies of 12 equal blocks: who is the best, whether two named beforehand differ."""
    generator, studies = np.random.default_rng(before), 10_000
    sds = np.sqrt(variances)
    errors = sds * generator.standard_normal((studies, 12))
    pooled = float(np.mean(variances))
    squares = pooled * generator.chisquare(before, studies) if before else np.zeros(studies)
    squares += pooled * generator.chisquare(own, studies)
    sd = np.sqrt(squares / (before + own))
    found = noise([], prior=Prior(sd=1.0, df=before + own, source="synthetic"), compared=12)
    lowest = errors.min(axis=1)
    two = np.abs(errors[:, 0] - errors[:, 2])  # named beforehand
    rates = {
        "best": np.mean(errors[:, 11] - lowest >= found.from_best * sd),  # whichever is the truly best
        "two": np.mean(two >= found.least_difference * sd),
    }
    if variances is not UNEQUAL:
        assert rates == pytest.approx(dict.fromkeys(rates, 0.05), abs=0.01)
    else:  # quiet blocks are told apart less often than promised, the best more often, by a half at most
        assert rates["two"] < 0.05
        assert max(rates.values()) < 0.075


def test_two_degrees_of_freedom_carry_no_verdict():
    found = noise([], prior=Prior(sd=0.02, df=2, source="synthetic"), compared=12)
    assert found is not None
    assert found.least_difference is found.from_best is None
    low, high = (2 / scipy_stats.chi2.ppf(each, 2) for each in (0.975, 0.025))
    assert math.sqrt(high / low) > 12  # the 95 % interval of an sd, end over end


def test_one_group_has_the_sample_sd():
    values = [0.41, 0.43, 0.40, 0.47, 0.44]
    found = noise([values])
    assert found is not None
    assert found.df == 4
    assert found.sd == pytest.approx(statistics.stdev(values))


@pytest.mark.parametrize("groups", [[], [[]], [[0.4]], [[0.4], [0.3]]])
def test_nothing_is_known_without_two_seeds(groups):
    assert noise(groups) is None


def test_a_group_of_one_seed_changes_nothing():
    assert noise([[0.40, 0.42], [0.9]]) == noise([[0.40, 0.42]])


def test_equal_errors_leave_no_noise():
    found = noise([[0.4] * 7])
    assert found is not None
    assert found.least_difference == found.from_best == 0


@pytest.mark.parametrize("compared", [0, 1])
def test_without_two_to_compare_nothing_is_said_of_the_best(compared):
    found = noise([], prior=PRIOR, compared=compared)
    assert found is not None
    assert found.least_difference is not None
    assert found.from_best is None
    assert "lowest" not in found.words


def test_a_prior_holds_for_a_proxy_however_it_is_written(monkeypatch):
    monkeypatch.setitem(PRIORS, (SPEC.recipe.id, SPEC.split.id, "4x4d-1111-c8"), PRIOR)
    assert (
        prior_of(replace(SPEC, backbone="4x4d")) == PRIOR
    )  # one unit a stage and 2C stem channels are its defaults
    assert prior_of(replace(SPEC, backbone="4x4d-c16")) is None
