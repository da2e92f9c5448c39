import math
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, stats as scipy_stats
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm

from skexplore.analysis import dunnett as inference
from skexplore.analysis.dunnett import Layout, critical_value, describe, dunnett_p, order, power, summarise
from skexplore.errors import UserError

SD = 0.003  # of the residuals in simulations: 0.3 points
WAVES = (
    SD * np.array([[1, -1, 0], [-1, 0, 1], [0, 1, -1]]) / math.sqrt(6 / 4)
)  # residuals with exactly this sd


def layout(errors):
    """A layout of variants a, b, c ... under seeds 0, 1, 2 ..."""
    rows = [[None if e is None else float(e) for e in row] for row in errors]
    names, seeds = tuple("abcdefghijklm"[: len(rows)]), tuple(range(len(rows[0])))
    return Layout(names=names, seeds=seeds, errors=tuple(map(tuple, rows)), baseline="a")


def drawn(generator, means, n, seed_sd, sd=SD):
    shared = generator.normal(0, seed_sd, n) if seed_sd else np.zeros(n)
    return np.asarray(means)[:, None] + shared + generator.normal(0, sd, (len(means), n))


def told_apart(generator, true, n, repeats, sd=SD):
    """Simulated |t| of all comparisons to the first variant, from sums of squares written out anew."""
    values = np.asarray(true)[:, None] + generator.normal(0, sd, (repeats, len(true), n))
    means = values.mean(axis=2)
    shared = values.mean(axis=1) - values.mean(axis=(1, 2))[:, None]
    rest = values - means[:, :, None] - shared[:, None, :]
    variance = (rest**2).sum(axis=(1, 2)) / ((len(true) - 1) * (n - 1))
    return np.abs(means[:, 1:] - means[:, :1]) / np.sqrt(2 * variance / n)[:, None]


# Outside truth


def test_mean_squares_are_those_of_statsmodels():
    generator = np.random.default_rng(1)
    for v, n, seed_sd in ((2, 2, 0), (4, 3, 0.01), (6, 5, 0.002)):
        table = drawn(generator, 0.3 + 0.01 * np.arange(v), n, seed_sd)
        variant, seed = np.indices(table.shape)
        data = pd.DataFrame({"y": table.ravel(), "variant": variant.ravel(), "seed": seed.ravel()})
        rows = anova_lm(ols("y ~ C(variant) + C(seed)", data).fit())
        theirs = rows["sum_sq"] / rows["df"]
        assert inference.mean_squares(table) == pytest.approx(
            (theirs["C(seed)"], theirs["Residual"]), rel=1e-9
        )
        found = summarise(layout(table))
        assert found.df == rows["df"]["Residual"]
        assert found.residual_sd == pytest.approx(math.sqrt(theirs["Residual"]))


def test_intraclass_correlation_of_shrout_and_fleiss():
    # their example (1979): six targets (our seeds), four judges (our variants); ICC(3,1) is .71
    targets = [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]
    table = np.array(targets).T / 100
    found = summarise(layout(table))
    assert inference.mean_squares(100 * table) == pytest.approx((11.24, 1.02), abs=0.005)
    assert found.seed_correlation == pytest.approx(0.71, abs=0.005)
    assert found.pairing == pytest.approx(1 / math.sqrt(1 - found.seed_correlation))
    assert found.seed_sd == pytest.approx(math.sqrt((11.24 - 1.02) / 4) / 100, rel=1e-3)


def test_critical_values_of_dunnetts_tables():
    # Dunnett (1964), two-sided, 5 %, one to five comparisons; printed with two digits
    published = {
        5: (2.57, 3.03, 3.29, 3.48, 3.62),
        10: (2.23, 2.57, 2.76, 2.89, 2.99),
        20: (2.09, 2.38, 2.54, 2.65, 2.73),
        60: (2.00, 2.27, 2.41, 2.51, 2.58),
    }
    for df, values in published.items():
        assert [critical_value(k, df) for k in range(1, 6)] == pytest.approx(values, abs=0.006)


def test_p_is_that_of_the_multivariate_t_and_of_the_t_test():
    for k, df, t in ((2, 2, 4.0), (3, 10, 2.5), (5, 20, 1.0), (15, 30, 3.2), (2, 2000, 2.2)):
        theirs = scipy_stats.multivariate_t(shape=(np.eye(k) + 1) / 2, df=df, seed=1)
        inside = theirs.cdf(np.full(k, t), lower_limit=np.full(k, -t), maxpts=40_000)
        assert dunnett_p(t, k, df) == pytest.approx(1 - inside, abs=1e-4)
    for df, t in ((1, 12.7), (2, 0.0), (7, 2.0), (500, 3.0)):
        assert dunnett_p(-t, 1, df) == pytest.approx(2 * scipy_stats.t.sf(t, df), abs=1e-6)
        assert critical_value(1, df) == pytest.approx(scipy_stats.t.isf(0.025, df), rel=1e-4)


