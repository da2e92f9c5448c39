"""``--recipe sgd``: the paper's plain optimizer in the profile's proxy, on as many images."""

from __future__ import annotations

import shlex
from dataclasses import replace

import pytest

from skexplore.errors import UserError
from skexplore.plan.ablation import AblationRequest, plan_ablation
from skexplore.plan.search import Request, TrainRequest, plan_search, plan_training
from skexplore.study.hints import search_command
from skexplore.study.recipe import PROFILES
from skexplore.study.study import Study

ASKED = Request(budget_gflops=4.5, profile="quick")


@pytest.mark.parametrize("profile", ["smoke", "quick"])
def test_plain_sgd_sees_as_many_images_in_the_same_proxy(profile):
    usual, plain = (
        plan_search(replace(ASKED, profile=profile, recipe=recipe)).spec for recipe in (None, "sgd")
    )
    assert (plain.backbone, plain.split, plain.recipe.epochs) == (
        usual.backbone,
        usual.split,
        usual.recipe.epochs,
    )
    assert (plain.recipe.optimizer, plain.recipe.crop, plain.recipe.whiten) == ("sgd", True, False)
    assert plain.name == f"{usual.name}-sgd"


@pytest.mark.parametrize("profile", ["standard", "paper"])
def test_a_profile_of_plain_sgd_stays_what_it_is(profile):
    asked = replace(ASKED, profile=profile)
    assert plan_search(replace(asked, recipe="sgd")).spec == plan_search(asked).spec


def test_a_training_and_an_ablation_take_it_too():
    plain = PROFILES["quick"].sgd
    own = plan_training(TrainRequest(blocks="k3", profile="quick", recipe="sgd")).spec
    assert (own.recipe, own.name) == (plain, "cifar10-own-quick-sgd-s0")
    table = plan_ablation(AblationRequest(source="table7", recipe="sgd")).spec
    assert (table.recipe, table.name) == (plain, "table7-sgd")


def test_the_command_of_such_a_study_says_so():
    spec = plan_search(replace(ASKED, recipe="sgd")).spec
    study = Study(spec=spec, records=(), target=10, environment={}, command="", state="interrupted")
    words = shlex.split(search_command(study))
    assert words[words.index("--recipe") + 1] == "sgd"
    assert "--recipe" not in search_command(replace(study, spec=plan_search(ASKED).spec))


def test_another_recipe_is_refused():
    with pytest.raises(UserError, match=r"--recipe adam.*sgd"):
        plan_search(replace(ASKED, recipe="adam"))
