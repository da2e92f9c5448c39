"""A network without its blocks, as data: stem, stages of units, head (paper, Table 1)."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from skexplore.arch.formulas import Cost, Place, conv_bn_cost, half
from skexplore.arch.notation import (
    Blocks,
    SKBlock,
    per_stage,
    scale_block,
    with_floor,
    without_acts,
    without_groups,
)
from skexplore.arch.units import BOTTLENECK, UNITS, UnitForm, UnitShape, place
from skexplore.errors import UserError

MAX_RESOLUTION = 4096
MAX_CLASSES = 1_000_000
MAX_IN_CHANNELS = 4096  # of the input
Resolution = int | tuple[int, int]  # pixels of the input: the side of a square, or (height, width)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stem:
    """First convolution (``kernel``, ``stride``, ``width`` channels), then a 3x3 stride-2 max pool if ``pool``.

    deep: channels of further convolutions before it, of the same kernel (ResNet-C: 32, 32); the first of all has the
    stride.
    """

    kernel: int
    stride: int
    width: int
    pool: bool
    deep: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """``depth`` units of inner width ``cardinality * group_width`` and ``out`` output channels.

    In depthwise units the product alone means something: as many groups as channels.
    """

    depth: int
    cardinality: int
    group_width: int
    out: int
    stride: int

    @property
    def width(self) -> int:
        """Channels of the SK convolution (the bottleneck), C of Eq. 4."""
        return self.cardinality * self.group_width


@dataclass(frozen=True, slots=True)
class StageParts:
    """A stage taken apart: the cost of all but its SK convolutions, how many of these stand where, and its output."""

    around: Cost
    places: tuple[tuple[int, Place], ...]
    size: tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Backbone:
    """A network without its blocks. ``resolution``: the input in pixels, a side or (height, width).

    in_channels: of the input. unit: what its units are. head: channels of a last 1x1 convolution before the mean over
    pixels, 0 for none. floor_share: what L of a block is multiplied by here, None for the cardinality's share; of a
    proxy that stands for a reference whose cardinality says nothing.
    """

    name: str
    stem: Stem
    stages: tuple[Stage, ...]
    resolution: Resolution
    classes: int
    unit: UnitForm = BOTTLENECK
    head: int = 0
    in_channels: int = 3
    floor_share: Fraction | None = None

    def __hash__(self) -> int:
        # of what tells most apart: a search asks for it all the time
        return hash((self.name, self.resolution, self.classes, self.in_channels))

    @property
    def cardinality(self) -> int:
        """C of the ``C x group_width`` template."""
        return self.stages[0].cardinality

    @property
    def widths(self) -> tuple[int, ...]:
        """Inner channels of the units, stage by stage; in bottlenecks those of the SK convolutions."""
        return tuple(stage.width for stage in self.stages)

    @property
    def sk_widths(self) -> tuple[tuple[int, ...], ...]:
        """Channels of the SK convolutions of each stage; units that differ have several."""
        return _sk_widths(self)

    @property
    def features(self) -> int:
        """Channels that the classifier reads."""
        return self.head or self.stages[-1].out

    def parts(self, resolution: Resolution | None = None) -> tuple[StageParts, ...]:
        """Return the stages taken apart; ``resolution`` defaults to the backbone's."""
        return _taken_apart(self, whole_size(self.resolution if resolution is None else resolution))

    def stem_cost(self, resolution: Resolution | None = None) -> Cost:
        """Cost of the stem, for one image."""
        size, inputs, total = self._first(resolution), self.in_channels, Cost()
        for outputs in (*self.stem.deep, self.stem.width):
            total += conv_bn_cost(inputs, outputs, self.stem.kernel, size)
            inputs = outputs
        return total

    def head_cost(self, resolution: Resolution | None = None, classes: int | None = None) -> Cost:
        """Cost of what follows the stages, for one image."""
        count = self.classes if classes is None else check_whole("classes", classes, MAX_CLASSES)
        last = self.parts(resolution)[-1].size
        before = conv_bn_cost(self.stages[-1].out, self.head, 1, last) if self.head else Cost()
        linear = self.features * count
        return before + Cost(params=linear + count, macs=linear, activations=count)

    def first_size(self, resolution: Resolution | None = None) -> tuple[int, int]:
        """Return the size of the map that the first stage reads."""
        size = self._first(resolution)
        return half(size, 2) if self.stem.pool else size

    def _first(self, resolution: Resolution | None) -> tuple[int, int]:
        return half(whole_size(self.resolution if resolution is None else resolution), self.stem.stride)

    def place(self, blocks: Blocks) -> Blocks:
        """Return one block per stage, scaled from cardinality 32 to this backbone (``UserError`` if it cannot).

        What is written as absolute stays. Depthwise units have groups of their own: those of a block are set aside.
        """
        if len(blocks) == 1:
            return (self.scaled(blocks[0]),) * len(self.stages)
        forms = per_stage(blocks, len(self.stages), f" of {self.name}")
        return tuple(self.scaled(block, number) for number, block in enumerate(forms, start=1))

    def scaled(self, block: SKBlock, stage: int | None = None) -> SKBlock:
        """Return ``block`` as it is in one stage (from 1), or in all of them; ``UserError`` if it cannot be there."""
        shares, where = len(block.branches), self.name
        if stage is not None:
            where = f"stage {stage} of {self.name}"
        block = without_acts(block, self.unit.act)
        if self.floor_share is not None:
            block = with_floor(block, self.floor_share)
        if self.unit.depthwise:
            return without_groups(block, where)
        channels = _all_channels(self, shares) if stage is None else _channels(self, shares)[stage - 1]
        return scale_block(block, self.cardinality, channels, where)


