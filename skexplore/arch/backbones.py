"""Macro-architectures: stem, stages and head as data, and the registry of those that have a name.

Paper: Table 1 (ResNeXt-50 and SKNet-50), section 3.2 (SKNet-26/101), supplement A (Table 3's variants).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from skexplore.arch.notation import Blocks, canonical, per_stage, scale_block
from skexplore.errors import UserError, did_you_mean


@dataclass(frozen=True, slots=True, kw_only=True)
class Stem:
    """First convolution (``kernel``, ``stride``, ``width`` channels), then a 3x3 stride-2 max pool if ``pool``."""

    kernel: int
    stride: int
    width: int
    pool: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """``depth`` SK units of inner width ``cardinality * group_width`` and ``out`` output channels."""

    depth: int
    cardinality: int
    group_width: int
    out: int
    stride: int

    @property
    def width(self) -> int:
        """Channels of the SK convolution (the bottleneck), C of Eq. 4."""
        return self.cardinality * self.group_width


@dataclass(frozen=True, slots=True, kw_only=True)
class Backbone:
    """A network without its blocks. ``resolution`` is the side of the square input in pixels."""

    name: str
    stem: Stem
    stages: tuple[Stage, ...]
    resolution: int
    classes: int

    @property
    def cardinality(self) -> int:
        """C of the ``C x group_width`` template."""
        return self.stages[0].cardinality

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels of the SK convolutions, stage by stage."""
        return tuple(stage.width for stage in self.stages)

    def place(self, blocks: Blocks) -> Blocks:
        """Return one block per stage, scaled from cardinality 32 to this backbone (``UserError`` if it cannot)."""
        if len(blocks) == 1:
            return (scale_block(blocks[0], self.cardinality, self.widths, self.name),) * len(self.stages)
        if len(self.stages) != len(REFERENCE.stages):
            raise UserError(
                f"{len(blocks)} blocks, one per stage, for {self.name}: its {len(self.stages)} stages do not stand "
                f"for the {len(REFERENCE.stages)} of {REFERENCE.name}; give one block for all"
            )
        stages = per_stage(blocks, len(self.stages))
        return tuple(
            scale_block(block, self.cardinality, (width,), f"stage {number} of {self.name}")
            for number, (block, width) in enumerate(zip(stages, self.widths, strict=True), start=1)
        )


def _imagenet(
    name: str,
    depths: tuple[int, ...],
    *,
    cardinality: int = 32,
    outs: tuple[int, ...] = (256, 512, 1024, 2048),
) -> Backbone:
    stages = tuple(
        Stage(depth=depth, cardinality=cardinality, group_width=4 * 2**i, out=out, stride=1 if i == 0 else 2)
        for i, (depth, out) in enumerate(zip(depths, outs, strict=True))
    )
    stem = Stem(kernel=7, stride=2, width=64, pool=True)
    return Backbone(name=name, stem=stem, stages=stages, resolution=224, classes=1000)


def _cifar29(name: str, cardinality: int, group_width: int) -> Backbone:
    """Return the paper's CIFAR network (section 4.2): 3x3 stem of 64, three stages of three units."""
    stages = tuple(
        Stage(
            depth=3,
            cardinality=cardinality,
            group_width=group_width * 2**i,
            out=256 * 2**i,
            stride=1 if i == 0 else 2,
        )
        for i in range(3)
    )
    stem = Stem(kernel=3, stride=1, width=64, pool=False)
    return Backbone(name=name, stem=stem, stages=stages, resolution=32, classes=10)


REFERENCE = _imagenet("sknet50", (3, 4, 6, 3))

