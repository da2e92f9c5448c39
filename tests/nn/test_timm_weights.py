"""Weights from timm and back: the same logits, for every network that timm also has."""

from __future__ import annotations

import pytest
import torch
from support.networks import randomise

from skexplore.errors import UserError
from skexplore.nn.network import build
from skexplore.nn.timm_weights import TIMM, load_timm, timm_state

timm = pytest.importorskip("timm")
DEEPEST = {"resnet101", "resnet152", "seresnet101", "seresnet152", "resnext101_32x4d", "seresnext101_32x4d"}


def pair(name: str):
    """Return timm's network of the name with numbers that count, and ours with the same."""
    torch.manual_seed(0)
    theirs = randomise(timm.create_model(name, pretrained=False, num_classes=13))
    return theirs, load_timm(theirs)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in TIMM if name not in DEEPEST])
def test_logits_are_timms(name):
    theirs, ours = pair(name)
    x = torch.randn((2, 3, 64, 48), dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        own, other = ours(x), theirs(x)
    assert (other[0] - other[1]).abs().max() > 1e-3 * other.abs().max()
    assert (own - other).abs().max() < 1e-5 * other.abs().max()
    back = timm_state(ours, name)
    assert set(back) == set(theirs.state_dict())
    assert all(torch.equal(back[key], value) for key, value in theirs.state_dict().items())


@pytest.mark.parametrize("name", sorted(DEEPEST))
def test_names_and_shapes_of_the_deepest_are_timms(name):
    with torch.device("meta"):
        theirs = timm.create_model(name, pretrained=False).state_dict()
        ours = build(TIMM[name].block, TIMM[name].backbone, gate=TIMM[name].gate)
    assert {k: v.shape for k, v in timm_state(ours, name).items()} == {k: v.shape for k, v in theirs.items()}


def test_what_is_not_timms():
    theirs = timm.create_model("resnet18", pretrained=False)
    with pytest.raises(UserError, match="give name=, such as"):
        load_timm(theirs.state_dict())
    with pytest.raises(UserError, match=r"unknown network of timm 'resnet19'.*did you mean"):
        load_timm(theirs.state_dict(), "resnet19")
    with pytest.raises(UserError, match=r"these are not the weights of timm's resnet34"):
        load_timm(theirs, "resnet34")
    with pytest.raises(UserError, match=r"timm's resnet18 has no such weights"):
        load_timm({**theirs.state_dict(), "more": torch.zeros(1)}, "resnet18")
    with pytest.raises(UserError, match="this network is not timm's resnet34"):
        timm_state(load_timm(theirs), "resnet34")
    assert not load_timm(theirs).training
    assert load_timm(theirs.state_dict(), "resnet18").classifier.out_features == 1000


@pytest.mark.parametrize(
    ("block", "backbone", "name"),
    [
        ("k3linear", "resnet18", "resnet18"),
        ("k3d2", "resnet18", "resnet18"),
        ("k3;k3d2;k3;k3", "resnet18", "resnet18"),
        ("k3+k3d3/r8/L=16", "skresnet18", "skresnet18"),
    ],
)
def test_a_network_of_the_same_shapes_is_not_timms(block, backbone, name):
    with pytest.raises(UserError, match=f"this network is not timm's {name}"):
        timm_state(build(block, backbone), name)
    assert timm_state(build("k3relu", "resnet18", classes=7, in_channels=1), "resnet18")


@pytest.mark.parametrize("how", [{"act_layer": "silu"}, {"global_pool": "max"}, {"output_stride": 16}])
def test_a_model_that_computes_something_else_is_refused(how):
    theirs = timm.create_model("resnet18", pretrained=False, num_classes=10, **how)
    with pytest.raises(UserError, match="computes something else with them"):
        load_timm(theirs)
    assert load_timm(theirs.state_dict(), "resnet18.a1_in1k").classifier.out_features == 10


def test_a_model_of_gray_images():
    theirs = timm.create_model("resnet18", pretrained=False, in_chans=1).eval()
    x = torch.randn(2, 1, 40, 40)
    with torch.no_grad():
        torch.testing.assert_close(load_timm(theirs)(x), theirs(x), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("wrong", ["resnet18", 5])
def test_what_is_neither_a_model_nor_weights(wrong):
    with pytest.raises(UserError, match="neither a model of timm nor a state dict"):
        load_timm(wrong, "resnet18")
    with pytest.raises(UserError, match="is no network of skexplore"):
        timm_state(torch.nn.Linear(1, 1), "resnet18")