@lru_cache(maxsize=512)
def _channels(backbone: Backbone, branches: int) -> tuple[tuple[int, ...], ...]:
    """Return for each stage the numbers of channels that groups of a block of so many branches must divide."""
    found = []
    for stage in backbone.parts():
        widths: dict[int, None] = {}
        for _, at in stage.places:
            if at.split and at.inputs % branches:
                raise UserError(
                    f"{branches} branches cannot share the {at.inputs} channels in {backbone.name} evenly: each reads "
                    "a part of them there; take a number of branches that divides them"
                )
            widths |= {at.inputs // branches if at.split else at.inputs: None, at.width: None}
        found.append(tuple(widths))
    return tuple(found)


@lru_cache(maxsize=512)
def _sk_widths(backbone: Backbone) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(dict.fromkeys(at.width for _, at in part.places)) for part in backbone.parts())


@lru_cache(maxsize=512)
def _all_channels(backbone: Backbone, branches: int) -> tuple[int, ...]:
    return tuple(dict.fromkeys(itertools.chain(*_channels(backbone, branches))))


def check_whole(name: str, value: object, most: int) -> int:
    """Return ``value``, given as ``name``; ``UserError`` unless it is a whole number from 1 to ``most``."""
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
        raise UserError(
            f"{name} {value!r}: must be a whole number from 1 to {most:,}; leave it out for the backbone's own"
        )
    return value


def whole_size(resolution: Resolution) -> tuple[int, int]:
    """Return (height, width) of a resolution; ``UserError`` unless both are whole numbers from 1 to 4096."""
    pair = isinstance(resolution, tuple | list) and len(resolution) == 2
    height, width = resolution if pair else (resolution, resolution)  # type: ignore[misc]
    for side in (height, width):
        check_whole("resolution", side, MAX_RESOLUTION)
    return height, width  # type: ignore[return-value]


def resolution_of(text: str, what: str = "--resolution") -> Resolution:
    """Return what ``224`` or ``480x640`` (height, width) says; raises ``UserError`` that names ``what``."""
    sides = text.lower().split("x")
    if len(sides) > 2 or not all(
        s.isascii() and s.isdecimal() and 1 <= int(s) <= MAX_RESOLUTION for s in sides
    ):
        raise UserError(
            f"{what} {text!r}: a side or HEIGHTxWIDTH of 1 to {MAX_RESOLUTION:,} pixels, such as 480x640"
        )
    height, width = int(sides[0]), int(sides[-1])
    return height if height == width else (height, width)


def resolution_text(resolution: Resolution) -> str:
    """Return a resolution as ``480x640``."""
    return "x".join(map(str, whole_size(resolution)))


@lru_cache(maxsize=512)
def _taken_apart(backbone: Backbone, size: tuple[int, int]) -> tuple[StageParts, ...]:
    kind, inputs = UNITS[backbone.unit.kind], backbone.stem.width
    size = backbone.first_size(size)
    found = []
    for stage in backbone.stages:
        around, places = Cost(), dict[Place, int]()
        for number in range(stage.depth):
            stride = stage.stride if number == 0 else 1
            unit = UnitShape(inputs=inputs, width=stage.width, outputs=stage.out, stride=stride, size=size)
            parts = kind.parts(unit)
            around += parts.around
            for convolution in parts.convolutions:
                at = place(convolution, unit.size_out, backbone.unit)
                places[at] = places.get(at, 0) + 1
            inputs, size = stage.out, unit.size_out
        found.append(StageParts(around, tuple((count, at) for at, count in places.items()), size))
    return tuple(found)
