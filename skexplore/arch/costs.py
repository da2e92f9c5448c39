"""Exact cost of a network in closed form, and the two identities of an architecture."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass, replace
from functools import lru_cache

from skexplore.arch.backbone import MAX_IN_CHANNELS, Backbone, Resolution, check_whole, whole_size
from skexplore.arch.backbones import REFERENCE, as_backbone
from skexplore.arch.formulas import Cost, Place, sk_conv_cost, sk_conv_numbers
from skexplore.arch.notation import Blocks, SKBlock, format_blocks, parse_blocks, without_idle_knobs
from skexplore.arch.reference import canonical_at_reference
from skexplore.arch.units import BOTTLENECK
from skexplore.errors import UserError


@dataclass(frozen=True, slots=True)
class _Frame:
    """A backbone without its SK convolutions: costs of stem, stages and head, their sum, and all places of a stage."""

    stem: Cost
    stages: tuple[Cost, ...]
    head: Cost
    total: Cost
    places: tuple[tuple[tuple[int, Place], ...], ...]


@lru_cache(maxsize=256, typed=True)  # typed: 10.0 must not find what 10 has left
def _frame(backbone: Backbone, size: tuple[int, int], classes: int) -> _Frame:
    parts = backbone.parts(size)
    stem, head = backbone.stem_cost(size), backbone.head_cost(size, classes)
    stages = tuple(part.around for part in parts)
    return _Frame(stem, stages, head, sum(stages, stem + head), tuple(part.places for part in parts))


def _own_frame(backbone: Backbone, resolution: Resolution | None, classes: int | None) -> _Frame:
    # checked before the cache, in which 224.0 would find what 224 has left
    size = whole_size(backbone.resolution if resolution is None else resolution)
    return _frame(backbone, size, backbone.classes if classes is None else classes)


def network_cost(
    placed: Blocks, backbone: Backbone, *, resolution: Resolution | None = None, classes: int | None = None
) -> Cost:
    """Cost of ``backbone`` with one already placed (scaled) block per stage, for one image."""
    frame = _own_frame(backbone, resolution, classes)
    whole = frame.total
    params, bn_stats, macs = whole.params, whole.bn_stats, whole.macs
    gate_macs, activations, bn_elements = whole.gate_macs, whole.activations, whole.bn_elements
    for block, places in zip(placed, frame.places, strict=True):
        for count, at in places:
            own = sk_conv_numbers(block, at)
            params += count * own[0]
            bn_stats += count * own[1]
            macs += count * own[2]
            gate_macs += count * own[3]
            activations += count * own[4]
            bn_elements += count * own[5]
    return Cost(
        params=params,
        bn_stats=bn_stats,
        macs=macs,
        gate_macs=gate_macs,
        activations=activations,
        bn_elements=bn_elements,
    )


def network_cost_by_stage(
    placed: Blocks, backbone: Backbone, *, resolution: Resolution | None = None
) -> dict[str, Cost]:
    """Return what ``network_cost`` returns in parts: ``stem``, ``stage 1`` and so on, ``head``."""
    frame = _own_frame(backbone, resolution, None)
    stages = zip(placed, frame.stages, frame.places, strict=True)
    parts = [
        sum((sk_conv_cost(form, at) * count for count, at in places), own) for form, own, places in stages
    ]
    named = {f"stage {number}": part for number, part in enumerate(parts, start=1)}
    return {"stem": frame.stem, **named, "head": frame.head}


def cost(
    block: str | SKBlock | Blocks,
    backbone: str | Backbone = REFERENCE,
    *,
    resolution: Resolution | None = None,
    classes: int | None = None,
    in_channels: int | None = None,
) -> Cost:
    """Return the exact cost of ``block`` in ``backbone``, for one image.

    ``block`` is written at cardinality 32 (notation, ``SKBlock`` or one per stage). ``resolution`` in pixels (a
    side, or height and width), ``classes`` and ``in_channels`` default to the backbone's. Raises
    ``UserError`` if the backbone cannot hold the block, or for a resolution that is not 1 to 4096 or classes that are
    not 1 to 1,000,000.
    """
    body = as_backbone(backbone)
    if in_channels is not None:
        body = replace(body, in_channels=check_whole("in_channels", in_channels, MAX_IN_CHANNELS))
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


def arch_id(block: str | SKBlock | Blocks, reference: Backbone = REFERENCE) -> str:
    """Return the identity of an architecture: at SKNet-50 a hash of its canonical form, else of the network there."""
    if reference != REFERENCE:
        return net_id(block, reference)
    return _hash(
        {"reference": REFERENCE.name, "block": format_blocks(canonical_at_reference(as_blocks(block)))}
    )


def net_id(block: str | SKBlock | Blocks, backbone: str | Backbone) -> str:
    """Return the identity of the network that ``block`` becomes in ``backbone``: what is really trained.

    Two blocks that differ at the reference can be one network in a small proxy, where a floor hides r.
    """
    body = as_backbone(backbone)
    placed = body.place(without_idle_knobs(as_blocks(block)))
    stages = []
    for part, own in zip(body.parts(), placed, strict=True):
        widths = dict.fromkeys(at.width for _, at in part.places)
        dims = [own.dim(width) if own.selects else None for width in widths]
        # once placed all groups are absolute, however they were written
        branches = sorted(replace(branch, absolute=False) for branch in own.branches)
        stages.append([*map(str, branches), *dims])
    return _hash({"backbone": _shape(body), "stages": stages})


def _shape(body: Backbone) -> dict[str, object]:
    """Return what a backbone is but its name; what is usual is left out, as it was before it could be otherwise."""
    shape = asdict(body) | {"name": None}
    del shape["floor_share"]  # it has acted on the block
    usual: dict[str, object] = {"unit": asdict(BOTTLENECK), "head": 0, "in_channels": 3}
    if not body.stem.deep:
        del shape["stem"]["deep"]
    return {key: value for key, value in shape.items() if usual.get(key, object()) != value}


def _hash(data: object) -> str:
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()[:12]
