"""The commands about the paper's networks: list them, build them, and set our counts beside the printed ones."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from skexplore.cli.common import (
    ASK,
    GFLOPS,
    PAPER,
    ChannelsOption,
    ClassesOption,
    JsonOption,
    ResolutionOption,
    chosen_network,
    opening,
    pictures,
    print_next,
    print_prose,
    signed,
    writable,
)

if TYPE_CHECKING:
    from skexplore.arch import Cost
    from skexplore.paper import ReproducedRow

app = typer.Typer(rich_markup_mode=None)


@app.command(rich_help_panel=PAPER)
def systems(as_json: JsonOption = False) -> None:
    """List the paper's networks: tables, definition, exact cost."""
    from skexplore.paper import SYSTEMS, printed_rows, system_cost

    rows = []
    for name, system in SYSTEMS.items():
        own = system_cost(system)
        places = [f"{row.table}.{row.row}" for row in printed_rows() if row.definition == name]
        rows.append(
            {"name": name, "title": system.title, "rows": places, "definition": system.definition}
            | {"alternative_to": system.alternative_to or None, "why": system.why}
            | {"params": own.params, "macs": own.macs}
        )
    if as_json:
        print(json.dumps(rows))
        return
    wide = max(len(name) for name in SYSTEMS)
    print(f"{'name':<{wide}} {'params':>8} {'GFLOPs':>7}  definition")
    for row in rows:
        other = f"  (another reading of {row['alternative_to']})" if row["alternative_to"] else ""
        print(
            f"{row['name']:<{wide}} {row['params'] / 1e6:7.2f}M {row['macs'] / 1e9:7.3f}  {row['definition']}{other}"  # type: ignore[operator]
        )
    print_prose(f"\nFor one image at the backbone's own resolution. {GFLOPS}")
    print_next("skexplore cost --system sknet50 --verify", "skexplore reproduce")


