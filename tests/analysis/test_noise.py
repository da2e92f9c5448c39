import math
import statistics

import pytest

from skexplore.analysis.noise import noise


def test_pooled_sd_and_least_difference_of_known_groups():
    # squares about the means: 2 * 0.01**2 and 2 * 0.02**2, two degrees of freedom
    found = noise([[0.40, 0.42], [0.30, 0.34]])
    assert found is not None
    assert (found.df, found.n) == (2, 4)
    assert found.sd == pytest.approx(math.sqrt(0.0005))
    assert found.least_difference == pytest.approx(4.302652730 * math.sqrt(2) * found.sd, rel=1e-8)


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
    found = noise([[0.4, 0.4]])
    assert found is not None
    assert found.least_difference == 0
