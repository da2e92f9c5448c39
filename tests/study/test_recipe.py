"""Recipes, splits and samplers as data: what their names promise, and identities that archives rely on."""

from __future__ import annotations

from skexplore.study.recipe import PROFILES, Split
from skexplore.study.samplers import SAMPLERS


def test_the_whole_split_is_the_fixed_one_of_45_000_and_5_000():
    assert Split().id == "cifar10-45000-5000"
    assert {name: PROFILES[name].split.id for name in ("standard", "paper")} == dict.fromkeys(
        ("standard", "paper"), "cifar10-45000-5000"
    )


def test_samplers_that_see_complete_trials_alone_learn_nothing_from_a_pruned_one():
    # Optuna 5: NSGAIISampler and GPSampler take COMPLETE trials, TPE and random do not care
    assert {name for name, each in SAMPLERS.items() if not each.learns_budget} == {"nsga2", "gp"}
