"""The commands about blocks and spaces: what they are, what they cost, where they stand. Nothing is trained."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

GFLOPS = "GFLOPs = 10^9 multiply-adds of convolutions and linear layers."
COSTS = ("params", "bn_stats", "macs", "gate_macs", "activations")
blocks_app = typer.Typer(rich_markup_mode=None)
space_app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Look at search spaces, or begin one."
)

BlockArgument = Annotated[
    str, typer.Argument(metavar="BLOCK", help="Block notation such as k3+k3d2, a block.json, or - for stdin.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@blocks_app.command()
def block(block: BlockArgument, as_json: JsonOption = False) -> None:
    """Print what a block means: its canonical form, branches, and d at every stage of the reference."""
    from skexplore.backbone import REFERENCE, canonical_at_reference
    from skexplore.block import explain, format_blocks, per_stage
    from skexplore.blockfile import read_block
    from skexplore.cost import arch_id

    given = read_block(block)
    form = canonical_at_reference(given)
    placed = per_stage(form, len(REFERENCE.stages))
    dims = [
        each.dim(width) if each.selects else None
        for each, width in zip(placed, REFERENCE.widths, strict=True)
    ]
    changed = explain(given, REFERENCE.widths)
    branches = [
        [asdict(branch) | {"receptive_field": branch.receptive_field} for branch in each.branches]
        for each in form
    ]
    if as_json:
        row = {"block": format_blocks(form), "arch_id": arch_id(given), "given": format_blocks(given)}
        print(
            json.dumps(
                row
                | {"fuse": [each.fuse for each in form], "branches": branches, "d": dims, "changed": changed}
            )
        )
        return
    print(f"{format_blocks(form)}   (arch_id {arch_id(given)})")
    for number, each in enumerate(form, start=1):
        if len(form) > 1:
            print(f"stage {number}")
        for branch in each.branches:
            side = branch.receptive_field
            print(
                f"  {branch!s:<10} {branch.kernel}x{branch.kernel}, dilation {branch.dilation}, "
                f"{branch.groups} groups, sees {side}x{side}"
            )
        several = "select: softmax over the branches, channel by channel" if each.selects else "sum"
        print(f"  {several if len(each.branches) > 1 else 'one branch: a plain convolution'}")
    widths = ", ".join(map(str, REFERENCE.widths))
    if any(dims):
        print(f"d = {', '.join('-' if dim is None else str(dim) for dim in dims)} at widths {widths} (Eq. 4)")
    for reason in changed:
        print(f"changed: {reason}")


@blocks_app.command()
def cost(
    block: BlockArgument,
    backbone: Annotated[
        str, typer.Option(help="sknet26, sknet29, sknet50, sknet101, or a CIFAR proxy such as 8x4d-1111-s2.")
    ] = "sknet50",
    resolution: Annotated[
        int | None, typer.Option(min=1, max=4096, help="Side of the input in pixels.")
    ] = None,
    classes: Annotated[
        int | None, typer.Option(min=1, max=1_000_000, help="Outputs of the classifier.")
    ] = None,
    by_stage: Annotated[bool, typer.Option("--by-stage", help="Print the cost of every stage too.")] = False,
    as_json: JsonOption = False,
    verify: Annotated[
        bool,
        typer.Option("--verify", help="Build the network and count it with fvcore; exit 1 if different."),
    ] = False,
) -> None:
    """Print the exact cost of a block in a backbone, for one image."""
    from skexplore.backbone import canonical_at_reference, get_backbone
    from skexplore.block import format_blocks
    from skexplore.blockfile import read_block
    from skexplore.cost import arch_id, cost_by_stage
    from skexplore.cost import cost as closed_form

    blocks, body = read_block(block), get_backbone(backbone)
    total = closed_form(blocks, body, resolution=resolution, classes=classes)
    row: dict[str, object] = {
        "block": format_blocks(canonical_at_reference(blocks)),
        "arch_id": arch_id(blocks),
        "backbone": body.name,
        "resolution": resolution or body.resolution,
    } | {name: getattr(total, name) for name in COSTS}
    parts = cost_by_stage(blocks, body, resolution=resolution, classes=classes) if by_stage else {}
    different = {}
    if verify:
        from skexplore.count import differences

        different = differences(blocks, body, resolution=resolution, classes=classes)
    if as_json:
        more: dict[str, object] = {"verified": not different} if verify else {}
        if by_stage:
            more["stages"] = {
                name: {key: getattr(part, key) for key in COSTS} for name, part in parts.items()
            }
        print(json.dumps(row | more))
    else:
        for name, value in row.items():
            print(f"{name:<12} {value:,}" if isinstance(value, int) else f"{name:<12} {value}")
        if parts:
            print(f"\n{'':<8}" + "".join(f"{name:>16}" for name in COSTS))
        for name, part in parts.items():
            print(f"{name:<8}" + "".join(f"{getattr(part, key):>16,}" for key in COSTS))
        print(f"\n{total.macs / 1e9:.3f} GFLOPs, {total.params / 1e6:.2f} M parameters. {GFLOPS}")
        if verify and not different:
            print("fvcore counts the same on the built network (params, bn_stats, macs, activations).")
    for name, (ours, counted) in different.items():
        print(f"{name}: closed form {ours:,}, counted on the built network {counted:,}", file=sys.stderr)
    if different:
        raise typer.Exit(1)


@blocks_app.command()
def place(block: BlockArgument, as_json: JsonOption = False) -> None:
    """Place a block on Tables 3, 6 and 7 of the SKNet paper, by params and multiply-adds at the reference."""
    from skexplore.backbone import canonical_at_reference
    from skexplore.block import format_blocks
    from skexplore.blockfile import read_block
    from skexplore.cost import arch_id
    from skexplore.cost import cost as closed_form
    from skexplore.published import place_cost

    blocks = read_block(block)
    own, name = closed_form(blocks), format_blocks(canonical_at_reference(blocks))
    placements = place_cost(own)
    if as_json:
        row = {"block": name, "arch_id": arch_id(blocks), "params": own.params, "macs": own.macs}
        print(json.dumps(row | {"placements": [asdict(placement) for placement in placements]}))
        return
    print(f"{name}: {own.macs / 1e9:.3f} GFLOPs, {own.params / 1e6:.2f} M parameters at the reference")
    for at in placements:
        matched = ", matched complexity" if at.matched else ""
        print(
            f"\nTable {at.table}\n"
            f"  nearest  {' | '.join(at.nearest)}: params {at.params_diff_pct:+.2f} %, "
            f"macs {at.macs_diff_pct:+.2f} %{matched}\n"
            f"  below    {' | '.join(at.below) or '-'}\n"
            f"  above    {' | '.join(at.above) or '-'}\n"
            f"  in (params, macs) the block {at.relation} the nearest"
        )
    print(
        f"\nBy complexity alone; rows in the order of macs, then params, by our own count of them. {GFLOPS}"
    )


@space_app.command("list")
def space_list(as_json: JsonOption = False) -> None:
    """Print the search spaces known by name."""
    from skexplore.space import Space, shipped_spaces

    spaces = [(name, Space.load(name)) for name in shipped_spaces()]
    if as_json:
        rows = [
            {"name": name, "description": each.description, "raw_size": each.raw_size}
            for name, each in spaces
        ]
        print(json.dumps(rows))
        return
    for name, each in spaces:
        print(f"{name:<16} {each.raw_size:>12,} combinations  {_printable(each.description)}")


TEMPLATE = """\
# A search space: a base block, and decisions that change it. Check it with: skexplore space show {path}
name: {name}
description: what this space is for
base: k3                              # block notation: what no decision changes stays as it is here
decisions:                            # each is a path and the levels that a search may choose
  branches.1: [k3, k5]                # kK or kKdD (kernel, dilation)
  branches.1.groups: [32, 64]         # groups at cardinality 32
  branches.2: [none, k1, k3d2, k3d3]  # none takes the branch away
  reduction: [8, 16, 32]              # r of d = max(C / r, L), Eq. 4 of the paper
  min_dim: [16, 32]                   # the floor L; 1 means none
  fuse: [select, sum]                 # softmax attention, or the plain sum
  # stages.4.branches.2: [none, k3d2] # one stage may decide for itself
