"""Recipes of whole networks: the paper's numbers, schedules against torch's, and files."""

from __future__ import annotations

from dataclasses import asdict

import pytest
import torch

from skexplore.errors import UserError
from skexplore.study import FIT_RECIPES, FitRecipe, get_fit_recipe

PER_EPOCH = 5004  # updates of an epoch of ImageNet in batches of 256


def test_the_papers_recipe_is_that_of_section_4_1():
    paper = FIT_RECIPES["paper"]
    assert (paper.epochs, paper.batch_size, paper.lr, paper.momentum) == (100, 256, 0.1, 0.9)
    assert (paper.weight_decay, paper.label_smoothing, paper.crop, paper.flip) == (
        1e-4,
        0.1,
        "random-size",
        True,
    )
    rates = [paper.rate(epoch * PER_EPOCH, PER_EPOCH) for epoch in (0, 29, 30, 59, 60, 89, 90, 99)]
    assert rates == pytest.approx([0.1, 0.1, 0.01, 0.01, 1e-3, 1e-3, 1e-4, 1e-4])
    assert paper.rate(30 * PER_EPOCH - 1, PER_EPOCH) == 0.1


def test_the_recipe_of_cifar_is_that_of_supplement_d():
    own = FIT_RECIPES["paper-cifar"]
    assert (own.epochs, own.batch_size, own.weight_decay, own.momentum) == (300, 128, 5e-4, 0.9)
    rates = [own.rate(epoch * 391, 391) for epoch in (0, 149, 150, 224, 225, 299)]
    assert rates == pytest.approx([0.1, 0.1, 0.01, 0.01, 1e-3, 1e-3])


def test_cosine_with_warm_up_is_torchs():
    recipe = FitRecipe(epochs=8, schedule="cosine", warmup=2, lr=0.4)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.4)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=60)
    expected = []
    for _ in range(60):
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        cosine.step()
    assert [recipe.rate(step, 10) for step in range(20, 80)] == pytest.approx(expected, abs=1e-9)
    assert [recipe.rate(step, 10) for step in range(20)] == pytest.approx([0.02 * n for n in range(1, 21)])


@pytest.mark.parametrize("epochs", [1, 7, 90, 300])
def test_drops_are_shares_of_the_epochs(epochs):
    recipe = FitRecipe(epochs=epochs, drops=(0.3, 0.6, 0.9))
    steps = epochs * 100
    rates = [recipe.rate(step, 100) for step in range(steps)]
    for share, before in ((0.3, 0.1), (0.6, 0.01), (0.9, 0.001)):
        at = round(share * steps)
        assert (rates[at - 1], rates[at]) == pytest.approx((before, before / 10))


def test_a_file_changes_what_it_names(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("of: modern\nepochs: 12\nlr: 0.2\n")
    assert asdict(get_fit_recipe(str(file))) == asdict(FIT_RECIPES["modern"]) | {"epochs": 12, "lr": 0.2}
    assert get_fit_recipe(str(file), epochs=6).epochs == 6


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("of: papre\n", "of: 'papre': must be one of paper, paper-cifar, modern"),
        ("lr: fast\n", "lr: 'fast': must be a number above 0"),
        ("drops: [0.6, 0.3]\n", "drops: must rise"),
        ("drops: [0.6, 2]\n", r"drops.2: 2: must be a number above 0 and at most 1"),
        ("warmup: 100\n", "warmup: 100 epochs of 100: must be fewer"),
        ("crop: middle\n", "crop: 'middle': must be one of random-size, pad, none"),
        ("lrr: 1\n", r"lrr: unknown key \(did you mean lr\?\)"),
        ("[1, 2]\n", "top level: must be a mapping"),
    ],
)
def test_what_is_wrong_in_a_file_is_said(tmp_path, text, said):
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    with pytest.raises(UserError, match=said):
        get_fit_recipe(str(file))


def test_an_unknown_recipe_and_too_few_epochs_are_refused():
    with pytest.raises(UserError, match=r"--recipe papper: must be paper, .* \(did you mean paper\?\)"):
        get_fit_recipe("papper")
    with pytest.raises(UserError, match="--recipe modern: warmup: 5 epochs of 3: must be fewer"):
        get_fit_recipe("modern", epochs=3)


def test_each_recipe_says_itself_in_a_line():
    assert FIT_RECIPES["paper"].words == (
        "SGD with momentum 0.9, learning rate 0.1, divided by 10 at 30 %, 60 % and 90 %, over 100 epochs in batches of "
        "256, weight decay 0.0001, label smoothing 0.1, crops of random size and flips"
    )
    assert "after 5 epochs of warm-up, falling to 0 as a cosine" in FIT_RECIPES["modern"].words
    assert FIT_RECIPES["modern"].words.endswith(
        "crops of random size, flips, randaugment 7, mixup 0.1, cutmix 1 and an average of the weights of decay 0.9999"
    )
