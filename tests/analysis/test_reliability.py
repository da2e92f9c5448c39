"""Reliability and validity of single trainings: a published example, known populations, and refusals."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats as scipy_stats
from support.ablations import TABLE_7, ablation
from support.searches import searched

from skexplore.analysis.reliability import reliability, signal, tells, validity
from skexplore.arch.architecture import Setting
from skexplore.errors import UserError

# Shrout and Fleiss (1979), Table 2: six targets, four judges; ICC(1,1) is 0.17 (0.16574), mean squares 11.24 and 6.26
RATINGS = [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]


def test_the_example_of_shrout_and_fleiss():
    found = reliability(np.array(RATINGS, dtype=float))
    assert found.icc.value == pytest.approx(0.16574, abs=1e-5)
    assert (round(found.icc.low, 2), round(found.icc.high, 2)) == (-0.13, 0.72)
    assert found.sd.value**2 == pytest.approx(6.26, abs=0.005)
    assert found.paired_sd**2 == pytest.approx(
        1.02, abs=0.005
    )  # their residual mean square of the two-way table
    assert (found.blocks, found.seeds, found.df) == (6, 4, 18)


def test_correlation_and_tau_are_scipys_over_all_pairs_of_seeds():
    draw = np.random.default_rng(0).normal(size=(9, 5))
    one, other = draw[:, :2], draw[:, 2:]
    found = validity(one, other)
    pairs = [(one[:, i], other[:, j]) for i in range(2) for j in range(3)]
    assert found.correlation.value == pytest.approx(
        np.mean([scipy_stats.pearsonr(a, b)[0] for a, b in pairs])
    )
    assert found.tau == pytest.approx(np.mean([scipy_stats.kendalltau(a, b)[0] for a, b in pairs]))
    inside = [(0, 1), (0, 2), (1, 2)]
    assert found.long == pytest.approx(
        np.mean([scipy_stats.pearsonr(other[:, i], other[:, j])[0] for i, j in inside])
    )
    assert validity(one, other[:, :1]).long is None


def test_what_a_rung_tells_is_its_own_reliability_and_its_correlation_with_the_end():
    """The curve of a panel whose schedule begins anew after epoch 1, against numpy."""
    study = ablation(*TABLE_7, seeds=2)
    kept = study.records
    study = replace(study, spec=replace(study.spec, recipe=replace(study.spec.recipe, cycles=(1,))))
    (rung,) = signal(study).rungs
    assert rung.epochs == 1
    blocks = {}
    for record in kept:
        blocks.setdefault(record.net_id, {})[record.seed] = (record.at(1), record.val_error)
    values = np.array([[blocks[block][seed] for seed in (0, 1)] for block in blocks])
    expected = np.mean([np.corrcoef(values[:, seed].T)[0, 1] for seed in (0, 1)])
    assert rung.correlation.value == pytest.approx(expected)
    assert rung.icc == reliability(values[:, :, 0]).icc
    assert signal(replace(study, records=kept)).reliability == reliability(values[:, :, 1])


def test_a_training_that_orders_nothing_has_no_validity():
    flat, other = np.full((5, 2), 0.9), np.random.default_rng(1).normal(size=(5, 2))
    assert (validity(flat, other).correlation.value, validity(flat, other).tau) == (0, 0)


@pytest.mark.parametrize("share", [0.5, 0.9])
def test_intervals_cover_what_they_should(share):
    """Panels of 12 blocks with 3 seeds and 2 long ones, of a known reliability and a known validity.

    4,000 panels gave at reliability 0.5 and 0.9: icc 0.948 and 0.945, sd 0.951 and 0.951, validity 0.999 and 0.977.
    """
    draw, times = np.random.default_rng(7), 1_000
    between, within, alike = share**0.5, (1 - share) ** 0.5, 0.8
    population = share * alike  # of one training with one long one, whose reliability is the same
    hits = {"icc": 0, "sd": 0, "validity": 0}
    for _ in range(times):
        true = draw.normal(size=12)
        long = alike * true + (1 - alike**2) ** 0.5 * draw.normal(size=12)
        one, other = (
            between * each[:, None] + within * draw.normal(size=(12, seeds))
            for each, seeds in ((true, 3), (long, 2))
        )
        found, valid = reliability(one), validity(one, other).correlation
        hits["icc"] += found.icc.low <= share <= found.icc.high
        hits["sd"] += found.sd.low <= within <= found.sd.high
        hits["validity"] += valid.low <= population <= valid.high
    covered = {name: count / times for name, count in hits.items()}
    assert covered["icc"] == pytest.approx(0.95, abs=0.02)
    assert covered["sd"] == pytest.approx(0.95, abs=0.02)
    assert covered["validity"] >= 0.94  # means over seeds vary less than Fisher's interval for one pair says


def test_a_seed_s_effect_on_all_blocks_changes_no_order():
    draw = np.random.default_rng(3)
    errors = draw.normal(size=(12, 1)) + 2 * draw.normal(size=(1, 3)) + 0.1 * draw.normal(size=(12, 3))
    found = reliability(errors)
    assert found.icc.value < 0.85
    assert found.paired_icc.low > 0.95
    assert found.paired_sd == pytest.approx(0.1, abs=0.04)


def test_equal_blocks_have_no_order_and_no_reliability():
    found = reliability(np.full((12, 3), 0.9))
    assert (found.icc.value, found.paired_icc.value) == (0, 0)
    assert reliability(np.repeat(np.linspace(0.3, 0.5, 6)[:, None], 2, axis=1)).icc.value == 1


def panel(*rows, **changes):
    return ablation(*(rows or TABLE_7), **changes)


def trained_longer(study):
    """The same blocks in twice the epochs: other trainings, with the same made-up errors."""
    recipe = replace(study.spec.recipe, epochs=12)
    records = tuple(replace(each, key=each.key.replace("s", "long-s")) for each in study.records)
    return replace(study, spec=replace(study.spec, name="long", recipe=recipe), records=records)


def test_a_panel_alone_and_against_long_trainings():
    study = panel()
    alone = signal(study)
    assert (alone.whole, alone.good, alone.per_minute, alone.against) == (None, None, None, "")
    assert (alone.reliability.blocks, alone.reliability.seeds) == (8, 3)
    assert alone.reliability.icc.value > 0.95
    beside = signal(study, trained_longer(study))
    assert beside.against == "long"
    assert (beside.whole.blocks, beside.good.blocks) == (8, 4)
    assert beside.whole.correlation.value > beside.good.correlation.value > 0
    assert (beside.whole.long, beside.good.long) == (
        pytest.approx(beside.whole.correlation.value, abs=0.05),
        None,
    )
    assert beside.per_minute == pytest.approx(60 * beside.whole.correlation.value / beside.seconds)
    assert beside.reliability == alone.reliability


def test_trainings_taken_over_cost_what_they_cost_where_they_were_made():
    study = panel()
    taken = tuple(replace(each, seconds=0.0, images=0, replay_of=each.key) for each in study.records)
    found = signal(replace(study, records=taken), trained_longer(study))
    own = signal(study, trained_longer(study))
    assert own.seconds > 0
    assert (found.seconds, found.images, found.per_minute) == (own.seconds, 30_000, own.per_minute)


def test_the_good_blocks_are_those_with_the_lowest_long_errors():
    best = [row for row in TABLE_7 if row[0] in ("K3+K5 sum", "K3+K5 SK", "K3+K7 SK", "K3+K5+K7 SK")]
    long = trained_longer(panel())
    assert signal(panel(), long).good.correlation == signal(panel(*best), long).whole.correlation


def test_a_block_in_two_backbones_is_two_networks():
    deep = Setting(backbone="8x4d-2222-s2")
    more = [(f"{name} deep", block, errors, {"setting": deep}) for name, block, errors in TABLE_7[:2]]
    assert signal(panel(*TABLE_7[:5], *more)).reliability.blocks == 7


def test_long_trainings_that_have_begun_are_compared_as_far_as_they_go():
    one_seed = trained_longer(panel(done=12))  # of the second seed four are there
    assert signal(panel(), one_seed).whole.long is None
    with pytest.raises(UserError, match=r"long: only 0 seeds under which every block.*K3\+K5\+K7 SK"):
        signal(panel(), trained_longer(panel(done=7)))


def test_what_says_nothing_is_refused():
    with pytest.raises(UserError, match=r"3 blocks under 3 seeds; at least 4 blocks and 2 seeds"):
        signal(panel(*TABLE_7[:3]))
    with pytest.raises(UserError, match=r"8 blocks under 1 seed; "):
        signal(panel(seeds=1))
    with pytest.raises(
        UserError, match=r"only 1 seed under which every block has a result; most are missing for K3\+K5 SK,"
    ):
        signal(panel(done=12))
    with pytest.raises(UserError, match="no panel"):
        signal(searched("s", 0.4))
    with pytest.raises(UserError, match="no panel"):
        signal(panel(), searched("s", 0.4))
    with pytest.raises(UserError, match="it has 3 of the 8 blocks"):
        signal(panel(), trained_longer(panel(*TABLE_7[:3])))
    with pytest.raises(UserError, match="24 trainings of it are those of"):
        signal(panel(), panel(name="the same"))
    with pytest.raises(UserError, match="cannot be compared with itself"):
        signal(panel(), panel())
    assert not tells(panel(done=12))
    assert tells(panel())
