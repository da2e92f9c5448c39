"""Tables and sentences of an ablation, on made-up records of which the answer is known."""

from __future__ import annotations

import math
import random

import pytest
from support.ablations import LOST, SAME, STUDIES, TABLE_7, ablation

from skexplore.analysis.ablation import (
    ablation_findings,
    course_table,
    effects,
    effects_table,
    layout,
    statements,
)


def said(name: str) -> list[str]:
    study = STUDIES[name]
    return statements(study, effects(study))


def test_the_layout_is_the_records_by_variant_and_seed():
    own = layout(STUDIES["diverged"])
    assert own.names == (*(row[0] for row in TABLE_7), "K1+K3")  # the twin is no evidence of its own
    assert own.errors[0] == TABLE_7[0][2]
    assert own.errors[-1] == (0.4402, None, 0.4431)


def test_a_row_has_the_means_of_complete_seeds_and_the_costs_of_both_scales():
    study = STUDIES["table"]
    table = effects_table(study, effects(study)).set_index("variant")
    row = table.loc["K3+K5 SK"]
    assert row["mean"] == pytest.approx(math.fsum(TABLE_7[4][2]) / 3)
    assert row["difference"] == pytest.approx(row["mean"] - math.fsum(TABLE_7[0][2]) / 3)
    assert (row["ref_macs"], row["printed_error_pct"]) == (4_462_710_784, 20.79)
    # K3 has 4,230,479,872 multiply-adds at the reference
    assert row["per_gflop"] == pytest.approx(100 * row["difference"] / 0.232230912)
    near = ablation(TABLE_7[4], TABLE_7[3])  # select and sum are 0.5 % apart
    assert effects_table(near, effects(near))["per_gflop"].isna().all()
    assert table.loc[SAME[0], "same_as"] == "K3+K5 sum"
    assert table.loc[SAME[0], "mean"] == table.loc["K3+K5 sum", "mean"]


def test_a_twin_that_the_paper_prints_counts_for_the_first_of_its_network():
    swapped = ablation(TABLE_7[0], TABLE_7[4], SAME, TABLE_7[3], TABLE_7[1], table="7")
    plain = ablation(TABLE_7[0], TABLE_7[4], TABLE_7[3], SAME, TABLE_7[1], table="7")
    assert effects(swapped).order == effects(plain).order
    assert effects(plain).order.pairs == 6


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("nothing yet", ["No training is complete yet."]),
        ("one seed", ["One seed: numbers, no claims. Give --seeds 3 or more."]),
    ],
)
def test_without_two_seeds_nothing_is_claimed(name, says):
    assert said(name) == says


def test_whether_common_seeds_helped_is_said_only_where_it_is_known():
    noise = random.Random(0)
    alike = ablation(*[(n, b, tuple(e[0] + noise.gauss(0, 0.005) for _ in range(3))) for n, b, e in TABLE_7])
    assert any(
        "whether this helped is not known at n = 3" in each for each in statements(alike, effects(alike))
    )
    shifts = (0, 0.05, -0.03)
    paid = ablation(*[(n, b, tuple(e[0] + s + noise.gauss(0, 0.002) for s in shifts)) for n, b, e in TABLE_7])
    assert any("and this helped" in each for each in statements(paid, effects(paid)))


def test_an_interrupted_study_says_what_is_left_out_and_how_to_go_on():
    assert said("interrupted")[-1] == (
        "One seed: numbers, no claims. Repeat the command for the seeds that are left."
    )


def test_a_finished_study_without_two_complete_seeds_is_not_to_be_repeated():
    lost = ("K5", "k3d2", ("loss is not finite", "loss is not finite", 0.44))
    study = ablation(TABLE_7[0], lost)
    assert statements(study, effects(study))[-1] == (
        "One seed: numbers, no claims. Give --seeds 5 or more, or take out the variants without a result."
    )


def test_one_variant_is_one():
    study = ablation(TABLE_7[0], TABLE_7[1])
    assert statements(study, effects(study))[0].startswith(
        "1 of 1 variant is distinguishable from K3 at n = 3"
    )


def test_seeds_with_gaps_are_left_out_and_said_to_be():
    sentences = said("diverged")
    assert sentences[0] == "Seed 1 is not complete: no result of K1+K3."
    assert "at n = 2" in sentences[1]


def test_a_variant_without_any_result_does_not_hide_the_course_of_the_others():
    course = course_table(STUDIES["gone"])
    assert list(course["epoch"]) == [1, 2, 3, 4, 5, 6]
    assert course["tau"].iloc[-1] == 1.0
    assert said("gone")[0] == f"{LOST[0]} has no result under any seed."


def test_the_course_tells_when_the_order_of_the_end_is_there():
    course = course_table(STUDIES["table"])
    assert course["images"].iloc[0] == 5_000
    assert course["swapped"].iloc[-1] == 0
    assert course["pairs"].iloc[-1] == 28
    assert (course["tau"] <= 1).all()


@pytest.mark.parametrize("name", STUDIES)
def test_findings_are_plain_numbers_in_every_state(name):
    found = ablation_findings(STUDIES[name])
    flat = str(found)
    assert "nan" not in flat.lower().replace("cannot", "")
    assert [row["variant"] for row in found["variants"]] == [
        v.name for v in STUDIES[name].spec.ablation.variants
    ]
