"""Units, the part that a stage repeats: which layers stand around the SK convolution (one class a kind of unit).

Their closed form is written apart, in ``arch.units``, and fvcore compares the two.
"""

from __future__ import annotations

import pkgutil
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor, nn

from skexplore.arch import UNITS, Backbone, SKBlock, Stage, UnitForm, inverted_width, parse_block
from skexplore.nn.fast import ConvBN, MapIn, MapOut
from skexplore.nn.layers import ACTIVATIONS, SKConv, activated, conv_bn


class Unit(nn.Module):
    """A unit: ``inputs`` channels in, ``outputs`` channels out at 1/stride of the side.

    ``width``: its inner channels. ``block`` is at this scale (depthwise units have groups of their own). ``gate``, if
    given, maps what the layers yield to the same shape, before a shortcut is added. ``form``: what all units of the
    network are; by default the usual form of this kind. paths: names of the parts, one path from the input after
    another; what follows the paths is the gate.
    """

    kind: ClassVar[str]
    paths: ClassVar[tuple[tuple[str, ...], ...]]
    sk: SKConv

    def __init__(
        self,
        inputs: int,
        width: int,
        outputs: int,
        block: SKBlock | str,
        *,
        stride: int = 1,
        gate: nn.Module | None = None,
        fuse_norm: bool = True,
        form: UnitForm | None = None,
    ) -> None:
        super().__init__()
        self.form = form = form or UnitForm(kind=self.kind)
        self._fill(_Maker(block, form, fuse_norm), inputs, width, outputs, stride)
        self.gate = gate or nn.Identity()
        self.shortcut = _shortcut(form, inputs, outputs, stride)
        self.outputs = outputs
        self.act = ACTIVATIONS[form.activation](inplace=True)

    def _fill(self, make: _Maker, inputs: int, width: int, outputs: int, stride: int) -> None:
        """Put the layers in."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class _Maker:
    """Makes the layers of a unit: all know the block, the form, and whether fuse has its BatchNorm."""

    block: SKBlock | str
    form: UnitForm
    fuse_norm: bool

    def sk(self, inputs: int, width: int, stride: int) -> SKConv:
        """Return an SK convolution."""
        block = parse_block(self.block) if isinstance(self.block, str) else self.block
        if self.form.depthwise:
            branches = tuple(replace(branch, groups=width, absolute=True) for branch in block.branches)
            block = replace(block, branches=branches)
        return SKConv(
            width,
            block,
            stride=stride,
            fuse_norm=self.fuse_norm,
            inputs=inputs,
            split_input=self.form.split_input,
            activation=self.form.act,
        )

    def conv(self, inputs: int, outputs: int, kernel: int = 1, stride: int = 1) -> ConvBN:
        """Return a convolution, its BatchNorm and the network's activation."""
        return activated(conv_bn(inputs, outputs, kernel, stride=stride), self.form.activation)


def _shortcut(form: UnitForm, inputs: int, outputs: int, stride: int) -> nn.Module:
    """Return the way around a unit: as it is, or by a 1x1 convolution where the shape changes."""
    if inputs == outputs and stride == 1:
        return nn.Identity()
    if not UNITS[form.kind].projects:
        return nn.Identity()
    if form.shortcut == "projection" or stride == 1:
        return conv_bn(inputs, outputs, 1, stride=stride)
    pool = nn.AvgPool2d(2, stride, ceil_mode=True, count_include_pad=False)
    return nn.Sequential(pool, conv_bn(inputs, outputs, 1))


class SKUnit(Unit):
    """Bottleneck of Table 1: 1x1 to ``width``, SK convolution with the stride, 1x1 to ``outputs``, shortcut."""

    kind = "bottleneck"
    paths = (("reduce", "sk", "expand"), ("shortcut",))

    def _fill(self, make: _Maker, inputs: int, width: int, outputs: int, stride: int) -> None:
        self.reduce = make.conv(inputs, width)
        self.sk = make.sk(width, width, stride)
        self.expand = conv_bn(width, outputs, 1)

    def forward(self, x: MapIn) -> MapOut:
        """Return the unit's output, ``outputs`` channels at 1/stride of the side."""
        total: Tensor = self.act(self.gate(self.expand(self.sk(self.reduce(x)))) + self.shortcut(x))
        return total


class Basic(Unit):
    """Basic unit (He et al. 2016): SK convolution with the stride, 3x3 convolution, shortcut; timm's ``skresnet18``."""

    kind = "basic"
    paths = (("sk", "conv"), ("shortcut",))

    def _fill(self, make: _Maker, inputs: int, width: int, outputs: int, stride: int) -> None:
        self.sk = make.sk(inputs, width, stride)
        self.conv = conv_bn(width, outputs, 3)

    def forward(self, x: MapIn) -> MapOut:
        """Return the unit's output, ``outputs`` channels at 1/stride of the side."""
        total: Tensor = self.act(self.gate(self.conv(self.sk(x))) + self.shortcut(x))
        return total