def test_the_one_way_layout_agrees_with_scipy():
    generator = np.random.default_rng(2)
    n, means = 6, (0.300, 0.302, 0.306, 0.310)
    groups = drawn(generator, means, n, 0)
    theirs = scipy_stats.dunnett(*groups[1:], control=groups[0], rng=np.random.default_rng(3))
    interval = theirs.confidence_interval(0.95)
    df = len(means) * (n - 1)
    error = math.sqrt(2 * groups.var(axis=1, ddof=1).mean() / n)
    differences = groups[1:].mean(axis=1) - groups[0].mean()
    assert [dunnett_p(d / error, 3, df) for d in differences] == pytest.approx(theirs.pvalue, abs=1e-3)
    half = critical_value(3, df) * error
    assert differences - half == pytest.approx(interval.low, abs=0.01 * half)
    assert differences + half == pytest.approx(interval.high, abs=0.01 * half)


def test_two_variants_are_the_paired_t_test():
    generator = np.random.default_rng(4)
    table = drawn(generator, (0.30, 0.304), 5, 0.02)
    paired = scipy_stats.ttest_rel(table[1], table[0])
    interval = paired.confidence_interval(0.95)
    (found,) = summarise(layout(table)).differences
    assert found.p == pytest.approx(paired.pvalue, abs=1e-6)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high), abs=1e-6)


def test_one_variant_has_the_ordinary_t_interval():
    values = [0.31, 0.30, 0.33, 0.305]
    found = summarise(layout([values]))
    (variant,) = found.variants
    interval = scipy_stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert (variant.low, variant.high) == pytest.approx((interval.low, interval.high))
    assert variant.sd == pytest.approx(np.std(values, ddof=1))
    assert (found.differences, found.df, found.residual_sd, found.pairing) == ((), 0, None, None)


def test_interval_of_a_mean_is_behrens_and_fishers():
    # the sum of two scaled independent t, here by the density of one and the distribution of the other
    for v, n, ms_seed, ms_residual in ((2, 7, 1.0, 1.0), (4, 5, 3.0, 1.0), (3, 8, 0.5, 2.0)):
        a, b = n - 1, (v - 1) * (n - 1)
        first, second = math.sqrt(ms_seed / v / n), math.sqrt((v - 1) * ms_residual / v / n)
        half = inference.half_interval(ms_seed, ms_residual, v, n)

        def above(x, h=half, one=first, two=second, a=a, b=b):
            return scipy_stats.t.pdf(x, b) * scipy_stats.t.sf((h - two * x) / one, a)

        assert integrate.quad(above, -np.inf, np.inf)[0] == pytest.approx(0.025, abs=1e-6)


def test_interval_of_a_mean_under_strong_and_under_no_noise_of_its_own():
    few = scipy_stats.t.isf(0.025, 2)
    assert inference.half_interval(1.0, 1e-9, 8, 3) == pytest.approx(few * math.sqrt(1 / 8 / 3), rel=1e-3)
    assert inference.half_interval(1.0, 0.0, 8, 3) == pytest.approx(few * math.sqrt(1 / 8 / 3))
    assert inference.half_interval(0.0, 0.0, 8, 3) is None
    # never wider than n - 1 degrees of freedom would be
    assert inference.half_interval(1.0, 1.0, 2, 2) == pytest.approx(
        scipy_stats.t.isf(0.025, 1) * math.sqrt(1 / 2)
    )


# Simulations; a tolerance is 3.3 standard errors of the binomial, so that a right function fails once in a thousand


@pytest.mark.parametrize("seed_sd", [0, 2 * SD, 20 * SD])
def test_intervals_cover_what_they_promise(monkeypatch, seed_sd):
    monkeypatch.setattr(inference, "power", lambda *_: 1.0)  # no search for n_needed
    generator = np.random.default_rng(5)
    repeats, true = 600, np.array([0.40, 0.40, 0.403, 0.41])
    means = together = 0
    for _ in range(repeats):
        found = summarise(layout(drawn(generator, true, 3, seed_sd)))
        means += found.variants[0].low <= true[0] <= found.variants[0].high
        gaps = zip(found.differences, true[1:] - true[0], strict=True)
        together += all(d.low <= gap <= d.high for d, gap in gaps)
    tolerance = 3.3 * math.sqrt(0.05 * 0.95 / repeats)
    assert together / repeats == pytest.approx(0.95, abs=tolerance)
    assert means / repeats > 0.95 - tolerance
    if seed_sd > 10 * SD:
        assert means / repeats == pytest.approx(0.95, abs=tolerance)


