"""Networks whose every number counts."""

from __future__ import annotations

import torch
from torch import nn


def randomise(network: nn.Module, seed: int = 0) -> nn.Module:
    """Give every BatchNorm statistics and affine numbers of its own, so that none can hide; eval, float64."""
    generator = torch.Generator().manual_seed(seed)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d | nn.BatchNorm1d):
            with torch.no_grad():
                module.weight.copy_(torch.rand(module.weight.shape, generator=generator) + 0.5)
                module.bias.copy_(0.3 * torch.randn(module.bias.shape, generator=generator))
                module.running_mean.copy_(0.3 * torch.randn(module.bias.shape, generator=generator))
                module.running_var.copy_(torch.rand(module.bias.shape, generator=generator) + 0.5)
    return network.double().eval()
