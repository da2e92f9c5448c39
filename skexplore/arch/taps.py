"""How much of a kernel a network can see: the share of its taps that lie inside the map.

A tap beside the map meets padding alone. On a map that is small for a kernel most of its taps do, and then a proxy
measures another kernel than the one that it names.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from skexplore.arch.backbones import REFERENCE, Backbone
from skexplore.arch.costs import output_sizes
from skexplore.arch.notation import Branch


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
    branch: Branch, backbone: Backbone = REFERENCE, resolution: int | None = None
) -> tuple[TapShare, ...]:
    """Return the share of taps inside the map of ``branch`` in each stage of ``backbone`` (numbered from 1).

    Convolutions are 'same'-padded; the first unit of a stage has the stage's stride. Raises ``UserError`` for a
    resolution out of range.
    """
    size = backbone.resolution if resolution is None else resolution
    size = -(-size // backbone.stem.stride)
    size = -(-size // 2) if backbone.stem.pool else size
    found = []
    for number, (stage, out) in enumerate(
        zip(backbone.stages, output_sizes(backbone, resolution), strict=True), start=1
    ):
        units = [_inside(branch, size, stage.stride), *[_inside(branch, out, 1)] * (stage.depth - 1)]
        shares = [(sum(hits) / (len(hits) * outputs)) ** 2 for hits, outputs in units]
        seen = min(sum(hit > 0 for hit in hits) for hits, _ in units)
        found.append(
            TapShare(
                stage=number,
                branch=branch,
                share=sum(shares) / len(shares),
                unseen=branch.kernel**2 - seen**2,
                taps=branch.kernel**2,
            )
        )
        size = out
    return tuple(found)


def _inside(branch: Branch, size: int, stride: int) -> tuple[list[int], int]:
    """Return for each tap of a row how many outputs see a pixel through it, and how many outputs there are."""
    outputs = range(0, size, stride)
    offsets = [(tap - branch.kernel // 2) * branch.dilation for tap in range(branch.kernel)]
    return [sum(0 <= at + offset < size for at in outputs) for offset in offsets], len(outputs)


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