def test_family_wise_error_is_five_percent():
    repeats = 40_000
    largest = told_apart(np.random.default_rng(6), [0.4] * 5, 3, repeats).max(axis=1)
    tolerance = 3.3 * math.sqrt(0.05 * 0.95 / repeats)
    assert np.mean(largest > critical_value(4, 8)) == pytest.approx(0.05, abs=tolerance)
    # and p is uniform: below a fifth in a fifth of ablations
    assert np.mean([dunnett_p(t, 4, 8) < 0.2 for t in largest[:1000]]) == pytest.approx(0.2, abs=0.042)


def test_seeds_needed_give_the_power_they_promise():
    # b at one residual sd (t = 1.2), c equal to the baseline
    found = summarise(layout(0.4 + np.array([[0.0], [SD], [0.0]]) + WAVES))
    assert found.residual_sd == pytest.approx(SD)
    different, equal = found.differences
    assert different.distinguishable is False
    needed = different.n_needed
    assert power(SD, SD, needed, 2) >= 0.8 > power(SD, SD, needed - 1, 2)
    assert equal.n_needed is None
    # two seeds have a critical value of 5.4: a difference that just misses it is told apart by three
    waves = SD / math.sqrt(2) * np.array([[1, -1], [-1, 1], [0, 0]])
    few = summarise(layout(0.4 + np.array([[0.0], [5.3 * SD], [0.0]]) + waves))
    assert few.differences[0].n_needed == 3
    repeats = 20_000
    generator = np.random.default_rng(7)
    tolerance = 3.3 * math.sqrt(0.8 * 0.2 / repeats)
    for n in (needed - 1, needed):
        told = told_apart(generator, [0.4, 0.4 + SD, 0.4], n, repeats)[:, 0] > critical_value(2, 2 * (n - 1))
        assert np.mean(told) == pytest.approx(power(SD, SD, n, 2), abs=tolerance)


def test_interval_of_tau_contains_the_true_tau(monkeypatch):
    monkeypatch.setattr(inference, "power", lambda *_: 1.0)
    generator = np.random.default_rng(8)
    true = 0.30 + np.array([0.0, 0.004, 0.008, 0.012, 0.016, 0.020])
    published = dict(zip("abcdef", (1, 3, 2, 4, 5, 6), strict=True))
    tau = scipy_stats.kendalltau(true, list(published.values())).statistic
    repeats, inside = 150, 0
    for _ in range(repeats):
        found = order(layout(drawn(generator, true, 4, 0.01)), published)
        inside += found.low - 1e-9 <= tau <= found.high + 1e-9
    assert inside / repeats > 0.95 - 3.3 * math.sqrt(0.05 * 0.95 / repeats)


# Properties


def test_what_a_seed_does_to_all_variants_changes_no_difference():
    generator = np.random.default_rng(9)
    table = drawn(generator, (0.30, 0.302, 0.305), 4, 0)
    moved = table + np.array([0.1, -0.05, 0.02, 0.2])
    before, after = summarise(layout(table)), summarise(layout(moved))
    for one, other in zip(before.differences, after.differences, strict=True):
        assert (one.difference, one.low, one.p) == pytest.approx((other.difference, other.low, other.p))
        assert one.n_needed == other.n_needed
    assert after.seed_correlation > 0.9 > before.seed_correlation
    assert after.pairing > 5
    assert order(layout(table), {"a": 1, "b": 2, "c": 3}) == order(layout(moved), {"a": 1, "b": 2, "c": 3})


def test_interval_and_p_tell_the_same():
    generator = np.random.default_rng(10)
    for _ in range(20):
        found = summarise(layout(drawn(generator, (0.30, 0.302, 0.306, 0.31), 3, 0.01)))
        for one in found.differences:
            assert one.distinguishable == (one.p < 0.05) == (not one.low <= 0 <= one.high)
            assert one.n_needed is None or (one.n_needed > 3 and not one.distinguishable)


# Known answers


