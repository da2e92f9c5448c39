"""Exact cost of a network in closed form, and the two identities of an architecture.

"GFLOPs" of this field are 10^9 multiply-adds of convolutions and linear layers (``macs``).
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from functools import lru_cache

from skexplore.arch.backbones import REFERENCE, Backbone, canonical_at_reference, get_backbone
from skexplore.arch.notation import Blocks, SKBlock, format_blocks, parse_blocks
from skexplore.errors import UserError

MAX_RESOLUTION = 4096
MAX_CLASSES = 1_000_000


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


def _conv_bn(inputs: int, outputs: int, kernel: int, pixels: int, groups: int = 1) -> Cost:
    """Cost of a bias-free convolution that yields ``pixels`` positions, and its BatchNorm."""
    weights = inputs // groups * outputs * kernel * kernel
    return Cost(
        params=weights + 2 * outputs,
        bn_stats=2 * outputs,
        macs=weights * pixels,
        activations=outputs * pixels,
        bn_elements=outputs * pixels,
    )


def _half(size: int, stride: int) -> int:
    """Return the output side of a 'same'-padded window of odd kernel: ceil(size / stride)."""
    return -(-size // stride)


def sk_conv_cost(block: SKBlock, width: int, size: int | tuple[int, int]) -> Cost:
    """Cost of an SK convolution of ``width`` channels (Eqs. 1-6); size: of its output, a side or (height, width)."""
    height, across = (size, size) if isinstance(size, int) else size
    return Cost(**dict(zip(_NAMES, _sk_conv(block, width, height * across), strict=True)))


_NAMES = ("params", "bn_stats", "macs", "gate_macs", "activations", "bn_elements")


def _sk_conv(block: SKBlock, width: int, pixels: int) -> tuple[int, int, int, int, int, int]:
    """Return the fields of ``sk_conv_cost`` in their order: a search adds up many of them, as plain numbers."""
    weights = 0
    for branch in block.branches:
        weights += width // branch.groups * width * branch.kernel * branch.kernel
    channels = len(block.branches) * width  # every branch ends in a BatchNorm over all channels
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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Frame:
    """A backbone without its SK convolutions: costs of stem, stages and head, and their sum.

    places: (depth, width, output size) of each stage's SK convolutions.
    """

    stem: Cost
    stages: tuple[Cost, ...]
    head: Cost
    total: Cost
    places: tuple[tuple[int, int, int], ...]


def check_whole(name: str, value: object, most: int) -> None:
    """Raise ``UserError`` unless ``value``, given as ``name``, is a whole number from 1 to ``most``."""
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
        raise UserError(
            f"{name} {value!r}: must be a whole number from 1 to {most:,}; leave it out for the backbone's own"
        )


@lru_cache(maxsize=256, typed=True)  # typed: 224.0 must not find what 224 has left
def _frame(backbone: Backbone, resolution: int, classes: int) -> _Frame:
    check_whole("resolution", resolution, MAX_RESOLUTION)
    check_whole("classes", classes, MAX_CLASSES)
    stem = backbone.stem
    size = _half(resolution, stem.stride)
    first = _conv_bn(3, stem.width, stem.kernel, size * size)
    if stem.pool:
        size = _half(size, 2)
    inputs, places, stages = stem.width, [], []
    for stage in backbone.stages:
        total = Cost()
        for unit in range(stage.depth):
            stride = stage.stride if unit == 0 else 1
            total += _conv_bn(inputs, stage.width, 1, size * size)
            size = _half(size, stride)
            total += _conv_bn(stage.width, stage.out, 1, size * size)
            if inputs != stage.out or stride != 1:  # the shortcut needs a projection
                total += _conv_bn(inputs, stage.out, 1, size * size)
            inputs = stage.out
        places.append((stage.depth, stage.width, size))
        stages.append(total)
    head = Cost(params=(inputs + 1) * classes, macs=inputs * classes, activations=classes)
    return _Frame(
        stem=first,
        stages=tuple(stages),
        head=head,
        total=sum(stages, first + head),
        places=tuple(places),
    )


def _own_frame(backbone: Backbone, resolution: int | None, classes: int | None) -> _Frame:
    return _frame(
        backbone,
        backbone.resolution if resolution is None else resolution,
        backbone.classes if classes is None else classes,
    )


def output_sizes(backbone: Backbone, resolution: int | None = None) -> tuple[int, ...]:
    """Return the side in pixels of every stage's output map; ``resolution`` defaults to the backbone's."""
    return tuple(size for _, _, size in _own_frame(backbone, resolution, None).places)


def network_cost(
    placed: Blocks, backbone: Backbone, *, resolution: int | None = None, classes: int | None = None
) -> Cost:
    """Cost of ``backbone`` with one already placed (scaled) block per stage, for one image."""
    frame = _own_frame(backbone, resolution, classes)
    whole = frame.total
    params, bn_stats, macs = whole.params, whole.bn_stats, whole.macs
    gate_macs, activations, bn_elements = whole.gate_macs, whole.activations, whole.bn_elements
    for block, (depth, width, size) in zip(placed, frame.places, strict=True):
        own = _sk_conv(block, width, size * size)
        params += depth * own[0]
        bn_stats += depth * own[1]
        macs += depth * own[2]
        gate_macs += depth * own[3]
        activations += depth * own[4]
        bn_elements += depth * own[5]
    return Cost(
        params=params,
        bn_stats=bn_stats,
        macs=macs,
        gate_macs=gate_macs,
        activations=activations,
        bn_elements=bn_elements,
    )


def network_cost_by_stage(
    placed: Blocks, backbone: Backbone, *, resolution: int | None = None
) -> dict[str, Cost]:
    """Return what ``network_cost`` returns in parts: ``stem``, ``stage 1`` and so on, ``head``."""
    frame = _own_frame(backbone, resolution, None)
    stages = zip(placed, frame.stages, frame.places, strict=True)
    parts = [own + sk_conv_cost(form, width, size) * depth for form, own, (depth, width, size) in stages]
    named = {f"stage {number}": part for number, part in enumerate(parts, start=1)}
    return {"stem": frame.stem, **named, "head": frame.head}


def cost(
    block: str | SKBlock | Blocks,
    backbone: str | Backbone = REFERENCE,
    *,
    resolution: int | None = None,
    classes: int | None = None,
) -> Cost:
    """Return the exact cost of ``block`` in ``backbone``, for one image.

    ``block`` is written at cardinality 32 (notation, ``SKBlock`` or one per stage). ``resolution`` in pixels
    and ``classes`` default to the backbone's. Raises ``UserError`` if the backbone cannot hold the block, or
    for a resolution that is not 1 to 4096 or classes that are not 1 to 1,000,000.
    """
    body = get_backbone(backbone) if isinstance(backbone, str) else backbone
    return network_cost(body.place(as_blocks(block)), body, resolution=resolution, classes=classes)


def check_memory(own: Cost, name: str, mend: str = "") -> None:
    """Raise ``UserError`` if ``name``, which costs ``own``, is too large to be built and run on this machine.

    It is if its parameters and activations, in float32, exceed the physical memory. mend: what would help, if it is no
    network in a backbone.
    """
    needed, there = 4 * (own.params + own.activations), _physical_memory()
    if there is None or needed <= there:
        return
    # no resolution helps where the parameters alone are too many
    lower = "" if 4 * own.params > there else "lower --resolution or "
    raise UserError(
        f"{name}: its parameters and activations would need about {needed / 1e9:,.1f} GB of memory and this machine "
        f"has {there / 1e9:,.1f} GB; {mend or f'{lower}choose a smaller backbone'}"
    )


def _physical_memory() -> int | None:
    """Return the bytes of memory of this machine, None where the system does not tell."""
    try:
        pages, size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):
        return None
    return pages * size if pages > 0 and size > 0 else None


def as_blocks(block: str | SKBlock | Blocks) -> Blocks:
    """Return blocks from any of the three ways to give them."""
    if isinstance(block, str):
        return parse_blocks(block)
    if isinstance(block, SKBlock):
        return (block,)
    if not isinstance(block, tuple) or not all(isinstance(each, SKBlock) for each in block):
        raise UserError(
            f"{block!r}: no block; give its notation such as 'k3+k3d2', an SKBlock, or a tuple of these"
        )
    return block


def arch_id(block: str | SKBlock | Blocks) -> str:
    """Return the identity of an architecture: a hash of its canonical form at the reference."""
    return _hash(
        {"reference": REFERENCE.name, "block": format_blocks(canonical_at_reference(as_blocks(block)))}
    )


def net_id(block: str | SKBlock | Blocks, backbone: str | Backbone) -> str:
    """Return the identity of the network that ``block`` becomes in ``backbone``: what is really trained.

    Two blocks that differ at the reference can be one network in a small proxy, where a floor hides r.
    """
    body = get_backbone(backbone) if isinstance(backbone, str) else backbone
    stages = []
    for stage, form in zip(body.stages, body.place(canonical_at_reference(as_blocks(block))), strict=True):
        dim = form.dim(stage.width) if form.selects else None
        stages.append([str(branch) for branch in form.branches] + [dim])
    shape = asdict(body) | {"name": None}
    return _hash({"backbone": shape, "stages": stages})


def _hash(data: object) -> str:
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()[:12]
