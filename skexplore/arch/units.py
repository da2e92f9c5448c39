"""Kinds of units, the part that a stage repeats: which layers stand around the SK convolution, in closed form.

Papers: bottleneck and basic unit (He et al., CVPR 2016), their average-pool shortcut (He et al., CVPR 2019, ResNet-D),
depthwise separable unit (MobileNet, Howard et al. 2017), inverted residual (MobileNetV2, Sandler et al., CVPR 2018),
shuffle unit (ShuffleNetV2, Ma et al., ECCV 2018; SKNet, section 4.1.2).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from skexplore.arch.formulas import Cost, Place, conv_bn_cost, half
from skexplore.errors import UserError, check_one_of

ACTIVATIONS = ("relu", "relu6")
SHORTCUTS = ("projection", "pooled")


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitForm:
    """What all units of a network are.

    kind: of ``UNITS``. shortcut: where a unit changes the shape, a strided 1x1 convolution (``projection``) or a 2x2
    mean and then a 1x1 convolution (``pooled``). split_input: each branch of an SK convolution reads an equal part of
    the channels, as in timm's ``skresnet``. activation: ``relu`` or ``relu6``.
    """

    kind: str = "bottleneck"
    shortcut: str = "projection"
    split_input: bool = False
    activation: str = "relu"

    def __post_init__(self) -> None:
        check_one_of("unit", self.kind, UNITS)
        check_one_of("shortcut", self.shortcut, SHORTCUTS)
        check_one_of("activation", self.activation, ACTIVATIONS)
        if self.split_input and self.depthwise:
            raise UserError(
                f"units {self.kind} are depthwise: branches cannot share their channels; leave split out"
            )

    @property
    def act(self) -> str:
        """What ends a branch that does not say it itself: an activation, or ``linear`` for none."""
        return self.activation if UNITS[self.kind].activated else "linear"

    @property
    def depthwise(self) -> bool:
        """Whether its SK convolutions have as many groups as channels."""
        return UNITS[self.kind].depthwise


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitShape:
    """One unit: channels in, inner ``width`` of its stage, channels out, stride, and the size of its input map."""

    inputs: int
    width: int
    outputs: int
    stride: int
    size: tuple[int, int]

    @property
    def size_out(self) -> tuple[int, int]:
        """Size of the output map."""
        return half(self.size, self.stride)


@dataclass(frozen=True, slots=True)
class UnitParts:
    """A unit taken apart: the cost of all but its SK convolutions, and where these stand, (inputs, width) each."""

    around: Cost
    convolutions: tuple[tuple[int, int], ...]


def _bottleneck(unit: UnitShape) -> UnitParts:
    around = conv_bn_cost(unit.inputs, unit.width, 1, unit.size)
    around += conv_bn_cost(unit.width, unit.outputs, 1, unit.size_out) + _shortcut(unit)
    return UnitParts(around, ((unit.width, unit.width),))


def _basic(unit: UnitShape) -> UnitParts:
    around = conv_bn_cost(unit.outputs, unit.outputs, 3, unit.size_out) + _shortcut(unit)
    return UnitParts(around, ((unit.inputs, unit.outputs),))


def _basic_second(unit: UnitShape) -> UnitParts:
    around = conv_bn_cost(unit.inputs, unit.outputs, 3, unit.size_out) + _shortcut(unit)
    return UnitParts(around, ((unit.outputs, unit.outputs),))


def _shortcut(unit: UnitShape) -> Cost:
    if unit.inputs == unit.outputs and unit.stride == 1:
        return Cost()
    return conv_bn_cost(unit.inputs, unit.outputs, 1, unit.size_out)


def _separable(unit: UnitShape) -> UnitParts:
    around = conv_bn_cost(unit.inputs, unit.outputs, 1, unit.size_out)
    return UnitParts(around, ((unit.inputs, unit.inputs),))


def inverted_width(inputs: int, width: int, outputs: int) -> int:
    """Return the inner channels of an inverted residual: as many times its inputs as ``width`` is its outputs."""
    return width // outputs * inputs


def _inverted(unit: UnitShape) -> UnitParts:
    inner = inverted_width(unit.inputs, unit.width, unit.outputs)
    around = conv_bn_cost(inner, unit.outputs, 1, unit.size_out)
    if inner != unit.inputs:
        around += conv_bn_cost(unit.inputs, inner, 1, unit.size)
    return UnitParts(around, ((inner, inner),))


def _shuffle(unit: UnitShape) -> UnitParts:
    width = unit.width
    after = conv_bn_cost(width, width, 1, unit.size_out)
    if unit.stride == 1 and unit.inputs == unit.outputs:
        return UnitParts(conv_bn_cost(width, width, 1, unit.size) + after, ((width, width),))
    side = conv_bn_cost(unit.inputs, width, 1, unit.size_out)
    around = conv_bn_cost(unit.inputs, width, 1, unit.size) + after + side
    return UnitParts(around, ((unit.inputs, unit.inputs), (width, width)))


def _sixth(width: int) -> int:
    """Return the divisor of ``width`` nearest below a sixth of it (MobileNetV2's expansion)."""
    return max(out for out in range(1, max(width // 6, 1) + 1) if width % out == 0)


def _any(_width: int, _out: int) -> bool:
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitKind:
    """One kind of unit.

    make: where its module is (``module:class``, loaded when a network is built). parts: its closed form. depthwise:
    its SK convolutions have as many groups as channels. activated: their branches end in an activation where the
    notation does not say otherwise. strided: they have the stride of their unit. projects: a 1x1 convolution goes
    around a unit that changes the shape. out: the usual channels out for an inner width. allows: whether an inner
    width and channels out go together.
    """

    make: str
    parts: Callable[[UnitShape], UnitParts]
    depthwise: bool = False
    activated: bool = True
    strided: bool = True
    projects: bool = True
    out: Callable[[int], int] = lambda width: width
    allows: Callable[[int, int], bool] = int.__eq__


UNITS: dict[str, UnitKind] = {
    "bottleneck": UnitKind(
        make="skexplore.nn.units:SKUnit", parts=_bottleneck, out=lambda width: 2 * width, allows=_any
    ),
    # the block is the first 3x3 convolution (timm's skresnet18), or the second
    "basic": UnitKind(make="skexplore.nn.units:Basic", parts=_basic),
    "basic-second": UnitKind(
        make="skexplore.nn.units:BasicSecond", parts=_basic_second, activated=False, strided=False
    ),
    "separable": UnitKind(
        make="skexplore.nn.units:Separable", parts=_separable, depthwise=True, projects=False
    ),
    "inverted": UnitKind(
        make="skexplore.nn.units:InvertedResidual",
        parts=_inverted,
        depthwise=True,
        projects=False,
        out=_sixth,
        allows=lambda width, out: width % out == 0,
    ),
    # "no ReLU after a depthwise convolution": ShuffleNetV2, Figure 3; Table S8 tries it
    "shuffle": UnitKind(
        make="skexplore.nn.units:Shuffle",
        parts=_shuffle,
        depthwise=True,
        projects=False,
        activated=False,
        out=lambda width: 2 * width,
        allows=lambda width, out: out == 2 * width,
    ),
}


def place(convolution: tuple[int, int], size: tuple[int, int], form: UnitForm) -> Place:
    """Return where an SK convolution of (inputs, width) stands in a unit of this form, with its output ``size``."""
    inputs, width = convolution
    return Place(inputs=inputs, width=width, size=size, depthwise=form.depthwise, split=form.split_input)


BOTTLENECK = UnitForm()  # of the paper's ImageNet networks