class BasicSecond(Unit):
    """Basic unit whose second convolution is the SK convolution; its branches end before the shortcut is added."""

    kind = "basic-second"
    paths = (("conv", "sk"), ("shortcut",))

    def _fill(self, make: _Maker, inputs: int, width: int, outputs: int, stride: int) -> None:
        self.conv = make.conv(inputs, width, 3, stride)
        self.sk = make.sk(width, outputs, 1)

    def forward(self, x: MapIn) -> MapOut:
        """Return the unit's output, ``outputs`` channels at 1/stride of the side."""
        total: Tensor = self.act(self.gate(self.sk(self.conv(x))) + self.shortcut(x))
        return total


class Separable(Unit):
    """Depthwise separable unit (MobileNet): depthwise SK convolution with the stride, 1x1 convolution; no shortcut."""

    kind = "separable"
    paths = (("sk", "expand"),)

    def _fill(self, make: _Maker, inputs: int, _width: int, outputs: int, stride: int) -> None:
        self.sk = make.sk(inputs, inputs, stride)
        self.expand = make.conv(inputs, outputs)

    def forward(self, x: MapIn) -> MapOut:
        """Return the unit's output, ``outputs`` channels at 1/stride of the side."""
        gated: Tensor = self.gate(self.expand(self.sk(x)))
        return gated


class InvertedResidual(Unit):
    """Inverted residual (MobileNetV2): 1x1 to more channels, depthwise SK convolution, 1x1 without activation.

    The input is added where the shape stays. Inner channels are as many times the inputs as ``width`` is ``outputs``;
    the first 1x1 is left out where they are the inputs.
    """

    kind = "inverted"
    paths = (("widen", "sk", "narrow"),)

    def _fill(self, make: _Maker, inputs: int, width: int, outputs: int, stride: int) -> None:
        inner = inverted_width(inputs, width, outputs)
        self.adds = stride == 1 and inputs == outputs
        self.widen = make.conv(inputs, inner) if inner != inputs else nn.Identity()
        self.sk = make.sk(inner, inner, stride)
        self.narrow = conv_bn(inner, outputs, 1)

    def forward(self, x: MapIn) -> MapOut:
        """Return the unit's output, ``outputs`` channels at 1/stride of the side."""
        gated: Tensor = self.gate(self.narrow(self.sk(self.widen(x))))
        return gated + x if self.adds else gated


class Shuffle(Unit):
    """Shuffle unit (ShuffleNetV2): half of the channels through 1x1, depthwise SK convolution, 1x1; then a shuffle.

    Where the shape changes all channels go both ways: the other way is a depthwise SK convolution and a 1x1 too
    (SKNet, section 4.1.2: every depthwise 3x3 becomes an SK convolution).
    """

    kind = "shuffle"
    paths = (("reduce", "sk", "expand"), ("side_sk", "side"))

    def _fill(self, make: _Maker, inputs: int, width: int, outputs: int, stride: int) -> None:
        self.halves = stride == 1 and inputs == outputs
        self.reduce = make.conv(width if self.halves else inputs, width)
        self.sk = make.sk(width, width, stride)
        self.expand = make.conv(width, width)
        self.side_sk = nn.Identity() if self.halves else make.sk(inputs, inputs, stride)
        self.side = nn.Identity() if self.halves else make.conv(inputs, width)

    def forward(self, x: MapIn) -> MapOut:
        """Return the unit's output, ``outputs`` channels at 1/stride of the side, the two ways in turns."""
        half = x.shape[1] // 2
        kept, seen = (x[:, :half], x[:, half:]) if self.halves else (x, x)
        ways = [self.side(self.side_sk(kept)), self.expand(self.sk(self.reduce(seen)))]
        gated: Tensor = self.gate(torch.stack(ways, dim=2).flatten(1, 2))
        return gated


def make_unit(
    backbone: Backbone,
    inputs: int,
    stage: Stage,
    block: SKBlock,
    *,
    stride: int,
    gate: nn.Module | None,
    fuse_norm: bool,
) -> Unit:
    """Return the unit that ``backbone`` has in ``stage`` for ``inputs`` channels."""
    form = backbone.unit
    made: Unit = pkgutil.resolve_name(UNITS[form.kind].make)(
        inputs, stage.width, stage.out, block, stride=stride, gate=gate, fuse_norm=fuse_norm, form=form
    )
    return made