"""


@space_app.command("new")
def space_new(path: Annotated[Path, typer.Argument(metavar="FILE.yaml", help="The file to write.")]) -> None:
    """Write a commented space to begin from."""
    from skexplore.errors import UserError
    from skexplore.files import write_atomic
    from skexplore.space import NAME

    if path.suffix not in (".yaml", ".yml") or not NAME.fullmatch(path.stem):
        raise UserError(f"{path}: must be a .yaml file named in letters, digits, '.', '_' and '-'")
    if path.exists():
        raise UserError(f"{path}: exists already; choose another name")
    try:
        write_atomic(path, TEMPLATE.format(path=path, name=path.stem))
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror})") from None
    print(f"{path}\n\nNext:\n  skexplore space show {path}")


def _printable(text: str) -> str:
    """Return a stranger's text without what would steer the terminal."""
    return "".join(letter for letter in text if letter.isprintable())


@space_app.command("show")
def space_show(
    space: Annotated[str, typer.Argument(metavar="SPACE", help="Name of a space, or a .yaml file.")],
    budget_gflops: Annotated[float | None, typer.Option(help="Budget at the reference, in GFLOPs.")] = None,
    budget_params: Annotated[
        float | None, typer.Option(help="Budget at the reference, in 10^6 parameters.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Print the decisions, size and reference costs of a search space."""
    from skexplore.backbone import get_backbone
    from skexplore.recipe import PROFILES
    from skexplore.space import Space
    from skexplore.survey import check_budget, summarise

    chosen = Space.load(space)
    for name in sorted({profile.backbone for profile in PROFILES.values()}):
        chosen.check_buildable(get_backbone(name))
    max_macs, max_params = check_budget(chosen, budget_gflops, budget_params)
    summary = summarise(chosen, max_macs, max_params)
    if as_json:
        print(json.dumps(asdict(summary)))
        return
    about = _printable(chosen.description)
    print(f"{chosen.name}{': ' if about else ''}{about}\nbase {chosen.base}\n")
    for path, levels in chosen.decisions.items():
        print(f"  {path:<20} {', '.join(map(str, levels))}")
    print(
        f"\n{summary.size:,} {'distinct architectures' if summary.exact else 'combinations at most (sampled below)'}"
    )
    budget = "" if max_macs == max_params == float("inf") else " within the budget"
    print(f"feasible    {summary.feasible:,} ({100 * summary.feasible_share:.1f} %){budget}")
    for name, unit, scale in (("macs", "GFLOPs", 1e9), ("params", "M params", 1e6)):
        low, mid, high = (getattr(summary, f"{name}_{at}") / scale for at in ("min", "median", "max"))
        print(f"{unit:<11} min {low:.3f}, median {mid:.3f}, max {high:.3f}")
    print(f"cheapest    {summary.cheapest}\n\nCosts at the reference, SKNet-50 at 224x224. {GFLOPS}")