BACKBONES: dict[str, Backbone] = {
    "sknet26": _imagenet("sknet26", (2, 2, 2, 2)),
    "sknet50": REFERENCE,
    "sknet101": _imagenet("sknet101", (3, 4, 23, 3)),
    # the paper's CIFAR networks (section 4.2): SKNet-29 is k3+k1/r32 in the first, ResNeXt-29 is k3 in each
    "sknet29": _cifar29("sknet29", 16, 32),
    "sknet29-8x64d": _cifar29("sknet29-8x64d", 8, 64),
    "sknet29-16x64d": _cifar29("sknet29-16x64d", 16, 64),
    # the three ways of Table 3 to spend SK's complexity on a plain ResNeXt-50 (supplement A)
    "sknet50-wider": _imagenet("sknet50-wider", (3, 4, 6, 3), cardinality=34, outs=(272, 544, 1088, 2176)),
    "sknet50-deeper": _imagenet("sknet50-deeper", (3, 4, 8, 3)),
    "sknet50-36x4d": _imagenet("sknet50-36x4d", (3, 4, 6, 3), cardinality=36),
    # the other reading of "2 extra blocks at the end of the fourth stage": conv5, not conv4
    "sknet50-deeper-conv5": _imagenet("sknet50-deeper-conv5", (3, 4, 6, 5)),
}

_PROXY = re.compile(
    r"(?P<cardinality>[1-9][0-9]?)x(?P<group_width>[1-9][0-9]?)d(?:-(?P<depths>[1-9]{4}))?"
    r"(?:-c(?P<stem>[1-9][0-9]{0,2}))?(?:-o(?P<out>[1-9][0-9]{0,3}))?(?P<stride>-s2)?"
)
PROXY_FORM = "CxGd[-DEPTHS][-cSTEM][-oOUT][-s2]"


def _proxy(name: str) -> Backbone | None:
    """Return the four-stage CIFAR network ``CxGd[-DEPTHS][-cSTEM][-oOUT][-s2]``, or None for another form.

    Stage widths are C*G times 1, 2, 4, 8. DEPTHS: units in each stage (1111); STEM: channels of the 3x3 stem (2C);
    OUT: output channels of the first stage, doubled by each next (2*C*G); ``-s2``: stem of stride 2.
    """
    match = _PROXY.fullmatch(name)
    if match is None:
        return None
    cardinality, group_width = int(match["cardinality"]), int(match["group_width"])
    out = int(match["out"] or 2 * cardinality * group_width)
    stages = tuple(
        Stage(
            depth=int(depth),
            cardinality=cardinality,
            group_width=group_width * 2**i,
            out=out * 2**i,
            stride=1 if i == 0 else 2,
        )
        for i, depth in enumerate(match["depths"] or "1111")
    )
    # 2C stem channels and no pool: the reference's proportions (64 at C = 32) on a 32-pixel image
    width = int(match["stem"] or 2 * cardinality)
    stem = Stem(kernel=3, stride=2 if match["stride"] else 1, width=width, pool=False)
    return Backbone(name=name, stem=stem, stages=stages, resolution=32, classes=10)


def get_backbone(name: str) -> Backbone:
    """Return the backbone called ``name``; an unknown name is a ``UserError`` with the nearest one."""
    found = BACKBONES.get(name) or _proxy(name)
    if found is None:
        lower = name.lower()
        hint = f" (did you mean {lower}?)" if _proxy(lower) else did_you_mean(name, BACKBONES)
        raise UserError(
            f"unknown backbone {name!r}{hint}\n"
            f"known: {', '.join(BACKBONES)}\n"
            f"and CIFAR proxies {PROXY_FORM} such as 8x4d-1111-s2: C and G (cardinality, group width) 1 to 99, "
            "DEPTHS\n(units in each stage) four digits 1 to 9, STEM (its channels) up to 999, OUT (channels out of "
            "stage 1) up to 9999,\n-s2 for a stem of stride 2; suffixes in this order"
        )
    return found


def cifar_backbone(name: str) -> Backbone:
    """Return the backbone called ``name``; ``UserError`` for none, and for one that takes no images of 32 pixels."""
    found = get_backbone(name)
    if found.resolution == REFERENCE.resolution:
        raise UserError(
            f"backbone {name}: made for images of {found.resolution} pixels, but CIFAR images have 32; use "
            "sknet29 or a proxy such as 16x4d-1111"
        )
    return found


def canonical_at_reference(blocks: Blocks) -> Blocks:
    """Return the canonical form at the reference, where blocks are written (SKNet-50)."""
    return canonical(blocks, REFERENCE.widths)
