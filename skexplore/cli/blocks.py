"""The commands about blocks: what they are, what they cost, where they stand. Nothing is trained."""

from __future__ import annotations

import json
import shlex
import sys
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from skexplore.arch import BACKBONES
from skexplore.cli.common import (
    ASK,
    GFLOPS,
    ChannelsOption,
    ClassesOption,
    JsonOption,
    OneBlockArgument,
    ReferenceOption,
    ResolutionOption,
    SystemOption,
    chosen_network,
    in_flops,
    print_next,
    print_prose,
    said_unit,
    signed,
)
from skexplore.errors import UserError
from skexplore.words import counted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from skexplore.arch import Architecture, Backbone, Blocks, Branch, Cost

COSTS = ("params", "bn_stats", "macs", "gate_macs", "activations")
app = typer.Typer(rich_markup_mode=None)

BlockArgument = Annotated[
    str, typer.Argument(metavar="BLOCK", help="Block notation such as k3+k3d2, a block.json, or - for stdin.")
]


@app.command(rich_help_panel=ASK)
def block(
    block: BlockArgument,
    backbone: Annotated[
        str | None, typer.Option(help="Print how much of each kernel lies inside the maps of this proxy too.")
    ] = None,
    reference: ReferenceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print what a block means: its canonical form, branches, and d at every stage of the reference."""
    from skexplore.arch import (
        REFERENCE,
        Architecture,
        arch_id,
        canonical_at_reference,
        explain,
        format_blocks,
        get_backbone,
        get_reference,
        in_words_of,
        per_stage,
        placed_rows,
        stand_in,
    )
    from skexplore.export import read_block

    whole = get_reference(reference)
    given = read_block(block, whole)
    form = canonical_at_reference(given, whole)
    rows = placed_rows(Architecture(blocks=form, backbone=whole)) if whole != REFERENCE else []
    per = per_stage(form, len(whole.stages))
    dims = [
        each.dim(widths[-1]) if each.selects else None
        for each, widths in zip(per, whole.sk_widths, strict=True)
    ]
    changed = explain(in_words_of(given, whole), whole.sk_widths)
    body = stand_in(get_backbone(backbone), whole) if backbone is not None else None
    if body is not None:
        body.place(form)
    branches = [
        [asdict(branch) | {"receptive_field": branch.receptive_field} for branch in each.branches]
        for each in form
    ]
    if as_json:
        row: dict[str, object] = {
            "block": format_blocks(form),
            "arch_id": arch_id(given, whole),
            "given": format_blocks(given),
        }
        more: dict[str, object] = {"taps": _taps_rows(form, body, whole)} if body else {}
        more |= {"reference": whole.name, "placed": rows} if rows else {}
        row |= {"fuse": [each.fuse for each in form], "branches": branches, "d": dims, "changed": changed}
        print(json.dumps(row | more))
        return
    print(f"{format_blocks(form)}   (arch_id {arch_id(given, whole)})")
    for number, each in enumerate(form, start=1):
        if len(form) > 1:
            print(f"stage {number}")
        for branch in each.branches:
            side = branch.receptive_field
            print(
                f"  {branch!s:<10} {branch.kernel}x{branch.kernel}, dilation {branch.dilation}, "
                f"{_groups_words(branch, whole)}, sees {side}x{side}"
                f"{f', ends in {branch.act}' if branch.act else ''}"
            )
        several = "select: softmax over the branches, channel by channel" if each.selects else "sum"
        print(f"  {several if len(each.branches) > 1 else 'one branch: a plain convolution'}")
    widths = ", ".join(str(own[-1]) for own in whole.sk_widths)
    if rows:
        _print_placed(rows, whole)
    elif any(dims):
        print(f"d = {', '.join('-' if dim is None else str(dim) for dim in dims)} at widths {widths} (Eq. 4)")
    for reason in changed:
        print(f"changed: {reason}")
    if body is not None:
        _print_placed(placed_rows(Architecture(blocks=form, backbone=body)), body)
        _print_taps(_taps_rows(form, body, whole), body, whole)
    name = shlex.quote(format_blocks(form)) + _option(whole)
    print_next(f"skexplore cost {name} --verify", f"skexplore place {name}")


def _option(reference: Backbone) -> str:
    """Return the option that names a reference, empty for the usual one."""
    from skexplore.arch import REFERENCE

    return "" if reference == REFERENCE else f" --reference {reference.name}"


def _groups_words(branch: Branch, reference: Backbone) -> str:
    from skexplore.arch import counts_groups, groups_at_reference

    if reference.unit.depthwise:
        return "depthwise"
    groups = counted(round(groups_at_reference(branch, reference)), "group")
    return f"{groups} at every scale" if branch.absolute and counts_groups(reference) else groups


def _taps_rows(form: Blocks, body: Backbone, reference: Backbone) -> list[dict[str, Any]]:
    """Return a row for each kernel in each stage of ``body`` that has it.

    ``reference`` is None where the stages do not correspond.
    """
    from skexplore.arch import kernels_of, per_stage, tap_shares

    rows = []
    blocks = per_stage(form, len(body.stages))
    for kernel in kernels_of(branch for each in form for branch in each.branches):
        own, there = tap_shares(kernel, body), tap_shares(kernel, reference)
        alike = [at.share for at in there] if len(own) == len(there) else [None] * len(own)
        rows += [
            asdict(at) | {"branch": str(at.branch), "reference": share}
            for at, share, block in zip(own, alike, blocks, strict=True)
            if kernel in kernels_of(block.branches)
        ]
    return rows


FAITHFUL = 0.1  # a share may differ by so much of the reference's


def _print_taps(rows: list[dict[str, Any]], body: Backbone, reference: Backbone) -> None:
    from skexplore.arch import reference_words
    from skexplore.cli.display import print_table

    table: dict[str, dict[str, str]] = {}
    for at in rows:
        beside, near = "", True
        if at["reference"] is not None:
            beside, near = f" ({at['reference']:.2f})", abs(at["share"] / at["reference"] - 1) <= FAITHFUL
        stages = {f"stage {number}": "" for number in range(1, len(body.stages) + 1)}
        row = table.setdefault(at["branch"], {"branch": at["branch"]} | stages)
        row[f"stage {at['stage']}"] = f"{at['share']:.2f}{beside}{'' if near else ' *'}"
    print()
    print_table(
        list(table.values()),
        title=f"share of taps inside the map in {body.name} (and in the reference, {reference_words(reference)})",
    )
    if any("*" in cell for row in table.values() for cell in row.values()):
        print(f"* more than {100 * FAITHFUL:g} % from the reference")
    for at in rows:
        if at["unseen"]:
            print(
                f"note: in stage {at['stage']} {at['unseen']} of the {at['taps']} taps of {at['branch']} never meet "
                "a pixel: they are not measured there"
            )


@app.command(rich_help_panel=ASK)
def cost(
    block: OneBlockArgument = None,
    system: SystemOption = None,
    backbone: Annotated[
        str | None,
        typer.Option(
            help=f"{', '.join(BACKBONES)}, or a CIFAR proxy such as 8x4d-1111-s2.  [default: sknet50]"
        ),
    ] = None,
    reference: ReferenceOption = None,
    resolution: ResolutionOption = None,
    classes: ClassesOption = None,
    in_channels: ChannelsOption = None,
    width: Annotated[
        int | None,
        typer.Option(
            help="Channels of one SK convolution by itself, with --map; groups and L as they are written."
        ),
    ] = None,
    sides: Annotated[
        str | None, typer.Option("--map", metavar="HxW", help="Its output's height and width, such as 14x14.")
    ] = None,
    by_stage: Annotated[bool, typer.Option("--by-stage", help="Print the cost of every stage too.")] = False,
    as_json: JsonOption = False,
    verify: Annotated[
        bool,
        typer.Option("--verify", help="Build the network and count it with fvcore; exit 1 if different."),
    ] = False,
) -> None:
    """Print the exact cost of a block in a backbone, or of a network of the paper, for one image."""
    from skexplore.arch import (
        REFERENCE,
        check_memory,
        format_blocks,
        get_reference,
        placed_rows,
        resolution_of,
        resolution_text,
        whole_size,
        written_for,
    )

    if width is not None or sides is not None:
        others = (system, backbone, reference, resolution, classes, in_channels, by_stage or None)
        if block is None or width is None or sides is None or any(each is not None for each in others):
            raise UserError(
                "one SK convolution by itself takes BLOCK, --width and --map and no network: "
                "skexplore cost k3+k3d2 --width 256 --map 14x14"
            )
        _cost_alone(block, width, whole_size(resolution_of(sides, "--map")), as_json=as_json, verify=verify)
        return
    own = chosen_network(block, system, backbone, classes, in_channels, reference=reference)
    whole = written_for(own.backbone) if reference is None else get_reference(reference)
    size = own.backbone.resolution if resolution is None else resolution_of(resolution)
    total = own.cost(resolution=size)
    square = isinstance(size, int)
    row = _cost_row(own, system, whole) | {"resolution": size if square else resolution_text(size)}
    row |= {"in_channels": own.backbone.in_channels} if in_channels is not None else {}
    row |= {name: getattr(total, name) for name in COSTS}
    parts = own.cost_by_stage(resolution=size) if by_stage else {}
    placed = placed_rows(own)
    different = {}
    if verify:
        title = system or f"{format_blocks(own.blocks)} in {own.backbone.name}"
        check_memory(total, f"{title} at {resolution_text(size)}")  # before torch is loaded
        from skexplore.nn import differences

        different = differences(own, resolution=size)
    if as_json:
        row |= {"placed": placed} if own.backbone != REFERENCE else {}
        _print_cost_json(row, parts, None if not verify else not different)
    else:
        _print_cost(row, parts)
        _print_placed(placed, own.backbone)
        print_prose(f"\n{in_flops(total.macs)}, {total.params / 1e6:.2f} M parameters. {GFLOPS}")
        if verify and not different:
            print("fvcore counts the same on the built network (params, bn_stats, macs, activations).")
        text = shlex.quote(str(row["block"]))
        if system is None and backbone is None:
            print_next(f"skexplore place {text}{_option(whole)}")
        elif system is None and reference is None:
            print_next(f"skexplore build --block {text} --backbone {backbone} --summary")
    _tell_differences(different)


def _print_placed(rows: list[dict[str, object]], body: Backbone) -> None:
    """Print what is really built in each stage: groups and floors are scaled from those of the reference."""
    from skexplore.cli.display import print_table

    print()
    table = [{name: _listed(value) for name, value in row.items()} for row in rows]
    print_table(table, title=f"as built in {body.name}")


def _listed(value: object) -> str:
    """Return numbers of one stage in a line: groups of one convolution are joined by ``+``."""
    if value is None:
        return "-"
    if isinstance(value, list):
        return ", ".join("+".join(map(str, one)) if isinstance(one, list) else str(one) for one in value)
    return str(value)


def _cost_alone(text: str, width: int, sides: tuple[int, int], *, as_json: bool, verify: bool) -> None:
    """Print the cost of one SK convolution of stride 1."""
    from skexplore.arch import Place, block_of_width, check_memory, sk_conv_cost
    from skexplore.export import read_block

    given = read_block(text)
    if len(given) > 1:
        raise UserError(f"{text}: {len(given)} blocks, one per stage; give the one that stands here")
    block = block_of_width(given[0], width)
    total = sk_conv_cost(block, Place(inputs=width, width=width, size=sides))
    row: dict[str, object] = {
        "block": str(block),
        "width": width,
        "map": f"{sides[0]}x{sides[1]}",
        "d": block.dim(width) if block.selects else None,
    }
    row |= {name: getattr(total, name) for name in COSTS}
    different = {}
    if verify:
        # before torch is loaded; what comes in is as large as what one branch gives
        there = replace(total, activations=total.activations + width * sides[0] * sides[1])
        check_memory(there, f"{block} of {width} channels on {sides[0]}x{sides[1]}", "lower --width or --map")
        from skexplore.nn import SKConv, count, differing

        different = differing(total, count(SKConv(width, block), sides, width))
    if as_json:
        _print_cost_json(row, {}, None if not verify else not different)
    else:
        _print_cost(row, {})
        print_prose(f"\nOne SK convolution of stride 1. {GFLOPS}")
        if verify and not different:
            print("fvcore counts the same on the built layer (params, bn_stats, macs, activations).")
    _tell_differences(different)


def _tell_differences(different: Mapping[str, tuple[int, int]]) -> None:
    """Print where the closed form and fvcore differ, and exit with 1 if they do."""
    for name, (ours, theirs) in different.items():
        print(f"{name}: closed form {ours:,}, counted on the built network {theirs:,}", file=sys.stderr)
    if different:
        raise typer.Exit(1)


def _cost_row(own: Architecture, system: str | None, reference: Backbone) -> dict[str, object]:
    """Return what a cost is of. An attention module is no part of the block: it has no arch_id."""
    from skexplore.arch import arch_id, canonical_at_reference, format_blocks

    row: dict[str, object] = {"system": system, "gate": own.gate.kind} if own.gate else {}
    row |= {"system": system} if system else {}
    # the canonical form is that of the reference: in a backbone of other proportions it may be another network
    fits = len(own.blocks) in (1, len(reference.stages))
    form = canonical_at_reference(own.blocks, reference) if fits else own.blocks
    alike = replace(own, blocks=form).cost() == own.cost()
    row["block"] = format_blocks(form if alike else own.blocks)
    row["arch_id"] = arch_id(own.blocks, reference) if fits and not own.gate else None
    return row | {"backbone": own.backbone.name}


def _print_cost_json(row: dict[str, object], parts: dict[str, Cost], verified: bool | None) -> None:
    more: dict[str, object] = {} if verified is None else {"verified": verified}
    if parts:
        more["stages"] = {name: {key: getattr(part, key) for key in COSTS} for name, part in parts.items()}
    print(json.dumps(row | more))


def _print_cost(row: dict[str, object], parts: dict[str, Cost]) -> None:
    for name, value in row.items():
        if value is not None:
            print(f"{name:<12} {value:,}" if isinstance(value, int) else f"{name:<12} {value}")
    if parts:
        print(f"\n{'':<8}" + "".join(f"{name:>16}" for name in COSTS))
    for name, part in parts.items():
        print(f"{name:<8}" + "".join(f"{getattr(part, key):>16,}" for key in COSTS))


@app.command(rich_help_panel=ASK)
def place(block: BlockArgument, reference: ReferenceOption = None, as_json: JsonOption = False) -> None:
    """Place a block on Tables 3, 6 and 7 of the SKNet paper (4 of light networks), by params and multiply-adds."""
    from skexplore.arch import (
        REFERENCE,
        arch_id,
        canonical_at_reference,
        cost as closed_form,
        flops_unit,
        format_blocks,
        get_reference,
        reference_words,
        resolution_text,
    )
    from skexplore.export import read_block
    from skexplore.paper import place_cost

    whole = get_reference(reference)
    blocks = read_block(block, whole)
    own, name = closed_form(blocks, whole), format_blocks(canonical_at_reference(blocks, whole))
    placements, unit = place_cost(own, whole), flops_unit(own.macs)
    if as_json:
        row = {"block": name, "arch_id": arch_id(blocks, whole), "params": own.params, "macs": own.macs}
        print(json.dumps(row | {"placements": [asdict(placement) for placement in placements]}))
        return
    where = "" if whole == REFERENCE else f", {reference_words(whole)}"
    print(
        f"{name}: {unit.of(own.macs)} {unit.name}, {own.params / 1e6:.2f} M parameters at the reference{where}"
    )
    for at in placements:
        matched = ", matched complexity" if at.matched else ""
        print(
            f"\nTable {at.table}\n"
            f"  nearest  {' | '.join(at.nearest)}: params {signed(at.params_diff_pct)} %, "
            f"macs {signed(at.macs_diff_pct)} %{matched}\n"
            f"  below    {' | '.join(at.below) or '-'}\n"
            f"  above    {' | '.join(at.above) or '-'}\n"
            f"  in (params, macs) the block {at.relation} the nearest"
        )
    print_prose(
        "\nBy complexity alone; rows in the order of macs, then params, by our own count of them at "
        f"{resolution_text(whole.resolution)}. {said_unit(unit)}"
    )
    print_next(f"skexplore train {shlex.quote(name)}{_option(whole)}")
