"""The backbones that have a name, one entry each.

Papers: Table 1 (ResNeXt-50 and SKNet-50), section 3.2 (SKNet-26/101), supplement A (Table 3's variants), section 4.1.2
(ShuffleNetV2); those of the networks that carry a name of their own.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import lru_cache

from skexplore.arch.backbone import (
    Backbone,
    Resolution,
    Stage,
    Stem,
    resolution_of,
    resolution_text,
    whole_size,
)
from skexplore.arch.units import BOTTLENECK, UNITS, UnitForm
from skexplore.errors import UserError, did_you_mean

_STEM = Stem(kernel=7, stride=2, width=64, pool=True)  # of ResNet
_DEEP = Stem(kernel=3, stride=2, width=64, pool=True, deep=(32, 32))  # of ResNet-C and -D
_SMALL = Stem(kernel=3, stride=2, width=24, pool=True)  # of ShuffleNetV2


def _staged(
    name: str,
    depths: tuple[int, ...],
    *,
    cardinality: int = 32,
    group_width: int = 4,
    outs: tuple[int, ...] = (256, 512, 1024, 2048),
    stem: Stem = _STEM,
    unit: UnitForm = BOTTLENECK,
) -> Backbone:
    """Return a network for ImageNet of four stages that double their width."""
    stages = tuple(
        Stage(
            depth=depth,
            cardinality=cardinality,
            group_width=group_width * 2**i,
            out=out,
            stride=1 if i == 0 else 2,
        )
        for i, (depth, out) in enumerate(zip(depths, outs, strict=True))
    )
    return Backbone(name=name, stem=stem, stages=stages, resolution=224, classes=1000, unit=unit)


def _resnet(name: str, depths: tuple[int, ...], *, stem: Stem = _STEM, **form: str | bool) -> Backbone:
    """Return a network of bottlenecks without groups (He et al., CVPR 2016, Table 1)."""
    unit = UnitForm(**form)  # type: ignore[arg-type]
    return _staged(name, depths, cardinality=1, group_width=64, stem=stem, unit=unit)


def _basic(name: str, depths: tuple[int, ...], *, split_input: bool = False) -> Backbone:
    """Return a network of two 3x3 convolutions a unit (He et al., CVPR 2016, Table 1)."""
    unit, outs = UnitForm(kind="basic", split_input=split_input), (64, 128, 256, 512)
    return _staged(name, depths, cardinality=1, group_width=64, outs=outs, unit=unit)


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


def _light(
    name: str,
    stem: Stem,
    stages: list[tuple[int, int, int]],
    *,
    kind: str,
    width_of: Callable[[int], int],
    head: int = 0,
    activation: str = "relu",
) -> Backbone:
    """Return a depthwise network for ImageNet from (depth, channels out, stride) of its stages.

    width_of: the inner channels of a unit, from its channels out.
    """
    return Backbone(
        name=name,
        stem=stem,
        stages=tuple(
            Stage(depth=depth, cardinality=width_of(out), group_width=1, out=out, stride=stride)
            for depth, out, stride in stages
        ),
        resolution=224,
        classes=1000,
        unit=UnitForm(kind=kind, activation=activation),
        head=head,
    )


def _shufflenet(name: str, width: int, depths: tuple[int, int, int]) -> Backbone:
    """Return a ShuffleNetV2 whose first stage has ``width`` channels out."""
    stages = [(depth, width * 2**i, 2) for i, depth in enumerate(depths)]
    return _light(name, _SMALL, stages, kind="shuffle", width_of=lambda out: out // 2, head=1024)


def _mobilenetv2() -> Backbone:
    """Return MobileNetV2 (Sandler et al., CVPR 2018, Table 2): inner channels are six times the outer, but once."""
    stages = [(1, 16, 1), (2, 24, 2), (3, 32, 2), (4, 64, 2), (3, 96, 1), (3, 160, 2), (1, 320, 1)]
    return _light(
        "mobilenetv2",
        Stem(kernel=3, stride=2, width=32, pool=False),
        stages,
        kind="inverted",
        width_of=lambda out: out if out == 16 else 6 * out,
        head=1280,
        activation="relu6",
    )


REFERENCE = _staged("sknet50", (3, 4, 6, 3))

BACKBONES: dict[str, Backbone] = {
    body.name: body
    for body in (
        _staged("sknet26", (2, 2, 2, 2)),
        REFERENCE,
        _staged("sknet101", (3, 4, 23, 3)),
        _staged("sknet152", (3, 8, 36, 3)),
        # ResNeXt is the same network with one branch: k3
        _staged("resnext50", (3, 4, 6, 3)),
        _staged("resnext101", (3, 4, 23, 3)),
        # the paper's CIFAR networks (section 4.2): SKNet-29 is k3+k1/r32 in the first, ResNeXt-29 is k3 in each
        _cifar29("sknet29", 16, 32),
        _cifar29("sknet29-8x64d", 8, 64),
        _cifar29("sknet29-16x64d", 16, 64),
        # the three ways of Table 3 to spend SK's complexity on a plain ResNeXt-50 (supplement A)
        _staged("sknet50-wider", (3, 4, 6, 3), cardinality=34, outs=(272, 544, 1088, 2176)),
        _staged("sknet50-deeper", (3, 4, 8, 3)),
        _staged("sknet50-36x4d", (3, 4, 6, 3), cardinality=36),
        # the other reading of "2 extra blocks at the end of the fourth stage": conv5, not conv4
        _staged("sknet50-deeper-conv5", (3, 4, 6, 5)),
        # plain ResNets: the block stands for the 3x3 of a bottleneck, or for the first 3x3 of a basic unit
        _basic("resnet18", (2, 2, 2, 2)),
        _basic("resnet34", (3, 4, 6, 3)),
        _resnet("resnet50", (3, 4, 6, 3)),
        _resnet("resnet101", (3, 4, 23, 3)),
        _resnet("resnet152", (3, 8, 36, 3)),
        # as timm has them: branches share the channels. 18 and 34 are k3+k3d2/r8/L=16, 50 and 50d k3+k3d2/L=8
        _basic("skresnet18", (2, 2, 2, 2), split_input=True),
        _basic("skresnet34", (3, 4, 6, 3), split_input=True),
        _resnet("skresnet50", (3, 4, 6, 3), split_input=True),
        _resnet("skresnet50d", (3, 4, 6, 3), stem=_DEEP, split_input=True, shortcut="pooled"),
        _resnet("resnet50d", (3, 4, 6, 3), stem=_DEEP, shortcut="pooled"),
        # SimCLRv2's r50 with SK is k3+k3/L=32 in this (Chen et al., NeurIPS 2020)
        _resnet("simclr-r50", (3, 4, 6, 3), stem=_DEEP, shortcut="pooled"),
        # ShuffleNetV2 as the SKNet paper built it (supplement A), and as its own paper did
        _shufflenet("shufflenetv2-0.5x", 48, (4, 6, 6)),
        _shufflenet("shufflenetv2-1.0x", 116, (4, 6, 6)),
        _shufflenet("shufflenetv2-0.5x-original", 48, (4, 8, 4)),
        _shufflenet("shufflenetv2-1.0x-original", 116, (4, 8, 4)),
        _light(
            "mobilenetv1",
            Stem(kernel=3, stride=2, width=32, pool=False),
            [(1, 64, 1), (2, 128, 2), (2, 256, 2), (6, 512, 2), (2, 1024, 2)],
            kind="separable",
            width_of=lambda out: out,
        ),
        _mobilenetv2(),
    )
}

_PROXY = re.compile(
    r"(?P<cardinality>[1-9][0-9]?)x(?P<group_width>[1-9][0-9]?)d(?:-(?P<depths>[1-9]{3,5}))?"
    r"(?:-c(?P<stem>[1-9][0-9]{0,2}))?(?:-o(?P<out>[1-9][0-9]{0,3}))?(?P<stride>-s2)?"
    r"(?:-(?P<kind>" + "|".join(kind for kind in UNITS if kind != "bottleneck") + r"))?(?P<split>-split)?"
)
_VARIED = re.compile(r"(?P<base>[^:]+)(?::(?P<depths>[0-9]+(?:-[0-9]+)+))?(?::x(?P<width>[0-9]*\.?[0-9]+))?")
VARIED_FORM = "NAME[:DEPTHS][:xWIDTH]"
MOST_DEPTH, MOST_WIDTH = 99, 8
PROXY_FORM = "CxGd[-DEPTHS][-cSTEM][-oOUT][-s2][-UNIT][-split]"


def is_proxy(name: str) -> bool:
    """Return whether ``name`` is that of a CIFAR proxy."""
    return _PROXY.fullmatch(name) is not None


def proxy_text(name: str, *, depths: Sequence[int], **numbers: int) -> str:
    """Return the name of the proxy called ``name`` with these depths, each at most 9, and numbers.

    What is usual is not in it.
    """
    match = _PROXY.fullmatch(name)
    assert match is not None
    parts = match.groupdict() | {key: str(value) for key, value in numbers.items()}
    end = f"{parts['stride'] or ''}{'-' + parts['kind'] if parts['kind'] else ''}{parts['split'] or ''}"
    head = f"{parts['cardinality']}x{parts['group_width']}d-{''.join(map(str, depths))}"
    usual = get_backbone(f"{head}{end}")
    stem = "" if parts["stem"] is None or int(parts["stem"]) == usual.stem.width else f"-c{parts['stem']}"
    out = "" if parts["out"] is None or int(parts["out"]) == usual.stages[0].out else f"-o{parts['out']}"
    return f"{head}{stem}{out}{end}"


def _proxy(name: str) -> Backbone | None:
    """Return the CIFAR network ``CxGd[-DEPTHS][-cSTEM][-oOUT][-s2][-UNIT][-split]``, or None for another form.

    Stage widths are C*G times 1, 2, 4, 8. DEPTHS: units in each stage (1111); STEM: channels of the 3x3 stem (2C; for
    other units than bottlenecks C*G/2); OUT: output channels of the first stage, doubled by each next
    (those of the unit); ``-s2``: stem of stride 2; UNIT: of ``UNITS``, bottlenecks by default; ``-split``: branches
    share the channels.
    """
    match = _PROXY.fullmatch(name)
    if match is None:
        return None
    cardinality, group_width = int(match["cardinality"]), int(match["group_width"])
    form = UnitForm(kind=match["kind"] or "bottleneck", split_input=bool(match["split"]))
    first = cardinality * group_width
    out = int(match["out"] or UNITS[form.kind].out(first))
    if not UNITS[form.kind].allows(first, out):
        raise UserError(
            f"backbone {name}: a unit {form.kind} of {first} inner channels cannot have {out} channels out; leave "
            f"-o{out} out"
        )
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
    # no pool, and the reference's proportions on a 32-pixel image: 64 channels at C = 32
    own = 2 * cardinality if form.kind == "bottleneck" else max(first // 2, 1)
    width = int(match["stem"] or own)
    stem = Stem(kernel=3, stride=2 if match["stride"] else 1, width=width, pool=False)
    return Backbone(name=name, stem=stem, stages=stages, resolution=32, classes=10, unit=form)


def get_backbone(name: str) -> Backbone:
    """Return the backbone called ``name``; an unknown name is a ``UserError`` with the nearest one.

    ``NAME@224`` and ``NAME@480x640`` are the same network for images of another size, ``NAME:2-2-2-2`` one with other
    numbers of units in its stages, ``NAME:x0.5`` one with so many times its channels, ``NAME:2-2-2-2:x0.5@160`` all.
    """
    if "@" in name:
        return _sized(*name.split("@", 1), name)
    if ":" in name:
        return _varied(name)
    found = BACKBONES.get(name) or _proxy(name)
    if found is None:
        lower = name.lower()
        hint = f" (did you mean {lower}?)" if _proxy(lower) else did_you_mean(name, BACKBONES)
        form = (
            f"and CIFAR proxies {PROXY_FORM} such as 8x4d-1111-s2: C and G (cardinality, group width) 1 to 99, DEPTHS "
            "(units in each stage) three to five digits 1 to 9, STEM (its channels) up to 999, OUT (channels out of "
            "stage 1) up to 9999, -s2 for a stem of stride 2, UNIT (bottleneck if left out) one of "
            f"{', '.join(UNITS)}, -split for branches that share the channels; suffixes in this order"
        )
        varied = (
            f"each also as {VARIED_FORM}, with other numbers of units (sknet50:2-2-2-2) or so many times its channels "
            "(sknet50:x0.5)"
        )
        lines = [f"unknown backbone {name!r}{hint}", f"known: {', '.join(BACKBONES)}, {varied}", form]
        raise UserError("\n".join(textwrap.fill(line, 118, break_on_hyphens=False) for line in lines))
    return found


@lru_cache(maxsize=256)
def _sized(name: str, size: str, whole: str) -> Backbone:
    """Return the backbone called ``name`` for images of ``size``; its name says so where that is not its own."""
    found, resolution = get_backbone(name), resolution_of(size, f"backbone {whole}: the size")
    if whole_size(resolution) == whole_size(found.resolution):
        return found
    return replace(found, name=f"{found.name}@{_side(resolution)}", resolution=resolution)


@lru_cache(maxsize=256)
def _varied(name: str) -> Backbone:
    """Return the backbone ``NAME[:DEPTHS][:xWIDTH]``; what is NAME's own is not in its name."""
    match = _VARIED.fullmatch(name)
    if match is None or match["base"] not in BACKBONES:
        base = name.split(":", maxsplit=1)[0]
        if base not in BACKBONES:
            raise UserError(
                f"backbone {name!r}: {base} is none with a name{did_you_mean(base, BACKBONES)}; {VARIED_FORM} varies "
                "one, as in sknet50:2-2-2-2:x0.5; a proxy says its depths and widths itself"
            )
        raise UserError(f"backbone {name!r}: give it as {VARIED_FORM}, as in sknet50:2-2-2-2:x0.5")
    body = BACKBONES[match["base"]]
    if match["depths"]:
        body = _deepened(body, tuple(map(int, match["depths"].split("-"))), name)
    return _widened(body, Fraction(match["width"]), name) if match["width"] else body


