"""Repeats of searches: their curves, hypervolumes and win rates, and what cannot be compared."""

from __future__ import annotations

import itertools
import math
import random
import statistics
from dataclasses import replace

import numpy as np
import pytest
from optuna._hypervolume.wfg import compute_hypervolume
from support.searches import EPOCH, RANDOM, TPE, changed, searched
from support.studies import SPEC, only, synthetic

from skexplore.analysis.ranks import win_rate
from skexplore.analysis.repeats import Reference, compare, hypervolume, quantile
from skexplore.errors import UserError
from skexplore.report.comparison import comparison_findings
from skexplore.study.recipe import Split

# -- hypervolumes


def test_a_hypervolume_is_the_area_below_stairs():
    reference = Reference(error=0.9, gflops=4.5, why="")
    assert hypervolume([], reference) == 0
    assert hypervolume([(0.4, 2.5)], reference) == pytest.approx(0.5 * 2.0)
    assert hypervolume([(0.4, 2.5), (0.3, 3.5), (0.35, 4.0)], reference) == pytest.approx(1.0 + 0.1 * 1.0)
    assert hypervolume([(0.9, 1.0), (0.95, 1.0), (0.1, 4.5), (0.1, 9.0)], reference) == 0


@pytest.mark.parametrize("seed", range(12))
def test_hypervolumes_are_optuna_s_and_those_of_counted_cells(seed):
    generator = random.Random(seed)
    points = [(generator.randrange(1, 25) / 20, generator.randrange(1, 25) / 4) for _ in range(seed)]
    found = hypervolume(points, Reference(error=1.0, gflops=5.0, why=""))
    cells = itertools.product(range(20), range(20))  # of 0.05 by 0.25: all corners lie on this grid
    inside = sum(any(e <= x / 20 + 1e-9 and g <= y / 4 + 1e-9 for e, g in points) for x, y in cells)
    assert found == pytest.approx(inside * 0.05 * 0.25)
    near = [point for point in points if point[0] < 1.0 and point[1] < 5.0]  # optuna's is for such alone
    if near:
        assert found == pytest.approx(compute_hypervolume(np.array(near), np.array([1.0, 5.0])))


# -- groups


def test_searches_alike_but_for_seed_and_name_are_one_group():
    found = compare([TPE[2], RANDOM[0], TPE[0], RANDOM[1], replace(TPE[1], target=9)])
    assert [group.label for group in found.groups] == ["tpe", "random"]
    names = [[study.spec.name for study in group.studies] for group in found.groups]
    assert names == [["tpe-s0", "tpe-s1", "tpe-s2"], ["random-s0", "random-s1"]]


@pytest.mark.parametrize(
    ("changes", "labels"),
    [
        ({"space": "wide", "space_hash": "beef"}, ["example", "wide"]),
        ({"space_hash": "beef"}, ["tpe-s0", "other"]),  # nothing of what could tell them apart in a word
        ({"rungs": (2, 6)}, ["no rungs", "rungs 2/6"]),
        ({"anchors": "none", "sampler": "random"}, ["tpe, anchors two", "random, anchors none"]),
        ({"mode": "pareto"}, ["constrained", "pareto"]),
        ({"keep_weights": "all", "seed": 1}, ["tpe"]),
        ({"backbone": "8x4d-s2", "seed": 1}, ["tpe"]),  # another name of the same network
    ],
)
def test_labels_say_what_tells_groups_apart(changes, labels):
    other = replace(searched("other", 0.5), spec=replace(SPEC, name="other", **changes))
    assert [group.label for group in compare([TPE[0], other]).groups] == labels


