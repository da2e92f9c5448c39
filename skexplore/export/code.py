"""``block.py`` of an exported block: its text, plain PyTorch that needs nothing of ours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict

from skexplore.arch import (
    REFERENCE,
    UNITS,
    Backbone,
    Blocks,
    Branch,
    format_blocks,
    resolution_text,
    whole_size,
)
from skexplore.export.card import fusion, size_line
from skexplore.templates import render

Bodies = Mapping[str, Backbone]  # both scales by their names, the reference first


def code(blocks: Blocks, body: Backbone, scale: str, *, schema: int, reference: Backbone = REFERENCE) -> str:
    """Return the source of ``blocks`` in ``reference`` and in ``body``; ``scale`` is what ``build()`` builds.

    schema: of the export. Before 5 the branches were stacked, and before 3 nothing was said of a batch of one image.
    """
    bodies = {"reference": reference, "proxy": body}
    if schema < 5:
        context = _context(blocks, bodies, scale)
        return render("block-to-schema-4.py.j2", one_image=schema > 2, **context)
    return _rendered(blocks, bodies, scale)


def standalone_code(blocks: Blocks, body: Backbone, *, reference: Backbone = REFERENCE) -> str:
    """Return the source of ``blocks`` in ``reference`` and in ``body``, which ``build("trained")`` builds."""
    return _rendered(blocks, {"reference": reference, "trained": body}, "trained")


def _rendered(blocks: Blocks, bodies: Bodies, scale: str) -> str:
    own = [*bodies][-1]
    context = _context(blocks, bodies, scale) | _features(blocks, bodies)
    return render("block.py.j2", **context, own=own, body=context[own])


def _context(blocks: Blocks, bodies: Bodies, scale: str) -> dict[str, object]:
    placed = bodies["reference"].place(blocks)
    selecting = [block.selects for block in placed]
    scales = {name: _scale(blocks, name, bodies) for name in bodies}
    attention = "all" if all(selecting) else "some" if any(selecting) else "none"
    return scales | {
        "title": f"block {format_blocks(blocks)}" if len(blocks) == 1 else "blocks, one for each stage,",
        "about": _about(blocks),
        "summary": [f"{name:9}  {size_line(blocks, each)}" for name, each in bodies.items()],
        "attention": attention,
        "default": scale,
        "default_scale": scales[scale],
        "many": any(len(block.branches) > 1 for block in placed),
    }


def _features(blocks: Blocks, by_name: Bodies) -> dict[str, object]:
    """Return which parts the source needs: what neither network has is not in it."""
    bodies = [*by_name.values()]
    acts = {
        branch.act or each.unit.act
        for each in bodies
        for form in each.place(blocks)
        for branch in form.branches
    }
    return {
        "kinds": {each.unit.kind for each in bodies},
        "wide": any(each.unit.kind == "basic" for each in bodies),  # its first channels are others
        "mixed": _mixed(by_name),
        "acts": acts != {"relu"},
        "relu6": any(each.unit.activation == "relu6" for each in bodies),
        "pooled": any(each.unit.shortcut == "pooled" for each in bodies),
        "split": any(each.unit.split_input for each in bodies),
        "depthwise": any(each.unit.depthwise for each in bodies),
        "projects": any(UNITS[each.unit.kind].projects for each in bodies),
        "deep": any(each.stem.deep for each in bodies),
        "head": any(each.head for each in bodies),
        "square": _square(by_name),
    }


def _groups_said(body: Backbone) -> str:
    return "depthwise" if body.unit.depthwise else f"cardinality {body.cardinality}"


def _square(bodies: Bodies) -> bool:
    return all(isinstance(body.resolution, int) for body in bodies.values())


def _mixed(bodies: Bodies) -> bool:
    return len({body.unit.kind for body in bodies.values()}) > 1


def _scale(blocks: Blocks, scale: str, bodies: Bodies) -> dict[str, object]:
    """Return one scale's definition: literal numbers, and a name for each list of branches."""
    body = bodies[scale]
    placed, prefix = body.place(blocks), scale.upper()
    tied = len({block.branches for block in placed}) == 1
    names = [f"{prefix}_BRANCHES" if tied else f"{prefix}_BRANCHES_{i}" for i in range(1, len(placed) + 1)]
    lists = {
        name: [_branch(b, body) for b in block.branches] for name, block in zip(names, placed, strict=True)
    }
    stages = [
        {
            "depth": stage.depth,
            "width": stage.width,
            "out": stage.out,
            "stride": stage.stride,
            "branches": name,
            "dim": block.dim(stage.width) if block.selects else None,
            "reduction": block.reduction if block.selects else None,
            "floor": block.min_dim if block.selects else None,
        }
        for stage, block, name in zip(body.stages, placed, names, strict=True)
    ]
    what = "the small network that was trained" if scale == "proxy" else "the network that was trained"
    if scale == "reference":
        what = "SKNet-50 of the paper" if body == REFERENCE else "for which the block is written"
    stem = asdict(body.stem) | {"widths": (*body.stem.deep, body.stem.width)}
    return {
        "comment": f"{body.name}: {what} ({_groups_said(body)})",
        "resolution": body.resolution if _square(bodies) else whole_size(body.resolution),
        "image": resolution_text(body.resolution).replace("x", ", "),
        "classes": body.classes,
        "stem": stem,
        "unit": body.unit,
        "unit_class": UNITS[body.unit.kind].make.partition(":")[2],
        "units_said": _mixed(bodies),
        "head": body.head,
        "stages": stages,
        "branch_lists": [{"name": name, "branches": branches} for name, branches in lists.items()],
    }


def _branch(branch: Branch, body: Backbone) -> dict[str, object]:
    groups = None if body.unit.depthwise else branch.groups
    return asdict(branch) | {"groups": groups, "act": branch.act or body.unit.act}


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
