"""Planned contrasts: against a linear model fitted by statsmodels, and where nothing can be said."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from scipy.stats import kendalltau
from support.ablations import LOST, SAME, TABLE_7, ablation

from skexplore.analysis.ablation import ablation_findings, design_of, effects, layout, statements
from skexplore.analysis.contrasts import contrast_words, contrasted
from skexplore.analysis.dunnett import Layout, order
from skexplore.study.design import Contrast, Group


def asking(study, *contrasts, groups=()):
    design = replace(design_of(study), contrasts=contrasts, groups=groups)
    return replace(study, spec=replace(study.spec, ablation=design))


SELECT = Contrast(name="attention", of=("K3+K5 SK", "K3+K5+K7 SK"), against=("K3+K5 sum", "K3+K5+K7 sum"))
PLAIN = Contrast(name="a second branch", of=("K3+K5 sum",), against=("K3",))


def fitted(study, contrast):
    """The same contrast by ordinary least squares on variants and seeds."""
    own = layout(study)
    rows = [
        {"y": error, "variant": name, "seed": seed}
        for name, errors in zip(own.names, own.errors, strict=True)
        for seed, error in zip(own.seeds, errors, strict=True)
    ]
    model = smf.ols("y ~ C(variant) - 1 + C(seed, Sum)", pd.DataFrame(rows)).fit()
    weights = np.zeros(len(model.params))
    for sign, names in ((1, contrast.of), (-1, contrast.against)):
        for name in names:
            weights[list(model.params.index).index(f"C(variant)[{name}]")] += sign / len(names)
    return model.t_test(weights)


@pytest.mark.parametrize("contrast", [SELECT, PLAIN], ids=lambda each: each.name)
def test_a_contrast_is_what_a_linear_model_says(contrast):
    study = asking(ablation(*TABLE_7, table="7"), contrast)
    (found,) = effects(study).contrasts
    truth = fitted(study, contrast)
    assert found.difference == pytest.approx(float(truth.effect[0]))
    assert (found.low, found.high) == pytest.approx(tuple(truth.conf_int()[0]))
    assert found.p == pytest.approx(float(truth.pvalue))
    assert found.distinguishable == (found.p < 0.05)


def test_several_contrasts_are_tested_together():
    study = ablation(*TABLE_7, table="7")
    alone = effects(asking(study, PLAIN)).contrasts[0]
    both = effects(asking(study, SELECT, PLAIN)).contrasts[1]
    assert both.difference == alone.difference
    assert both.p == pytest.approx(min(1, 2 * alone.p))
    assert both.low < alone.low
    assert alone.high < both.high


def test_all_planned_contrasts_together_are_wrong_in_five_percent_of_synthetic_studies():
    generator, wrong, studies = np.random.default_rng(0), 0, 1_000
    study = asking(ablation(*TABLE_7, table="7"), SELECT, PLAIN)
    names = layout(study).names
    for _ in range(studies):
        errors = 0.4 + 0.005 * generator.standard_normal((len(names), 3))
        own = Layout(names=names, seeds=(0, 1, 2), errors=tuple(map(tuple, errors.tolist())), baseline="K3")
        wrong += any(each.distinguishable for each in contrasted(design_of(study), own, {}))
    assert 0.03 <= wrong / studies <= 0.065  # Bonferroni's of two that share a variant is a little below 5 %


def test_the_printed_contrast_stands_beside():
    (found,) = effects(asking(ablation(*TABLE_7, table="7"), SELECT)).contrasts
    assert found.printed == pytest.approx((20.79 + 20.76 - 21.76 - 21.47) / 200)
    assert "In print it is −0.84 points." in contrast_words(found, 3)


def test_variants_that_are_one_network_count_as_that():
    study = ablation(*TABLE_7, SAME, table="7")
    twin = Contrast(name="nothing", of=(SAME[0],), against=("K3+K5 sum",))
    (found,) = effects(asking(study, twin)).contrasts
    assert found.difference == 0
    assert found.low is None


@pytest.mark.parametrize("kind", ["no result", "one seed"])
def test_where_nothing_can_be_said_nothing_is(kind):
    gone = (LOST[0], LOST[1], ("no memory",) * 3)
    study = ablation(*TABLE_7, gone) if kind == "no result" else ablation(*TABLE_7, seeds=1)
    of = (gone[0],) if kind == "no result" else ("K3+K5 sum",)
    asked = asking(study, Contrast(name="c", of=of, against=("K3",)))
    (found,) = effects(asked).contrasts
    assert (found.low, found.p, found.distinguishable) == (None, None, None)
    assert (found.difference is None) == (kind == "no result")
    said = " ".join(statements(asked, effects(asked)))
    assert ("a variant of it has no result" in said) == (kind == "no result")
    assert ("One seed: numbers, no claims" in said) == (kind == "one seed")


def test_tau_within_a_group_is_that_of_its_variants_alone():
    study = ablation(*TABLE_7, table="7")
    names = [row[0] for row in TABLE_7 if row[0].startswith("K3")]
    asked = asking(study, groups=(Group(name="with K3", variants=tuple(names)),))
    found = effects(asked).orders["with K3"]
    design = {variant.name: variant.printed.error_pct for variant in design_of(study).variants}
    means = {each.name: each.mean for each in effects(study).summary.variants}
    truth = kendalltau([means[name] for name in names], [design[name] for name in names]).statistic
    assert found.tau == pytest.approx(truth)
    assert ablation_findings(asked)["orders"]["with K3"]["tau"] == found.tau
    assert any("within with K3" in sentence for sentence in statements(asked, effects(asked)))


def test_the_tau_that_printed_gaps_would_give_is_that_of_simulated_studies():
    """Errors as far apart as in print, with noise as seen, give that tau on average."""
    study = ablation(*TABLE_7, table="7")
    found, noise = effects(study), effects(study).summary.residual_sd
    printed = np.array([v.printed.error_pct / 100 for v in design_of(study).variants])
    generator = np.random.default_rng(0)
    taus = [
        kendalltau(printed + noise / np.sqrt(3) * generator.standard_normal(len(printed)), printed).statistic
        for _ in range(2_000)
    ]
    assert found.order.expected == pytest.approx(
        np.mean(taus), abs=0.02
    )  # the noise itself is not known exactly


@pytest.mark.parametrize(
    ("variants", "spread", "covered"),
    [(11, 0.5, 0.89), (11, 1, 0.95), (11, 2, 0.95), (5, 0.5, 0.94), (5, 1, 0.97), (5, 2, 0.98)],
)
def test_the_interval_of_tau_covers_what_the_report_says(variants, spread, covered):
    """Synthetic studies of three seeds; spread: of true errors, in sds of one training."""
    generator, hits, studies = np.random.default_rng(1), 0, 150
    printed = np.array([22.23, 25.14, 25.51, 21.76, 20.79, 21.82, 20.97, 23.64, 23.09, 21.47, 20.76]) / 100
    printed, names = printed[:variants], tuple(map(str, range(variants)))
    for _ in range(studies):
        true = 0.35 + 0.004 * spread * generator.standard_normal(variants)
        errors = true[:, None] + 0.004 * generator.standard_normal((variants, 3))
        own = Layout(names=names, seeds=(0, 1, 2), errors=tuple(map(tuple, errors.tolist())), baseline="0")
        found = order(own, dict(zip(names, printed, strict=True)))
        truly = kendalltau(true, printed).statistic
        hits += found.low - 1e-9 <= truly <= found.high + 1e-9  # few variants have few values of tau
    assert hits / studies == pytest.approx(covered, abs=0.04)
