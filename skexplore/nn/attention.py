"""SE, CBAM and BAM as plain modules: what Table 2 puts in the place of Selective Kernels."""

from __future__ import annotations

import pkgutil
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from skexplore.arch import BAM_DILATION, CBAM_KERNEL, GATES, Gate

Map = Float[Tensor, "batch channels height width"]


class GateModule(nn.Module):
    """A module made from its channels and its ``Gate``; ``sees_all``: its parts behind a mean over the whole map."""

    sees_all: ClassVar[tuple[str, ...]] = ()


class SE(GateModule):
    """Squeeze and excitation: ``x * sigmoid(fc(relu(fc(mean(x)))))``, one weight per channel."""

    sees_all = ("fc",)

    def __init__(self, channels: int, gate: Gate) -> None:
        super().__init__()
        hidden = gate.hidden(channels)
        norms = [nn.BatchNorm1d(size) if gate.batch_norm else nn.Identity() for size in (hidden, channels)]
        self.fc = nn.Sequential(
            nn.Linear(channels, hidden),
            norms[0],
            nn.ReLU(inplace=True),
            nn.Linear(hidden, channels),
            norms[1],
        )

    def forward(self, x: Map) -> Map:
        """Return ``x`` with each channel rescaled."""
        weights: Tensor = self.fc(x.mean((2, 3))).sigmoid()
        return x * weights[:, :, None, None]


class CBAM(GateModule):
    """A channel gate from mean and maximum over pixels, then a spatial gate from mean and maximum over channels."""

    sees_all = ("fc",)

    def __init__(self, channels: int, gate: Gate) -> None:
        super().__init__()
        hidden = gate.hidden(channels)
        self.fc = nn.Sequential(
            nn.Linear(channels, hidden), nn.ReLU(inplace=True), nn.Linear(hidden, channels)
        )
        self.spatial = nn.Sequential(
            nn.Conv2d(2, 1, CBAM_KERNEL, padding=CBAM_KERNEL // 2, bias=False), nn.BatchNorm2d(1)
        )

    def forward(self, x: Map) -> Map:
        """Return ``x`` rescaled by channel, then by pixel."""
        x = x * (self.fc(x.mean((2, 3))) + self.fc(x.amax((2, 3)))).sigmoid()[:, :, None, None]
        seen = torch.cat((x.amax(1, keepdim=True), x.mean(1, keepdim=True)), dim=1)
        weights: Tensor = self.spatial(seen).sigmoid()
        return x * weights


class BAM(GateModule):
    """``x * (1 + sigmoid(channel(x) * spatial(x)))``, the two gates side by side."""

    sees_all = ("channel",)

    def __init__(self, channels: int, gate: Gate) -> None:
        super().__init__()
        hidden = gate.hidden(channels)
        self.channel = nn.Sequential(
            nn.Linear(channels, hidden),
            nn.BatchNorm1d(hidden),
            nn.ReLU(inplace=True),
            nn.Linear(hidden, channels),
        )
        self.spatial = nn.Sequential(*_conv(channels, hidden, 1))
        for _ in range(2):
            self.spatial.extend(_conv(hidden, hidden, 3, dilation=BAM_DILATION))
        self.spatial.append(nn.Conv2d(hidden, 1, 1))

    def forward(self, x: Map) -> Map:
        """Return ``x`` with each element rescaled by 1 to 2."""
        weights: Tensor = self.channel(x.mean((2, 3)))[:, :, None, None] * self.spatial(x)
        return x * (1 + weights.sigmoid())


def _conv(inputs: int, outputs: int, kernel: int, *, dilation: int = 1) -> list[nn.Module]:
    """Return a 'same'-padded convolution with bias, its BatchNorm and ReLU, as the BAM paper has them."""
    padding = dilation * (kernel - 1) // 2
    return [
        nn.Conv2d(inputs, outputs, kernel, padding=padding, dilation=dilation),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    ]


def make_gate(gate: Gate, channels: int) -> GateModule:
    """Return the module that ``gate`` means on maps of ``channels`` channels."""
    made: GateModule = pkgutil.resolve_name(GATES[gate.kind].make)(channels, gate)
    return made