def curve(found, label):
    rows = found.curves[(found.curves["group"] == label) & (found.curves["study"] == "")]
    return [
        (images // EPOCH, round(low, 9), round(error, 9), round(high, 9))
        for images, error, low, high in rows[["images", "best_val_error", "low", "high"]].itertuples(
            index=False
        )
    ]


def test_a_group_s_curve_is_the_median_of_its_searches_at_equal_images():
    found = compare([*TPE, *RANDOM])
    assert found.images == 18 * EPOCH
    assert curve(found, "tpe") == [(6, 0.48, 0.50, 0.52), (12, 0.44, 0.45, 0.46), (18, 0.38, 0.40, 0.42)]
    assert curve(found, "random") == [(6, 0.48, 0.49, 0.50), (12, 0.47, 0.475, 0.48), (18, 0.44, 0.445, 0.45)]
    whole = found.curves[found.curves["study"] == "random-s1"]
    assert [*whole["images"] // EPOCH] == [6, 18, 24]  # where it changed, and to its own end
    assert [*whole["best_val_error"]] == [0.48, 0.44, 0.36]


def test_five_repeats_have_quartiles():
    errors = (0.40, 0.41, 0.43, 0.44, 0.60)
    found = compare([searched(f"s{seed}", error, seed=seed) for seed, error in enumerate(errors)])
    assert curve(found, "tpe") == [(6, 0.41, 0.43, 0.44)]
    assert comparison_findings(found)["groups"][0]["words"] == "median of 5 (quartiles shaded)"


def test_a_curve_begins_where_all_have_an_error_and_none_counts_as_highest():
    late = searched("late", None, None, 0.30, seed=1)
    never = searched("never", None, None, None, sampler="random")
    found = compare([TPE[0], late, never])
    assert curve(found, "tpe") == [(18, 0.30, 0.35, 0.40)]
    assert curve(found, "random") == []
    assert [row.incumbent for row in found.repeats] == [0.40, 0.30, None]
    assert [row.hypervolume > 0 for row in found.repeats] == [True, True, False]
    assert found.pairs[0].rate.share == 1.0
    said = comparison_findings(found)
    assert any("complete by then in never" in note for note in said["notes"])
    assert said["groups"][1]["incumbent_at_equal"] == {"low": None, "median": None, "high": None}


def test_quantiles_stand_infinity():
    assert quantile([4.0, 1.0, 2.0, 3.0], 0.5) == 2.5
    assert [quantile([1.0, math.inf, 3.0], share) for share in (0, 0.5, 0.75, 1)] == [
        1,
        3,
        math.inf,
        math.inf,
    ]
    values = [random.Random(0).random() for _ in range(9)]
    assert [quantile(values, n / 4) for n in (1, 2, 3)] == pytest.approx(
        statistics.quantiles(values, n=4, method="inclusive")
    )


def test_hypervolumes_whole_and_at_equal_images():
    found = compare([RANDOM[1], TPE[0]])
    long = found.repeats[0]
    points = [(r.val_error, r.ref_macs / 1e9) for r in RANDOM[1].records]
    assert (found.reference.error, found.reference.gflops) == (0.9, 4.5)
    assert long.hypervolume == pytest.approx(compute_hypervolume(np.array(points), np.array([0.9, 4.5])))
    assert long.hypervolume_at_equal == pytest.approx(hypervolume(points[:3], found.reference))
    assert long.hypervolume > long.hypervolume_at_equal
    row = comparison_findings(found)["repeats"][0]
    assert row["hypervolume_share"] == pytest.approx(long.hypervolume / (0.9 * 4.5))
    assert (row["incumbent"], row["incumbent_at_equal"], row["images"]) == (0.36, 0.44, 24 * EPOCH)


def test_without_a_budget_the_reference_is_the_largest_trial():
    free = [replace(study, spec=replace(study.spec, budget_gflops=None, mode="pareto")) for study in TPE]
    found = compare(free)
    assert found.reference.gflops == max(r.ref_macs for study in free for r in study.records) / 1e9
    assert compare(free, (0.6, 5.0)).reference.area == pytest.approx(3.0)


# -- who wins


def test_a_win_rate_counts_pairs_and_its_p_arrangements():
    found = win_rate([0.1, 0.2, 0.3], [0.25, 0.4])
    assert (found.share, found.n, found.m) == (5 / 6, 3, 2)
    assert (found.p, found.exact, found.least_p) == (pytest.approx(0.4), True, pytest.approx(0.2))
    assert win_rate([1.0] * 3, [2.0] * 3).p == pytest.approx(0.1)
    alone = win_rate([0.1], [0.2, 0.1])
    assert (alone.share, alone.p) == (0.75, None)
    assert win_rate([1.0, 1.0], [1.0, 1.0]).p == 1.0


@pytest.mark.parametrize("seed", range(6))
def test_ps_with_ties_are_counted_out(seed):
    generator = random.Random(seed)
    values = [generator.choice((0.1, 0.2, 0.3, math.inf)) for _ in range(7)]
    found = win_rate(values[:4], values[4:])
    shares = [
        win_rate([values[i] for i in chosen], [values[i] for i in range(7) if i not in chosen]).share
        for chosen in itertools.combinations(range(7), 4)
    ]
    tails = [
        sum(share <= found.share + 1e-9 for share in shares),
        sum(share >= found.share - 1e-9 for share in shares),
    ]
    assert found.exact
    assert found.p == pytest.approx(min(1.0, 2 * min(tails) / len(shares)))


def test_many_repeats_take_the_normal_approximation():
    found = win_rate([float(n) for n in range(30)], [n + 2.5 if n % 2 else float(n) for n in range(30)])
    assert not found.exact
    assert 0.1 < found.p < 1


def test_words_claim_no_more_than_repeats_allow():
    few = comparison_findings(compare([*TPE, *RANDOM]))["pairs"][0]["said"]
    assert "tpe ends lower than random in 100 % of the 6 pairs" in few
    assert "not distinguishable, since so few searches cannot bring p below 0.2" in few
    one = comparison_findings(compare([TPE[0], RANDOM[0]]))["pairs"][0]["said"]
    assert one.startswith("The one search of tpe ends lower than that of random. No claim")
    assert "random has one search" in comparison_findings(compare([*TPE, RANDOM[0]]))["pairs"][0]["said"]
    many = [searched(f"t{seed}", 0.40 + seed / 1000, seed=seed) for seed in range(5)]
    many += [searched(f"r{seed}", 0.50 + seed / 1000, seed=seed, sampler="random") for seed in range(5)]
    said = comparison_findings(compare(many))
    assert (
        "p = 0.0079 (Mann-Whitney, two-sided, n = 5 and 5): distinguishable at 5 %"
        in said["pairs"][0]["said"]
    )


def test_common_beginnings_of_equal_seeds_are_counted():
    other = searched("random-s2", 0.52, 0.45, 0.41, sampler="random", seed=2, blocks=("k1", "k3g64", "k3d2"))
    foreign = searched("random-s1", 0.48, sampler="random", seed=1, blocks=("k3d2",))
    found = compare([*TPE, other, foreign])
    assert found.pairs[0].alike == {2: 2}
    assert any(
        "Trainings that both have: 2 of seed 2." in note for note in comparison_findings(found)["notes"]
    )


def test_what_must_be_said_is_said_once():
    other = replace(TPE[1], environment={**TPE[1].environment, "torch": "2.8"}, state="interrupted")
    assert compare([TPE[0], other, RANDOM[0]]).differences == (
        "tpe-s0 (here), tpe-s1 (there): State: finished here, interrupted there.",
        "tpe-s0 (here), tpe-s1 (there): Environment: torch 2.9 here, 2.8 there.",
        "tpe-s0 (here), random-s0 (there): Sampler: tpe here, random there.",
    )


# -- what is refused


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (
            changed(backbone="16x4d-1111-s2"),
            ["tpe-s0 (here) and tpe-s1 (there)", "8x4d-1111-s2 here", "16x4d"],
        ),
        (changed(split=Split(dataset="cifar100", classes=100)), ["cifar10 here, cifar100 there"]),
        (changed(budget_gflops=4.0), ["tpe-s0 and tpe-s1", "budget 4.5 GFLOPs and budget 4 GFLOPs"]),
        (changed(budget_params_m=26.0), ["4.5 GFLOPs and 26 M parameters"]),
        (changed(seed=0), ["tpe-s0 and tpe-s1 are the same search with the same seed (0)"]),
        (changed(name="tpe-s0"), ["Both are called tpe-s0"]),
        (TPE[0], ["the same study", "Give each study once"]),
        (changed(sampler="none"), ["tpe-s1 is no search"]),
        (changed(ablation="of something"), ["tpe-s1 is an ablation"]),
        (
            synthetic(name="new", records=()),
            ["new: no trial of its search is trained yet", "skexplore search"],
        ),
        (only(("k3+k7", "over_budget", None, 0), name="new"), ["new: no trial of its search is trained"]),
    ],
)
def test_what_cannot_be_compared_is_refused_by_name(other, said):
    with pytest.raises(UserError) as refused:
        compare([TPE[0], other])
    for words in said:
        assert words in str(refused.value)
