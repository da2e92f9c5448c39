"""The table of layers: its sums are the closed form, its receptive fields what gradients reach."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from skexplore.arch.backbones import get_backbone
from skexplore.arch.costs import cost
from skexplore.nn.network import build, build_system
from skexplore.nn.summary import summarise_network
from skexplore.paper.networks import SYSTEMS, system_cost


@pytest.mark.slow
@pytest.mark.parametrize("name", ["sknet26", "resnext50-cbam", "resnext50-bam", "senet29", "sknet29"])
def test_params_and_macs_of_the_layers_add_up(name):
    size = get_backbone(SYSTEMS[name].backbone).resolution
    rows = summarise_network(build_system(name), size)
    own = system_cost(name)
    assert sum(row.params for row in rows) == own.params
    assert sum(row.macs for row in rows) == own.macs
    assert len({row.name for row in rows}) == len(rows)


def test_frozen_parameters_are_left_out():
    network = build("k3", "8x4d-1111-s2")
    whole = {row.name: row.params for row in summarise_network(network, 32)}
    network.classifier.bias.requires_grad_(False)
    frozen = {row.name: row.params for row in summarise_network(network, 32)}
    assert whole.pop("classifier") - frozen.pop("classifier") == 10
    assert frozen == whole


def test_shapes_are_those_of_table_1():
    rows = {row.name: row for row in summarise_network(build("k3+k3d2"), 224)}
    assert rows["stem.0"].shape == (64, 112, 112)
    assert rows["stem.3"].shape == (64, 56, 56)
    for stage, (width, side) in enumerate(((256, 56), (512, 28), (1024, 14), (2048, 7))):
        assert rows[f"stages.{stage}.0.expand.0"].shape == (width, side, side)
        assert rows[f"stages.{stage}.0.sk.branches.0.0"].shape == (width // 2, side, side)
    assert rows["classifier"].shape == (1000,)
    assert rows["classifier"].receptive_field is None
    assert rows["stages.0.0.sk.attend"].receptive_field is None


def reached(network: nn.Module, layer: str, side: int) -> int:
    """Return how wide a square of input pixels moves the middle element of ``layer``'s output."""
    kept = {}
    handle = network.get_submodule(layer).register_forward_hook(lambda _m, _i, out: kept.update(out=out))
    image = torch.ones((1, 3, side, side), dtype=torch.float64, requires_grad=True)
    network.double()(image)
    handle.remove()
    out = kept["out"]
    (gradient,) = torch.autograd.grad(out[0, :, out.shape[2] // 2, out.shape[3] // 2].sum(), image)
    moved = gradient[0].abs().sum(0).nonzero()
    return int((moved.max(0).values - moved.min(0).values).max()) + 1


@pytest.mark.parametrize(
    ("block", "backbone"), [("k3/sum", "8x4d"), ("k3+k3d3/sum", "8x4d"), ("k1+k5/sum", "8x4d-2111-s2")]
)
def test_receptive_fields_are_what_gradients_reach(block, backbone):
    # the sum is used: attention would let every element see the whole image
    network = build(block, backbone).eval()
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.constant_(module.weight, 0.01)  # nothing cancels and no ReLU shuts
    rows = {row.name: row for row in summarise_network(network, 256)}
    layers = [
        "stem.0",
        "stages.0.0.expand.0",
        "stages.1.0.reduce.0",
        "stages.2.0.expand.0",
        "stages.3.0.expand.0",
    ]
    layers += ["stages.2.0.shortcut.0", "stages.3.0.sk.branches.0.0"]
    for layer in layers:
        assert rows[layer].receptive_field == reached(network, layer, 256), layer


def test_the_network_is_left_as_it_was():
    network = build("k3+k3d2", "8x4d-1111-s2").train()
    summarise_network(network, 32)
    assert network.training
    assert not any(module._forward_hooks for module in network.modules())
    assert sum(p.numel() for p in network.parameters()) == cost("k3+k3d2", "8x4d-1111-s2").params


def test_kinds_are_torchs_names_of_layers():
    rows = summarise_network(build("k3+k3d2", "8x4d-1111"), 32)
    assert {row.kind for row in rows} == {"Conv2d", "BatchNorm2d", "BatchNorm1d", "Linear"}


def test_a_layer_says_its_kernel_stride_dilation_and_groups():
    rows = {row.name: row.form for row in summarise_network(build("k3+k3d2", "24x1d-111-s2-shuffle"), 32)}
    assert (rows["stem.0"], rows["stages.1.0.sk.branches.0.0"]) == ("3x3 s2", "3x3 s2 g48")
    assert (rows["stages.0.0.sk.branches.1.0"], rows["stages.0.0.reduce.0"]) == ("3x3 d2 g24", "1x1")
    assert rows["classifier"] == rows["stem.1"] == ""
    rows = {row.name: row.form for row in summarise_network(build("k3", "resnet50d"), 32)}
    assert (rows["stem.3"], rows["stages.1.0.shortcut.0"]) == ("3x3 s2", "2x2 s2")
