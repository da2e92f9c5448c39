"""The loop against a plain one, its averages, and going on where it was interrupted."""

from __future__ import annotations

import math
from copy import deepcopy
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from skexplore.errors import StudyError, UserError
from skexplore.fit.loop import Fitting
from skexplore.fit.synced import Place
from skexplore.nn import seeded_build
from skexplore.study import FitRecipe

HERE = Place(rank=0, world=1, device=torch.device("cpu"))
RECIPE = FitRecipe(
    epochs=3, batch_size=8, lr=0.05, label_smoothing=0.1, drops=(0.5,), weight_decay=1e-3, nesterov=True
)


class Noise:
    """Synthetic images: batches of noise, the same for an epoch and a number."""

    train_count, batch_size = 40, 8

    def __init__(self, scale=1.0):
        self.scale = scale

    def train(self, epoch, start):
        for number in range(start, 5):
            generator = torch.Generator().manual_seed(100 * epoch + number)
            labels = torch.randint(4, (8,), generator=generator)
            images = torch.randn(8, 3, 16, 16, generator=generator) + labels[:, None, None, None]
            yield self.scale * images, labels

    def eval(self, part, side):
        yield from self.train(9, 3)

    def count(self, part):
        return 16


def network(block="k3+k3d2"):
    return seeded_build(block, "4x4d-111-s2", seed=0)


def fitting(tmp_path, recipe=RECIPE, net=None, **options):
    return Fitting(net or network(), recipe, 10, HERE, seed=0, checkpoint=tmp_path / "c.pt", **options)


def equal(one, other):
    return all(
        torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    )


def test_it_trains_as_a_plain_loop_of_torch_does(tmp_path):
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.LazyLinear(10))
    net(torch.zeros(2, 3, 16, 16))
    plain = deepcopy(net).to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(plain.parameters(), lr=0.05, momentum=0.9, nesterov=True, weight_decay=1e-3)
    losses = []
    for epoch in range(3):
        for number, (images, labels) in enumerate(Noise().train(epoch, 0)):
            optimizer.param_groups[0]["lr"] = (
                0.05 if epoch * 5 + number < 8 else 0.005
            )  # round(0.5 * 15) is 8
            loss = F.cross_entropy(plain(images), labels, label_smoothing=0.1)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(float(loss.detach()))
    found = fitting(tmp_path, net=net)
    curve = found.run(Noise(), 16)
    assert equal(found.kept, plain)
    assert [each.train_loss for each in curve] == pytest.approx(
        [sum(losses[at : at + 5]) / 5 for at in (0, 5, 10)], rel=1e-6
    )
    plain.eval()
    with torch.no_grad():
        logits, labels = (
            torch.cat(each) for each in zip(*((plain(x), y) for x, y in Noise().eval("val", 16)), strict=True)
        )
    assert curve[-1].val_error == float((logits.argmax(1) != labels).float().mean())
    assert curve[-1].val_loss == pytest.approx(float(F.cross_entropy(logits, labels)), rel=1e-5)


@pytest.mark.parametrize("after", [1, 5, 7, 14])
def test_a_training_that_was_stopped_ends_with_the_same_weights(tmp_path, after):
    recipe = replace(RECIPE, ema=0.9, mixup=0.2, cutmix=1.0)
    whole = fitting(tmp_path / "whole", recipe)
    curve = whole.run(Noise(), 16)
    seen = iter(range(1, 100))
    stopped = fitting(tmp_path, recipe)
    with pytest.raises(KeyboardInterrupt):
        stopped.run(Noise(), 16, stop=lambda: next(seen) == after)
    again = fitting(
        tmp_path, recipe, net=seeded_build("k3+k3d2", "4x4d-111-s2", seed=9)
    )  # all is in the checkpoint
    assert 5 * len(again.progress.curve) + again.progress.step == after
    found = again.run(Noise(), 16)
    assert equal(again.network, whole.network)
    assert equal(again.kept, whole.kept)
    assert [replace(each, seconds=0) for each in found] == [replace(each, seconds=0) for each in curve]


def test_the_average_is_that_of_all_updates_with_a_short_memory_at_first(tmp_path):
    net = nn.Sequential(nn.Flatten(), nn.Linear(768, 10))
    found = fitting(tmp_path, replace(RECIPE, ema=0.6), net=net)
    expected, steps = deepcopy(net.state_dict()), []
    update = found._update

    def watched(*arguments):
        loss = update(*arguments)
        steps.append({name: value.clone() for name, value in net.state_dict().items()})
        return loss

    found._update = watched
    found.run(Noise(), 16)
    for number, state in enumerate(steps, 1):
        decay = min(0.6, number / (number + 9))
        expected = {name: decay * value + (1 - decay) * state[name] for name, value in expected.items()}
    assert len(steps) == 15
    for name, value in found.kept.state_dict().items():
        assert torch.allclose(value, expected[name], atol=1e-5)


def test_parts_of_a_batch_give_the_gradient_of_the_whole(tmp_path):
    def trained(name, accumulate):
        torch.manual_seed(0)
        net = nn.Sequential(nn.Flatten(), nn.Linear(768, 10))
        found = fitting(tmp_path / name, net=net, accumulate=accumulate)
        found.run(Noise(), 16)
        return net.state_dict()

    whole, parts = trained("one", 1), trained("three", 3)  # 8 images in parts of 3, 3 and 2
    assert all(torch.allclose(whole[name], parts[name], atol=1e-6) for name in whole)


def test_a_loss_that_is_not_finite_ends_it(tmp_path):
    with pytest.raises(
        StudyError, match=r"the training loss became nan in epoch 1; give a recipe with a lower lr"
    ):
        fitting(tmp_path).run(Noise(scale=math.inf), 16)


@pytest.mark.parametrize("content", [b"", b"nothing of torch's", None])
def test_a_damaged_checkpoint_is_named(tmp_path, content):
    found = fitting(tmp_path)
    found.run(Noise(), 16)
    place = tmp_path / "c.pt"
    place.write_bytes(place.read_bytes()[:2000] if content is None else content)
    with pytest.raises(UserError, match=r"c.pt: is damaged .*; delete it to begin this training anew"):
        fitting(tmp_path)


def test_time_is_counted_and_what_passed_outside_of_the_network(tmp_path):
    found = fitting(tmp_path)
    curve = found.run(Noise(), 16)
    assert found.seconds == pytest.approx(sum(each.seconds for each in curve))
    assert 0 < found.waiting < found.seconds