def _deepened(body: Backbone, depths: tuple[int, ...], name: str) -> Backbone:
    if len(depths) != len(body.stages) or not all(1 <= depth <= MOST_DEPTH for depth in depths):
        raise UserError(
            f"backbone {name!r}: DEPTHS are the units of each of its {len(body.stages)} stages, 1 to {MOST_DEPTH}, its "
            f"own {'-'.join(str(stage.depth) for stage in body.stages)}"
        )
    stages = tuple(replace(stage, depth=depth) for stage, depth in zip(body.stages, depths, strict=True))
    own = stages == body.stages
    return body if own else replace(body, name=f"{body.name}:{'-'.join(map(str, depths))}", stages=stages)


def _widened(body: Backbone, width: Fraction, name: str) -> Backbone:
    """Return ``body`` with ``width`` times its channels; a last 1x1 convolution never has fewer (MobileNetV2, 4.1)."""
    if not 0 < width <= MOST_WIDTH:
        raise UserError(f"backbone {name!r}: WIDTH must be above 0 and at most {MOST_WIDTH}")
    if width == 1:
        return body

    def times(channels: int) -> int:
        found = width * channels
        if found.denominator > 1:
            raise UserError(
                f"backbone {name!r}: {float(width):g} times {channels} channels is no whole number; take a WIDTH such "
                "as 0.5"
            )
        return int(found)

    def widened(stage: Stage) -> Stage:
        given = (
            {"cardinality": stage.cardinality} if body.unit.depthwise else {"group_width": stage.group_width}
        )
        return replace(stage, out=times(stage.out), **{field: times(own) for field, own in given.items()})

    return replace(
        body,
        name=f"{body.name}:x{float(width):.12g}",
        stem=replace(body.stem, width=times(body.stem.width), deep=tuple(map(times, body.stem.deep))),
        stages=tuple(map(widened, body.stages)),
        head=times(body.head) if width > 1 else body.head,
    )


def _side(resolution: Resolution) -> str:
    return str(resolution) if isinstance(resolution, int) else resolution_text(resolution)


def as_backbone(backbone: object) -> Backbone:
    """Return a backbone that is given by name or as itself; ``UserError`` for anything else."""
    if isinstance(backbone, Backbone):
        return backbone
    if isinstance(backbone, str):
        return get_backbone(backbone)
    raise UserError(f"{backbone!r}: no backbone; give a name such as 'sknet50', or a Backbone")


def cifar_backbone(name: str) -> Backbone:
    """Return the backbone called ``name``; ``UserError`` for none, and for one that takes no images of 32 pixels."""
    found = get_backbone(name)
    if found.resolution != 32:
        raise UserError(
            f"backbone {name}: made for images of {_side(found.resolution)} pixels, but CIFAR images have 32; use "
            f"sknet29, {name.split('@', maxsplit=1)[0]}@32 or a proxy such as 16x4d-1111"
        )
    return found
