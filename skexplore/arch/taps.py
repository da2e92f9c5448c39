"""How much of a kernel a network can see: the share of its taps that lie inside the map.

A tap beside the map meets padding alone. On a map that is small for a kernel most of its taps do, and then a proxy
measures another kernel than the one that it names.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from skexplore.arch.backbone import Backbone, Resolution
from skexplore.arch.backbones import REFERENCE
from skexplore.arch.notation import Branch
from skexplore.arch.units import UNITS


@dataclass(frozen=True, slots=True, kw_only=True)
class TapShare:
    """What one branch sees in one stage of a backbone.

    share: (output, tap) pairs inside the map over all such pairs of the stage's units, 0..1. unseen: taps of the
    ``taps`` = kernel^2 that never meet a pixel, in the unit that has most of them.
    """

    stage: int
    branch: Branch
    share: float
    unseen: int
    taps: int


def tap_shares(
    branch: Branch, backbone: Backbone = REFERENCE, resolution: Resolution | None = None
) -> tuple[TapShare, ...]:
    """Return the share of taps inside the map of ``branch`` in each stage of ``backbone`` (numbered from 1).

    Convolutions are 'same'-padded; the first unit of a stage has the stage's stride. Raises ``UserError`` for a
    resolution out of range.
    """
    strided = UNITS[backbone.unit.kind].strided
    size, found = backbone.first_size(resolution), []
    stages = zip(backbone.stages, backbone.parts(resolution), strict=True)
    for number, (stage, part) in enumerate(stages, start=1):
        first = (size, stage.stride) if strided else (part.size, 1)
        units = [_inside(branch, *first), *[_inside(branch, part.size, 1)] * (stage.depth - 1)]
        seen = min(rows * columns for _, rows, columns in units)
        found.append(
            TapShare(
                stage=number,
                branch=branch,
                share=sum(share for share, _, _ in units) / len(units),
                unseen=branch.kernel**2 - seen,
                taps=branch.kernel**2,
            )
        )
        size = part.size
    return tuple(found)


def _inside(branch: Branch, size: tuple[int, int], stride: int) -> tuple[float, int, int]:
    """Return the share of (output, tap) pairs inside the map, and the rows and columns of taps that meet a pixel."""
    offsets = [(tap - branch.kernel // 2) * branch.dilation for tap in range(branch.kernel)]
    share, seen = 1.0, []
    for side in size:
        outputs = range(0, side, stride)
        hits = [sum(0 <= at + offset < side for at in outputs) for offset in offsets]
        share *= sum(hits) / (len(hits) * len(outputs))
        seen.append(sum(hit > 0 for hit in hits))
    return share, seen[0], seen[1]


def unseen_taps(kernels: Sequence[Iterable[Branch]], backbone: Backbone) -> tuple[TapShare, ...]:
    """Return the stages of ``backbone`` in which a kernel that may stand there has taps that never meet a pixel.

    kernels: for each stage of the reference; in a backbone of another number of stages all may stand everywhere.
    """
    everywhere = kernels_of(branch for stage in kernels for branch in stage)
    alike = len(kernels) == len(backbone.stages)
    return tuple(
        at
        for branch in everywhere
        for at in tap_shares(branch, backbone)
        if at.unseen and (not alike or branch in kernels_of(kernels[at.stage - 1]))
    )


def kernels_of(branches: Iterable[Branch]) -> tuple[Branch, ...]:
    """Return the different kernels and dilations of ``branches``, whatever their groups."""
    return tuple(dict.fromkeys(Branch(kernel=each.kernel, dilation=each.dilation) for each in branches))
