"""Recipes, splits and samplers as data: what their names promise, and identities that archives rely on."""

from __future__ import annotations

from dataclasses import fields, replace

from skexplore.study.recipe import PROFILES, Recipe, Split
from skexplore.study.samplers import SAMPLERS


def test_the_whole_split_is_the_fixed_one_of_45_000_and_5_000():
    assert Split().id == "cifar10-45000-5000"
    assert {name: PROFILES[name].split.id for name in ("standard", "paper")} == dict.fromkeys(
        ("standard", "paper"), "cifar10-45000-5000"
    )


def test_samplers_that_see_complete_trials_alone_learn_nothing_from_a_pruned_one():
    # Optuna 5: NSGAIISampler and GPSampler take COMPLETE trials, TPE and random do not care
    assert {name for name, each in SAMPLERS.items() if not each.learns_budget} == {"nsga2", "gp"}


def test_recipes_of_earlier_studies_keep_their_names():
    # as the committed archives hold them
    assert Recipe(epochs=3, batch_size=64).id == "19b9ae82"
    assert Recipe(epochs=5, batch_size=64).id == "eafa3db0"
    assert list(Recipe(epochs=3).stored) == [each.name for each in fields(Recipe)][:10]


def test_every_field_is_part_of_a_recipe_s_name():
    plain = Recipe(epochs=3)
    other = {
        "epochs": 4, "batch_size": 64, "lr": 0.2, "schedule": "steps", "momentum": 0.8, "nesterov": False,
        "weight_decay": 0.0, "warmup": 0.1, "label_smoothing": 0.1, "augment": False, "crop": False,
        "optimizer": "muon", "sgd_lr": 0.2, "whiten": True, "cycles": (1,),
    }  # fmt: skip
    assert set(other) == {each.name for each in fields(Recipe)}
    other.pop("sgd_lr")  # acts with Muon alone
    names = {replace(plain, **{name: value}).id for name, value in other.items()}
    assert len(names | {plain.id}) == len(other) + 1
    muon = replace(plain, optimizer="muon")
    assert replace(muon, sgd_lr=0.2).id != muon.id


def test_what_cannot_act_makes_no_other_recipe():
    plain = Recipe(epochs=3)
    assert replace(plain, sgd_lr=0.3).id == plain.id
    assert replace(plain, augment=False, crop=False).id == replace(plain, augment=False).id


def test_a_recipe_says_what_is_not_plain_sgd():
    assert Recipe(epochs=3).extras == ""
    assert Recipe(epochs=3, optimizer="muon", sgd_lr=0.2, whiten=True, crop=False).extras == (
        ", Muon for convolutions and SGD of rate 0.2 for the rest, flips without crops, first convolution begun with "
        "whitened patches of the proxy's images"
    )
