"""What layers cost, in closed form: plain numbers, no network.

"GFLOPs" of this field are 10^9 multiply-adds of convolutions and linear layers (``macs``).
"""

from __future__ import annotations

from dataclasses import dataclass

from skexplore.arch.notation import SKBlock


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What one image costs.

    params: trainable numbers. bn_stats: BatchNorm running means and variances. macs: multiply-adds of
    convolutions and linear layers. gate_macs: one multiply for each element that select rescales
    (M*C*H*W, Eq. 6). activations: output elements of convolutions and linear layers. bn_elements: elements
    that pass a BatchNorm.
    """

    params: int = 0
    bn_stats: int = 0
    macs: int = 0
    gate_macs: int = 0
    activations: int = 0
    bn_elements: int = 0

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            params=self.params + other.params,
            bn_stats=self.bn_stats + other.bn_stats,
            macs=self.macs + other.macs,
            gate_macs=self.gate_macs + other.gate_macs,
            activations=self.activations + other.activations,
            bn_elements=self.bn_elements + other.bn_elements,
        )

    def __mul__(self, times: int) -> Cost:
        return Cost(
            params=self.params * times,
            bn_stats=self.bn_stats * times,
            macs=self.macs * times,
            gate_macs=self.gate_macs * times,
            activations=self.activations * times,
            bn_elements=self.bn_elements * times,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where one SK convolution stands.

    inputs: channels that come in. width: channels of every branch and of the output, C of Eq. 4. size: (height, width)
    of its output in pixels. depthwise: as many groups as channels, whatever the block says. split: branches share
    the inputs, each reads an equal part of them (timm's ``split_input``).
    """

    inputs: int
    width: int
    size: tuple[int, int]
    depthwise: bool = False
    split: bool = False


def conv_bn_cost(inputs: int, outputs: int, kernel: int, size: tuple[int, int], groups: int = 1) -> Cost:
    """Cost of a bias-free convolution that yields a map of ``size``, and its BatchNorm."""
    pixels = size[0] * size[1]
    weights = inputs // groups * outputs * kernel * kernel
    return Cost(
        params=weights + 2 * outputs,
        bn_stats=2 * outputs,
        macs=weights * pixels,
        activations=outputs * pixels,
        bn_elements=outputs * pixels,
    )


def half(size: tuple[int, int], stride: int) -> tuple[int, int]:
    """Return the output size of a 'same'-padded window of odd kernel: ceil(size / stride)."""
    return -(-size[0] // stride), -(-size[1] // stride)


_NAMES = ("params", "bn_stats", "macs", "gate_macs", "activations", "bn_elements")


def sk_conv_cost(block: SKBlock, place: Place) -> Cost:
    """Cost of the SK convolution that ``block``, already at this scale, is at ``place`` (Eqs. 1-6)."""
    return Cost(**dict(zip(_NAMES, sk_conv_numbers(block, place), strict=True)))


def sk_conv_numbers(block: SKBlock, place: Place) -> tuple[int, int, int, int, int, int]:
    """Return the fields of ``sk_conv_cost`` in their order: a search adds up many of them, as plain numbers."""
    width, pixels, branches = place.width, place.size[0] * place.size[1], len(block.branches)
    read = place.inputs // branches if place.split else place.inputs
    weights = 0
    for branch in block.branches:
        groups = width if place.depthwise else branch.groups
        weights += read // groups * width * branch.kernel * branch.kernel
    channels = branches * width  # every branch ends in a BatchNorm over all channels
    elements = channels * pixels
    if not block.selects:
        return weights + 2 * channels, 2 * channels, weights * pixels, 0, elements, elements
    dim = block.dim(width)
    linear = width * dim + dim * channels  # W of Eq. 3, then the M matrices of Eq. 5, all kept
    statistics = 2 * channels + 2 * dim
    return (
        weights + statistics + linear,
        statistics,
        weights * pixels + linear,
        elements,
        elements + dim + channels,
        elements + dim,
    )
