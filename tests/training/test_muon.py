"""Muon against torch's own where that can be used, orthogonality by SVD, and the rest against torch's SGD."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from skexplore.training.muon import Muon, orthogonal


def draw(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))


@pytest.mark.parametrize("steps", [4, 5])
@pytest.mark.parametrize("shape", [(1, 8, 30), (5, 4, 36), (3, 30, 8)])
def test_singular_values_come_near_one_and_vectors_stay(shape, steps):
    given = draw(*shape)
    found = orthogonal(given, steps)
    assert found.shape == given.shape
    left, _, right = torch.linalg.svd(given, full_matrices=False)
    inside = (
        left.transpose(1, 2) @ found @ right.transpose(1, 2)
    )  # diagonal if the singular vectors are the same
    values = torch.diagonal(inside, dim1=1, dim2=2)
    assert (inside - torch.diag_embed(values)).abs().max() < 1e-4
    assert values.min() > 0.3
    assert values.max() < 1.3


def test_groups_are_made_orthogonal_each_for_itself():
    given = draw(4, 3, 20)
    together = orthogonal(given)
    alone = torch.cat([orthogonal(given[n : n + 1]) for n in range(4)])
    torch.testing.assert_close(together, alone)


def in_float32(gradient, _coefficients, ns_steps, _eps):
    """torch orthogonalises in bfloat16; so that nothing hides behind its rounding, here by what is tested above."""
    return orthogonal(gradient[None], ns_steps)[0]


@pytest.mark.parametrize("shape", [(10, 6), (40, 2)])  # wide, and tall: there the step is scaled
@pytest.mark.parametrize("nesterov", [True, False])
def test_an_ungrouped_convolution_is_a_matrix_of_torchs_muon(monkeypatch, shape, nesterov):
    monkeypatch.setattr("torch.optim._muon._zeropower_via_newtonschulz", in_float32)
    layer = nn.Conv2d(shape[1], shape[0], 3, bias=False)
    matrix = nn.Parameter(layer.weight.detach().reshape(shape[0], -1).clone())
    known = {"lr": 0.05, "momentum": 0.9, "weight_decay": 0.3, "nesterov": nesterov}
    ours = Muon(layer, sgd_lr=0.1, **known)
    theirs = torch.optim.Muon([matrix], ns_steps=4, **known)
    random = torch.Generator().manual_seed(0)
    for _ in range(6):
        layer.weight.grad = torch.randn(layer.weight.shape, generator=random)
        matrix.grad = layer.weight.grad.reshape(shape[0], -1).clone()
        ours.step()
        theirs.step()
    torch.testing.assert_close(layer.weight.reshape(shape[0], -1), matrix, atol=1e-6, rtol=0)


def test_all_but_convolutions_are_trained_as_by_sgd():
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(8, 8, 3, groups=8, bias=False),
        nn.BatchNorm2d(8),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 3),
    )
    other = copy.deepcopy(network)
    alike = {"momentum": 0.9, "nesterov": True}
    ours = Muon(network, lr=0.4, sgd_lr=0.05, weight_decay=5e-4, **alike)
    matrices = [each for each in other.parameters() if each.ndim > 1]
    vectors = [each for each in other.parameters() if each.ndim == 1]
    theirs = torch.optim.SGD(
        [{"params": matrices}, {"params": vectors, "weight_decay": 0.0}], lr=0.05, weight_decay=5e-4, **alike
    )
    images = draw(4, 8, 6, 6)
    for rate in (1.0, 0.5, 0.25):  # a schedule sets the rate of Muon, the rest goes with it
        for group in ours.param_groups:
            group["lr"] = 0.4 * rate
        for group in theirs.param_groups:
            group["lr"] = 0.05 * rate
        for net, optimizer in ((network, ours), (other, theirs)):
            optimizer.zero_grad()
            net(images).square().sum().backward()
            optimizer.step()
    for mine, its in zip(network.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(mine, its)


def test_a_group_of_the_convolution_does_not_see_the_others():
    layer = nn.Conv2d(8, 8, 3, groups=2, bias=False)
    before = layer.weight.detach().clone()
    layer.weight.grad = torch.zeros_like(layer.weight)
    layer.weight.grad[:4] = draw(4, 4, 3, 3)
    Muon(layer, lr=0.1, sgd_lr=0.1, momentum=0.9, weight_decay=0.0).step()
    torch.testing.assert_close(layer.weight[4:], before[4:])
    moved = (layer.weight[:4] - before[:4]).reshape(4, -1)
    assert torch.linalg.svdvals(moved / 0.1).min() > 0.3