def test_one_seed_claims_nothing():
    found = summarise(layout([[0.30], [0.28], [0.31]]))
    assert [v.mean for v in found.variants] == [0.30, 0.28, 0.31]
    assert [d.difference for d in found.differences] == pytest.approx([-0.02, 0.01])
    assert (found.n, found.blocks, found.left_out, found.df) == (1, (0,), (), 0)
    for one in found.variants:
        assert (one.n, one.sd, one.low, one.high) == (1, None, None, None)
    for one in found.differences:
        assert (one.low, one.high, one.p, one.distinguishable, one.n_needed) == (None,) * 5
    assert (found.residual_sd, found.seed_sd, found.seed_correlation, found.pairing) == (None,) * 4
    ranked = order(layout([[0.30], [0.28], [0.31]]), {"a": 2, "b": 1, "c": 3})
    assert (ranked.tau, ranked.low, ranked.high) == (pytest.approx(1), None, None)
    assert (ranked.pairs, ranked.undecided) == (3, 3)


def test_only_complete_seeds_count_and_the_rest_is_named():
    rows = [[0.30, 0.32, 0.31, None], [0.20, 0.23, None, None], [None] * 4, [0.40, 0.41, 0.39, 0.9]]
    found = summarise(layout(rows))
    assert [v.name for v in found.variants] == ["a", "b", "d"]
    assert [v.mean for v in found.variants] == pytest.approx([0.31, 0.215, 0.405])
    assert {v.n for v in found.variants} == {found.n} == {2}
    assert (found.blocks, found.df) == ((0, 1), 2)
    assert found.left_out == (
        "c has no result under any seed.",
        "Seed 2 is not complete: no result of b.",
        "Seed 3 is not complete: no result of a, b.",
    )


def test_no_complete_seed_leaves_means_alone():
    table = layout([[0.30, None], [None, 0.20], [0.40, 0.42]])
    found = summarise(table)
    assert [(v.mean, v.n) for v in found.variants] == [(0.30, 1), (0.20, 1), (pytest.approx(0.41), 2)]
    assert all((v.sd, v.low, v.high) == (None,) * 3 for v in found.variants)
    assert (found.differences, found.n, found.blocks) == ((), 0, ())
    assert found.left_out[-1].startswith("No seed is complete")
    assert order(table, {"a": 2, "b": 1, "c": 3}) is None  # means over different seeds have no order


def test_a_baseline_without_result_and_a_table_without_any():
    found = summarise(layout([[None, None], [0.30, 0.31], [0.32, 0.33]]))
    assert found.differences == ()
    assert found.left_out == (
        "a has no result under any seed.",
        "Nothing is compared: the baseline a has no result.",
    )
    assert found.variants[0].low is not None
    interrupted = [[0.30, 0.31]] + [[0.30, None]] * 12
    many = summarise(layout(interrupted))
    assert many.left_out == ("Seed 1 is not complete: no result of b, c, d, e, f, g, h, i, j, k and 2 more.",)
    empty = summarise(layout([[None, None], [None, None]]))
    assert (empty.variants, empty.n, empty.left_out) == ((), 0, ("a, b have no result under any seed.",))
    assert order(layout([[None, None], [None, None]]), {"a": 1, "b": 2}) is None


def test_trainings_that_repeat_to_the_last_digit_claim_nothing():
    found = summarise(layout([[0.3] * 3, [0.3] * 3, [0.1 + 0.2] * 3]))
    assert (found.residual_sd, found.seed_sd, found.seed_correlation, found.pairing) == (0, 0, None, None)
    assert all((v.low, v.high) == (None, None) for v in found.variants)
    assert all(d.p is None and d.distinguishable is None for d in found.differences)
    # seeds differ, but alike for all: the means have an interval, the differences still no noise
    alike = summarise(layout([[0.30, 0.32, 0.34], [0.29, 0.31, 0.33]]))
    assert (alike.residual_sd, alike.seed_correlation, alike.pairing) == (0, pytest.approx(1), None)
    assert alike.variants[0].low < 0.32 < alike.variants[0].high


def test_tau_is_kendalls_with_ties():
    generator = np.random.default_rng(11)
    for _ in range(20):
        means = np.round(generator.uniform(0.2, 0.3, 6), 2)
        printed = generator.integers(1, 4, 6).tolist()
        if len({*means}) < 2 or len({*printed}) < 2:
            continue
        found = order(layout(means[:, None]), dict(zip("abcdef", printed, strict=True)))
        assert found.tau == pytest.approx(scipy_stats.kendalltau(means, printed).statistic)
        ties = sum(x == y for x, y in combinations(printed, 2))
        assert (found.ties_published, found.pairs) == (ties, 15 - ties)