@app.command(rich_help_panel=ASK)
def build(
    system: Annotated[
        str | None, typer.Option(help="A network of the paper; see: skexplore systems.")
    ] = None,
    block: Annotated[
        str | None, typer.Option(help="Block notation such as k3+k3d2, a block.json, or - for stdin.")
    ] = None,
    backbone: Annotated[
        str | None,
        typer.Option(help="Backbone of --block, such as sknet26 or 8x4d-1111-s2.  [default: sknet50]"),
    ] = None,
    resolution: ResolutionOption = None,
    classes: ClassesOption = None,
    in_channels: ChannelsOption = None,
    summary: Annotated[bool, typer.Option("--summary", help="Print every layer.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Build a network and print its params, and macs and activations of one image; --summary prints every layer."""
    from skexplore.arch import check_memory, format_blocks, resolution_of, resolution_text

    own = chosen_network(block, system, backbone, classes, in_channels, how="--block BLOCK")
    title = system or f"{block if block != '-' else 'block'} in {own.backbone.name}"
    body = own.backbone
    size = body.resolution if resolution is None else resolution_of(resolution)
    sides = resolution_text(size)
    # a wrong block and too large a network are reported before torch is loaded
    counted = own.cost(resolution=size)
    check_memory(counted, f"{title} at {sides}")
    from skexplore.nn import build as build_network, summarise_network

    rows = summarise_network(build_network(own), size)
    params, macs = sum(row.params for row in rows), sum(row.macs for row in rows)
    if as_json:
        total = {
            "name": title,
            "backbone": body.name,
            "resolution": size if isinstance(size, int) else sides,
            "params": params,
            "macs": macs,
            "activations": counted.activations,
        }
        print(json.dumps(total | {"layers": [asdict(row) for row in rows]} if summary else total))
        return
    if summary:
        wide = max(len(row.name) for row in rows)
        print(
            f"{'name':<{wide}} {'kind':<11} {'form':<13} {'output':>13} {'params':>11} {'macs':>13} {'sees':>7}"
        )
        for row in rows:
            sees = "image" if row.receptive_field is None else str(row.receptive_field)
            shape = "x".join(map(str, row.shape))
            print(
                f"{row.name:<{wide}} {row.kind:<11} {row.form:<13} {shape:>13} {row.params:>11,} {row.macs:>13,} "
                f"{sees:>7}"
            )
        print(
            "\nform: kernel, and stride s, dilation d, groups g where they are not 1. sees: side of the square of"
        )
        print("input pixels behind one output element (receptive field).")
    outputs = rows[-1].shape[0]
    shape = f"{body.in_channels}x{sides} -> {outputs} outputs"
    print_prose(
        f"{title}: {shape}, {params:,} params, {macs:,} macs, {counted.activations:,} activations. {GFLOPS}"
    )
    which = f"--system {system}" if system else shlex.quote(format_blocks(own.blocks))
    which += "" if system or backbone is None else f" --backbone {backbone}"
    which += "" if resolution is None else f" --resolution {resolution}"
    which += "" if in_channels is None else f" --in-channels {in_channels}"
    print_next(f"skexplore cost {which} --verify")


@app.command(rich_help_panel=PAPER)
def reproduce(
    table: Annotated[str, typer.Option(help="1, 2, 3, 4, 5, 6, 7, S8, S9 or all.")] = "all",
    as_json: JsonOption = False,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER|FILE.csv", help="Write the rows there too, into a folder with Figure 2 as a plot."
        ),
    ] = None,
    picture: Annotated[
        bool | None, typer.Option(help="Write figure2.svg and .png.  [default: if a browser is there]")
    ] = None,
) -> None:
    """Set our exact counts beside the complexity columns of the paper's tables."""
    from skexplore.errors import UserError
    from skexplore.paper import reproduce as reproduced, rows_of

    asked = [row.definition for row in rows_of(table)]
    if out is not None and out.suffix not in ("", ".csv") and not out.is_dir():
        raise UserError(f"--out {out}: must be a file that ends in .csv, or a folder")
    rows = reproduced(table, _counted_outside(asked))
    if out is not None:
        with writable(out):
            for path in _written(rows, out, picture=picture):
                print(f"wrote {path}", file=sys.stderr)
    if as_json:
        print(json.dumps({"rows": [asdict(row) for row in rows]}))
        return
    for name in dict.fromkeys(row.table for row in rows):
        _print_table(name, [row for row in rows if row.table == name])
    print(
        "\npaper: as printed (#P in 10^6); ours: params in 10^6, then macs in 10^9 (10^6 where MFLOPs stand above),\n"
        "+g with one multiply for each element a gate rescales, +b with BatchNorm's elements, +gb with both. diff:\n"
        f"our params and macs over the paper's. ~ is another reading of the row above. {GFLOPS}"
    )
    page = out / "figure2.html" if out is not None else None
    print_next(*([opening(page)] if page and page.exists() else []), "skexplore systems")


def _written(rows: list[ReproducedRow], out: Path, *, picture: bool | None) -> Iterator[Path]:
    """Write the rows, into a folder with Figure 2 where its table is among them, and yield the files."""
    from skexplore.files import write_atomic
    from skexplore.paper import to_csv

    alone = out.suffix == ".csv"
    path = out if alone else out / "rows.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, to_csv(rows))
    yield path
    if alone:
        return
    if not any(row.table == "S9" for row in rows):
        print("no Figure 2: it draws the rows of Table S9; ask for that, or for all", file=sys.stderr)
        return
    from skexplore.report import figure_2, figure_2_picture

    page = out / "figure2.html"
    write_atomic(page, figure_2(rows))
    yield page
    yield from pictures(out / "figure2", lambda kind: figure_2_picture(rows, kind), asked=picture)


def _counted_outside(names: list[str]) -> dict[str, Cost]:
    """Return what the networks of other packages among these hold; those of a package that is not installed miss."""
    from skexplore.errors import UserError
    from skexplore.paper import OUTSIDE

    asked = [name for name in dict.fromkeys(names) if name in OUTSIDE]
    if not asked:
        return {}
    from skexplore.nn import count_outside

    found = {}
    for name in asked:
        try:
            found[name] = count_outside(OUTSIDE[name])
        except UserError as error:
            print(error, file=sys.stderr)
    return found


def _print_table(name: str, rows: list[ReproducedRow]) -> None:
    built = [row for row in rows if row.definition]
    light = all((row.macs or 0) < 10**9 for row in built)  # then 10^6 is the unit that its readers think in
    wide = max((len(row.system) + 2 * row.alternative for row in built), default=0)
    print(f"\nTable {name}")
    if built:
        unit = "MFLOPs" if light else "GFLOPs"
        print(
            f"  {'system':<{wide}} {'#P paper':>8} {'ours':>6} {'diff':>7}  {unit + ' paper':>12} {'macs':>7} "
            f"{'diff':>7} {'+g':>7} {'+b':>7} {'+gb':>7}  prints as"
        )
    for row in built:
        _print_row(row, wide, light=light)
    for row in rows:
        if not row.definition:
            print(f"  {row.system}: {row.note}")


def _print_row(row: ReproducedRow, wide: int, *, light: bool) -> None:
    from skexplore.paper import as_printed, in_giga, in_mega

    paper, params = as_printed(row), (row.params or 0) / 1e6
    printed, shown = paper.gflops or "-", [f"{each:7.3f}" for each in in_giga(row)]
    if light:
        printed = in_mega(paper.gflops) if paper.gflops else "-"
        shown = [f"{1000 * each:7.2f}" for each in in_giga(row)]
    macs, *others = shown
    if row.gate_macs is None:  # of another package: its multiply-adds alone are counted
        others = [f"{'-':>7}"] * len(others)
    more = "-" if row.params_diff_pct is None else f"{signed(row.params_diff_pct)}%"
    dearer = "-" if row.macs_diff_pct is None else f"{signed(row.macs_diff_pct)}%"
    print(
        f"  {'~ ' * row.alternative + row.system:<{wide}} {paper.params_m or '-':>8} {params:6.2f} "
        f"{more:>7}  {printed:>12} {macs} {dearer:>7} {' '.join(others)}  {', '.join(row.prints_as) or 'none'}"
    )
    print(f"      {row.definition}")
    if row.note:
        print(f"      {row.note}")
