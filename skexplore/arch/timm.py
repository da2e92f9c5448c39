"""A block as arguments of timm's ``SelectiveKernel``, or the reasons why timm cannot express it.

timm itself is not needed: what it can do is written down here, and tests build it from these arguments.
"""

from __future__ import annotations

from collections.abc import Iterator

from skexplore.arch.backbone import Backbone
from skexplore.arch.backbones import REFERENCE
from skexplore.arch.notation import Blocks, SKBlock, format_blocks

CLASS = "timm.layers.SelectiveKernel"
SMALLEST = 3  # timm's smallest kernel
NOTE = (
    f"{CLASS}(**arguments) is the block's SK convolution at that stage; add stride=first_unit_stride in the stage's "
    "first unit. Its weights are ours by other names: branches.N.0 is paths.N.conv, branches.N.1 is paths.N.bn; fc.0 "
    "is attn.fc_reduce, fc.1 is attn.bn, attend is attn.fc_select, the linear ones as 1x1 convolutions."
)


def timm_arguments(blocks: Blocks, body: Backbone, reference: Backbone = REFERENCE) -> dict[str, object]:
    """Return what ``timm.json`` holds of ``blocks`` at the reference and in ``body``, where they are trained.

    ``expressible`` says whether timm can build the block at every stage; each stage has either ``arguments`` or
    ``reasons``. Raises ``UserError`` if ``body`` cannot hold the block.
    """
    scales = {"reference": _stages(blocks, reference), "proxy": _stages(blocks, body)}
    reasons = dict.fromkeys(
        reason for block in reference.place(blocks) for reason in why_not(block)
    )  # in their order, each once
    return {
        "block": format_blocks(blocks),
        "class": CLASS,
        "expressible": not reasons,
        "reasons": list(reasons),
        "note": NOTE,
        "scales": scales,
    }


def why_not(block: SKBlock) -> list[str]:
    """Return the reasons why timm's ``SelectiveKernel`` cannot be ``block``; none if it can."""
    return list(_reasons(block))


def _reasons(block: SKBlock) -> Iterator[str]:
    kernels = [branch.kernel for branch in block.branches]
    if len(kernels) == 1:
        yield "one branch: timm would put attention on it, with weights that change nothing"
        return
    if block.fuse == "sum":
        yield "sum: timm always selects by attention"
    if any(branch.act for branch in block.branches):
        yield "activations: timm has one for all branches"
    if len({branch.groups for branch in block.branches}) > 1:
        groups = ", ".join(str(branch.groups) for branch in block.branches)
        yield f"groups {groups}: timm has one number of groups for all branches"
    if min(kernels) < SMALLEST:
        # it looks at the first of a list alone, and keep_3x3 would make of it a convolution of dilation 0
        yield f"kernel {min(kernels)}: timm's kernels are odd and at least {SMALLEST}"
    elif set(kernels) != {3} and len({branch.dilation for branch in block.branches}) > 1:
        mixed = " and ".join(f"{b.kernel}x{b.kernel} of dilation {b.dilation}" for b in block.branches)
        yield f"{mixed}: timm has one dilation for all branches, or 3x3 alone with keep_3x3"


def _stages(blocks: Blocks, body: Backbone) -> list[dict[str, object]]:
    stages: list[dict[str, object]] = []
    kind, split = body.unit.kind, body.unit.split_input
    other = [] if kind == "bottleneck" else [f"units of {body.name} are {kind}, not timm's bottlenecks"]
    for number, (stage, block) in enumerate(zip(body.stages, body.place(blocks), strict=True), start=1):
        row: dict[str, object] = {"stage": number, "first_unit_stride": stage.stride}
        reasons = [*other, *why_not(block)]
        more = {"reasons": reasons} if reasons else {"arguments": _arguments(block, stage.width, split)}
        stages.append(row | more)
    return stages


def _arguments(block: SKBlock, width: int, split: bool) -> dict[str, object]:
    """Return timm's arguments for an expressible ``block``, ``width`` channels wide."""
    dilations = [branch.dilation for branch in block.branches]
    together = len(set(dilations)) == 1
    return {
        "in_channels": width,
        "out_channels": width,
        # keep_3x3 makes of a kernel k a 3x3 convolution of dilation (k - 1) / 2
        "kernel_size": [branch.kernel for branch in block.branches]
        if together
        else [2 * d + 1 for d in dilations],
        "dilation": dilations[0] if together else 1,
        "groups": block.branches[0].groups,
        "rd_channels": block.dim(width),  # d itself: its own rule rounds to multiples of rd_divisor
        "keep_3x3": not together,
        "split_input": split,  # whether each branch sees a part of the channels
    }
