"""Every unit and every backbone, built and counted by fvcore; and the units against torchvision's modules."""

from __future__ import annotations

import pytest
import torch
from hypothesis import HealthCheck, given, reject, settings, strategies as st
from support.networks import randomise
from support.strategies import spelled
from torch import nn

from skexplore.arch import units
from skexplore.arch.architecture import Architecture
from skexplore.arch.backbones import BACKBONES, get_backbone
from skexplore.arch.units import UNITS, UnitForm
from skexplore.errors import UserError
from skexplore.nn import layers
from skexplore.nn.flop_count import count, differences, differing
from skexplore.nn.layers import SKConv
from skexplore.nn.network import build, seeded_build
from skexplore.nn.summary import summarise_network
from skexplore.nn.units import Basic, InvertedResidual, Separable, Shuffle, SKUnit

MODULES = {
    "bottleneck": SKUnit,
    "basic": Basic,
    "separable": Separable,
    "inverted": InvertedResidual,
    "shuffle": Shuffle,
}


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        *BACKBONES,
        "sknet50:1-2-1-2:x0.5",
        "skresnet18:x0.5",
        "mobilenetv2:x0.5",
        "shufflenetv2-1.0x:2-3-2:x0.5",
    ],
)
def test_every_backbone_is_built_and_counted(name):
    side = 32 if get_backbone(name).resolution == 32 else 64
    assert differences(Architecture.of("k3+k3d2/r8", name), resolution=side) == {}


@pytest.mark.slow
@settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(
    block=spelled,
    kind=st.sampled_from(sorted(UNITS)),
    stride=st.sampled_from(["", "-s2"]),
    split=st.booleans(),
    gate=st.sampled_from(["", "se/r4", "cbam", "bam"]),
    sides=st.tuples(st.integers(9, 40), st.integers(9, 40)),
)
def test_random_blocks_in_units_of_every_kind(block, kind, stride, split, gate, sides):
    suffix = "" if kind == "bottleneck" else f"-{kind}"
    share = "-split" if split and not UNITS[kind].depthwise else ""
    own = Architecture.of(block, f"8x4d-121{stride}{suffix}{share}", gate=gate)
    try:
        expected = own.cost(resolution=sides)
    except UserError:  # groups that do not divide, branches that cannot share
        reject()
    assert differing(expected, count(build(own), sides)) == {}


@pytest.mark.parametrize("kind", sorted(UNITS))
def test_a_gradient_reaches_every_parameter_of_a_unit(kind):
    suffix = "" if kind == "bottleneck" else f"-{kind}"
    network = seeded_build("k3+k3d2/r4", f"8x4d-221-s2{suffix}", seed=0)
    torch.manual_seed(1)
    network(torch.randn(4, 3, 24, 24)).square().mean().backward()
    assert [n for n, p in network.named_parameters() if p.grad is None or not p.grad.abs().max() > 0] == []


@pytest.mark.parametrize("kind", sorted(UNITS))
def test_the_layers_of_a_unit_add_up(kind):
    suffix = "" if kind == "bottleneck" else f"-{kind}"
    own = Architecture.of("k3+k5", f"8x4d-212{suffix}")
    rows = summarise_network(build(own), 32)
    assert (sum(row.params for row in rows), sum(row.macs for row in rows)) == (
        own.cost().params,
        own.cost().macs,
    )
    assert all(row.receptive_field is None or row.receptive_field > 0 for row in rows)


