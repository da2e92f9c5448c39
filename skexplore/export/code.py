"""``block.py`` of an exported block: its text, plain PyTorch that needs nothing of ours."""

from __future__ import annotations

from skexplore.arch import REFERENCE, Backbone, Blocks, format_blocks
from skexplore.export.card import fusion, size_line
from skexplore.templates import render


def code(blocks: Blocks, body: Backbone, scale: str, *, one_image: bool = True) -> str:
    """Return the source of ``blocks`` at the reference and in ``body``; ``scale`` is what ``build()`` builds.

    one_image: whether it says what is wrong with a batch of one image in training; exports before schema 3 do not.
    """
    return render("block.py.j2", one_image=one_image, **_context(blocks, body, scale))


def _context(blocks: Blocks, body: Backbone, scale: str) -> dict[str, object]:
    placed = REFERENCE.place(blocks)
    selecting = [block.selects for block in placed]
    scales = {"reference": _scale(blocks, REFERENCE), "proxy": _scale(blocks, body)}
    attention = "all" if all(selecting) else "some" if any(selecting) else "none"
    return scales | {
        "title": f"block {format_blocks(blocks)}" if len(blocks) == 1 else "blocks, one for each stage,",
        "about": _about(blocks),
        "summary": [
            f"{name:9}  {size_line(blocks, b)}" for name, b in (("reference", REFERENCE), ("proxy", body))
        ],
        "attention": attention,
        "default": scale,
        "default_scale": scales[scale],
        "many": any(len(block.branches) > 1 for block in placed),
    }


def _scale(blocks: Blocks, body: Backbone) -> dict[str, object]:
    """Return one scale's definition: literal numbers, and a name for each list of branches."""
    placed = body.place(blocks)
    prefix = "REFERENCE" if body == REFERENCE else "PROXY"
    tied = len({block.branches for block in placed}) == 1
    names = [f"{prefix}_BRANCHES" if tied else f"{prefix}_BRANCHES_{i}" for i in range(1, len(placed) + 1)]
    lists = {name: block.branches for name, block in zip(names, placed, strict=True)}
    stages = [
        {
            "depth": stage.depth,
            "width": stage.width,
            "out": stage.out,
            "stride": stage.stride,
            "branches": name,
            "dim": block.dim(stage.width) if block.selects else None,
        }
        for stage, block, name in zip(body.stages, placed, names, strict=True)
    ]
    what = "SKNet-50 of the paper" if body == REFERENCE else "the small network that was trained"
    return {
        "comment": f"{body.name}: {what} (cardinality {body.cardinality})",
        "resolution": body.resolution,
        "classes": body.classes,
        "stem": body.stem,
        "stages": stages,
        "branch_lists": [{"name": name, "branches": branches} for name, branches in lists.items()],
    }


def _about(blocks: Blocks) -> list[str]:
    """Return one line for each branch, stage by stage if stages differ, and one for how they are fused."""
    lines: list[str] = []
    for number, block in enumerate(blocks, start=1):
        if len(blocks) > 1:
            lines += ["", f"Stage {number}: {block}", ""]
        for branch in block.branches:
            side = branch.receptive_field
            dilation = f", dilation {branch.dilation}" if branch.dilation > 1 else ""
            size = f"{branch.kernel}x{branch.kernel}"
            lines.append(f"  - {size} convolution{dilation}: sees {side} x {side} pixels")
        lines.append(f"  - {fusion(block)}")
    return lines[1:] if lines[0] == "" else lines
