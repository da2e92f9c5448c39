"""The modules of Table 2 compute what their papers say, and stand where these put them."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from skexplore.arch.attention import Gate
from skexplore.nn.attention import BAM, CBAM, SE
from skexplore.nn.network import build_system


@pytest.fixture
def maps() -> torch.Tensor:
    return torch.randn((2, 32, 9, 7), generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_se_computes_what_torchvisions_does(maps):
    ops = pytest.importorskip("torchvision.ops")
    theirs = ops.SqueezeExcitation(32, 2).double().eval()
    ours = SE(32, Gate(kind="se")).double().eval()
    for mine, other in ((ours.fc[0], theirs.fc1), (ours.fc[3], theirs.fc2)):
        mine.weight.data.copy_(other.weight[:, :, 0, 0])
        mine.bias.data.copy_(other.bias)
    torch.testing.assert_close(ours(maps), theirs(maps), rtol=0, atol=1e-12)


def test_cbam_is_its_papers_equations(maps):
    torch.manual_seed(0)
    gate = CBAM(32, Gate(kind="cbam")).double().eval()
    first, second = gate.fc[0], gate.fc[2]

    def mlp(pooled):
        return F.linear(F.relu(F.linear(pooled, first.weight, first.bias)), second.weight, second.bias)

    pixels = maps.flatten(2)
    channel = torch.sigmoid(mlp(pixels.mean(2)) + mlp(pixels.max(2).values))
    refined = maps * channel[:, :, None, None]
    pooled = torch.stack((refined.max(1).values, refined.mean(1)), dim=1)
    spatial = torch.sigmoid(F.conv2d(pooled, gate.spatial[0].weight, padding=3) / (1 + 1e-5) ** 0.5)
    torch.testing.assert_close(gate(maps), refined * spatial, rtol=0, atol=1e-12)


def test_bam_is_its_papers_equation(maps):
    torch.manual_seed(0)
    gate = BAM(32, Gate(kind="bam")).double().eval()
    scale = (1 + 1e-5) ** -0.5  # of a BatchNorm that has seen nothing
    first, second = gate.channel[0], gate.channel[3]
    hidden = F.relu(scale * F.linear(maps.mean((2, 3)), first.weight, first.bias))
    channel = F.linear(hidden, second.weight, second.bias)
    seen = maps
    for layer, padding, dilation in ((0, 0, 1), (3, 4, 4), (6, 4, 4)):
        conv = gate.spatial[layer]
        seen = F.relu(scale * F.conv2d(seen, conv.weight, conv.bias, padding=padding, dilation=dilation))
    spatial = F.conv2d(seen, gate.spatial[9].weight, gate.spatial[9].bias)
    weights = torch.sigmoid(channel[:, :, None, None] * spatial)
    torch.testing.assert_close(gate(maps), maps + maps * weights, rtol=0, atol=1e-12)


def test_gates_stand_where_their_papers_put_them():
    bam = build_system("resnext50-bam")
    assert [isinstance(stage[-1], BAM) for stage in bam.stages] == [True, True, True, False]
    for name, kind in (("senet50", SE), ("resnext50-cbam", CBAM)):
        units = [unit for stage in build_system(name).stages for unit in stage]
        assert len(units) == 16
        assert all(isinstance(unit.gate, kind) for unit in units)


def test_a_gate_acts_before_the_shortcut_is_added():
    unit = build_system("senet29", classes=10).eval().stages[0][1]
    x = torch.randn(1, 256, 8, 8, generator=torch.Generator().manual_seed(0))
    nn.init.constant_(unit.gate.fc[3].bias, -1e9)  # the gate is shut: nothing but the shortcut is left
    torch.testing.assert_close(unit(x), torch.relu(x))