def same(ours: nn.Module, theirs: nn.Module, channels: int) -> None:
    """Copy numbers in the order of the modules, which is that of their layers, and compare what comes out."""
    randomise(theirs)
    values = [v for key, v in theirs.state_dict().items()]
    target = ours.double().eval().state_dict()
    assert [tuple(v.shape) for v in target.values()] == [tuple(v.shape) for v in values]
    ours.load_state_dict(dict(zip(target, values, strict=True)))
    x = torch.randn((2, channels, 9, 11), dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        own, other = ours(x), theirs(x)
    assert own.shape == other.shape
    torch.testing.assert_close(own, other, rtol=1e-10, atol=1e-10)
    assert other.std() > 0


@pytest.mark.parametrize("stride", [1, 2])
def test_an_inverted_residual_is_torchvisions(stride):
    from torchvision.models.mobilenetv2 import InvertedResidual as Theirs

    torch.manual_seed(0)
    ours = InvertedResidual(
        8, 96, 16, "k3", stride=stride, form=UnitForm(kind="inverted", activation="relu6")
    )
    same(ours, Theirs(8, 16, stride, 6), 8)


def test_an_inverted_residual_of_the_same_shape_adds_its_input():
    from torchvision.models.mobilenetv2 import InvertedResidual as Theirs

    torch.manual_seed(0)
    ours = InvertedResidual(16, 96, 16, "k3", form=UnitForm(kind="inverted", activation="relu6"))
    same(ours, Theirs(16, 16, 1, 6), 16)


@pytest.mark.parametrize("stride", [1, 2])
def test_a_basic_unit_is_torchvisions(stride):
    from torchvision.models.resnet import BasicBlock

    torch.manual_seed(0)
    down = nn.Sequential(nn.Conv2d(8, 16, 1, stride, bias=False), nn.BatchNorm2d(16))
    same(Basic(8, 16, 16, "k3g1", stride=stride), BasicBlock(8, 16, stride, down), 8)


def test_a_shuffle_unit_is_torchvisions():
    from torchvision.models.shufflenetv2 import InvertedResidual as Theirs

    torch.manual_seed(0)
    theirs = randomise(Theirs(16, 16, 1)).double()
    ours = Shuffle(16, 8, 16, "k3").double().eval()
    names = {"reduce.0": "branch2.0", "reduce.1": "branch2.1", "sk.branches.0.0": "branch2.3"}
    names |= {"sk.branches.0.1": "branch2.4", "expand.0": "branch2.5", "expand.1": "branch2.6"}
    copied(ours, theirs, names)
    theirs = randomise(Theirs(16, 24, 2)).double()
    ours = Shuffle(16, 12, 24, "k3", stride=2).double().eval()
    names |= {"side_sk.branches.0.0": "branch1.0", "side_sk.branches.0.1": "branch1.1"}
    names |= {"side.0": "branch1.2", "side.1": "branch1.3"}
    copied(ours, theirs, names)


def copied(ours: nn.Module, theirs: nn.Module, names: dict[str, str]) -> None:
    """Copy by name and compare what comes out, whose channels are in the same order."""
    state = theirs.state_dict()
    ours.load_state_dict(
        {key: state[f"{names[key.rsplit('.', 1)[0]]}.{key.rsplit('.', 1)[1]}"] for key in ours.state_dict()}
    )
    x = torch.randn((2, 16, 8, 10), dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        torch.testing.assert_close(ours(x), theirs(x), rtol=1e-10, atol=1e-10)


def test_a_mobilenet_is_torchvisions():
    from torchvision.models import mobilenet_v2

    torch.manual_seed(0)
    theirs = randomise(mobilenet_v2(weights=None))
    for module in theirs.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    theirs.train()(torch.randn((4, 3, 64, 64), dtype=torch.float64))  # else its signal dies in so many layers
    theirs.eval()
    ours = build("k3", "mobilenetv2").double().eval()
    values, target = list(theirs.state_dict().values()), ours.state_dict()
    assert [tuple(v.shape) for v in target.values()] == [tuple(v.shape) for v in values]
    ours.load_state_dict(dict(zip(target, values, strict=True)))
    x = torch.randn((2, 3, 64, 48), dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        own, other = ours(x), theirs(x)
    assert (other[0] - other[1]).abs().max() > 1e-3 * other.abs().max()
    torch.testing.assert_close(own, other, rtol=1e-9, atol=1e-9)


def test_activations_are_those_that_the_notation_says():
    sk = seeded_build("k3relu+k3d2", "12x1d-111-shuffle", seed=0).stages[0][0].sk
    assert [type(branch[-1]) for branch in sk.branches] == [nn.ReLU, nn.BatchNorm2d]
    sk = seeded_build("k3linear+k3d2", "8x4d-1111", seed=0).stages[0][0].sk
    assert [type(branch[-1]) for branch in sk.branches] == [nn.BatchNorm2d, nn.ReLU]
    assert [type(branch[-1]) for branch in build("k3", "mobilenetv2").stages[1][0].sk.branches] == [nn.ReLU6]


def test_every_activation_that_may_be_named_has_a_module():
    assert set(layers.ACTIVATIONS) == set(units.ACTIVATIONS)


def test_branches_that_share_the_channels_read_different_ones():
    sk = SKConv(16, "k3g1+k3d2g1/r4/L1", split_input=True).eval()
    assert [branch[0].in_channels for branch in sk.branches] == [8, 8]
    x = torch.randn(1, 16, 6, 6)
    with torch.no_grad():
        whole = sk.branches[1](x[:, 8:])
        x[:, :8] = 0
        torch.testing.assert_close(sk.branches[1](x[:, 8:]), whole)
    with pytest.raises(UserError, match="3 branches cannot share"):
        SKConv(16, "k3g1+k3d2g1+k5g1", split_input=True)


def test_an_image_of_one_channel():
    network = build(Architecture.of("k3", get_backbone("8x4d-1111"), in_channels=1)).eval()
    assert network(torch.zeros(2, 1, 32, 48)).shape == (2, 10)
