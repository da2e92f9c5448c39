"""Whitened first layers: their outputs on the images are uncorrelated and of variance one."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from skexplore.training.whitening import whiten


def images() -> torch.Tensor:
    smooth = nn.AvgPool2d(3, 1, 1)  # neighbours are alike, as in photographs
    return smooth(torch.randn((64, 3, 16, 16), generator=torch.Generator().manual_seed(0))) * 3


@pytest.mark.parametrize("stride", [1, 2])
def test_outputs_are_uncorrelated_of_variance_one_and_come_in_pairs(stride):
    layer = nn.Conv2d(3, 16, 3, padding=1, stride=stride, bias=False)
    whiten(layer, images())
    with torch.no_grad():
        out = layer(images()).transpose(0, 1).flatten(1)
    torch.testing.assert_close(out[8:], -out[:8])
    torch.testing.assert_close(torch.cov(out[:8]), torch.eye(8), atol=0.02, rtol=0)


def test_the_largest_components_come_first_and_what_is_beyond_stays():
    wide = nn.Conv2d(3, 61, 3, padding=1, bias=False)
    before = wide.weight.detach().clone()
    whiten(wide, images())
    torch.testing.assert_close(wide.weight[54:], before[54:])  # 27 components, twice
    narrow = nn.Conv2d(3, 8, 3, padding=1, bias=False)
    whiten(narrow, images())
    torch.testing.assert_close(narrow.weight[:4], wide.weight[:4])
    assert narrow.weight.requires_grad
    odd = nn.Conv2d(3, 7, 3, padding=1, bias=False)
    last = odd.weight[6].detach().clone()
    whiten(odd, images())
    torch.testing.assert_close(odd.weight[6], last)