def test_draws_of_tau_are_kendalls_tau_b():
    # means so far apart that every draw has their order: the interval is the point, ties in print included
    table = layout(np.array([[0.1], [0.2], [0.3], [0.4], [0.5]]) + 1e-6 * np.eye(5, 3))
    printed = {"a": 1, "b": 3, "c": 2, "d": 2, "e": 5, "other": 9}
    found = order(table, printed)
    tau = scipy_stats.kendalltau([1, 2, 3, 4, 5], [1, 3, 2, 2, 5]).statistic
    assert (found.tau, found.low, found.high) == pytest.approx((tau, tau, tau))
    assert (found.pairs, found.ties_published, found.undecided) == (9, 1, 0)


@pytest.mark.parametrize(("t", "undecided", "low"), [(1.9, 1, 1 / 3), (2.4, 0, 1 / 3), (3.3, 0, 1)])
def test_pairs_closer_than_noise_are_undecided(t, undecided, low):
    # the difference of two true means, given the table, has a t distribution (4 df): a and b are the other way round
    # with chance 6.5, 3.7 and 1.5 %; c is far away
    gap = t * SD * math.sqrt(2 / 3)
    table = layout(0.2 + np.array([[0.0], [gap], [0.2]]) + WAVES)
    found = order(table, {"a": 1, "b": 2, "c": 3})
    assert (found.tau, found.low, found.high) == pytest.approx((1, low, 1))
    assert (found.pairs, found.undecided) == (3, undecided)
    assert found == order(table, {"a": 1, "b": 2, "c": 3})
    reverse = order(table, {"a": 3, "b": 2, "c": 1})
    assert (reverse.tau, reverse.high) == pytest.approx((-1, -low))
    assert reverse.undecided == undecided


def test_no_order_of_two_or_of_ties_alone():
    table = layout([[0.3, 0.31], [0.2, 0.22], [0.1, 0.11]])
    for published in ({}, {"a": 1, "b": 2}, {"a": 1, "b": 2, "x": 3}, {"a": 1, "b": 1, "c": 1}):
        assert order(table, published) is None
    assert order(layout([[0.3, 0.3]] * 3), {"a": 1, "b": 2, "c": 3}) is None


def test_a_tiny_difference_takes_more_than_a_thousand_seeds():
    (found,) = summarise(layout([[0.30, 0.32, 0.31], [0.32001, 0.30, 0.31002]])).differences
    assert (found.distinguishable, found.n_needed) == (False, None)


def test_words():
    def said(n, *values):
        fields = ("difference", "low", "high", "p", "distinguishable", "n_needed")
        return describe(inference.Difference(name="x", **dict(zip(fields, values, strict=True))), n, "K3")

    assert (
        said(3, -0.0123, -0.0206, -0.004, 0.01, True, None) == "1.23 points lower than K3 (95 % 0.40 to 2.06)"
    )
    assert said(3, 0.02, 0.01, 0.03, 0.01, True, None) == "2.00 points higher than K3 (95 % 1.00 to 3.00)"
    words = "not distinguishable from K3 at n = 3; a difference of this size would take"
    assert said(3, 0.002, -0.01, 0.014, 0.9, False, 12) == f"{words} 12 seeds"
    assert said(3, 0.002, -0.01, 0.014, 0.9, False, None) == f"{words} more than 1,000 seeds"
    nothing = (None,) * 5
    assert said(1, -0.0052, *nothing) == "0.52 points lower than K3; one seed, nothing can be claimed"
    assert said(3, 0.0052, *nothing).startswith("0.52 points higher than K3; no noise was measured at n = 3")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"baseline": "z"}, "baseline 'z' is no variant; take one of a, b"),
        ({"names": ("a", "a")}, "does not fit"),
        ({"seeds": (1, 1)}, "does not fit"),
        ({"errors": ((0.1, 0.2),)}, "does not fit"),
        ({"errors": ((0.1, 0.2), (0.1,))}, "does not fit"),
        ({"errors": ((0.1, 0.2), (0.1, 21.5))}, "give 0..1"),
        ({"errors": ((0.1, 0.2), (0.1, math.nan))}, "give 0..1"),
    ],
)
def test_what_is_no_layout_is_refused(changes, message):
    right = {"names": ("a", "b"), "seeds": (0, 1), "errors": ((0.1, 0.2), (0.1, None)), "baseline": "a"}
    Layout(**right)
    with pytest.raises(UserError, match=message):
        Layout(**{**right, **changes})
