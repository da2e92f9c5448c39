"""What keeps studies apart: refusals with both values, labels with both values."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.studies import SPEC, only, synthetic

from skexplore.study.comparable import compare_specs
from skexplore.study.recipe import PROFILES, Split

ONE = synthetic()
OTHER = synthetic(name="other")


def changed(**changes):
    return replace(OTHER, spec=replace(OTHER.spec, **changes))


def test_studies_alike_but_for_their_name_and_records_are_laid_over_each_other():
    found = compare_specs(ONE, OTHER.with_records(OTHER.records[:-1]))
    assert found.refusals == ()
    assert found.labels == ("Trained: 13 here, 12 there.",)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"split": Split(dataset="cifar100", classes=100, train_images=5_000)},
            ["dataset cifar10 here, cifar100 there", "classes 10 here, 100 there"],
        ),
        ({"split": Split(train_images=45_000)}, ["train images 5,000 here, 45,000 there"]),
        ({"split": Split(train_images=5_000, val_images=1_000)}, ["val images 5,000 here, 1,000 there"]),
        ({"recipe": replace(SPEC.recipe, epochs=7)}, ["recipes", "epochs 6 here, 7 there"]),
        (
            {"recipe": replace(SPEC.recipe, lr=0.2, augment=False)},
            ["lr 0.1 here, 0.2 there", "augment True here, False there"],
        ),
        ({"backbone": "16x4d-1111"}, ["8x4d-1111-s2 here, 16x4d-1111 there"]),
        ({"rungs": (2, 4)}, ["6 epochs here, 4 there"]),
    ],
)
def test_what_is_measured_otherwise_is_refused_with_both_values(changes, said):
    refusals = compare_specs(ONE, changed(**changes)).refusals
    assert len(refusals) == 1
    assert "errors are not comparable" in refusals[0]
    for words in said:
        assert words in refusals[0]
    backwards = compare_specs(changed(**changes), ONE).refusals
    assert len(backwards) == 1


def test_every_refusal_is_told_at_once():
    foreign = changed(
        backbone="16x4d-1111", recipe=PROFILES["standard"].recipe, split=PROFILES["standard"].split
    )
    assert len(compare_specs(ONE, foreign).refusals) == 3


@pytest.mark.parametrize(
    ("changes", "label"),
    [
        ({"budget_gflops": 4.2}, "Budget: 4.5 GFLOPs here, 4.2 GFLOPs there."),
        ({"budget_gflops": None}, "Budget: 4.5 GFLOPs here, no budget there."),
        ({"budget_params_m": 28}, "Budget: 4.5 GFLOPs here, 4.5 GFLOPs and 28 M parameters there."),
        ({"space": "mine", "space_hash": "fedcba987654"}, "Space: example here, mine there."),
        (
            {"space_hash": "fedcba987654"},
            "Space: example (0123456789ab) here, example (fedcba987654) there.",
        ),
        ({"sampler": "random"}, "Sampler: tpe here, random there."),
        ({"seed": 3}, "Seed: 0 here, 3 there."),
        ({"mode": "pareto"}, "Mode: constrained here, pareto there."),
        ({"rungs": (2, 6)}, "Stopping: none here, at rungs of 2, 6 epochs there."),
    ],
)
def test_what_was_searched_otherwise_is_a_label_with_both_values(changes, label):
    found = compare_specs(ONE, changed(**changes))
    assert found.refusals == ()
    assert found.labels == (label,)


def test_other_devices_are_a_label():
    here, there = (
        study.with_records(replace(each, device=name) for each in study.records)
        for study, name in ((ONE, "a CPU"), (OTHER, "a GPU, sm_90"))
    )
    label = "Devices: a CPU here, a GPU, sm_90 there; the same training gives other digits on another."
    assert compare_specs(here, there).labels == (label,)
    assert compare_specs(ONE, there).labels == ()  # older records do not say


@pytest.mark.parametrize(
    ("changes", "label"),
    [
        ({"state": "running"}, "State: finished here, running there."),
        ({"target": 30}, "Target: 13 here, 30 there."),
        (
            {"environment": {"python": "3.13", "torch": "2.15"}},
            "Environment: torch 2.9 here, 2.15 there, machine 2 cores here, not noted there.",
        ),
    ],
)
def test_how_far_and_where_studies_ran_is_a_label(changes, label):
    found = compare_specs(ONE, replace(OTHER, **changes))
    assert found.labels == (label,)
    assert found.refusals == ()


def test_a_space_under_another_name_is_the_same_space():
    assert compare_specs(ONE, changed(space="copy")).labels == ()


def test_one_network_under_two_names_is_comparable():
    one, other = (changed(name=name, backbone=name) for name in ("8x4d", "8x4d-1111"))
    assert compare_specs(one, other.with_records(other.records[:-1])).refusals == ()


def test_the_same_study_twice_is_refused():
    assert compare_specs(ONE, synthetic()).refusals == ("Both are called synthetic: it is the same study.",)
    for namesake in (only(("k3", "complete", 0.4, 6)), replace(ONE, spec=replace(SPEC, seed=1))):
        said = ("Both are called synthetic: a plot could not tell them apart.",)
        assert compare_specs(ONE, namesake).refusals == said
